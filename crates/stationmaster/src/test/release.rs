//! Which release is meant, and what is known about it before its images are opened.
//!
//! Artifacts are read as they lie there: whether they are those that the manifest names is a test of its own, so that a
//! damaged one is also looked into by the tests that know what should be in it.

use std::path::{Path, PathBuf};

use sm_compose::{
    archive::lock_file,
    release::{ReleaseDir, contents},
};
use sm_host::files;
use sm_model::{ArtifactKind, Manifest};
use sm_vmtest::suite::{
    artifacts::Checked,
    facts::{Fact, Listed},
    finding::Stop,
    gather::Described,
};

use crate::{evidence, named};

/// Largest text of a release that is read.
const MAX_TEXT_BYTES: u64 = 64 << 20;
const NO_SECOND: &str = "no second composition to compare with: `compose --verify` makes one";

/// The release that is named, or the one that the named image belongs to.
pub(super) fn open(named: &Path, root: &Path) -> anyhow::Result<ReleaseDir> {
    let around = named.parent().filter(|_| named.is_file());
    named::open(root, around.unwrap_or(named))
}

/// What the release says about itself. `artifacts` tells whether its files are its own, `second` is the manifest of a second
/// composition.
pub(super) fn described(release: &ReleaseDir, artifacts: Fact<Checked>, second: Fact<Manifest>) -> Described {
    let lock = bytes(release, ArtifactKind::Lock).and_then(|bytes| {
        lock_file::parse(&bytes).map_err(|error| Stop::Broken(format!("the lock is none: {error}")))
    });
    let packages = |lock: sm_model::Lock| {
        lock.packages.iter().map(|one| (one.name.to_string(), one.version.to_string())).collect()
    };
    Described {
        manifest: release.manifest().clone(),
        artifacts,
        usr_image: place(release, ArtifactKind::UsrImage),
        disk_image: place(release, ArtifactKind::DiskImage),
        kernel_image: place(release, ArtifactKind::KernelImage),
        kernel_config: text(release, ArtifactKind::KernelConfig),
        contents: text(release, ArtifactKind::ContentsList).and_then(|text| listed(&text)),
        bill: bytes(release, ArtifactKind::Sbom),
        version_text: text(release, ArtifactKind::VersionText),
        root_hash_text: text(release, ArtifactKind::RootHash),
        packages: lock.map(packages),
        twin: second,
    }
}

fn place(release: &ReleaseDir, kind: ArtifactKind) -> Fact<PathBuf> {
    let path = release.path_of(kind).map_err(|error| Stop::Broken(error.to_string()))?;
    if path.exists() { Ok(path) } else { Err(Stop::Broken(format!("`{}` is absent", path.display()))) }
}

fn bytes(release: &ReleaseDir, kind: ArtifactKind) -> Fact<Vec<u8>> {
    let path = release.path_of(kind).map_err(|error| Stop::Broken(error.to_string()))?;
    files::read_limited(&path, MAX_TEXT_BYTES).map_err(|error| {
        if error.is_not_found() || matches!(error, files::FileError::TooLarge { .. }) {
            Stop::Broken(error.to_string())
        } else {
            Stop::Trouble { class: "host-disk", message: error.to_string() }
        }
    })
}

fn text(release: &ReleaseDir, kind: ArtifactKind) -> Fact<String> {
    String::from_utf8(bytes(release, kind)?).map_err(|_| Stop::Broken(format!("{kind:?} is not UTF-8")))
}

fn listed(text: &str) -> Fact<std::collections::BTreeMap<String, Listed>> {
    let entries =
        contents::parse(text).map_err(|error| Stop::Broken(format!("the list of files: {error}")))?;
    let listed = |one: contents::Listed| Listed { mode: one.mode, size_bytes: one.size_bytes };
    Ok(entries.into_iter().map(|(path, one)| (path, listed(one))).collect())
}

/// The second composition's manifest: of the release named, or as `compose --verify` left it among the evidence. A release is not
/// its own witness.
pub(super) fn second(release: &ReleaseDir, twin: Option<&Path>, evidence: &Path) -> Fact<Manifest> {
    let trouble = |message| Stop::Trouble { class: "second-composition", message };
    let Some(twin) = twin else {
        let kept = evidence::second(evidence).map_err(|error| trouble(format!("{error:#}")))?;
        return kept.ok_or_else(|| Stop::Skip(NO_SECOND.to_owned()));
    };
    let same = |path: &Path| path.canonicalize().ok();
    if same(twin) == same(release.path()) {
        return Err(Stop::Skip("the second composition is the release itself".to_owned()));
    }
    let opened = ReleaseDir::open(twin).map_err(|error| trouble(error.to_string()))?;
    Ok(opened.manifest().clone())
}
