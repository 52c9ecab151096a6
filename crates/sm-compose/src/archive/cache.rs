//! Where fetched files lie: under their digest, so that a file is fetched once, ever, from wherever.

use std::path::{Path, PathBuf};

use sm_model::Sha256;

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
