//! Recipes: any text is judged, never a crash.
#![no_main]

use std::{fs, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use sm_compose::recipe::load;
use tempfile::TempDir;

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory for one file"));

fuzz_target!(|text: &str| {
    let path = DIR.path().join("recipe.toml");
    fs::write(&path, text).expect("a small file");
    if let Err(error) = load(&path, &[]) {
        assert!(!error.to_string().is_empty());
    }
});
