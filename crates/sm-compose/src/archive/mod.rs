//! The archive client: from a request to a lock, and from a lock to verified package files in a cache.
//!
//! Judging what an archive says is `sm-debian`'s work; this module moves the bytes: it finds mirrors, fetches within
//! limits, resumes what was interrupted, and keeps what it fetched under its digest. It needs the network only for what
//! the cache does not hold: a lock whose files are cached is answered offline.
//!
//! | module | what it does |
//! |---|---|
//! | [`mirrors`] | addresses of the archives, from the host's APT or from the command line |
//! | [`lock_file`] | locks as TOML files |
//! | `indexes` | signed releases and package indexes |
//! | `download` | one file: parts, resumption, digest |
//! | `packages` | all files of a lock, in parallel |

mod cache;
mod download;
mod error;
mod indexes;
pub mod lock_file;
pub mod mirrors;
mod packages;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use sm_debian::{Keyring, Request};
use sm_host::{fetch::Fetch, progress::Progress};
use sm_model::{Lock, PackageName, PackageVersion, Timestamp};

use cache::Cache;
pub use cache::default_cache;
pub use error::{ArchiveError, Vanished};
pub use mirrors::Mirrors;

/// A client of Debian archives with a cache.
pub struct Archive<'a> {
    fetch: &'a dyn Fetch,
    mirrors: &'a Mirrors,
    cache: Cache,
    progress: &'a dyn Progress,
}

impl fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("mirrors", self.mirrors)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl<'a> Archive<'a> {
    /// A client that keeps what it fetched below `cache`.
    pub fn new(fetch: &'a dyn Fetch, mirrors: &'a Mirrors, cache: &Path, progress: &'a dyn Progress) -> Self {
        Archive { fetch, mirrors, cache: Cache::below(cache), progress }
    }

    /// Resolves a request against the archives as they are now. `keep` names versions to prefer while they are offered:
    /// empty for a fresh lock, [`sm_debian::lock::versions_to_keep`] to renew only some packages.
    ///
    /// # Errors
    /// When an index cannot be fetched or is not trustworthy, or no set of packages answers the request.
    pub fn resolve(
        &self,
        request: &Request,
        keyring: &Keyring,
        keep: &BTreeMap<PackageName, PackageVersion>,
        now: Timestamp,
    ) -> Result<Lock, ArchiveError> {
        let suites = indexes::fetch(self, request, keyring, now)?;
        indexes::resolve(request, suites, keep)
    }

    /// The lock in the file `path` if it answers `request`, without the network; else a fresh one, written to `path`.
    ///
    /// # Errors
    /// As [`Archive::resolve`], and when the file cannot be read or written.
    pub fn lock(
        &self,
        path: &Path,
        request: &Request,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<Lock, ArchiveError> {
        if let Some(lock) = lock_file::read_if_present(path)?
            && lock.request == request.digest()
        {
            return Ok(lock);
        }
        let lock = self.resolve(request, keyring, &BTreeMap::new(), now)?;
        lock_file::write(path, &lock)?;
        Ok(lock)
    }

    /// Files of all packages of a lock, in the lock's order, each verified by size and SHA-256. Fetches what the cache
    /// does not hold, in parallel.
    ///
    /// # Errors
    /// When a file cannot be fetched or is not what the lock says, or a locked file has vanished from the archive.
    pub fn fetch_all(&self, lock: &Lock) -> Result<Vec<PathBuf>, ArchiveError> {
        packages::fetch_all(self, lock)
    }
}
