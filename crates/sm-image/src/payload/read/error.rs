//! Everything that can be wrong with a payload, in the reader's words.

use std::{fmt, io};

use sm_model::{Sha256, exit};

use super::{OperationName, Part};

/// Why a payload is refused, or could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not a payload at all.
    #[error("not an update payload: it starts with `{}`, expected `CrAU`", .found.escape_ascii())]
    WrongMagic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A version of the format that nobody has defined.
    #[error("payload format version {found}: expected 1")]
    UnsupportedVersion {
        /// The version in the header.
        found: u64,
    },
    /// Something is larger than the limit for it.
    #[error("the {what} has {found_bytes} bytes: expected at most {limit_bytes}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// More operations than the limit.
    #[error("more than {limit} operations in the manifest")]
    TooManyOperations {
        /// The limit.
        limit: usize,
    },
    /// The protobuf encoding is broken, or a field has the wrong shape.
    #[error("cannot read the {message}")]
    Malformed {
        /// The message type that is broken.
        message: &'static str,
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// A manifest that counts in other units.
    #[error("block size {found}: expected 4096")]
    BlockSize {
        /// The block size in the manifest.
        found: u64,
    },
    /// The payload needs the old content of the partition.
    #[error("this is a delta payload ({reason}): expected a full one")]
    Delta {
        /// What gives it away.
        reason: String,
    },
    /// The payload carries no signature.
    #[error("the payload is not signed: expected signatures_offset and signatures_size in its manifest")]
    Unsigned,
    /// An operation type that nobody has defined.
    #[error("{operation} has the type {found}: expected 0 (REPLACE) or 1 (REPLACE_BZ)")]
    UnknownOperation {
        /// The operation.
        operation: OperationName,
        /// Its type.
        found: u64,
    },
    /// Data of two operations overlaps or leaves a gap.
    #[error("the data of {operation} starts at {found}: expected {expected}, the end of the data before it")]
    DataOffset {
        /// The operation.
        operation: OperationName,
        /// Where its data starts.
        found: u64,
        /// Where the data before it ends.
        expected: u64,
    },
    /// An operation that carries no data, or more than an operation may.
    #[error("{operation} has {found_bytes} bytes of data: expected 1 to {limit_bytes}")]
    DataLength {
        /// The operation.
        operation: OperationName,
        /// Length of its data.
        found_bytes: u64,
        /// The limit.
        limit_bytes: u32,
    },
    /// An operation that does not write exactly one range.
    #[error("{operation} writes {found} ranges: expected 1")]
    ExtentCount {
        /// The operation.
        operation: OperationName,
        /// How many ranges.
        found: usize,
    },
    /// Written ranges overlap, leave a gap, or lie outside the target.
    #[error(
        "{operation} writes {n_blocks} blocks from block {found}: expected {expected}, where the one before it ends, and at least one block below byte {size_bytes}"
    )]
    Extent {
        /// The operation.
        operation: OperationName,
        /// First block of its range.
        found: u64,
        /// Blocks in its range.
        n_blocks: u64,
        /// First block that is not written yet.
        expected: u64,
        /// Size of the target.
        size_bytes: u64,
    },
    /// The operations end before the target is full.
    #[error("the operations write {found_bytes} bytes of the {part}: expected all {expected_bytes}")]
    NotFilled {
        /// The target.
        part: Part,
        /// What they write.
        found_bytes: u64,
        /// Its size.
        expected_bytes: u64,
    },
    /// The signatures are not right behind the data.
    #[error("the signatures start at {found}: expected {expected}, the end of the data")]
    SignaturesOffset {
        /// Where the manifest puts them.
        found: u64,
        /// Where the data ends.
        expected: u64,
    },
    /// The payload has another size than was announced.
    #[error("the payload has {found_bytes} bytes: expected {expected_bytes}")]
    PayloadSize {
        /// Size according to its own head.
        found_bytes: u64,
        /// Size that was announced.
        expected_bytes: u64,
    },
    /// Bytes after the end.
    #[error("there are bytes after the end of the payload: expected {expected_bytes} in all")]
    TrailingBytes {
        /// Where the payload ends.
        expected_bytes: u64,
    },
    /// The payload ends too early.
    #[error("the payload ends after {found_bytes} bytes, inside {inside}{}", expected_total(*.expected_bytes))]
    Truncated {
        /// How many bytes came.
        found_bytes: u64,
        /// What was being read.
        inside: Structure,
        /// How many should have come, if the head was read.
        expected_bytes: Option<u64>,
    },
    /// The stored data of an operation was changed.
    #[error("the data of {operation} has SHA-256 `{found}`: expected `{expected}`")]
    DataDigest {
        /// The operation.
        operation: OperationName,
        /// Digest of what came.
        found: Sha256,
        /// Digest in the manifest.
        expected: Sha256,
    },
    /// The stored data of an operation is no bzip2 stream.
    #[error("cannot unpack the data of {operation}")]
    Unpack {
        /// The operation.
        operation: OperationName,
        /// What bzip2 says.
        source: bzip2::Error,
    },
    /// The data unpacks to more or less than its range, or something follows the bzip2 stream.
    #[error("the data of {operation} does not unpack to exactly {expected_bytes} bytes from all its bytes")]
    UnpackedLength {
        /// The operation.
        operation: OperationName,
        /// Size of its range.
        expected_bytes: u32,
    },
    /// The payload is not the one that was announced.
    #[error("the payload has SHA-256 `{found}`: expected `{expected}`")]
    PayloadDigest {
        /// Digest of what came.
        found: Sha256,
        /// Digest that was announced.
        expected: Sha256,
    },
    /// No good signature.
    #[error("the payload's signature is not good")]
    Signature(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was written does not read back as promised.
    #[error("the {part} has SHA-256 `{found}` after installation: expected `{expected}`")]
    ContentDigest {
        /// The target.
        part: Part,
        /// Digest of what is there.
        found: Sha256,
        /// Digest in the manifest.
        expected: Sha256,
    },
    /// The payload has a kernel and no place was given to read it back from, or the other way round.
    #[error("the payload {}", if *.in_payload { "has a kernel: expected one to read back" } else { "has no kernel to read back" })]
    KernelPresence {
        /// Whether the payload has a kernel.
        in_payload: bool,
    },
    /// The target could not be written.
    #[error("cannot write the {part} at byte {offset}")]
    Write {
        /// The target.
        part: Part,
        /// Where.
        offset: u64,
        /// Why not.
        source: io::Error,
    },
    /// The target could not be read back.
    #[error("cannot read back the {part}")]
    ReadBack {
        /// The target.
        part: Part,
        /// Why not.
        source: io::Error,
    },
    /// Bytes were pushed after an error.
    #[error("this payload was refused before: nothing more is taken")]
    AlreadyRefused,
}

fn expected_total(expected_bytes: Option<u64>) -> String {
    expected_bytes.map(|bytes| format!(": expected {bytes} bytes")).unwrap_or_default()
}

impl ReadError {
    /// The next command or step, where there is one.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            ReadError::WrongMagic { .. } | ReadError::UnsupportedVersion { .. } => {
                "give the `*_update.gz` of a release (in spite of its name it is not compressed)"
            }
            ReadError::Delta { .. } => "make a full payload with `stationmaster payload build`",
            ReadError::Unsigned => "sign it: `stationmaster payload build --key KEY`",
            ReadError::Truncated { .. } | ReadError::PayloadSize { .. } => {
                "fetch the payload again: the transfer was cut or the file replaced meanwhile"
            }
            ReadError::DataDigest { .. }
            | ReadError::PayloadDigest { .. }
            | ReadError::TrailingBytes { .. } => {
                "fetch the payload again; if it stays so, the copy on the server was changed: compare it with the release's SHA256SUMS"
            }
            ReadError::Signature(_) => {
                "compare the key's fingerprint with that of the release's key; if they agree, the payload was changed: do not install it"
            }
            ReadError::ContentDigest { .. } | ReadError::ReadBack { .. } => {
                "the disk did not keep what was written: look at the kernel's log"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The process exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            ReadError::Write { .. } | ReadError::ReadBack { .. } => exit::STORAGE,
            _ => exit::VERIFICATION,
        }
    }
}

/// What is wrong with a protobuf message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends inside a field.
    #[error("it ends inside a field, {0} bytes before its end")]
    CutShort(usize),
    /// A variable-length number of more than 64 bits.
    #[error("a number has more than 64 bits")]
    Overlong,
    /// A wire type that protobuf 2 does not have, or has given up.
    #[error("a field has the wire type {0}: expected 0, 1, 2 or 5")]
    WireType(u8),
    /// Field number zero or beyond 2^29.
    #[error("a field has the number {0}: expected 1 to 536870911")]
    FieldNumber(u64),
    /// A field with the wire type of another.
    #[error("the field `{0}` has the wrong wire type")]
    FieldType(&'static str),
    /// A single field that occurs twice.
    #[error("the field `{0}` is there twice: expected once")]
    Twice(&'static str),
    /// A field that must be there is not.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A 32-bit field with a larger number.
    #[error("the field `{0}` has the value {1}: expected at most 4294967295")]
    Above32Bits(&'static str, u64),
    /// A digest of the wrong length.
    #[error("the field `{0}` has {1} bytes: expected 32")]
    DigestLength(&'static str, usize),
}

impl Malformed {
    pub(super) fn in_message(self, message: &'static str) -> ReadError {
        ReadError::Malformed { message, source: self }
    }
}

/// A part of a payload, for telling where it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Magic, version and manifest size.
    Header,
    /// The manifest.
    Manifest,
    /// The data of an operation.
    Operation(OperationName),
    /// The signatures.
    Signatures,
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Structure::Header => f.write_str("the header"),
            Structure::Manifest => f.write_str("the manifest"),
            Structure::Operation(name) => write!(f, "the data of {name}"),
            Structure::Signatures => f.write_str("the signatures"),
        }
    }
}
