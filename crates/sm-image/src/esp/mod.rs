//! The EFI system partition: a FAT32 file system made once, from a list of files, with the same bytes every time
//! (Microsoft, "FAT32 File System Specification", version 1.03).
//!
//! Everything is dated 1980-01-01, FAT's first day; every file is one run of clusters, in the order given. Only what is
//! not zero is written: the place must read as zeros before, as a fresh sparse file does. Nothing is read or changed
//! later; that is the mounted file system's work.

mod geometry;
mod names;
mod tree;

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use sm_model::exit;

use geometry::{Geometry, SECTOR_BYTES};
use tree::Tree;

pub use geometry::{MAX_BYTES, MIN_BYTES};

/// FAT counts a file's bytes in 32 bits.
const MAX_FILE_BYTES: u64 = u32::MAX as u64;
const COPY_BYTES: usize = 256 << 10;

/// A file system to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where on the disk it goes, in bytes.
    pub range: Range<u64>,
    /// Its serial number.
    pub id: u32,
    /// Its label: up to 11 upper-case letters, digits, `_` and `-`.
    pub label: String,
}

/// A file to be put there. Directories are made as needed.
pub struct File<'a> {
    /// Path from the root, such as `EFI/BOOT/BOOTX64.EFI`.
    pub path: String,
    /// Its bytes.
    pub content: Box<dyn Read + 'a>,
}

impl<'a> File<'a> {
    /// A file of that path and content.
    pub fn new(path: impl Into<String>, content: impl Read + 'a) -> Self {
        File { path: path.into(), content: Box::new(content) }
    }
}

impl std::fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a file system could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{path}` for the EFI system partition")]
    Read {
        /// Path of the file.
        path: String,
        /// What the stream said.
        #[source]
        source: io::Error,
    },
    /// The disk failed.
    #[error("cannot write the EFI system partition")]
    Write(#[source] io::Error),
    /// A place that cannot hold FAT32.
    #[error(
        "an EFI system partition of {size_bytes} bytes: expected whole sectors, {MIN_BYTES} to {MAX_BYTES} bytes"
    )]
    Size {
        /// The size asked for.
        size_bytes: u64,
    },
    /// A label that FAT has no room or no letters for.
    #[error("`{}` is no volume label: expected 1 to 11 upper-case letters, digits, `_` or `-`", .0.escape_debug())]
    Label(String),
    /// A path that firmware would not find.
    #[error("`{}` is no path for the EFI system partition: expected parts of 1 to 255 letters, digits or `._+-`, none ending with a dot", .0.escape_debug())]
    Path(String),
    /// A path that is there already; FAT does not tell upper from lower case.
    #[error("`{0}` is in the EFI system partition twice")]
    Twice(String),
    /// The files do not fit.
    #[error("the EFI system partition is full: no room for `{path}` in {size_bytes} bytes")]
    Full {
        /// The file that did not fit.
        path: String,
        /// Size of the file system.
        size_bytes: u64,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Full { .. } => {
                Some("give the EFI system partition a larger size in the recipe".to_owned())
            }
            _ => None,
        }
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Read { .. } | Error::Write(_) => exit::STORAGE,
            _ => exit::INVALID_INPUT,
        }
    }
}

/// Makes the file system of `volume` on `disk`, with `files` in their order.
///
/// # Errors
/// When size, label or a path is unusable, the files do not fit, or a stream fails.
pub fn write<D: Write + Seek>(disk: &mut D, volume: &Volume, files: Vec<File<'_>>) -> Result<(), Error> {
    let geometry = Geometry::of(volume)?;
    let label = names::label(&volume.label)?;
    let mut tree = Tree::of(files.iter().map(|file| &*file.path))?;
    let mut fs = Writer { disk, origin: volume.range.start, geometry, fat: geometry::fat_start() };
    for directory in tree.directories_mut() {
        directory.first_cluster = fs.allocate(directory.size_bytes()).ok_or_else(|| fs.full("/"))?;
    }
    for (index, file) in files.into_iter().enumerate() {
        let (first_cluster, size_bytes) = fs.copy(file)?;
        tree.place_file(index, first_cluster, size_bytes);
    }
    for (first_cluster, bytes) in tree.encode(label) {
        fs.write_at(fs.geometry.cluster_offset(first_cluster), &bytes).map_err(Error::Write)?;
    }
    fs.finish(volume.id, label).map_err(Error::Write)
}

/// A file system being made: clusters are given out one after the other.
struct Writer<'a, D> {
    disk: &'a mut D,
    origin: u64,
    geometry: Geometry,
    /// Entries of the allocation table so far.
    fat: Vec<u32>,
}

impl<D: Write + Seek> Writer<'_, D> {
    /// The first of a run of clusters for so many bytes; `None` when the file system is full.
    fn allocate(&mut self, size_bytes: u64) -> Option<u32> {
        let first = self.fat.len() as u64;
        let end = first + size_bytes.div_ceil(self.geometry.cluster_bytes()).max(1);
        if end > self.geometry.end_cluster() {
            return None;
        }
        self.fat.extend((first + 1..end).map(|next| next as u32));
        self.fat.push(geometry::END_OF_CHAIN);
        Some(first as u32)
    }

    /// Copies a file's content to the next free clusters; returns the first of them (0 if empty) and its size.
    fn copy(&mut self, mut file: File<'_>) -> Result<(u32, u32), Error> {
        let start = self.geometry.cluster_offset(self.fat.len() as u32);
        let room = MAX_FILE_BYTES.min(self.geometry.size_bytes() - start);
        let mut buffer = vec![0; COPY_BYTES];
        let mut copied = 0;
        loop {
            let n = read_full(&mut file.content, &mut buffer)
                .map_err(|source| Error::Read { path: file.path.clone(), source })?;
            if n == 0 {
                break;
            }
            if copied + n as u64 > room {
                return Err(self.full(&file.path));
            }
            self.write_at(start + copied, &buffer[..n]).map_err(Error::Write)?;
            copied += n as u64;
        }
        let first = if copied == 0 { Some(0) } else { self.allocate(copied) };
        Ok((first.ok_or_else(|| self.full(&file.path))?, copied as u32))
    }

    /// Writes allocation tables and boot sectors.
    fn finish(mut self, id: u32, label: [u8; 11]) -> io::Result<()> {
        let table: Vec<u8> = self.fat.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        for offset in self.geometry.fat_offsets() {
            self.write_at(offset, &table)?;
        }
        let n_used = self.fat.len() as u32;
        let boot = self.geometry.boot_sector(id, label, (self.origin / SECTOR_BYTES) as u32);
        for first_sector in geometry::BOOT_SECTORS {
            self.write_at(first_sector * SECTOR_BYTES, &boot)?;
            self.write_at((first_sector + 1) * SECTOR_BYTES, &self.geometry.info_sector(n_used))?;
        }
        self.disk.flush()
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        self.disk.seek(SeekFrom::Start(self.origin + offset))?;
        self.disk.write_all(bytes)
    }

    fn full(&self, path: &str) -> Error {
        Error::Full { path: path.to_owned(), size_bytes: self.geometry.size_bytes() }
    }
}

/// Reads until `buffer` is full or the input ends.
fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
