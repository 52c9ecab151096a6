//! Reading a release directory: nothing in it is believed before its digest was compared with the manifest's.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::Digest as _;
use sm_host::files::{self, FileError};
use sm_model::{Artifact, ArtifactKind, Lock, Manifest, Sha256};

use super::{
    ReleaseError,
    changelogs::Changelogs,
    contents::{self, Listed},
    names,
    staging::switch_current,
};
use crate::archive::lock_file;

/// Largest manifest: stops a file that is none.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Largest text artifact read into memory.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// A release directory and its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDir {
    path: PathBuf,
    manifest: Manifest,
    /// The manifest as it is written.
    manifest_bytes: Vec<u8>,
}

impl ReleaseDir {
    /// Opens `ROOT/CHANNEL/BOARD/VERSION`. Only the manifest is read.
    ///
    /// # Errors
    /// When there is no manifest, or it is not one.
    pub fn open(path: &Path) -> Result<Self, ReleaseError> {
        let place = path.join(names::MANIFEST);
        let bytes = files::read_limited(&place, MAX_MANIFEST_BYTES).map_err(|error| {
            if error.is_not_found() { ReleaseError::NoRelease(path.to_owned()) } else { error.into() }
        })?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(malformed(&place, "release manifest"))?;
        if manifest.format != Manifest::FORMAT {
            return Err(ReleaseError::Format { path: place, found: manifest.format });
        }
        Ok(ReleaseDir { path: path.to_owned(), manifest, manifest_bytes: bytes })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it holds, as it is written.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// Digest of the manifest that was read: the release's identity, by which everything names it.
    pub fn manifest_sha256(&self) -> Sha256 {
        Sha256(sha2::Sha256::digest(&self.manifest_bytes).into())
    }

    /// Where an artifact lies.
    ///
    /// # Errors
    /// When the release has none of that kind.
    pub fn path_of(&self, kind: ArtifactKind) -> Result<PathBuf, ReleaseError> {
        Ok(self.path.join(&self.artifact(kind)?.name))
    }

    fn artifact(&self, kind: ArtifactKind) -> Result<&Artifact, ReleaseError> {
        let lacks = || ReleaseError::Lacks { directory: self.path.clone(), kind };
        self.manifest.artifact(kind).ok_or_else(lacks)
    }

    /// The bytes of a text artifact, checked against the manifest.
    ///
    /// # Errors
    /// When it is absent, too large, or has another digest.
    pub fn bytes(&self, kind: ArtifactKind) -> Result<Vec<u8>, ReleaseError> {
        let artifact = self.artifact(kind)?;
        let path = self.path.join(&artifact.name);
        let bytes = files::read_limited(&path, MAX_TEXT_BYTES)?;
        let found = Sha256(sha2::Sha256::digest(&bytes).into());
        if found != artifact.sha256 {
            return Err(ReleaseError::Digest { path, found, expected: artifact.sha256 });
        }
        Ok(bytes)
    }

    /// A text artifact as text.
    ///
    /// # Errors
    /// As [`ReleaseDir::bytes`], and when it is not UTF-8.
    pub fn text(&self, kind: ArtifactKind) -> Result<String, ReleaseError> {
        let path = self.path_of(kind)?;
        String::from_utf8(self.bytes(kind)?).map_err(malformed(&path, "text in UTF-8"))
    }

    /// The image's packages.
    ///
    /// # Errors
    /// As [`ReleaseDir::bytes`], and when it is no lock.
    pub fn lock(&self) -> Result<Lock, ReleaseError> {
        let path = self.path_of(ArtifactKind::Lock)?;
        lock_file::parse(&self.bytes(ArtifactKind::Lock)?).map_err(malformed(&path, "package lock"))
    }

    /// The image's files.
    ///
    /// # Errors
    /// As [`ReleaseDir::bytes`], and when it is no contents list.
    pub fn contents(&self) -> Result<std::collections::BTreeMap<String, Listed>, ReleaseError> {
        let path = self.path_of(ArtifactKind::ContentsList)?;
        contents::parse(&self.text(ArtifactKind::ContentsList)?).map_err(malformed(&path, "contents list"))
    }

    /// What the packages' changelogs say.
    ///
    /// # Errors
    /// As [`ReleaseDir::bytes`], and when it is no collection of changelogs.
    pub fn changelogs(&self) -> Result<Changelogs, ReleaseError> {
        let path = self.path_of(ArtifactKind::Changelogs)?;
        Changelogs::decode(&self.bytes(ArtifactKind::Changelogs)?)
            .map_err(malformed(&path, "collection of changelogs"))
    }

    /// Points `current` of its channel and board here: hosts are offered this release from now on.
    ///
    /// # Errors
    /// When the directory is not at `CHANNEL/BOARD/VERSION`, or the link cannot be written.
    pub fn make_current(&self) -> Result<(), ReleaseError> {
        let path = self.path.canonicalize().map_err(FileError::io("find", &self.path))?;
        let version = self.manifest.version.to_string();
        match path.parent() {
            Some(board) if path.file_name() == Some(version.as_ref()) => switch_current(board, &version),
            _ => Err(ReleaseError::Misplaced { directory: path, version: self.manifest.version }),
        }
    }

    /// Reads every artifact and compares its digest with the manifest's.
    ///
    /// # Errors
    /// At the first artifact that is absent or differs.
    pub fn verify(&self) -> Result<(), ReleaseError> {
        for artifact in &self.manifest.artifacts {
            let path = self.path.join(&artifact.name);
            let found = digest_of(&path)?;
            if found != artifact.sha256 {
                return Err(ReleaseError::Digest { path, found, expected: artifact.sha256 });
            }
        }
        Ok(())
    }
}

fn malformed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    path: &Path,
    expected: &'static str,
) -> impl FnOnce(E) -> ReleaseError + use<E> {
    let path = path.to_owned();
    move |source| ReleaseError::Malformed { path, expected, source: source.into() }
}

/// SHA-256 of a file of any size.
fn digest_of(path: &Path) -> Result<Sha256, ReleaseError> {
    let mut file = File::open(path).map_err(FileError::io("open", path))?;
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Sha256(hash.finalize().into())),
            Ok(n) => hash.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::io("read", path)(error).into()),
        }
    }
}
