//! Release manifests, read once per change of their file. Whoever needs one asks here as often as it likes.

use std::{
    collections::HashMap,
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sm_model::Manifest;

/// Name of the manifest in every release.
pub(crate) const MANIFEST: &str = "manifest.json";

/// Longest manifest: some twenty artifacts need about 10 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// Releases whose manifests are kept parsed. When they are more, all are forgotten and read again as asked for.
const MAX_KEPT: usize = 256;

/// What tells that a file has changed: place, size and time. Replaced files differ in inode, rewritten ones in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Parsed manifests by release folder.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    kept: Mutex<HashMap<PathBuf, (Stamp, Arc<Manifest>)>>,
}

impl Manifests {
    /// The manifest of the release in `dir`.
    ///
    /// # Errors
    /// In words for an operator: not there, too long, not a manifest.
    pub(crate) fn of(&self, dir: &Path) -> Result<Arc<Manifest>, String> {
        let path = dir.join(MANIFEST);
        let stamp = stamp(&path).map_err(|error| format!("cannot read `{MANIFEST}`: {error}"))?;
        let known =
            self.locked().get(dir).filter(|(kept, _)| *kept == stamp).map(|(_, manifest)| manifest.clone());
        if let Some(manifest) = known {
            return Ok(manifest);
        }
        let bytes = sm_host::files::read_limited(&path, MAX_BYTES).map_err(|error| error.to_string())?;
        let manifest = Arc::new(parse(&bytes)?);
        let mut kept = self.locked();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(dir.to_owned(), (stamp, manifest.clone()));
        Ok(manifest)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, Arc<Manifest>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stamp of a file, symbolic links followed.
pub(crate) fn stamp(path: &Path) -> io::Result<Stamp> {
    path.metadata().map(|metadata| Stamp::from(&metadata))
}

fn parse(bytes: &[u8]) -> Result<Manifest, String> {
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| format!("`{MANIFEST}` is not valid: {error}"))?;
    if manifest.format != Manifest::FORMAT {
        return Err(format!("`{MANIFEST}` has format {}, expected {}", manifest.format, Manifest::FORMAT));
    }
    Ok(manifest)
}
