//! A finished release directory, and which release a channel points to. Making one is sm-compose's work.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use sm_host::{
    files::{FileError, read_limited, sync_dir},
    qemu::programs::BaseFormat,
};
use sm_model::{Artifact, ArtifactKind, Manifest};

use crate::Error;

/// Name of the manifest in a release directory.
const MANIFEST: &str = "manifest.json";
/// Largest manifest read.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// A finished release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    dir: PathBuf,
    manifest: Manifest,
}

impl Release {
    /// Opens `dir` and checks that every artifact of its manifest is there with its size. Digests are not computed.
    ///
    /// # Errors
    /// When the directory holds no whole release.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let broken = |problem: String| Error::Release { release: dir.display().to_string(), problem };
        let bytes = read_limited(&dir.join(MANIFEST), MAX_MANIFEST_BYTES)?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| broken(format!("`{MANIFEST}` cannot be understood: {error}")))?;
        for artifact in &manifest.artifacts {
            let size = fs::metadata(dir.join(&artifact.name)).ok().map(|found| found.len());
            if size != Some(artifact.size_bytes) {
                let found = size.map_or("is absent".to_owned(), |size| format!("has {size} bytes"));
                let problem = format!("`{}` {found}, expected {} bytes", artifact.name, artifact.size_bytes);
                return Err(broken(problem));
            }
        }
        Ok(Release { dir: dir.to_owned(), manifest })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it is.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Bytes of all of its artifacts.
    pub fn size_bytes(&self) -> u64 {
        self.manifest.artifacts.iter().map(|artifact| artifact.size_bytes).sum()
    }

    /// The artifact of a kind, and where it is.
    ///
    /// # Errors
    /// When the release has none.
    pub fn artifact(&self, kind: ArtifactKind) -> Result<(&Artifact, PathBuf), Error> {
        let artifact = self.manifest.artifact(kind).ok_or_else(|| Error::Release {
            release: self.dir.display().to_string(),
            problem: format!("it has no artifact of kind {kind:?}"),
        })?;
        Ok((artifact, self.dir.join(&artifact.name)))
    }

    /// The disk image that virtual machines start from, and its format.
    ///
    /// # Errors
    /// When the release has none.
    pub fn bootable_image(&self) -> Result<(PathBuf, BaseFormat), Error> {
        Ok((self.artifact(ArtifactKind::QemuImage)?.1, BaseFormat::Qcow2))
    }

    /// Makes the channel of a repository at `root` point to this release: hosts are offered it from now on.
    ///
    /// # Errors
    /// When the release is not below the channel's directory, or the pointer cannot be written.
    pub fn make_current(&self, root: &Path) -> Result<(), Error> {
        let Manifest { channel, board, version, .. } = &self.manifest;
        let dir = root.join(channel.to_string()).join(board.to_string());
        if !dir.join(version.to_string()).join(MANIFEST).is_file() {
            return Err(Error::Release {
                release: self.dir.display().to_string(),
                problem: format!("it is not at `{}`", dir.join(version.to_string()).display()),
            });
        }
        replace_symlink(&dir, "current", &version.to_string())?;
        Ok(())
    }
}

/// Points `dir/name` to `target`, in one step for whoever reads it meanwhile.
fn replace_symlink(dir: &Path, name: &str, target: &str) -> Result<(), FileError> {
    let (link, new) = (dir.join(name), dir.join(format!(".{name}.new")));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::io("remove", &new)(error));
        }
        _ => {}
    }
    symlink(target, &new).map_err(FileError::io("make a link at", &new))?;
    fs::rename(&new, &link).map_err(FileError::io("rename a link to", &link))?;
    sync_dir(dir)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A whole release in the repository at `root`, with one artifact of 3 bytes.
    pub(crate) fn release(root: &Path, version: &str) -> PathBuf {
        let dir = root.join("alpha/amd64-usr").join(version);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("boxcar_production_update.gz"), b"abc").unwrap();
        let digest = "0".repeat(64);
        let manifest = serde_json::json!({
            "format": 1, "os": "boxcar", "version": version, "channel": "alpha", "board": "amd64-usr",
            "source_date": "2026-11-23T00:00:00Z",
            "inputs": {
                "recipe_sha256": digest, "lock_sha256": digest, "tools_lock_sha256": digest,
                "agent_sha256": digest, "stationmaster": "0.1.0",
            },
            "usr_root_hash": digest, "usr_size_bytes": 4096, "kernel": "6.12",
            "artifacts": [{
                "name": "boxcar_production_update.gz", "kind": "payload", "size_bytes": 3,
                "sha256": digest, "sha512": "0".repeat(128),
            }],
        });
        fs::write(dir.join(MANIFEST), manifest.to_string()).unwrap();
        dir
    }

    #[test]
    fn a_release_is_whole_when_every_artifact_has_its_size() {
        let root = tempfile::tempdir().unwrap();
        let dir = release(root.path(), "4900.0.0");
        let found = Release::open(&dir).unwrap();
        assert_eq!(found.size_bytes(), 3);
        assert!(found.artifact(ArtifactKind::Payload).is_ok());
        assert!(found.bootable_image().is_err());
        fs::write(dir.join("boxcar_production_update.gz"), b"ab").unwrap();
        let error = Release::open(&dir).unwrap_err().to_string();
        assert!(error.ends_with("`boxcar_production_update.gz` has 2 bytes, expected 3 bytes"), "{error}");
    }

    #[test]
    fn the_pointer_moves_from_release_to_release() {
        let root = tempfile::tempdir().unwrap();
        let [a, b] = ["4900.0.0", "4900.0.1"].map(|v| Release::open(&release(root.path(), v)).unwrap());
        let current = root.path().join("alpha/amd64-usr/current");
        for (release, target) in [(&a, "4900.0.0"), (&b, "4900.0.1"), (&b, "4900.0.1")] {
            release.make_current(root.path()).unwrap();
            assert_eq!(fs::read_link(&current).unwrap(), Path::new(target));
        }
    }

    #[test]
    fn a_release_outside_the_repository_cannot_become_current() {
        let [root, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let stray = Release::open(&release(other.path(), "4900.0.0")).unwrap();
        assert!(stray.make_current(root.path()).is_err());
    }
}
