//! A virtual machine as a value. Making QEMU's arguments of it is [`super::argv`]'s work.

use std::path::PathBuf;

use sm_model::Arch;

use super::{Accelerator, Credential};

/// Everything that decides what machine a guest sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Architecture of the guest.
    pub arch: Arch,
    /// How its instructions run.
    pub accelerator: Accelerator,
    /// Processors.
    pub cpus: u8,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Where its memory is.
    pub memory: Memory,
    /// What starts the guest.
    pub boot: Boot,
    /// Its disks. Firmware looks for a boot loader on the first one.
    pub disks: Vec<Disk>,
    /// Its network card.
    pub network: Network,
    /// systemd credentials, given as SMBIOS type 11 strings: PID 1 imports them on every boot.
    pub credentials: Vec<Credential>,
    /// Files that the guest reads below `/sys/firmware/qemu_fw_cfg/by_name/`.
    pub firmware_files: Vec<FirmwareFile>,
    /// Channels to programs in the guest.
    pub ports: Vec<GuestPort>,
    /// Its serial console.
    pub console: Console,
    /// Where QEMU's control socket appears.
    pub monitor: PathBuf,
    /// Where QEMU's own messages go.
    pub messages: PathBuf,
    /// The saved state of a machine of the same make that it goes on from, instead of being switched on. Its memory is
    /// [`Memory::CopyOf`] that machine's.
    pub resumed_from: Option<PathBuf>,
}

/// Where a machine's memory is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Memory {
    /// With QEMU, and gone with it.
    #[default]
    Own,
    /// In this file, where it stays when the machine was saved and has ended.
    Kept(PathBuf),
    /// What the file of a machine that was saved holds. Only what the guest writes takes memory of its own; the file stays as it is.
    CopyOf(PathBuf),
}

/// What starts the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// UEFI firmware, which then finds a boot loader on the disk.
    Uefi {
        /// Firmware code, only read.
        code: PathBuf,
        /// The machine's own copy of the variable store, written.
        variables: PathBuf,
    },
    /// A kernel that QEMU loads itself.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// Its initial file system.
        initrd: PathBuf,
        /// Its command line.
        command_line: String,
    },
    /// The architecture's smallest start: a raw disk's first sector, or a raw image in memory. For the accelerator's trial.
    Raw(PathBuf),
}

/// The guest's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// A qcow2 file, written to.
    pub qcow2: PathBuf,
    /// What becomes of its writes when QEMU is killed.
    pub cache: WriteCache,
}

/// What becomes of writes when QEMU is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteCache {
    /// Flushed writes survive, as on a disk that loses power.
    KeepsFlushed,
    /// Flushes are ignored: faster, for disks that nobody looks at afterwards.
    Volatile,
}

/// The guest's network card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// None.
    #[default]
    Absent,
    /// A network of its own that reaches out through this machine, which the guest sees as 10.0.2.2.
    User(Vec<Forward>),
}

/// A TCP port of this machine's loopback address that leads to a port of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Port on 127.0.0.1 here.
    pub host: u16,
    /// Port in the guest.
    pub guest: u16,
}

/// A file that the machine hands to the guest (QEMU's `fw_cfg`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareFile {
    /// Its name, which starts with `opt/` and the owner's domain: `opt/org.example/config`.
    pub name: String,
    /// The file here.
    pub path: PathBuf,
}

/// A channel to a program in the guest, where it is `/dev/virtio-ports/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestPort {
    /// Its name in the guest.
    pub name: String,
    /// Its end here.
    pub end: PortEnd,
}

/// This machine's end of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortEnd {
    /// A socket that QEMU listens on.
    Socket(PathBuf),
    /// A file that takes what the guest says.
    Log(PathBuf),
}

/// The guest's serial console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// Appended to a file.
    Log(PathBuf),
    /// On this process's terminal (Ctrl-A X ends the machine) and appended to a file.
    Terminal(PathBuf),
}

impl Console {
    /// The file that everything the guest says is written to.
    pub fn log(&self) -> &PathBuf {
        let (Console::Log(path) | Console::Terminal(path)) = self;
        path
    }
}
