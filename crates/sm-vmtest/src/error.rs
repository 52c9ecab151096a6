//! What can go wrong with a guest, with what it said last.

use std::{io, path::PathBuf};

use sm_host::{
    files::FileError,
    qemu::{QemuError, credential::InvalidCredential},
};

/// A virtual machine that did not do what it was started for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// It could not be started or steered.
    #[error("cannot run the virtual machine")]
    Qemu(#[from] QemuError),
    /// What it should be given from outside cannot be given.
    #[error("cannot give the guest its credentials")]
    Credential(#[from] InvalidCredential),
    /// Its files could not be made.
    #[error("cannot prepare the virtual machine's directory")]
    File(#[from] FileError),
    /// The connection to its shell broke.
    #[error("the connection to the guest's shell broke while {doing}")]
    Connection {
        /// What was being done.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {secs} s; {seen}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        secs: u64,
        /// What was seen instead: the shell's last words and the console's last lines.
        seen: String,
        /// Where the console's whole log is.
        console: PathBuf,
    },
    /// The guest rebooted, or its shell died, in the middle of a command.
    #[error("the guest rebooted, or its shell died, while it ran `{command}`")]
    Rebooted {
        /// The command.
        command: String,
    },
    /// A command in the guest failed.
    #[error("`{command}` in the guest ended with {exit}: {output}")]
    Command {
        /// The command.
        command: String,
        /// Its exit status.
        exit: u8,
        /// The end of what it said.
        output: String,
    },
    /// The guest answered what no host of ours would.
    #[error("the guest did not tell {expected}: it said `{found}`")]
    Unexpected {
        /// What was asked for.
        expected: &'static str,
        /// What it said.
        found: String,
    },
    /// The machine ended although nobody asked it to.
    #[error("the machine ended while {doing}; {seen}")]
    Ended {
        /// What was being done.
        doing: String,
        /// The console's last lines.
        seen: String,
        /// Where the console's whole log is.
        console: PathBuf,
    },
    /// The guest said something that stops the test at once.
    #[error("the guest cannot go on: {finding}")]
    Fatal {
        /// The console line.
        finding: String,
        /// Where the console's whole log is.
        console: PathBuf,
    },
}

impl VmError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            VmError::Qemu(source) => source.hint(),
            VmError::File(source) => source.hint(),
            VmError::TimedOut { console, .. }
            | VmError::Ended { console, .. }
            | VmError::Fatal { console, .. } => {
                Some(format!("read the console's log: `{}`", console.display()))
            }
            _ => None,
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            VmError::Qemu(source) => source.exit_code(),
            VmError::File(source) => source.exit_code(),
            VmError::Credential(_) => sm_model::exit::INVALID_INPUT,
            _ => sm_model::exit::NEGATIVE,
        }
    }
}
