//! From locked packages to a bootable disk: the one call that makes an image, and what it leaves behind.
//!
//! The result lies in the caller's work directory. Naming, hashing and publishing it is the release directory's business.

mod agent;
mod disk;
mod error;
mod kernel;
#[cfg(test)]
mod tests;
mod usr;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sm_host::{
    files,
    process::Runner,
    progress::{Progress, Unit},
    tools::ToolsTree,
};
use sm_model::{LockedPackage, PackageName, Sha256};

use crate::{
    fixups,
    recipe::Plan,
    tree::{Blob, Tree},
    unpack,
};

pub use crate::{
    fixups::{FixupError, SysusersError},
    initrd::{ElfError, InitrdError},
};
pub use error::ComposeError;

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
    /// SHA-256 of the /usr file system.
    pub usr_sha256: Sha256,
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

/// Largest agent binary taken.
const MAX_AGENT_BYTES: u64 = 256 << 20;

/// Composes an image. Everything it makes lies in the work directory, whose content the caller removes after a failure.
///
/// # Errors
/// When packages, recipe and tools do not make an image; each error says what to change.
pub fn compose(
    inputs: &Inputs<'_>,
    runner: &dyn Runner,
    progress: &dyn Progress,
) -> Result<ComposedImage, ComposeError> {
    let plan = inputs.plan;
    sm_trust::PublicKey::from_pem(&plan.payload_key_pem).map_err(ComposeError::PayloadKey)?;
    let unpacked = unpack::unpack_all(inputs.packages, &plan.target.drop, progress)?;
    let steps = progress.begin("compose", Unit::Items, Some(5));
    let agent: Blob = files::read_limited(inputs.agent, MAX_AGENT_BYTES)?.into();
    agent::check(&agent, &unpacked.tree, plan.target.arch)?;
    let fixups::Prepared { mut tree, boot } = fixups::apply(unpacked.tree, plan, inputs.packages, agent)?;
    steps.advance(1);
    kernel::index_modules(&mut tree, &boot, inputs, runner)?;
    let mut sealed = tree.clone();
    fixups::seal(&mut sealed, &plan.os.id)?;
    steps.advance(1);
    // The longest step shares the machine with the second longest.
    let (usr, initrd) = rayon::join(
        || usr::write(&sealed, inputs, runner),
        || kernel::make_initrd(&tree, &boot, inputs, runner),
    );
    let (usr, initrd) = (usr?, initrd?);
    steps.advance(1);
    let mut disk = disk::NewDisk::create(inputs)?;
    let root_hash = disk.write_usr(&usr)?;
    let uki = kernel::build_uki(&boot, &initrd, root_hash, inputs, &fixups::os_release(plan))?;
    let uki_path = inputs.work.join("kernel.efi");
    files::write_atomic(&uki_path, &uki)?;
    steps.advance(1);
    let disks = disk.write_boot(&boot, &uki, root_hash)?;
    steps.advance(1);
    Ok(ComposedImage {
        disk: disks.raw,
        qcow2: disks.qcow2,
        usr: usr.path,
        usr_size_bytes: usr.size_bytes,
        usr_sha256: usr.sha256,
        root_hash: root_hash.digest(),
        uki: uki_path,
        kernel: boot.release,
        kernel_config: boot.config.to_vec(),
        tree: sealed,
        changelogs: unpacked.changelogs,
    })
}
