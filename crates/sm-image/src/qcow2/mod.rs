//! QEMU's disk image format, version 3, written once from a raw disk (QEMU, `docs/interop/qcow2.txt`).
//!
//! Clusters of zeros take no room. The others are stored as they are, or compressed with zstd on all cores, in the order
//! of the disk; the same disk gives the same bytes. Images are not read here.

mod layout;

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use rayon::prelude::*;
use sm_model::exit;

use layout::Layout;

/// Size of a cluster: the unit in which an image maps its disk.
pub const CLUSTER_BYTES: u64 = 1 << CLUSTER_BITS;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: usize = CLUSTER_BYTES as usize;
/// Clusters read, and compressed at once: 8 MiB.
const BATCH_CLUSTERS: usize = 128;
/// Comparing with this is many times faster than looking at single bytes.
static ZEROS: [u8; CLUSTER] = [0; CLUSTER];
const SECTOR_BYTES: u64 = 512;
/// Against sizes whose tables alone would fill memory: 16 TiB.
const MAX_DISK_BYTES: u64 = 16 << 40;

/// How clusters are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are: fast to write and to use.
    None,
    /// With zstd at this level, where that makes a cluster smaller. QEMU reads it since 5.1.
    Zstd {
        /// 1 to 22.
        level: i32,
    },
}

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stream failed.
    #[error("cannot {action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the stream said.
        #[source]
        source: io::Error,
    },
    /// A disk of no whole number of sectors, or none, or too many.
    #[error("a disk of {size_bytes} bytes: expected whole sectors, {SECTOR_BYTES} to {MAX_DISK_BYTES} bytes")]
    Size {
        /// The size given.
        size_bytes: u64,
    },
    /// Extents that are not sorted or leave the disk.
    #[error(
        "the data at {start} to {end} overlaps what is before it or leaves the disk of {size_bytes} bytes"
    )]
    Extent {
        /// First byte of the extent.
        start: u64,
        /// End of the extent.
        end: u64,
        /// Size of the disk.
        size_bytes: u64,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        None
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Io { .. } => exit::STORAGE,
            Error::Size { .. } | Error::Extent { .. } => exit::INVALID_INPUT,
        }
    }

    fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Error::Io { action, source }
    }
}

/// Writes the image of a disk of `size_bytes` to the start of `image` and returns the image's size.
///
/// `extents` says where the disk may hold something else than zeros, sorted and without overlap: what `SEEK_DATA` and
/// `SEEK_HOLE` tell of a sparse file. Only these parts are read; the whole disk is `&[0..size_bytes]`.
///
/// # Errors
/// When size or extents are impossible, or a stream fails.
pub fn write<R, W>(
    disk: &mut R,
    size_bytes: u64,
    extents: &[Range<u64>],
    compression: Compression,
    image: &mut W,
) -> Result<u64, Error>
where
    R: Read + Seek,
    W: Write + Seek,
{
    if !(SECTOR_BYTES..=MAX_DISK_BYTES).contains(&size_bytes) || !size_bytes.is_multiple_of(SECTOR_BYTES) {
        return Err(Error::Size { size_bytes });
    }
    check_extents(extents, size_bytes)?;
    let mut layout = Layout::new(size_bytes, compression);
    let mut contents = Vec::new();
    for batch in batches(extents) {
        read_clusters(disk, &batch, size_bytes, &mut contents)?;
        let clusters: Vec<&[u8]> = contents.chunks_exact(CLUSTER).collect();
        let stored: Vec<Stored<'_>> =
            clusters.par_iter().map(|cluster| Stored::of(cluster, compression)).collect::<Result<_, _>>()?;
        for (number, cluster) in batch.zip(stored) {
            match cluster {
                Stored::Zero => {}
                Stored::Plain(bytes) => write_at(image, layout.place_plain(number), bytes)?,
                Stored::Compressed(bytes) => {
                    write_at(image, layout.place_compressed(number, bytes.len() as u64), &bytes)?;
                }
            }
        }
    }
    let (tables, end) = layout.finish();
    for (offset, bytes) in tables {
        write_at(image, offset, &bytes)?;
    }
    image.flush().map_err(Error::io("write the disk image"))?;
    Ok(end)
}

fn check_extents(extents: &[Range<u64>], size_bytes: u64) -> Result<(), Error> {
    let mut covered = 0;
    for &Range { start, end } in extents {
        if start < covered || end < start || end > size_bytes {
            return Err(Error::Extent { start, end, size_bytes });
        }
        covered = end;
    }
    Ok(())
}

/// The clusters that the extents touch, in runs of at most a batch, each cluster once.
fn batches(extents: &[Range<u64>]) -> impl Iterator<Item = Range<u64>> {
    let mut next = 0;
    let runs = extents.iter().filter(|extent| !extent.is_empty()).map(move |extent| {
        let start = (extent.start / CLUSTER_BYTES).max(next);
        next = extent.end.div_ceil(CLUSTER_BYTES);
        start..next
    });
    runs.flat_map(|run| {
        run.clone()
            .step_by(BATCH_CLUSTERS)
            .map(move |start| start..run.end.min(start + BATCH_CLUSTERS as u64))
    })
}

/// Reads `clusters` into `contents`; the last cluster of the disk is filled up with zeros.
fn read_clusters<R: Read + Seek>(
    disk: &mut R,
    clusters: &Range<u64>,
    size_bytes: u64,
    contents: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = clusters.start * CLUSTER_BYTES;
    let end = clusters.end * CLUSTER_BYTES;
    let on_disk = (end.min(size_bytes) - start) as usize;
    contents.resize((end - start) as usize, 0);
    contents[on_disk..].fill(0);
    disk.seek(SeekFrom::Start(start))
        .and_then(|_| disk.read_exact(&mut contents[..on_disk]))
        .map_err(Error::io("read the disk"))
}

/// A cluster in the form in which it is stored.
enum Stored<'a> {
    Zero,
    Plain(&'a [u8]),
    Compressed(Vec<u8>),
}

impl<'a> Stored<'a> {
    fn of(cluster: &'a [u8], compression: Compression) -> Result<Self, Error> {
        if cluster == ZEROS {
            return Ok(Stored::Zero);
        }
        let Compression::Zstd { level } = compression else { return Ok(Stored::Plain(cluster)) };
        let compressed = zstd::bulk::compress(cluster, level).map_err(Error::io("compress a cluster"))?;
        Ok(if compressed.len() < cluster.len() {
            Stored::Compressed(compressed)
        } else {
            Stored::Plain(cluster)
        })
    }
}

fn write_at<W: Write + Seek>(image: &mut W, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    image
        .seek(SeekFrom::Start(offset))
        .and_then(|_| image.write_all(bytes))
        .map_err(Error::io("write the disk image"))
}

#[cfg(test)]
mod tests;
