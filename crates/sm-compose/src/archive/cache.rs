//! Where fetched files lie: under their digest, so that a file is fetched once, ever, from wherever.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use sm_host::{
    files::{self, FileError},
    progress::Progress,
};
use sm_model::Sha256;

use super::ArchiveError;

/// The cache of the user who runs us (XDG Base Directory Specification): `$XDG_CACHE_HOME/stationmaster`, or
/// `~/.cache/stationmaster`.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set to an absolute path.
pub fn default_cache() -> Result<PathBuf, ArchiveError> {
    cache_of(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")).ok_or(ArchiveError::NoCache)
}

fn cache_of(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let of_home = || home.and_then(absolute).map(|home| home.join(".cache"));
    xdg_cache_home.and_then(absolute).or_else(of_home).map(|caches| caches.join("stationmaster"))
}

/// Evidence that nobody else is fetching into the cache.
#[derive(Debug)]
pub(super) struct Guard {
    file: File,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Closing alone would not do: a program that is being started meanwhile holds a copy of the file until it runs.
        // When the system refuses, closing still does it, a little later.
        let _released = self.file.unlock();
    }
}

/// The cache's directories.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(super) fn below(root: &Path) -> Self {
        Cache { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a package file lies once it is whole.
    pub(super) fn deb(&self, sha256: &Sha256) -> PathBuf {
        self.root.join("debs/sha256").join(format!("{sha256}.deb"))
    }

    /// Where an index lies, as the archive compressed it.
    pub(super) fn index(&self, sha256: &Sha256) -> PathBuf {
        self.root.join("indexes/sha256").join(sha256.to_string())
    }

    /// Keeps other processes from writing the same parts until it is dropped; waits for one that does.
    pub(super) fn guard(&self, progress: &dyn Progress) -> Result<Guard, FileError> {
        files::create_dir_all(&self.root)?;
        let path = self.root.join("fetch.lock");
        let file = File::create(&path).map_err(FileError::io("create", &path))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            progress.note("waiting for another process that is fetching into the same cache");
            file.lock().map_err(FileError::io("lock", &path))?;
        }
        Ok(Guard { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_host::progress::Silent;

    #[test]
    fn one_guard_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::below(dir.path());
        let guard = cache.guard(&Silent).unwrap();
        let second = File::open(dir.path().join("fetch.lock")).unwrap();
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(guard);
        assert!(second.try_lock().is_ok());
    }

    #[test]
    fn the_cache_is_where_the_xdg_specification_says() {
        let cache = |xdg: Option<&str>, home: Option<&str>| {
            cache_of(xdg.map(OsString::from), home.map(OsString::from)).map(|path| path.display().to_string())
        };
        assert_eq!(cache(Some("/c"), Some("/h")).unwrap(), "/c/stationmaster");
        assert_eq!(cache(None, Some("/h")).unwrap(), "/h/.cache/stationmaster");
        assert_eq!(cache(Some("relative"), Some("/h")).unwrap(), "/h/.cache/stationmaster");
        assert_eq!(cache(Some(""), None), None);
    }
}
