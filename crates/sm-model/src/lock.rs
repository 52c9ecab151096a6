//! The lock: the exact packages that an image, or the tools tree that builds it, is made of.

use serde::{Deserialize, Serialize};

use crate::{Arch, PackageName, PackageVersion, Sha256, Timestamp};

/// A pinned package set. Serialises in a stable order: archives as configured, packages by name, then architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Format of this document: [`Lock::FORMAT`].
    pub format: u32,
    /// Architecture the set was resolved for.
    pub arch: Arch,
    /// SHA-256 of the resolution request (packages wanted, exclusions, pins, suites): tells when the lock is out of date.
    pub request: Sha256,
    /// Archives the packages came from.
    pub archives: Vec<LockedArchive>,
    /// The packages, sorted by name, then architecture.
    pub packages: Vec<LockedPackage>,
}

impl Lock {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// One suite of one archive, at one signed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedArchive {
    /// Name by which packages refer to it: the suite (`trixie`, `trixie-security`).
    pub suite: String,
    /// Which configured mirror serves it (`debian`, `debian-security`): never a host name.
    pub mirror: String,
    /// SHA-256 of the signed index (`InRelease`).
    pub release_sha256: Sha256,
    /// `Date:` of the signed index.
    pub date: Timestamp,
}

/// One package file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Binary package name.
    pub name: PackageName,
    /// Binary package version.
    pub version: PackageVersion,
    /// `Architecture:` of the package: the lock's own, or `all`.
    pub arch: String,
    /// Source package and, where it differs from the binary's, its version: `systemd` or `linux-signed-amd64 (6.12.117+1)`.
    pub source: String,
    /// Suite the file was taken from: a [`LockedArchive::suite`].
    pub suite: String,
    /// Path below the mirror's root: `pool/main/…`.
    pub path: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256,
}
