//! Virtual machines: a machine as a value, QEMU's arguments for it, and the running process.
//!
//! Nothing here knows what a guest is for. No QEMU outlives the program that started it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`machine`] | the machine as a value |
//! | [`argv`] | QEMU's command line for a machine: a pure function |
//! | [`credential`] | systemd credentials as SMBIOS strings |
//! | [`programs`] | QEMU, its helper and its firmware in the tools tree |
//! | [`accelerator`] | KVM where a guest really runs on it, else emulation |
//! | [`running`] | a machine that runs: powering down, cutting power, time used |
//! | [`monitor`] | the control connection (QMP) |

pub mod accelerator;
pub mod argv;
pub mod credential;
mod error;
pub mod machine;
pub mod monitor;
pub mod programs;
pub mod running;

pub use accelerator::Accelerator;
pub use credential::Credential;
pub use error::QemuError;
pub use machine::{
    Boot, Console, Disk, FirmwareFile, Forward, GuestPort, Machine, Memory, Network, PortEnd, WriteCache,
};
pub use programs::{Firmware, Programs};
pub use running::RunningMachine;
