//! One file of known size and digest: fetched whole or resumed, verified, then given its name.
//!
//! An interrupted transfer leaves `NAME.partial` beside the place of the file; the next one goes on from there. The name
//! itself only ever belongs to a file that was verified.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256 as Hasher};
use sm_host::{
    fetch::{Fetch, FetchError, Head, Request, Sink},
    files::{self, FileError},
    progress::Task,
};
use sm_model::Sha256;

use super::ArchiveError;

/// How often one address is tried before the next one is, each time going on where the transfer broke.
const ATTEMPTS_PER_URL: usize = 3;

/// A file to have.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// What it is, for people: `package `bash 5.2``.
    pub(super) what: String,
    /// Addresses, in the order to try.
    pub(super) urls: Vec<String>,
    pub(super) size_bytes: u64,
    pub(super) sha256: Sha256,
}

/// Whether `path` holds exactly the file with this size and digest.
pub(super) fn is_whole(path: &Path, size_bytes: u64, sha256: Sha256) -> Result<bool, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(FileError::io("open", path)(error)),
    };
    let length = file.metadata().map_err(FileError::io("measure", path))?.len();
    if length != size_bytes {
        return Ok(false);
    }
    let hasher = hash(&file).map_err(FileError::io("read", path))?;
    Ok(Sha256(hasher.finalize().into()) == sha256)
}

/// Fetches `wanted` to `path`, going on from an earlier attempt's part where there is one.
pub(super) fn download(
    fetch: &dyn Fetch,
    wanted: &Wanted,
    path: &Path,
    task: &dyn Task,
) -> Result<(), ArchiveError> {
    let mut last = None;
    for url in &wanted.urls {
        for _ in 0..ATTEMPTS_PER_URL {
            match attempt(fetch, wanted, url, path, task) {
                Ok(()) => return Ok(()),
                Err(error) if is_worth_another(&error) => last = Some(telling(last, error)),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    last = Some(telling(last, error));
                    break;
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| ArchiveError::NoMirror(wanted.what.clone())))
}

/// Of two failures the one that tells more: that one mirror lacks a file does not mean that the archive does.
fn telling(earlier: Option<ArchiveError>, later: ArchiveError) -> ArchiveError {
    let is_absent = |error: &ArchiveError| matches!(error, ArchiveError::Fetch { source, .. } if source.status() == Some(404));
    match earlier {
        Some(earlier) if is_absent(&later) && !is_absent(&earlier) => earlier,
        _ => later,
    }
}

/// A broken connection may do better from where it broke; a mirror in the middle of an update will not.
fn is_worth_another(error: &ArchiveError) -> bool {
    let ArchiveError::Fetch { source, .. } = error else { return false };
    matches!(source, FetchError::Transport { .. } | FetchError::Length { .. })
        || source.status().is_some_and(|status| status >= 500)
}

/// This machine's own trouble: no other address will help.
fn is_final(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::File(_) | ArchiveError::Fetch { source: FetchError::Sink { .. }, .. })
}

fn attempt(
    fetch: &dyn Fetch,
    wanted: &Wanted,
    url: &str,
    path: &Path,
    task: &dyn Task,
) -> Result<(), ArchiveError> {
    let partial = partial_path(path);
    let mut part = Part::open(&partial, wanted.size_bytes, task)?;
    let was_resumed = part.written_bytes > 0;
    receive(fetch, wanted, url, &partial, &mut part)?;
    let (got_bytes, got) = part.finish();
    if got == wanted.sha256 {
        return Ok(std::fs::rename(&partial, path).map_err(FileError::io("rename a finished file to", path))?);
    }
    files::remove(&partial)?;
    match was_resumed {
        // The part may have been of another file: the next round starts from nothing.
        true => attempt(fetch, wanted, url, path, task),
        false => Err(mismatch(wanted, format!("{got_bytes} bytes, SHA-256 {got}"))),
    }
}

/// Fills the part up to the file's size. What arrived before a failure stays for the next attempt.
fn receive(
    fetch: &dyn Fetch,
    wanted: &Wanted,
    url: &str,
    partial: &Path,
    part: &mut Part<'_>,
) -> Result<(), ArchiveError> {
    if part.written_bytes == wanted.size_bytes {
        return Ok(());
    }
    let request = Request::get(url, wanted.size_bytes).from_byte(part.written_bytes, None);
    let failed = |source| ArchiveError::Fetch { what: wanted.what.clone(), source };
    match fetch.fetch(&request, part) {
        Ok(_) if part.written_bytes == wanted.size_bytes => Ok(()),
        Ok(_) => Err(failed(FetchError::Length {
            url: url.to_owned(),
            got_bytes: part.written_bytes,
            expected: wanted.size_bytes.to_string(),
        })),
        Err(FetchError::Sink { source, .. }) if source.kind() == io::ErrorKind::InvalidData => {
            files::remove(partial)?;
            Err(mismatch(wanted, source.to_string()))
        }
        Err(source) => {
            // On a full disk, a part only takes room from what could be whole.
            if part.written_bytes == 0 || is_full_disk(&source) {
                files::remove(partial)?;
            }
            Err(failed(source))
        }
    }
}

/// Whether the failure is that of a disk without room.
pub(super) fn is_full_disk(error: &FetchError) -> bool {
    matches!(error, FetchError::Sink { source, .. } if source.kind() == io::ErrorKind::StorageFull)
}

fn mismatch(wanted: &Wanted, got: String) -> ArchiveError {
    let expected = format!("{} bytes, SHA-256 {}", wanted.size_bytes, wanted.sha256);
    ArchiveError::Mismatch { what: wanted.what.clone(), expected, got }
}

pub(super) fn partial_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

fn hash(mut file: impl Read) -> io::Result<Hasher> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// The part of a file that has arrived, hashed as it arrives.
struct Part<'t> {
    file: File,
    hasher: Hasher,
    written_bytes: u64,
    size_bytes: u64,
    task: &'t dyn Task,
}

impl<'t> Part<'t> {
    /// Opens what an earlier attempt left, or starts anew. A part longer than the file is another file's.
    fn open(path: &Path, size_bytes: u64, task: &'t dyn Task) -> Result<Self, FileError> {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(FileError::io("open", path))?;
        let mut written_bytes = file.metadata().map_err(FileError::io("measure", path))?.len();
        if written_bytes > size_bytes {
            file.set_len(0).map_err(FileError::io("shorten", path))?;
            written_bytes = 0;
        }
        let hasher = hash((&file).take(written_bytes)).map_err(FileError::io("read", path))?;
        Ok(Part { file, hasher, written_bytes, size_bytes, task })
    }

    fn finish(self) -> (u64, Sha256) {
        (self.written_bytes, Sha256(self.hasher.finalize().into()))
    }
}

impl Sink for Part<'_> {
    /// A server that does not know ranges sends the file from its start.
    fn head(&mut self, head: &Head) -> io::Result<()> {
        if head.status != 206 && self.written_bytes > 0 {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.hasher = Hasher::new();
            self.written_bytes = 0;
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room_bytes = self.size_bytes - self.written_bytes;
        if bytes.len() as u64 > room_bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("more than {} bytes", self.size_bytes),
            ));
        }
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.written_bytes += bytes.len() as u64;
        self.task.advance(bytes.len() as u64);
        Ok(())
    }
}
