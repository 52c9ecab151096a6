//! Installs a spooled payload: verifies it, writes the passive slot, arms it. The order is the safety.
//!
//! ```text
//! 1  the spool's size, SHA-256, structure, signature, and whether all fits   nothing is written yet
//! 2  kernel images of other versions are removed                             the passive slot is not bootable any more
//! 3  the passive slot loses its identity
//! 4  /usr is written, flushed, read back from the medium
//! 5  the verity tree is computed; its root must be the one that the signed kernel image names
//! 6  the passive slot gets the identity that this root hash demands
//! 7  the kernel image appears on the EFI system partition                    the only step that changes what boots
//! ```
//!
//! Each step takes the evidence of an earlier one as a parameter. Power may be cut anywhere: before 7 the host boots the old
//! version, after it the new one. A second run starts at 1.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sm_host::{
    files,
    progress::{Progress, Task, Unit},
};
use sm_image::{
    gpt::Durable,
    payload::read::{Content, Installed, Limits, Part, Plan, Target},
    uki,
    verity::{self, RootHash, Superblock},
};
use sm_model::{Arch, Sha256, Version};
use sm_rollout::{
    agent::{ErrorCode, InstallFailure},
    omaha::OfferedRelease,
};
use sm_trust::{PublicKey, Verified};

use crate::{
    disk::{Access, Window},
    esp::KernelImages,
    fault::Fuse,
    payload::{Intact, Signed, refusal, storage},
    server::chain,
    slots::{Cleared, Completed, Slots},
    spool,
};

/// Largest kernel image that is looked at, in bytes: what an EFI system partition of 512 MiB holds twice.
const MAX_KERNEL_BYTES: u64 = 240 << 20;

/// Where an install happens.
#[derive(Debug)]
pub struct Site<'a> {
    /// Both slots.
    pub slots: Slots,
    /// The EFI system partition.
    pub kernel_images: &'a KernelImages,
    /// `ID` of the operating system.
    pub os: &'a str,
    /// The version that runs.
    pub running: Version,
    /// The host's architecture.
    pub arch: Arch,
    /// The key that must have signed the payload.
    pub key: &'a PublicKey,
    /// Directory of spool and scratch files.
    pub dir: &'a Path,
    /// Where tests cut the power.
    pub fuse: Fuse,
}

/// Verifies the spooled payload, writes it to the passive slot, and arms it.
///
/// # Errors
/// When the spool is damaged, the payload is not to be installed, or a disk fails. Then nothing new is armed.
pub fn install(
    site: Site<'_>,
    offer: &OfferedRelease,
    progress: &dyn Progress,
) -> Result<(), InstallFailure> {
    let Site { slots, kernel_images, os, running, arch, key, dir, fuse } = site;
    // 1
    let intact = Intact::check(spool::path(dir, &offer.payload), &offer.payload, progress)?;
    let limits = Limits::for_slot(slots.passive().data.partition.size_bytes(), MAX_KERNEL_BYTES);
    let signed = intact.check_signature(limits, key, progress)?;
    check_fits(signed.plan(), &slots, kernel_images, running)?;
    // 2
    let retired = kernel_images.retire_all_but(running).map_err(|error| storage(&error))?;
    // 3
    let cleared = slots.clear_passive(&retired).map_err(|error| storage(&error))?;
    // 4
    let mut scratch = Scratch::create(dir, fuse).map_err(|error| storage(&error))?;
    let received = write(&intact, limits, key, &cleared, &mut scratch, progress)?;
    let installed = read_back(received, &cleared, &mut scratch, progress)?;
    // 5
    let root = check_kernel(&mut scratch.file, os, offer.version, arch)?;
    let whole = write_tree(&installed, root, cleared, progress)?;
    // 6
    let completed = whole.complete(root, os, offer.version).map_err(|error| storage(&error))?;
    // 7
    arm(&completed, kernel_images, offer.version, &mut scratch)
}

/// Everything must fit before anything is removed.
fn check_fits(
    plan: &Plan,
    slots: &Slots,
    kernel_images: &KernelImages,
    running: Version,
) -> Result<(), InstallFailure> {
    let data_bytes = plan.partition().size_bytes;
    slots
        .check_fits(data_bytes, verity::tree_bytes(data_bytes))
        .map_err(|error| InstallFailure::Rejected(ErrorCode::NewPartitionInfo, chain(&error)))?;
    let needed_bytes = kernel_of(plan)?.size_bytes;
    let room_bytes = kernel_images.room_after_retiring(running).map_err(|error| storage(&error))?;
    if needed_bytes > room_bytes {
        return Err(InstallFailure::Storage(format!(
            "no room for the kernel image on the EFI system partition: {needed_bytes} bytes are needed, {room_bytes} are free"
        )));
    }
    Ok(())
}

fn kernel_of(plan: &Plan) -> Result<Content, InstallFailure> {
    plan.kernel().ok_or_else(|| {
        InstallFailure::Rejected(ErrorCode::NewKernel, "the payload has no kernel image".to_owned())
    })
}

fn write(
    intact: &Intact,
    limits: Limits,
    key: &PublicKey,
    cleared: &Cleared,
    scratch: &mut Scratch,
    progress: &dyn Progress,
) -> Result<Signed, InstallFailure> {
    let data = cleared.data(Access::Write).map_err(|error| storage(&error))?;
    let mut parts = Parts { data, kernel: scratch };
    let signed = intact.write(limits, key, &mut parts, progress)?;
    parts.data.forget_cached().map_err(|error| storage(&error))?;
    Ok(signed)
}

/// The targets of a payload's operations.
struct Parts<'s> {
    data: Window,
    kernel: &'s mut Scratch,
}

impl Target for Parts<'_> {
    fn write_at(&mut self, part: Part, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match part {
            Part::Partition => {
                self.data.seek(SeekFrom::Start(offset))?;
                self.data.write_all(bytes)
            }
            Part::Kernel => self.kernel.write_at(offset, bytes),
            Part::Skipped => Ok(()),
        }
    }
}

fn read_back(
    signed: Signed,
    cleared: &Cleared,
    scratch: &mut Scratch,
    progress: &dyn Progress,
) -> Result<Installed<Verified<Sha256>>, InstallFailure> {
    let size_bytes = signed.plan().partition().size_bytes;
    let task = progress.begin("Reading the passive slot back", Unit::Bytes, Some(size_bytes));
    let stream = cleared.data(Access::Read).map_err(|error| storage(&error))?;
    scratch.file.rewind().map_err(|error| storage(&error))?;
    signed.read_back(&mut Counted { stream, task: &*task }, Some(&mut scratch.file)).map_err(refusal)
}

/// The kernel image must be for this host, of the offered version, and name the root hash of its /usr.
fn check_kernel(
    kernel: &mut File,
    os: &str,
    version: Version,
    arch: Arch,
) -> Result<RootHash, InstallFailure> {
    let wrong = |words: String| InstallFailure::Rejected(ErrorCode::NewKernel, words);
    let image = uki::Image::read(kernel).map_err(|error| wrong(chain(&error)))?;
    if image.arch() != arch {
        return Err(wrong(format!("the kernel image is for {}: this host is {arch}", image.arch())));
    }
    for (key, expected) in [("ID", os), ("VERSION_ID", &version.to_string())] {
        let found = image.os_release(key).unwrap_or_default();
        if found != expected {
            let found = found.escape_debug();
            return Err(wrong(format!("the kernel image has {key}=`{found}`: expected `{expected}`")));
        }
    }
    image.usrhash().map_err(|error| wrong(chain(&error)))
}

/// Computes the verity tree from what the slot holds and writes it beside. Only if its root is the signed one, the slot is whole.
fn write_tree(
    installed: &Installed<Verified<Sha256>>,
    expected: RootHash,
    cleared: Cleared,
    progress: &dyn Progress,
) -> Result<Cleared, InstallFailure> {
    let content = installed.plan().partition();
    let superblock = Superblock::of_image(content.size_bytes, &content.sha256)
        .map_err(|error| InstallFailure::Rejected(ErrorCode::NewUsr, chain(&error)))?;
    let task = progress.begin("Computing the verity tree", Unit::Bytes, Some(content.size_bytes));
    let stream = cleared.data(Access::Read).map_err(|error| storage(&error))?;
    let mut tree = cleared.tree(Access::Write).map_err(|error| storage(&error))?;
    let found = verity::format(&mut Counted { stream, task: &*task }, &superblock, &mut tree)
        .map_err(|error| storage(&error))?;
    if found != expected {
        let words = format!("the /usr image has root hash {found}: the signed kernel image names {expected}");
        return Err(InstallFailure::Rejected(ErrorCode::NewUsr, words));
    }
    tree.make_durable().map_err(|error| storage(&error))?;
    Ok(cleared)
}

fn arm(
    _completed: &Completed,
    kernel_images: &KernelImages,
    version: Version,
    scratch: &mut Scratch,
) -> Result<(), InstallFailure> {
    scratch.file.rewind().map_err(|error| storage(&error))?;
    kernel_images.install(version, &mut scratch.file).map_err(|error| storage(&error))
}

/// A file for the kernel image between payload and EFI system partition; gone when the install is over.
struct Scratch {
    path: PathBuf,
    file: File,
    fuse: Fuse,
}

impl Scratch {
    fn create(dir: &Path, fuse: Fuse) -> io::Result<Self> {
        let path = dir.join("kernel.efi");
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
        Ok(Scratch { path, file, fuse })
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.fuse.burn_io()?;
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover is overwritten by the next install, so nothing depends on this.
        let _removed = files::remove(&self.path);
    }
}

/// A stream that counts what is read from it.
struct Counted<'t> {
    stream: Window,
    task: &'t dyn Task,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        self.task.advance(n as u64);
        Ok(n)
    }
}
