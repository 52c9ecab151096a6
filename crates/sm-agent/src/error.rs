//! What can stop the agent itself. Failures of an update are not here: they are outcomes, remembered and told to the server.

use std::{io, path::PathBuf};

use sm_host::files::FileError;
use sm_model::{Version, exit};
use sm_rollout::agent::InvalidConfig;

/// Why the agent cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The host does not run an image of ours.
    #[error("this host is not one that updates itself: it has no `{}`", path.display())]
    NoImage {
        /// The file that every image has.
        path: PathBuf,
    },
    /// A file of the image does not say what it should.
    #[error("`{}` has no usable `{key}`: expected {expected}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The missing key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The disk layout is not the one that updates need.
    #[error("cannot find the /usr slots: {reason}")]
    Slots {
        /// What was not as expected.
        reason: String,
    },
    /// The partition table does not have the slots that updates need, or they cannot be changed.
    #[error(transparent)]
    Table(#[from] sm_image::slots::Error),
    /// The system refused an operation.
    #[error("cannot {action}")]
    System {
        /// What was being done.
        action: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] sm_host::process::ProcessError),
    /// A person wants the previous version back, and there is none.
    #[error("cannot go back from {running}: {reason}")]
    NoPrevious {
        /// The version that runs.
        running: Version,
        /// What is missing.
        reason: String,
    },
    /// Another agent works on this host.
    #[error("another stationmaster-agent is at work on this host")]
    Busy,
}

impl Error {
    pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Error::System { action: action.into(), source }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::File(error) => error.hint(),
            Error::Config(error) => error.hint(),
            Error::Table(error) => error.hint(),
            Error::NoImage { .. } => Some(
                "run it on a Boxcar host, or name the root directory of one with `--root DIR`".to_owned(),
            ),
            Error::Image { .. } => {
                Some("the image is damaged or not a Boxcar image: compose it again".to_owned())
            }
            Error::Slots { .. } => Some(
                "updates need a host that was installed from a Boxcar disk image; see `lsblk --fs`"
                    .to_owned(),
            ),
            Error::System { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run the same command as root, for example with `sudo`".to_owned())
            }
            Error::Busy => {
                Some("`stationmaster-agent status` shows what it does; try again when it is done".to_owned())
            }
            Error::NoPrevious { .. } => {
                Some("`stationmaster-agent status` shows which kernel images this host has".to_owned())
            }
            Error::System { .. } | Error::Process(_) => None,
        }
    }

    /// Exit code of a program that stops for this.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::File(error) => error.exit_code(),
            Error::Config(error) => error.exit_code(),
            Error::Table(error) => error.exit_code(),
            Error::NoImage { .. } | Error::Image { .. } => exit::INVALID_INPUT,
            Error::Slots { .. } | Error::System { .. } => exit::STORAGE,
            Error::NoPrevious { .. } => exit::NEGATIVE,
            Error::Process(_) | Error::Busy => exit::FAILURE,
        }
    }
}
