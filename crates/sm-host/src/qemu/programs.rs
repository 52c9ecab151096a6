//! QEMU, its helper for disks and its firmware, as the tools tree has them.

use std::path::{Path, PathBuf};

use sm_model::Arch;

use super::QemuError;
use crate::{
    process::{Invocation, Runner},
    tools::ToolsTree,
};

/// Directories of QEMU's own data, below the tree.
const DATA_DIRS: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// QEMU in a tools tree.
#[derive(Debug, Clone)]
pub struct Programs {
    tools: ToolsTree,
    host: Arch,
}

/// UEFI firmware: code that every machine shares, and the variable store that each gets a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The code.
    pub code: PathBuf,
    /// The empty variable store.
    pub variables: PathBuf,
}

/// Format of an image that an overlay stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseFormat {
    /// Plain sectors.
    Raw,
    /// QEMU's own.
    Qcow2,
}

impl Programs {
    /// QEMU in `tools`, a tree of programs built for `host`.
    pub const fn new(tools: ToolsTree, host: Arch) -> Self {
        Programs { tools, host }
    }

    /// Architecture of the machine that all this runs on.
    pub const fn host(&self) -> Arch {
        self.host
    }

    /// A run of another program of the tree: `qemu-img`, `qemu-io`.
    ///
    /// # Errors
    /// When the tree has none.
    pub fn tool(&self, program: &str) -> Result<Invocation, QemuError> {
        Ok(self.tools.invocation(program)?)
    }

    /// A run of the emulator for `guest`, to which the caller adds the machine.
    ///
    /// # Errors
    /// When the tree has none.
    pub fn emulator(&self, guest: Arch) -> Result<Invocation, QemuError> {
        let modules = self.tools.path("usr/lib").join(self.host.triplet()).join("qemu");
        let emulator =
            self.tools.invocation(&format!("qemu-system-{}", guest.uname()))?.env("QEMU_MODULE_DIR", modules);
        Ok(DATA_DIRS.iter().fold(emulator, |run, dir| run.arg("-L").arg(self.tools.path(dir))))
    }

    /// Makes a qcow2 file at `overlay` that takes the writes and leaves `base` as it is. The guest sees a disk of `size_mib`, which
    /// must not be smaller than the base.
    ///
    /// # Errors
    /// When the tree has no `qemu-img` or it fails.
    pub fn create_overlay(
        &self,
        runner: &dyn Runner,
        (base, format): (&Path, BaseFormat),
        overlay: &Path,
        size_mib: u32,
    ) -> Result<(), QemuError> {
        let format = match format {
            BaseFormat::Raw => "raw",
            BaseFormat::Qcow2 => "qcow2",
        };
        let run = self
            .tool("qemu-img")?
            .args(["create", "-q", "-f", "qcow2", "-F", format, "-b"])
            .args([base, overlay])
            .arg(format!("{size_mib}M"));
        runner.run(&run)?;
        Ok(())
    }

    /// Makes an empty qcow2 file at `disk`.
    ///
    /// # Errors
    /// When the tree has no `qemu-img` or it fails.
    pub fn create_disk(&self, runner: &dyn Runner, disk: &Path, size_mib: u32) -> Result<(), QemuError> {
        let run = self.tool("qemu-img")?.args(["create", "-q", "-f", "qcow2"]).arg(disk);
        runner.run(&run.arg(format!("{size_mib}M")))?;
        Ok(())
    }

    /// The tree's UEFI firmware for `guest`, without Secure Boot.
    ///
    /// # Errors
    /// When the tree has none.
    pub fn firmware(&self, guest: Arch) -> Result<Firmware, QemuError> {
        let pairs = firmware_files(guest).map(|(code, variables)| Firmware {
            code: self.tools.path(code),
            variables: self.tools.path(variables),
        });
        let tried = pairs.iter().map(|firmware| firmware.code.clone()).collect();
        pairs
            .into_iter()
            .find(|firmware| firmware.code.is_file() && firmware.variables.is_file())
            .ok_or(QemuError::NoFirmware { tried })
    }
}

/// Where Debian's `ovmf` and `qemu-efi-aarch64` put code and variables.
fn firmware_files(guest: Arch) -> [(&'static str, &'static str); 2] {
    match guest {
        Arch::Amd64 => [
            ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
            ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),
        ],
        Arch::Arm64 => [
            ("usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),
            ("usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{files::write_atomic, process::FakeRunner};

    fn programs_with(files: &[&str]) -> (tempfile::TempDir, Programs) {
        let dir = tempfile::tempdir().unwrap();
        for file in ["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"].iter().chain(files) {
            write_atomic(&dir.path().join(file), b"").unwrap();
        }
        let tools = ToolsTree::open(dir.path(), Arch::Amd64).unwrap();
        (dir, Programs::new(tools, Arch::Amd64))
    }

    #[test]
    fn the_emulator_loads_modules_and_firmware_of_the_tree_only() {
        let (dir, programs) = programs_with(&["usr/bin/qemu-system-aarch64"]);
        let run = programs.emulator(Arch::Arm64).unwrap();
        let root = dir.path().display();
        let modules = format!("{root}/usr/lib/x86_64-linux-gnu/qemu");
        assert_eq!(run.env.get("QEMU_MODULE_DIR".as_ref() as &std::ffi::OsStr), Some(&modules.into()));
        assert!(run.to_string().ends_with(&format!("-L {root}/usr/share/qemu -L {root}/usr/share/seabios")));
        assert!(programs.emulator(Arch::Amd64).is_err());
    }

    #[test]
    fn an_overlay_names_the_format_of_its_base() {
        let (_dir, programs) = programs_with(&["usr/bin/qemu-img"]);
        let runner = FakeRunner::new(|_| Ok(crate::process::Output::default()));
        let base = (Path::new("/base.img"), BaseFormat::Raw);
        programs.create_overlay(&runner, base, Path::new("/o.qcow2"), 8192).unwrap();
        let run = runner.asked().remove(0).to_string();
        assert!(run.ends_with("create -q -f qcow2 -F raw -b /base.img /o.qcow2 8192M"), "{run}");
    }

    #[test]
    fn firmware_without_its_variable_store_does_not_count() {
        let (_dir, programs) = programs_with(&["usr/share/OVMF/OVMF_CODE_4M.fd"]);
        let error = programs.firmware(Arch::Amd64).unwrap_err();
        assert!(error.to_string().contains("OVMF_CODE_4M.fd`, `"), "{error}");
        assert!(error.hint().unwrap().contains("ovmf"));
    }
}
