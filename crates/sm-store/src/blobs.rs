//! Documents and evidence by digest: one file each, in a folder beside the database, whole or absent, never changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::Digest as _;
use sm_host::files::{self, FileError};
use sm_model::Sha256;

use crate::Error;

/// Largest blob, in bytes: evidence is lists and texts; images stay in the release directory.
pub const MAX_BLOB_BYTES: u64 = 64 << 20;

/// The folder of blobs: `blobs/ab/abcd…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// The blobs that belong to a database: `NAME.blobs/` beside `NAME.db`. Nothing is made before the first blob.
    pub fn beside(database: &Path) -> Blobs {
        Blobs::at(database.with_extension("blobs"))
    }

    /// The blobs in that folder.
    pub fn at(dir: impl Into<PathBuf>) -> Blobs {
        Blobs { dir: dir.into() }
    }

    /// Stores bytes and gives their digest. On disk when the call returns; storing twice is storing once.
    ///
    /// # Errors
    /// When there are too many bytes, or the file cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Sha256, Error> {
        if bytes.len() as u64 > MAX_BLOB_BYTES {
            return Err(Error::BlobTooLong { n_bytes: bytes.len() as u64, max_bytes: MAX_BLOB_BYTES });
        }
        let digest = digest_of(bytes);
        // A file that is there may have been damaged: the good bytes at hand replace it.
        if self.get(&digest).is_err() {
            files::write_atomic(&self.path(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// The bytes of that digest, checked.
    ///
    /// # Errors
    /// When there are none, or they are not what the digest says.
    pub fn get(&self, digest: &Sha256) -> Result<Vec<u8>, Error> {
        let bytes = files::read_limited(&self.path(digest), MAX_BLOB_BYTES).map_err(|error| {
            if error.is_not_found() { Error::NoBlob { digest: *digest } } else { error.into() }
        })?;
        if digest_of(&bytes) != *digest {
            return Err(Error::BlobChanged { digest: *digest });
        }
        Ok(bytes)
    }

    /// Digests of all blobs, in order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Sha256>, Error> {
        let mut digests = Vec::new();
        for shelf in entries(&self.dir)? {
            for path in entries(&shelf)? {
                let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                digests.extend(name.filter(|digest| self.path(digest) == path));
            }
        }
        digests.sort_unstable();
        Ok(digests)
    }

    /// Where the blob of that digest lies, if it is there.
    pub fn path(&self, digest: &Sha256) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(&name)
    }
}

pub(crate) fn digest_of(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// What a folder holds; nothing where there is no folder.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = || FileError::io("list", dir);
    match fs::read_dir(dir) {
        Ok(found) => found.map(|entry| Ok(entry.map_err(failed())?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(failed()(error)),
    }
}
