//! Initial RAM disk archives: cpio in the `newc` format
//! (Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! [`Writer`] is deterministic: everything belongs to root, is dated 1970 and numbered in the order of writing. It
//! refuses what the kernel would drop in silence, such as a file whose directory is missing. [`Reader`] has limits.

mod read;
mod write;

use std::io;

use sm_model::exit;

pub use read::{Limits, Reader};
pub use write::Writer;

const MAGIC: &[u8; 6] = b"070701";
const HEADER_LEN: usize = 110;
const TRAILER: &str = "TRAILER!!!";
/// Names and contents are padded with zeros to this.
const ALIGNMENT: u64 = 4;

const TYPE_MASK: u32 = 0o170_000;
const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_SYMLINK: u32 = 0o120_000;
const TYPE_CHARACTER_DEVICE: u32 = 0o020_000;

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the root, without leading slash.
    pub path: String,
    /// Permission bits.
    pub permissions: u16,
    /// What it is.
    pub content: Content,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A regular file with its bytes.
    File(Vec<u8>),
    /// A symbolic link with its target.
    Symlink(String),
    /// A character device such as `/dev/console` (5, 1).
    CharacterDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
}

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed.
    #[error("cannot {action} the cpio archive")]
    Io {
        /// What was being done: `read` or `write`.
        action: &'static str,
        /// What the stream said.
        #[source]
        source: io::Error,
    },
    /// A path that could leave the root or that the kernel would not find.
    #[error("`{}` is no path for an archive: expected relative, without empty, `.` or `..` parts, at most {max} bytes", .0.escape_debug(), max = Error::MAX_PATH_BYTES)]
    Path(String),
    /// The kernel drops members whose directory it has not seen.
    #[error("the directory of `{0}` is not in the archive before it")]
    NoParent(String),
    /// A path that is in the archive already.
    #[error("`{0}` is in the archive twice")]
    Twice(String),
    /// A member too large for its 32-bit size field or for the reader's limit.
    #[error("`{path}` has {size_bytes} bytes: expected at most {max}")]
    TooLarge {
        /// Which member.
        path: String,
        /// Its size.
        size_bytes: u64,
        /// Largest size.
        max: u64,
    },
    /// More members than the reader's limit.
    #[error("more than {0} members")]
    TooManyEntries(u64),
    /// Not a newc archive, or one cut short or overwritten.
    #[error("broken archive after {n_entries} members: {problem}")]
    Broken {
        /// Members read before.
        n_entries: u64,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Error {
    /// Longest path: Linux's `PATH_MAX` with its NUL.
    pub const MAX_PATH_BYTES: usize = 4095;

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NoParent(_) => Some("add every directory before what it holds".to_owned()),
            _ => None,
        }
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Io { .. } => exit::STORAGE,
            _ => exit::INVALID_INPUT,
        }
    }
}

fn check_path(path: &str) -> Result<(), Error> {
    let clean = path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains('\0');
    if clean && path.len() <= Error::MAX_PATH_BYTES && path != TRAILER {
        Ok(())
    } else {
        Err(Error::Path(path.chars().take(200).collect()))
    }
}

/// Zeros between a part that ends at `position` and the next.
fn padding(position: u64) -> usize {
    (position.next_multiple_of(ALIGNMENT) - position) as usize
}

#[cfg(test)]
mod tests;
