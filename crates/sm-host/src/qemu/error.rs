//! What can go wrong between a machine as a value and a machine that runs.

use std::{io, path::PathBuf, time::Duration};

use crate::{files::FileError, process::ProcessError, tools::ToolsError};

/// A machine that could not be started or steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QemuError {
    /// QEMU, or what it needs, is not in the tools tree.
    #[error("the tools tree cannot start a virtual machine")]
    Tools(#[from] ToolsError),
    /// The firmware is not in the tools tree.
    #[error("the tools tree has no UEFI firmware: expected one of {}", candidates(.tried))]
    NoFirmware {
        /// Every place that was looked at.
        tried: Vec<PathBuf>,
    },
    /// A program could not be run, or said no.
    #[error("a program of the virtual machine failed")]
    Process(#[from] ProcessError),
    /// A file of the machine could not be made.
    #[error("cannot prepare a virtual machine's files")]
    File(#[from] FileError),
    /// QEMU ended before the machine started.
    #[error("QEMU ended with {status} instead of starting the machine: {said}")]
    Ended {
        /// How it ended.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// A socket that QEMU should listen on cannot be reached.
    #[error("cannot reach QEMU at `{}`", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The control connection broke or QEMU said what we do not understand.
    #[error("QEMU did not carry out `{command}`: {reason}")]
    Monitor {
        /// The command sent.
        command: String,
        /// What came instead of its result.
        reason: String,
    },
    /// The machine still runs although it was asked to power down.
    #[error("the machine did not power down within {} s", .0.as_secs())]
    StillRunning(Duration),
}

impl QemuError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            QemuError::Tools(source) => source.hint(),
            QemuError::File(source) => source.hint(),
            QemuError::NoFirmware { .. } => Some(
                "add the package `ovmf` (amd64) or `qemu-efi-aarch64` (arm64) to the tools and unpack them again"
                    .to_owned(),
            ),
            QemuError::Ended { said, .. } if said.contains("cannot set up guest memory") => {
                Some("give the machine less memory".to_owned())
            }
            QemuError::Ended { said, .. } if said.contains("Could not set up host forwarding rule") => {
                Some("choose another port: something listens on this one".to_owned())
            }
            _ => None,
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            QemuError::File(source) => source.exit_code(),
            _ => sm_model::exit::MACHINE,
        }
    }
}

fn candidates(paths: &[PathBuf]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    quoted.join(", ")
}
