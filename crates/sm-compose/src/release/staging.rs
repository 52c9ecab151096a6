//! A release directory while it grows: a temporary sibling that takes the release's name only when it is whole.
//!
//! Every byte is hashed as it is written. Dropping the staging removes it; only [`Staging::finish`] makes it last.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::Digest as _;
use sm_host::files::{self, FileError};
use sm_model::{Artifact, ArtifactKind, FileName, Manifest, Sha256, Sha512, Version};

use super::{ReleaseError, names, sparse::Sparse};
use crate::scratch::Scratch;

/// Buffer between hashing and the disk.
const BUFFER_BYTES: usize = 1 << 20;

/// The growing release.
#[derive(Debug)]
pub(super) struct Staging {
    directory: Scratch,
    /// `ROOT/CHANNEL/BOARD`.
    board: PathBuf,
    /// Written so far, by whichever thread.
    artifacts: Mutex<Vec<Artifact>>,
}

impl Staging {
    /// Starts a release below `board`, which is made when missing.
    pub(super) fn create(board: &Path) -> Result<Self, ReleaseError> {
        let directory = Scratch::create(board, ".partial-")?;
        Ok(Staging { directory, board: board.to_owned(), artifacts: Mutex::default() })
    }

    /// Writes one artifact: `fill` gives its bytes.
    pub(super) fn write<T>(
        &self,
        kind: ArtifactKind,
        name: FileName,
        fill: impl FnOnce(&mut dyn Write) -> Result<T, ReleaseError>,
    ) -> Result<T, ReleaseError> {
        let path = self.directory.path().join(&name);
        let failed = |error| self.failed(name.as_str())(error);
        let mut sink = Hashing::new(create(&path)?);
        let filled = fill(&mut sink)?;
        let (file, digests) = sink.finish().map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let Digests { size_bytes, sha256, sha512 } = digests;
        self.lock_artifacts().push(Artifact { name, kind, size_bytes, sha256, sha512 });
        Ok(filled)
    }

    /// Writes one artifact that is at hand as bytes.
    pub(super) fn write_bytes(
        &self,
        kind: ArtifactKind,
        name: FileName,
        bytes: &[u8],
    ) -> Result<(), ReleaseError> {
        let failed = self.failed(name.as_str());
        self.write(kind, name, |sink| sink.write_all(bytes).map_err(failed))
    }

    /// Copies a file into the release, as it is or compressed.
    pub(super) fn copy(
        &self,
        kind: ArtifactKind,
        name: FileName,
        from: &Path,
        packing: Packing,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), ReleaseError> {
        let source = File::open(from).and_then(Sparse::new).map_err(FileError::io("open", from))?;
        let mut source = Counting { inner: source, progress };
        let failed = self.failed(name.as_str());
        self.write(kind, name, |sink| packing.pack(&mut source, sink).map_err(failed))
    }

    /// Unnamed scratch space where the release grows: what has room for it has room for this.
    pub(super) fn spool(&self) -> Result<File, ReleaseError> {
        Ok(tempfile::tempfile_in(&self.board)
            .map_err(FileError::io("create a spool file in", &self.board))?)
    }

    /// Wraps an error met while making the artifact of that name.
    pub(super) fn failed(&self, name: &str) -> impl FnOnce(io::Error) -> ReleaseError + use<> {
        ReleaseError::write(name, &self.board)
    }

    /// Artifacts written so far, sorted by name.
    pub(super) fn artifacts(&self) -> Vec<Artifact> {
        let mut artifacts = self.lock_artifacts().clone();
        artifacts.sort_by(|a, b| a.name.cmp(&b.name));
        artifacts
    }

    fn lock_artifacts(&self) -> MutexGuard<'_, Vec<Artifact>> {
        self.artifacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds sums and manifest, gives the directory its name, and switches the link to the newest version last
    /// (an older version than the newest leaves it).
    pub(super) fn finish(self, manifest: &Manifest) -> Result<Appeared, ReleaseError> {
        let text = manifest_text(manifest)?;
        self.write_plain(names::MANIFEST, &text)?;
        let described = Digests::of(&text);
        let sha256 = |artifact: &Artifact| artifact.sha256.to_string();
        let sha512 = |artifact: &Artifact| artifact.sha512.to_string();
        let sums = |hex: &dyn Fn(&Artifact) -> String, own: String| {
            let mut lines: Vec<_> =
                manifest.artifacts.iter().map(|artifact| (artifact.name.as_str(), hex(artifact))).collect();
            lines.push((names::MANIFEST, own));
            lines.sort();
            lines.into_iter().map(|(name, hex)| format!("{hex}  {name}\n")).collect::<String>()
        };
        self.write_plain(names::SHA256SUMS, sums(&sha256, described.sha256.to_string()).as_bytes())?;
        self.write_plain(names::SHA512SUMS, sums(&sha512, described.sha512.to_string()).as_bytes())?;
        for artifact in &manifest.artifacts {
            let digests = format!("# SHA512 HASH\n{}  {}\n", artifact.sha512, artifact.name);
            self.write_plain(&format!("{}.DIGESTS", artifact.name), digests.as_bytes())?;
        }
        files::sync_dir(self.directory.path())?;
        self.appear(manifest.version, &text)
    }

    fn write_plain(&self, name: &str, bytes: &[u8]) -> Result<(), ReleaseError> {
        let mut file = create(&self.directory.path().join(name))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(self.failed(name))
    }

    /// Gives the directory its name. A release of the same bytes that is there already is as good.
    fn appear(self, version: Version, manifest: &[u8]) -> Result<Appeared, ReleaseError> {
        let place = self.board.join(version.to_string());
        check_current(&self.board)?;
        if place.exists() {
            if fs::read(place.join(names::MANIFEST)).ok().as_deref() != Some(manifest) {
                return Err(ReleaseError::AlreadyReleased { directory: place });
            }
        } else {
            self.directory.rename(&place)?;
            files::sync_dir(&self.board)?;
        }
        let is_current = current_version(&self.board).is_none_or(|current| current <= version);
        if is_current {
            switch_current(&self.board, &version.to_string())?;
        }
        Ok(Appeared { directory: place, is_current })
    }
}

/// A release directory that has its name.
#[derive(Debug)]
pub(super) struct Appeared {
    pub(super) directory: PathBuf,
    /// Whether the link to the newest version points to it: not when a newer one is there.
    pub(super) is_current: bool,
}

/// The version that `current` points to, if there is such a release.
fn current_version(board: &Path) -> Option<Version> {
    let target = fs::read_link(board.join(names::CURRENT)).ok()?;
    board.join(&target).is_dir().then(|| target.to_str()?.parse().ok())?
}

/// The manifest as its file holds it: what its digest is taken over.
pub(super) fn manifest_text(manifest: &Manifest) -> Result<Vec<u8>, ReleaseError> {
    let mut text =
        serde_json::to_vec_pretty(manifest).map_err(|error| ReleaseError::Manifest(error.into()))?;
    text.push(b'\n');
    Ok(text)
}

fn create(path: &Path) -> Result<File, ReleaseError> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().write(true).create_new(true).mode(0o644).open(path);
    let file = file.map_err(FileError::io("create", path))?;
    // The creator's umask must not decide who can read a release.
    file.set_permissions(fs::Permissions::from_mode(0o644)).map_err(FileError::io("create", path))?;
    Ok(file)
}

fn check_current(board: &Path) -> Result<(), ReleaseError> {
    let current = board.join(names::CURRENT);
    match fs::symlink_metadata(&current) {
        Ok(metadata) if !metadata.is_symlink() => Err(ReleaseError::CurrentIsNoLink(current)),
        _ => Ok(()),
    }
}

/// Points `current` at a version: the old one or the new one is seen, never none.
pub(super) fn switch_current(board: &Path, version: &str) -> Result<(), ReleaseError> {
    let current = board.join(names::CURRENT);
    if fs::read_link(&current).is_ok_and(|target| target == Path::new(version)) {
        return Ok(());
    }
    let next = tempfile::Builder::new()
        .prefix(".current-")
        .make_in(board, |path| std::os::unix::fs::symlink(version, path))
        .map_err(FileError::io("create a link in", board))?;
    next.persist(&current).map_err(|refused| FileError::io("switch the link", &current)(refused.error))?;
    Ok(files::sync_dir(board)?)
}

/// How a copied file is stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packing {
    /// As it is.
    Plain,
    /// As a zstd frame with a checksum. The bytes do not depend on the number of cores.
    Zstd,
}

impl Packing {
    /// zstd's own default: the disk image is mostly holes and data compressed already.
    const LEVEL: i32 = 3;

    fn pack(self, from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Packing::Plain => io::copy(&mut io::BufReader::with_capacity(BUFFER_BYTES, from), to).map(drop),
            Packing::Zstd => {
                let mut encoder = zstd::Encoder::new(to, Packing::LEVEL)?;
                encoder.include_checksum(true)?;
                // One worker and many give the same bytes, no worker gives others: never none.
                let cores = std::thread::available_parallelism().map_or(1, |n| n.get().min(16));
                encoder.multithread(u32::try_from(cores).unwrap_or(1))?;
                io::copy(&mut io::BufReader::with_capacity(BUFFER_BYTES, from), &mut encoder)?;
                encoder.finish().map(drop)
            }
        }
    }
}

/// Digests and size of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) size_bytes: u64,
    pub(super) sha256: Sha256,
    pub(super) sha512: Sha512,
}

impl Digests {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Digests {
            size_bytes: bytes.len() as u64,
            sha256: Sha256(sha2::Sha256::digest(bytes).into()),
            sha512: Sha512(sha2::Sha512::digest(bytes).into()),
        }
    }
}

/// Hashes what passes through.
struct Hashing {
    to: BufWriter<File>,
    size_bytes: u64,
    sha256: sha2::Sha256,
    sha512: sha2::Sha512,
}

impl Hashing {
    fn new(to: File) -> Self {
        Hashing {
            to: BufWriter::with_capacity(BUFFER_BYTES, to),
            size_bytes: 0,
            sha256: sha2::Sha256::new(),
            sha512: sha2::Sha512::new(),
        }
    }

    fn finish(self) -> io::Result<(File, Digests)> {
        let file = self.to.into_inner().map_err(io::IntoInnerError::into_error)?;
        let sha256 = Sha256(self.sha256.finalize().into());
        let sha512 = Sha512(self.sha512.finalize().into());
        Ok((file, Digests { size_bytes: self.size_bytes, sha256, sha512 }))
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.sha256.update(&bytes[..n]);
        self.sha512.update(&bytes[..n]);
        self.size_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Tells how many bytes were read.
struct Counting<'a> {
    inner: Sparse,
    progress: &'a dyn Fn(u64),
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        (self.progress)(n as u64);
        Ok(n)
    }
}
