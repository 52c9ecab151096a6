//! The manifest: what one release for one board is, which inputs made it, and every artifact with its digests.

use serde::{Deserialize, Serialize};

use crate::{Board, Channel, FileName, Sha256, Sha512, Timestamp, Version};

/// Description of one composed release. Everything that is signed, tested, voted on or offered names a manifest by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this document: [`Manifest::FORMAT`].
    pub format: u32,
    /// `ID` of the operating system, as in os-release: `boxcar`.
    pub os: String,
    /// Version of the release.
    pub version: Version,
    /// Channel it was composed for.
    pub channel: Channel,
    /// Board it runs on.
    pub board: Board,
    /// The one time stamp of every file in the image; rises from release to release.
    pub source_date: Timestamp,
    /// What it was made from.
    pub inputs: Inputs,
    /// dm-verity root hash of the /usr image.
    pub usr_root_hash: Sha256,
    /// Size of the /usr image without its verity tree, in bytes.
    pub usr_size_bytes: u64,
    /// Kernel release (`uname -r`).
    pub kernel: String,
    /// Every artifact but the sums and this document, sorted by name.
    pub artifacts: Vec<Artifact>,
}

impl Manifest {
    /// The format written today.
    pub const FORMAT: u32 = 1;

    /// The artifact of that kind, if the release has one.
    pub fn artifact(&self, kind: ArtifactKind) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.kind == kind)
    }
}

/// Digests of everything that decides the bytes of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The recipe and the files beside it.
    pub recipe_sha256: Sha256,
    /// The image's package lock.
    pub lock_sha256: Sha256,
    /// The tools tree's package lock.
    pub tools_lock_sha256: Sha256,
    /// The agent's binary.
    pub agent_sha256: Sha256,
    /// Version of Stationmaster.
    pub stationmaster: String,
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// File name in the release directory.
    pub name: FileName,
    /// What it is.
    pub kind: ArtifactKind,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// SHA-512 of the file.
    pub sha512: Sha512,
}

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// Whole disk, raw, compressed.
    DiskImage,
    /// Whole disk for QEMU, qcow2.
    QemuImage,
    /// The /usr file system without its verity tree.
    UsrImage,
    /// The unified kernel image.
    KernelImage,
    /// dm-verity root hash of /usr, in hexadecimal.
    RootHash,
    /// Packages, one a line.
    PackageList,
    /// Files with mode, owner and size, one a line.
    ContentsList,
    /// SPDX 2.3 bill of materials.
    Sbom,
    /// Build configuration of the kernel.
    KernelConfig,
    /// CVE ids and changelog entries of every package, for comparing releases.
    Changelogs,
    /// Full update payload.
    Payload,
    /// `version.txt`.
    VersionText,
    /// The image's package lock.
    Lock,
}
