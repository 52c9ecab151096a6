//! Everything that can stop a payload from being made.

use std::io;

use sm_model::exit;

/// Why no payload was made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The partition image has no whole number of blocks, or none.
    #[error("the partition image has {found_bytes} bytes: expected a positive multiple of 4096")]
    PartitionSize {
        /// Its size.
        found_bytes: u64,
    },
    /// Another number of bytes than announced.
    #[error("the {what} has {} than the expected {expected_bytes} bytes", if *.longer { "more" } else { "fewer" })]
    SourceSize {
        /// What was read.
        what: &'static str,
        /// The size that was announced.
        expected_bytes: u64,
        /// Whether there was more, or less.
        longer: bool,
    },
    /// A source could not be read.
    #[error("cannot read the {what}")]
    Source {
        /// What was read.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The scratch space could not be written or read.
    #[error("cannot use the spool file")]
    Spool(#[source] io::Error),
    /// The payload could not be written.
    #[error("cannot write the payload")]
    Output(#[source] io::Error),
    /// No compression threads.
    #[error("cannot start the compression threads")]
    Workers(#[source] rayon::ThreadPoolBuildError),
    /// A chunk could not be compressed.
    #[error("cannot compress the {what}")]
    Compress {
        /// What was compressed.
        what: &'static str,
        /// What bzip2 says.
        source: io::Error,
    },
    /// The format's offsets have 32 bits.
    #[error("the payload's data reaches 4 GiB, the format's limit")]
    TooLarge,
    /// Every payload is signed.
    #[error("no key to sign the payload with: expected at least one")]
    NoSigner,
    /// A signature could not be made.
    #[error("cannot sign the payload")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl WriteError {
    /// The next command or step, where there is one.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            WriteError::PartitionSize { .. } => {
                "give the /usr image without its verity tree, padded to 4096 bytes"
            }
            WriteError::SourceSize { .. } => {
                "the file changed while it was read: run again when nothing writes to it"
            }
            WriteError::Spool(_) | WriteError::Output(_) => {
                "the payload's folder needs free space of twice the size of the image"
            }
            WriteError::TooLarge => "leave packages out of the recipe, or compress /usr harder",
            WriteError::NoSigner => "make a key with `stationmaster payload keygen DIR`",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The process exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            WriteError::Source { .. } | WriteError::Spool(_) | WriteError::Output(_) => exit::STORAGE,
            WriteError::PartitionSize { .. }
            | WriteError::SourceSize { .. }
            | WriteError::TooLarge
            | WriteError::NoSigner => exit::INVALID_INPUT,
            WriteError::Workers(_) | WriteError::Compress { .. } | WriteError::Sign(_) => exit::FAILURE,
        }
    }
}
