//! Variants: single values replace, lists add, tables merge; and the digest notices everything.

use std::fs;

use sm_model::Arch;

use super::{RECIPE, load_texts, write_recipe};
use crate::recipe::load;

#[test]
fn single_values_replace_and_lists_add() {
    let variant = "[update]\nserver = \"http://127.0.0.1:1/v1/update/\"\n[units]\nhealth = [\"x.service\"]\n";
    let recipe = load_texts(RECIPE, &[("broken", variant)]).unwrap();
    let target = &recipe.targets[&Arch::Amd64];
    assert_eq!(target.update.server, "http://127.0.0.1:1/v1/update/");
    assert_eq!(target.update.reboot_strategy, "reboot");
    assert_eq!(target.units.health, ["ssh.service", "x.service"]);
    assert_eq!(recipe.variants, ["broken"]);
}

#[test]
fn a_variant_chooses_suites() {
    let off = "[archive.suites.trixie-security]\nenabled = false\n";
    let recipe = load_texts(RECIPE, &[("point-release", off)]).unwrap();
    let suites = &recipe.targets[&Arch::Arm64].packages.suites;
    assert_eq!(suites.iter().map(|suite| suite.suite.as_str()).collect::<Vec<_>>(), ["trixie"]);
}

#[test]
fn a_variant_replaces_a_file_only_when_it_says_so() {
    let file = "[[files]]\npath = \"/etc/hosts\"\ntext = \"new\"\n";
    let error = load_texts(RECIPE, &[("v", file)]).unwrap_err().to_string();
    assert!(error.contains("v.toml:2:8: `/etc/hosts` is declared twice"), "{error}");
    let recipe = load_texts(RECIPE, &[("v", &format!("{file}replace = true\n"))]).unwrap();
    let files = &recipe.targets[&Arch::Amd64].files;
    assert_eq!(&*files[&"/etc/hosts".parse().unwrap()].bytes, b"new");
}

#[test]
fn later_variants_win_and_complaints_name_their_own_file() {
    let [one, two] = ["off", "reboot"].map(|to| format!("[update]\nreboot-strategy = \"{to}\"\n"));
    let recipe = load_texts(RECIPE, &[("one", &one), ("two", &two)]).unwrap();
    assert_eq!(recipe.targets[&Arch::Amd64].update.reboot_strategy, "reboot");
    let error = load_texts(RECIPE, &[("one", &one), ("two", "[upadte]\n")]).unwrap_err().to_string();
    assert!(error.contains("two.toml:1:2: unknown key `upadte`"), "{error}");
}

#[test]
fn the_digest_follows_texts_files_and_executable_bits_but_not_the_place() {
    let digest = |change: &dyn Fn(&std::path::Path)| {
        let dir = tempfile::tempdir().unwrap();
        write_recipe(dir.path(), RECIPE);
        change(dir.path());
        load(&dir.path().join("recipe.toml"), &[]).unwrap().digest
    };
    let plain = digest(&|_| {});
    assert_eq!(plain, digest(&|_| {}));
    assert_eq!(plain, digest(&|dir| fs::write(dir.join("unrelated"), "x").unwrap()));
    assert_ne!(plain, digest(&|dir| fs::write(dir.join("hosts"), "x").unwrap()));
    assert_ne!(plain, digest(&|dir| fs::write(dir.join("units/c.service"), "x").unwrap()));
    assert_ne!(plain, digest(&|dir| fs::write(dir.join("recipe.toml"), format!("{RECIPE}\n")).unwrap()));
    assert_ne!(
        plain,
        digest(&|dir| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(dir.join("hosts"), fs::Permissions::from_mode(0o700)).unwrap();
        })
    );
}
