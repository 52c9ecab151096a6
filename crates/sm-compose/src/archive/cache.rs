//! Where fetched files lie: under their digest, so that a file is fetched once, ever, from wherever.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
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

    /// Held locked while files are being fetched, so that two processes never write one part.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.root.join("fetch.lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
