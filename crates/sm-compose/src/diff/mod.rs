//! What differs between two releases: packages, CVE ids that changelogs name between their versions, files, images, kernel.
//!
//! A value first: text and JSON show the same one. Nothing is judged; which change is too large is somebody else's rule.

mod files;
mod kernel_config;
mod security;
mod text;

use serde::Serialize;
use sm_debian::LockDiff;
use sm_model::{ArtifactKind, Board, Channel, Lock, PackageName, PackageVersion, Version};

use crate::release::{ReleaseDir, ReleaseError, changelogs};

pub use files::{FileChange, FileChanges};
pub use kernel_config::{OptionChange, config_changes};
pub use security::{SourceChange, source_changes, source_updates};

/// Everything that differs between two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The older release.
    pub old: Side,
    /// The newer release.
    pub new: Side,
    /// Binary packages that differ, by name.
    pub packages: Vec<PackageDelta>,
    /// Source packages whose version rose or fell, by name, with the CVE ids in between.
    pub sources: Vec<SourceChange>,
    /// Sizes of the images and of the payload.
    pub images: Vec<SizeChange>,
    /// Files of the image.
    pub files: FileChanges,
    /// Options of the kernel's build configuration.
    pub kernel_config: Vec<OptionChange>,
}

/// One of the two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Id of the operating system.
    pub os: String,
    /// Channel.
    pub channel: Channel,
    /// Board.
    pub board: Board,
    /// Version.
    pub version: Version,
    /// Kernel release.
    pub kernel: String,
}

/// A binary package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageDelta {
    /// What happened to it.
    #[serde(flatten)]
    pub change: sm_debian::PackageChange,
    /// Source package it comes from.
    pub source: String,
}

/// An artifact's size on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SizeChange {
    /// Name of the artifact.
    pub name: String,
    /// Size in the older release; `None` when it lacks the artifact.
    pub old_bytes: Option<u64>,
    /// Size in the newer release.
    pub new_bytes: Option<u64>,
}

/// Artifacts whose sizes matter: those that are downloaded or written to disks.
const IMAGES: [ArtifactKind; 5] = [
    ArtifactKind::DiskImage,
    ArtifactKind::QemuImage,
    ArtifactKind::UsrImage,
    ArtifactKind::KernelImage,
    ArtifactKind::Payload,
];

impl Diff {
    /// Compares two releases; names the `top` largest changes of files of each sort.
    ///
    /// # Errors
    /// When an artifact that is compared is absent or not what its manifest says.
    pub fn between(old: &ReleaseDir, new: &ReleaseDir, top: usize) -> Result<Self, ReleaseError> {
        let locks = (old.lock()?, new.lock()?);
        let changelogs = new.changelogs()?;
        let configs = (old.text(ArtifactKind::KernelConfig)?, new.text(ArtifactKind::KernelConfig)?);
        Ok(Diff {
            old: side(old),
            new: side(new),
            packages: package_deltas(&locks.0, &locks.1),
            sources: source_changes(&locks.0, &locks.1, &changelogs),
            images: IMAGES.iter().filter_map(|kind| size_change(old, new, *kind)).collect(),
            files: FileChanges::between(old, new, top)?,
            kernel_config: config_changes(&configs.0, &configs.1),
        })
    }

    /// How many packages changed in that way.
    pub fn count(&self, kind: sm_debian::ChangeKind) -> usize {
        self.packages.iter().filter(|package| package.change.kind == kind).count()
    }
}

fn side(release: &ReleaseDir) -> Side {
    let manifest = release.manifest();
    Side {
        os: manifest.os.clone(),
        channel: manifest.channel,
        board: manifest.board,
        version: manifest.version,
        kernel: manifest.kernel.clone(),
    }
}

fn package_deltas(old: &Lock, new: &Lock) -> Vec<PackageDelta> {
    let source = |name: &PackageName| {
        let packages = new.packages.iter().chain(&old.packages);
        let package = packages.into_iter().find(|package| package.name == *name);
        package.map_or_else(String::new, |package| changelogs::source_name(&package.source).to_owned())
    };
    let changes = LockDiff::between(old, new).packages;
    changes.into_iter().map(|change| PackageDelta { source: source(&change.name), change }).collect()
}

fn size_change(old: &ReleaseDir, new: &ReleaseDir, kind: ArtifactKind) -> Option<SizeChange> {
    let [old, new] = [old, new].map(|release| release.manifest().artifact(kind));
    let name = new.or(old)?.name.to_string();
    let bytes = |artifact: Option<&sm_model::Artifact>| artifact.map(|artifact| artifact.size_bytes);
    Some(SizeChange { name, old_bytes: bytes(old), new_bytes: bytes(new) })
}

/// A version of a source package.
pub(crate) fn source_version(package: &sm_model::LockedPackage) -> PackageVersion {
    let written =
        package.source.split_once(" (").and_then(|(_, version)| version.trim_end_matches(')').parse().ok());
    written.unwrap_or_else(|| package.version.clone())
}

#[cfg(test)]
mod tests;
