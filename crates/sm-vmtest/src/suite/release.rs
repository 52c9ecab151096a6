//! A release as a folder holds it: its manifest, and where its artifacts lie.

use std::path::{Path, PathBuf};

use sm_host::files;
use sm_model::{Artifact, ArtifactKind, Manifest};

use super::finding::Stop;

/// The manifest's name in a release's folder.
const MANIFEST: &str = "manifest.json";

/// A release in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    manifest: Manifest,
    folder: PathBuf,
}

impl Release {
    /// The release with this manifest, whose artifacts lie in `folder`.
    pub fn new(manifest: Manifest, folder: impl Into<PathBuf>) -> Self {
        Release { manifest, folder: folder.into() }
    }

    /// What it consists of.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where an artifact lies.
    ///
    /// # Errors
    /// When the release has none of the kind, or its file is not there.
    pub fn path_of(&self, kind: ArtifactKind) -> Result<PathBuf, Stop> {
        let Some(artifact) = self.manifest.artifact(kind) else {
            return Err(Stop::Skip(format!("{} has no artifact of kind {kind:?}", self.manifest.version)));
        };
        let path = self.folder.join(artifact.name.as_str());
        if path.is_file() {
            Ok(path)
        } else {
            Err(Stop::Broken(format!("`{}` is named in the manifest and not there", path.display())))
        }
    }

    /// Puts the release where an update server finds it: `ROOT/CHANNEL/BOARD/VERSION`. Files are linked, not copied, where the
    /// file system can. Returns its folder there.
    ///
    /// # Errors
    /// When a file cannot be put there.
    pub fn publish_into(&self, root: &Path) -> Result<PathBuf, Stop> {
        let folder = root
            .join(self.manifest.channel.to_string())
            .join(self.manifest.board.to_string())
            .join(self.manifest.version.to_string());
        files::create_dir_all(&folder)?;
        let artifacts = self.manifest.artifacts.iter().map(|Artifact { name, .. }| name.as_str());
        for name in artifacts.chain([MANIFEST]) {
            let (from, to) = (self.folder.join(name), folder.join(name));
            if !to.exists() && std::fs::hard_link(&from, &to).is_err() {
                std::fs::copy(&from, &to).map_err(files::FileError::io("copy", &from))?;
            }
        }
        Ok(folder)
    }
}

/// Releases beside the one under test, as far as there are any.
#[derive(Debug, Clone, Default)]
pub struct Others {
    /// The one that most hosts update from.
    pub previous: Option<Release>,
    /// The oldest that is still to update to it.
    pub oldest: Option<Release>,
    /// One that hosts update to from it.
    pub successor: Option<Release>,
}
