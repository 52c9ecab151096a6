//! Why an image could not be composed.

use sm_host::{files::FileError, process::ProcessError, tools::ToolsError};
use sm_model::exit;

use crate::{
    fixups::FixupError,
    initrd::{ElfError, InitrdError},
    tree::TreeError,
    unpack::UnpackError,
};

/// A composition that did not end in an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The packages.
    #[error("cannot unpack the image's packages")]
    Unpack(#[from] UnpackError),
    /// What the recipe declares.
    #[error("cannot apply the recipe to the packages")]
    Fixup(#[from] FixupError),
    /// The tree.
    #[error("cannot complete the image's file tree")]
    Tree(#[from] TreeError),
    /// The initial RAM disk.
    #[error("cannot make the initial RAM disk")]
    Initrd(#[from] InitrdError),
    /// A file of the work directory, or one that was given.
    #[error("cannot use the work directory")]
    File(#[from] FileError),
    /// The tools tree.
    #[error("cannot use the tools tree")]
    Tools(#[from] ToolsError),
    /// A tool.
    #[error("a tool failed")]
    Process(#[from] ProcessError),
    /// The unified kernel image.
    #[error("cannot build the unified kernel image")]
    Uki(#[from] sm_image::uki::Error),
    /// The verity tree.
    #[error("cannot hash /usr")]
    Verity(#[from] sm_image::verity::Error),
    /// The EFI system partition.
    #[error("cannot make the EFI system partition")]
    Esp(#[from] sm_image::esp::Error),
    /// The kernel image's name.
    #[error("cannot name the kernel image after the release")]
    BootEntry(#[from] sm_image::boot_entry::Error),
    /// The partition table.
    #[error("cannot make the partition table")]
    Gpt(#[from] sm_image::gpt::Error),
    /// The qcow2 image.
    #[error("cannot write the qcow2 image")]
    Qcow2(#[from] sm_image::qcow2::Error),
    /// The release's name does not fit into the partition table.
    #[error("cannot name the partitions after the release")]
    Label(#[from] sm_image::gpt::InvalidLabel),
    /// Something does not fit into its partition.
    #[error("{what} has {size_bytes} bytes and its partition {capacity_bytes}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        size_bytes: u64,
        /// How large it may be.
        capacity_bytes: u64,
        /// The recipe's key that says so.
        key: &'static str,
    },
    /// The key that hosts would check payloads with.
    #[error("hosts could not use the public key for update payloads")]
    PayloadKey(#[source] sm_trust::Error),
    /// The agent is no program.
    #[error("cannot read the update agent's binary")]
    Agent(#[source] ElfError),
    /// The agent is built for another machine.
    #[error("the update agent is built for another architecture than `{arch}`")]
    AgentArch {
        /// The image's.
        arch: sm_model::Arch,
    },
    /// The agent needs a newer C library than the image has.
    #[error(
        "the update agent cannot start in this image: it needs {} of `{library}`, and the image's newest is {newest}",
        .missing.join(", ")
    )]
    AgentTooNew {
        /// The library.
        library: String,
        /// Symbol versions that the image lacks.
        missing: Vec<String>,
        /// The highest the image has.
        newest: String,
    },
    /// A library that the agent needs is not in the image.
    #[error("the update agent needs `{library}`, which the image does not have")]
    AgentLibrary {
        /// The library.
        library: String,
    },
}

impl ComposeError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            ComposeError::Unpack(error) => error.hint(),
            ComposeError::Fixup(error) => error.hint(),
            ComposeError::Tree(error) => error.hint(),
            ComposeError::Initrd(error) => error.hint(),
            ComposeError::File(error) => error.hint(),
            ComposeError::Tools(error) => error.hint(),
            ComposeError::Uki(error) => error.hint(),
            ComposeError::Verity(error) => error.hint(),
            ComposeError::Esp(error) => error.hint(),
            ComposeError::Gpt(error) => error.hint(),
            ComposeError::TooLarge { key, .. } => Some(format!(
                "raise `{key}` under `[disk]` of the recipe, or leave something out of the image"
            )),
            ComposeError::AgentTooNew { .. } => Some(
                "compose with `--build-agent`: the agent is then built against the image's own C library; \
                 or give one built elsewhere with `--agent`"
                    .to_owned(),
            ),
            ComposeError::Agent(_) | ComposeError::AgentArch { .. } | ComposeError::AgentLibrary { .. } => {
                Some("give an agent built for the image's architecture with `--agent`".to_owned())
            }
            ComposeError::Qcow2(error) => error.hint(),
            ComposeError::BootEntry(_) | ComposeError::Label(_) => {
                Some("choose a shorter `id` of `[os]`".to_owned())
            }
            ComposeError::PayloadKey(_) => Some(
                "make a pair of keys with `stationmaster payload keygen` and name its public half".to_owned(),
            ),
            ComposeError::Process(_) => None,
        }
    }

    /// Exit code of a program that fails with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            ComposeError::File(_) => exit::STORAGE,
            ComposeError::Process(_) | ComposeError::Tools(_) => exit::FAILURE,
            _ => exit::INVALID_INPUT,
        }
    }
}
