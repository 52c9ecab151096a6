//! Boxcar's own recipe, and every variant beside it, are right for every architecture they name.

use std::{fs, path::PathBuf};

use sm_model::Arch;

use crate::recipe::load;

fn boxcar() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../os/boxcar")
}

#[test]
fn the_recipe_is_right_for_both_architectures() {
    let recipe = load(&boxcar().join("recipe.toml"), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(recipe.targets.keys().copied().collect::<Vec<_>>(), Arch::ALL);
    assert!(recipe.tools_for(Arch::Amd64).excluded.is_disjoint(&recipe.tools_for(Arch::Amd64).wanted));
}

#[test]
fn every_variant_is_right_and_changes_the_digest() {
    let recipe = boxcar().join("recipe.toml");
    let plain = load(&recipe, &[]).unwrap().digest;
    let variants: Vec<_> =
        fs::read_dir(boxcar().join("variants")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!variants.is_empty());
    for variant in variants {
        let varied = load(&recipe, &[variant]).unwrap_or_else(|error| panic!("{error}"));
        assert_ne!(varied.digest, plain, "{:?}", varied.variants);
    }
}
