//! What can be wrong with a partition table, and what to do about it.

use std::io;

use sm_model::exit;

use crate::Guid;

/// Why a partition table could not be made, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error("cannot {action} the partition table")]
    Io {
        /// What was being done: `read` or `write`.
        action: &'static str,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// Neither copy is valid.
    #[error("no valid partition table: the primary is unusable ({primary}), so is the backup ({backup})")]
    NoTable {
        /// What is wrong with the first copy.
        primary: Flaw,
        /// What is wrong with the copy at the end of the disk.
        backup: Flaw,
    },
    /// The partitions do not fit.
    #[error(
        "the disk is too small: {n_partitions} partitions need {needed_bytes} bytes, it has {disk_bytes}"
    )]
    DiskTooSmall {
        /// How many partitions were asked for.
        n_partitions: usize,
        /// Smallest disk that holds them.
        needed_bytes: u64,
        /// Size of the disk.
        disk_bytes: u64,
    },
    /// More partitions than a table has entries.
    #[error("{n_partitions} partitions do not fit a table of {max} entries")]
    TooManyPartitions {
        /// How many partitions were asked for.
        n_partitions: usize,
        /// How many fit.
        max: u32,
    },
    /// Two partitions cannot have one identity.
    #[error("partition {number} already has the GUID `{guid}`")]
    GuidTaken {
        /// The identity.
        guid: Guid,
        /// Who has it.
        number: u32,
    },
    /// There is no such partition.
    #[error("the table has no partition {number}")]
    NoPartition {
        /// The number asked for.
        number: u32,
    },
    /// A replacement would move, resize, retype, add or remove a partition, or belongs to another disk.
    #[error("the new table does not describe the same partitions of the same disk `{disk_guid}`")]
    GeometryChanged {
        /// Identity of the disk that was to be written.
        disk_guid: Guid,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NoTable { .. } => {
                Some("inspect the disk with `sgdisk --verify`; is it the right disk?".to_owned())
            }
            Error::DiskTooSmall { needed_bytes, .. } => {
                Some(format!("give the disk at least {needed_bytes} bytes or shrink its partitions"))
            }
            _ => None,
        }
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Io { .. } => exit::STORAGE,
            Error::DiskTooSmall { .. } | Error::TooManyPartitions { .. } => exit::INVALID_INPUT,
            _ => exit::FAILURE,
        }
    }

    pub(super) fn reading(source: io::Error) -> Self {
        Error::Io { action: "read", source }
    }

    pub(super) fn writing(source: io::Error) -> Self {
        Error::Io { action: "write", source }
    }
}

/// What makes one copy of a partition table unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The header lies beyond the end of the disk.
    #[error("its header would lie beyond the end of the disk")]
    OutOfDisk,
    /// Not a partition table at all.
    #[error("no `EFI PART` signature")]
    Signature,
    /// A revision that is not 1.0.
    #[error("unknown revision {0:#010x}")]
    Revision(u32),
    /// A header shorter than its fields or longer than its sector.
    #[error("header of {0} bytes: expected 92 to 512")]
    HeaderSize(u32),
    /// The header's checksum.
    #[error("header checksum does not match")]
    HeaderChecksum,
    /// The header says that it lies elsewhere.
    #[error("header claims to lie at sector {0}")]
    Misplaced(u64),
    /// Entries of a size or number that no tool writes.
    #[error("{n_entries} entries of {entry_bytes} bytes: expected 1 to {max} of 128", max = super::header::MAX_ENTRIES)]
    EntryShape {
        /// How many.
        n_entries: u32,
        /// How large each.
        entry_bytes: u32,
    },
    /// Usable range, entry array and headers overlap or leave the disk.
    #[error("header, entries and usable sectors overlap or leave the disk")]
    Frame,
    /// The entries' checksum.
    #[error("checksum of the entries does not match")]
    EntriesChecksum,
    /// A partition outside the usable range.
    #[error("partition {0} lies outside the usable sectors or ends before it starts")]
    OutOfRange(u32),
    /// Two partitions share sectors.
    #[error("partitions {0} and {1} overlap")]
    Overlap(u32, u32),
    /// Two partitions share an identity.
    #[error("partitions {0} and {1} have the same GUID")]
    SameGuid(u32, u32),
    /// A label that is not UTF-16.
    #[error("label of partition {0} is not UTF-16")]
    Label(u32),
}
