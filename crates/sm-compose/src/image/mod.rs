//! From locked packages to a bootable disk: the one call that makes an image, and what it leaves behind.
//!
//! The result lies in the caller's work directory. Naming, hashing and publishing it is the release directory's business.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sm_host::tools::ToolsTree;
use sm_model::{LockedPackage, PackageName, Sha256};

use crate::{recipe::Plan, tree::Tree};

/// A locked package and where its verified file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// The package as locked.
    pub package: LockedPackage,
    /// Its `.deb`, whose digest was checked.
    pub path: PathBuf,
}

/// Everything an image is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What to build.
    pub plan: &'a Plan,
    /// The image's packages, in the lock's order.
    pub packages: &'a [PackageFile],
    /// Programs that write the formats we do not write.
    pub tools: &'a ToolsTree,
    /// The update agent's binary, built for the image's architecture.
    pub agent: &'a Path,
    /// An existing, empty directory that takes every file made. Nothing of its name gets into the image.
    pub work: &'a Path,
}

/// One composed image: files in the work directory, and what is known about them.
#[derive(Debug)]
pub struct ComposedImage {
    /// The whole disk, raw and sparse.
    pub disk: PathBuf,
    /// The whole disk as qcow2.
    pub qcow2: PathBuf,
    /// The /usr file system without its verity tree.
    pub usr: PathBuf,
    /// Size of the /usr file system, a multiple of 4096.
    pub usr_size_bytes: u64,
    /// dm-verity root hash of the /usr file system.
    pub root_hash: Sha256,
    /// The unified kernel image.
    pub uki: PathBuf,
    /// Kernel release (`uname -r`).
    pub kernel: String,
    /// The kernel's build configuration.
    pub kernel_config: Vec<u8>,
    /// Every file of the image with its origin: paths below `/usr`.
    pub tree: Tree,
    /// `changelog.Debian.gz` (or a native package's `changelog.gz`) of each package that brings one, still compressed.
    pub changelogs: BTreeMap<PackageName, Vec<u8>>,
}
