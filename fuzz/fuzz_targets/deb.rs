//! Packages: whatever a file claims, unpacking ends and names nothing outside the tree.
#![no_main]

use std::{fs, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use sm_compose::{image::PackageFile, recipe::DropRules, unpack::unpack_all};
use sm_host::progress::Silent;
use sm_model::{LockedPackage, Sha256};
use tempfile::TempDir;

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory for one file"));

fuzz_target!(|bytes: &[u8]| {
    let path = DIR.path().join("x.deb");
    fs::write(&path, bytes).expect("a small file");
    let package = LockedPackage {
        name: "xx".parse().expect("a name"),
        version: "1".parse().expect("a version"),
        arch: "amd64".to_owned(),
        source: "x".to_owned(),
        suite: "trixie".to_owned(),
        path: "pool/main/x/x.deb".to_owned(),
        size_bytes: bytes.len() as u64,
        sha256: Sha256([0; 32]),
    };
    let rules = DropRules { paths: Vec::new(), keep: Vec::new() };
    let _ = unpack_all(&[PackageFile { package, path }], &rules, &Silent);
});
