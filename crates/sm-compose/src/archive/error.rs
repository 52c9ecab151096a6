//! What can go wrong between a request and its files, with the next step for each.

use std::{fmt, path::PathBuf};

use sm_debian::{Unresolvable, packages::IndexError, verified::VerifyError};
use sm_host::{fetch::FetchError, files::FileError};
use sm_model::{PackageName, PackageVersion, Timestamp, exit};

use super::download::is_full_disk;

/// A failure of the archive client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Nobody told where an archive is.
    #[error("no mirror is known for the archive `{0}`")]
    NoMirror(String),
    /// Nobody told where to keep what is fetched.
    #[error("there is no place for the cache: neither XDG_CACHE_HOME nor HOME is an absolute path")]
    NoCache,
    /// A `NAME=URL` that is none.
    #[error("`{}` is not a mirror: expected NAME=URL with http:// or https://, for example debian=https://mirror.example/debian", .0.escape_debug())]
    InvalidMirror(String),
    /// A file of the cache, or a lock, cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The release of a suite is not trustworthy, or of something else.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// No set of packages answers the request.
    #[error(transparent)]
    Unresolvable(#[from] Unresolvable),
    /// A package index cannot be read.
    #[error("cannot use the package index `{path}` of suite `{suite}`")]
    Index {
        /// The suite.
        suite: String,
        /// Which of its indexes.
        path: String,
        /// Why.
        source: IndexError,
    },
    /// An index does not unpack to what its release says.
    #[error("cannot unpack the package index `{path}` of suite `{suite}`: {reason}")]
    Unpack {
        /// The suite.
        suite: String,
        /// Which of its indexes.
        path: String,
        /// Why.
        reason: String,
    },
    /// A file cannot be fetched.
    #[error("cannot fetch {what}")]
    Fetch {
        /// Which file, in words.
        what: String,
        /// Why.
        source: FetchError,
    },
    /// A file arrived whole and is another one.
    #[error("{what} is not what was signed: expected {expected}, got {got}")]
    Mismatch {
        /// Which file, in words.
        what: String,
        /// Size and digest that were signed.
        expected: String,
        /// Size and digest that came.
        got: String,
    },
    /// Locked files that the archive no longer has.
    #[error("the archive no longer has {}", list(.0))]
    Vanished(Vec<Vanished>),
    /// The cache's file system is too small.
    #[error("`{}` has room for {free_bytes} bytes, the packages need {needed_bytes}", path.display())]
    NoRoom {
        /// The cache.
        path: PathBuf,
        /// Room there is.
        free_bytes: u64,
        /// Room needed.
        needed_bytes: u64,
    },
    /// An archive as it was before the lock was made: a mirror that fell behind, or an attacker who withholds fixes.
    #[error("suite `{suite}` is of {offered}, but the lock knows it of {locked}")]
    Older {
        /// The suite.
        suite: String,
        /// Its date in the lock.
        locked: Timestamp,
        /// Its date as it is offered now.
        offered: Timestamp,
    },
    /// There is no lock where one is to be renewed or fetched.
    #[error("there is no lock `{}`", .0.display())]
    NoLock(PathBuf),
    /// A package to renew that the lock does not hold.
    #[error("package `{name}` is not in the lock `{}`", path.display())]
    NotLocked {
        /// The package.
        name: PackageName,
        /// The lock.
        path: PathBuf,
    },
    /// A lock file that is not one, or not one of ours.
    #[error("`{}` is not a usable lock: {reason}", path.display())]
    InvalidLock {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A locked package whose file is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vanished {
    /// Its name.
    pub name: PackageName,
    /// The locked version.
    pub version: PackageVersion,
}

impl fmt::Display for Vanished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} {}`", self.name, self.version)
    }
}

fn list(vanished: &[Vanished]) -> String {
    vanished.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl ArchiveError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            ArchiveError::NoMirror(name) => {
                Some(format!("name one with --mirror {name}=URL; this host's APT configuration has none"))
            }
            ArchiveError::InvalidMirror(_) => None,
            ArchiveError::NoCache => Some("set XDG_CACHE_HOME to a directory".to_owned()),
            ArchiveError::File(source) => source.hint(),
            ArchiveError::Verify(source) => source.hint(),
            ArchiveError::Unresolvable(source) => source.hint(),
            ArchiveError::Index { .. } | ArchiveError::Unpack { .. } => {
                Some("the archive's own index is broken: try another mirror with --mirror".to_owned())
            }
            ArchiveError::Fetch { source, .. } if is_full_disk(source) => Some(
                "make room, or name another cache with XDG_CACHE_HOME, then run the same command again: packages that \
                 are there whole are not fetched again"
                    .to_owned(),
            ),
            ArchiveError::Fetch { source, .. } => source.hint(),
            ArchiveError::Mismatch { .. } => {
                Some("the mirror is being updated, or lies: run the command again, or try another mirror with --mirror".to_owned())
            }
            ArchiveError::Vanished(vanished) => {
                let only: Vec<String> = vanished.iter().map(|gone| format!(" --only {}", gone.name)).collect();
                Some(format!("newer versions have taken their place: stationmaster lock update{}", only.concat()))
            }
            ArchiveError::NoRoom { .. } => Some("make room, or name another cache with XDG_CACHE_HOME".to_owned()),
            ArchiveError::Older { .. } => Some(
                "the mirror fell behind, or withholds fixes: name another with --mirror; --allow-older-archive takes it as it is"
                    .to_owned(),
            ),
            ArchiveError::NoLock(_) => Some("make one: stationmaster lock".to_owned()),
            ArchiveError::NotLocked { .. } => {
                Some("want it in the recipe, then run: stationmaster lock".to_owned())
            }
            ArchiveError::InvalidLock { .. } => Some("make a fresh one: stationmaster lock".to_owned()),
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            ArchiveError::NoMirror(_)
            | ArchiveError::InvalidMirror(_)
            | ArchiveError::NoLock(_)
            | ArchiveError::NotLocked { .. }
            | ArchiveError::InvalidLock { .. } => exit::INVALID_INPUT,
            ArchiveError::File(source) => source.exit_code(),
            ArchiveError::Verify(source) => source.exit_code(),
            ArchiveError::Unresolvable(source) => source.exit_code(),
            ArchiveError::Index { .. }
            | ArchiveError::Unpack { .. }
            | ArchiveError::Mismatch { .. }
            | ArchiveError::Older { .. } => exit::VERIFICATION,
            ArchiveError::Fetch { source, .. } => source.exit_code(),
            ArchiveError::Vanished(_) => exit::UNRESOLVED,
            ArchiveError::NoRoom { .. } | ArchiveError::NoCache => exit::STORAGE,
        }
    }
}
