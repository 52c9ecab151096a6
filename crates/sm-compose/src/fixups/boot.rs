//! The kernel and the boot loader: taken out of the tree, because they boot the image and are not part of it.

use sm_model::Arch;

use super::FixupError;
use crate::tree::{Blob, Tree};

const EFI_DIR: &str = "/usr/lib/systemd/boot/efi";

/// What boots an image, taken from its own packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootFiles {
    /// Kernel release (`uname -r`).
    pub(crate) release: String,
    /// The kernel.
    pub(crate) kernel: Blob,
    /// Its build configuration.
    pub(crate) config: Blob,
    /// systemd's stub, which turns kernel, initial RAM disk and command line into one EFI program.
    pub(crate) stub: Blob,
    /// systemd-boot, which chooses among such programs.
    pub(crate) loader: Blob,
}

impl BootFiles {
    /// Takes them out of a tree of unpacked packages.
    pub(super) fn take(tree: &mut Tree, arch: Arch) -> Result<Self, FixupError> {
        let release = kernel_release(tree)?;
        let boot = tree.take("/boot");
        let efi = tree.take(EFI_DIR);
        let file = |from: &Tree, path: String, package| {
            from.file(&path).cloned().ok_or(FixupError::NoBootFile { path, package })
        };
        let name = arch.efi();
        Ok(BootFiles {
            kernel: file(&boot, format!("/boot/vmlinuz-{release}"), "linux-image-…")?,
            config: file(&boot, format!("/boot/config-{release}"), "linux-image-…")?,
            stub: file(&efi, format!("{EFI_DIR}/linux{name}.efi.stub"), "systemd-boot-efi")?,
            loader: file(&efi, format!("{EFI_DIR}/systemd-boot{name}.efi"), "systemd-boot-efi")?,
            release,
        })
    }
}

/// The one kernel whose modules the tree has.
fn kernel_release(tree: &Tree) -> Result<String, FixupError> {
    let mut releases: Vec<&str> = tree
        .below("/usr/lib/modules")
        .filter_map(|(path, _)| path.strip_prefix("/usr/lib/modules/")?.split('/').next())
        .collect();
    releases.dedup();
    match releases[..] {
        [release] => Ok(release.to_owned()),
        _ => Err(FixupError::Kernels { found: releases.into_iter().map(str::to_owned).collect() }),
    }
}
