//! Tests images: looks into their artifacts, boots them in virtual machines and judges what they say.
//!
//! Nothing test-only is in an image: the way in is put there from outside, by systemd credentials, and is gone with the machine.
//! Every deadline runs on this machine's clock, because a guest's drifts under emulation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | the root shell, keys and files that a guest is given from outside |
//! | [`transcript`] | the guest shell's protocol, without the connection |
//! | [`guest`] | a root shell in a running guest: run, wait for |
//! | [`console`] | what the guest said on its console |
//! | [`rules`] | the rules that judge consoles and journals |
//! | [`deadline`] | time limits that grow with the accelerator's slowness |
//! | [`host_state`] | which release a guest runs, from which slot, and what else it could boot |
//! | [`vm`] | a virtual machine with its disk, console and shell |
//! | [`boot`] | how a boot went |
//! | [`endpoint`] | the seam to the update server |
//! | [`suite`] | the tests an image has to pass, and the runs of them |

pub mod access;
pub mod boot;
pub mod console;
pub mod deadline;
pub mod endpoint;
mod error;
pub mod guest;
pub mod host_state;
pub mod rules;
pub mod suite;
pub mod transcript;
pub mod vm;

pub use access::Access;
pub use boot::BootReport;
pub use console::ConsoleLog;
pub use deadline::{Deadline, Pace};
pub use error::VmError;
pub use guest::Guest;
pub use transcript::{Answer, BootId};
pub use vm::{Vm, VmPlan};
