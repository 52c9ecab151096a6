//! The package list: one package a line, in Flatcar's form `CATEGORY/NAME-VERSION::REPOSITORY`.
//!
//! CATEGORY is the mirror the package came from and REPOSITORY the suite: `debian/bash-5.2.37-2+b5::trixie`.

use sm_model::{Lock, LockedPackage};

/// The list of all packages of a lock, in its order.
pub fn package_list(lock: &Lock) -> String {
    lock.packages.iter().map(|package| format!("{}\n", line(lock, package))).collect()
}

fn line(lock: &Lock, package: &LockedPackage) -> String {
    let mirror = lock
        .archives
        .iter()
        .find(|archive| archive.suite == package.suite)
        .map_or("unknown", |archive| archive.mirror.as_str());
    format!("{mirror}/{}-{}::{}", package.name, package.version, package.suite)
}
