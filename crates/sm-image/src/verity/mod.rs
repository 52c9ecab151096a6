//! dm-verity hash trees: SHA-256 over 4096-byte blocks, behind a version-1 superblock.
//!
//! The bytes are those of `veritysetup format --salt=… --uuid=…` with its defaults (kernel documentation,
//! `device-mapper/verity`; cryptsetup, `verity` on-disk format). Data streams through two buffers of 4 MiB and is
//! hashed on all cores; of the tree only one block per level is in memory. Nothing is ever taken on trust from a
//! tree: [`verify`] recomputes it.

mod levels;
mod root_hash;
mod superblock;

use std::io::{self, Read, Seek, SeekFrom, Write};

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use sm_model::exit;

use levels::{Levels, Place};

pub use root_hash::RootHash;
pub use superblock::{InvalidSuperblock, Superblock};

/// Size of data blocks and of hash blocks.
pub const BLOCK_BYTES: usize = 4096;

/// Data blocks hashed between two reads.
const CHUNK_BLOCKS: usize = 1024;

/// A SHA-256 digest as the tree stores it.
type Hash = [u8; 32];

/// Why a tree could not be made, or data not be verified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data or the tree could not be read, or the tree not be written.
    #[error("cannot {action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the stream said.
        #[source]
        source: io::Error,
    },
    /// A data size that is no whole number of blocks, or zero.
    #[error("{data_bytes} bytes of data are not a whole number of {BLOCK_BYTES}-byte blocks, at least one")]
    DataSize {
        /// The size given.
        data_bytes: u64,
    },
    /// The tree's superblock is unusable.
    #[error("the verity superblock is unusable")]
    Superblock(#[source] InvalidSuperblock),
    /// Data and tree do not belong together.
    #[error("data and verity tree differ: hash block {index} of level {level} does not match")]
    Differs {
        /// Level, counted from the data.
        level: usize,
        /// Hash block within the level.
        index: u64,
    },
    /// Data and tree belong together but are not what was asked for.
    #[error("the verity root hash is `{found}`, expected `{expected}`")]
    RootHash {
        /// What the data hashes to.
        found: RootHash,
        /// What was to be verified.
        expected: RootHash,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Differs { .. } | Error::RootHash { .. } => {
                "the bytes were changed after the tree was made; write the image again"
            }
            Error::DataSize { .. } => "pad the image with zeros to a multiple of 4096 bytes",
            Error::Superblock(_) => "is this the hash partition? `veritysetup dump` shows what it holds",
            Error::Io { .. } => return None,
        };
        Some(text.to_owned())
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Io { .. } => exit::STORAGE,
            Error::DataSize { .. } => exit::INVALID_INPUT,
            Error::Superblock(_) | Error::Differs { .. } | Error::RootHash { .. } => exit::VERIFICATION,
        }
    }

    fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Error::Io { action, source }
    }
}

/// Size in bytes of superblock and tree over `data_bytes` of data.
pub fn tree_bytes(data_bytes: u64) -> u64 {
    let n_data_blocks = data_bytes.div_ceil(BLOCK_BYTES as u64);
    (1 + levels::n_hash_blocks(n_data_blocks)) * BLOCK_BYTES as u64
}

/// Reads the data that `superblock` describes, writes superblock and tree from the start of `tree`, and returns the
/// root hash.
///
/// # Errors
/// When `data` ends early, or a stream fails.
pub fn format<D, T>(data: &mut D, superblock: &Superblock, tree: &mut T) -> Result<RootHash, Error>
where
    D: Read + Send,
    T: Write + Seek,
{
    let writing = "write the verity tree";
    let mut first_block = [0; BLOCK_BYTES];
    first_block[..Superblock::LEN].copy_from_slice(&superblock.encode());
    tree.seek(SeekFrom::Start(0)).map_err(Error::io(writing))?;
    tree.write_all(&first_block).map_err(Error::io(writing))?;
    let root = hash_tree(data, superblock, |place, block| {
        tree.seek(SeekFrom::Start(place.block * BLOCK_BYTES as u64)).map_err(Error::io(writing))?;
        tree.write_all(block).map_err(Error::io(writing))
    })?;
    tree.flush().map_err(Error::io(writing))?;
    Ok(root)
}

/// Hashes the data that `superblock` describes without keeping the tree.
///
/// # Errors
/// When `data` ends early or cannot be read.
pub fn root_hash<D: Read + Send>(data: &mut D, superblock: &Superblock) -> Result<RootHash, Error> {
    hash_tree(data, superblock, |_, _| Ok(()))
}

/// Recomputes the tree over `data` and compares every block of it with `tree`, and its root with `expected`.
///
/// # Errors
/// When anything differs, the superblock is unusable, or a stream fails.
pub fn verify<D, T>(data: &mut D, tree: &mut T, expected: RootHash) -> Result<Superblock, Error>
where
    D: Read + Send,
    T: Read + Seek,
{
    let reading = "read the verity tree";
    let superblock = read_superblock(tree)?;
    let found = hash_tree(data, &superblock, |place, computed| {
        let mut stored = [0; BLOCK_BYTES];
        tree.seek(SeekFrom::Start(place.block * BLOCK_BYTES as u64)).map_err(Error::io(reading))?;
        tree.read_exact(&mut stored).map_err(Error::io(reading))?;
        let Place { level, index, .. } = place;
        if &stored == computed { Ok(()) } else { Err(Error::Differs { level, index }) }
    })?;
    if found == expected { Ok(superblock) } else { Err(Error::RootHash { found, expected }) }
}

/// Reads the superblock at the start of `tree`.
///
/// # Errors
/// When it is unusable or cannot be read.
pub fn read_superblock<T: Read + Seek>(tree: &mut T) -> Result<Superblock, Error> {
    let mut bytes = [0; Superblock::LEN];
    tree.seek(SeekFrom::Start(0)).map_err(Error::io("read the verity superblock"))?;
    tree.read_exact(&mut bytes).map_err(Error::io("read the verity superblock"))?;
    Superblock::parse(&bytes).map_err(Error::Superblock)
}

/// Hashes data chunk by chunk, reading the next chunk meanwhile, and hands every finished block of the tree to `sink`.
fn hash_tree<D: Read + Send>(
    data: &mut D,
    superblock: &Superblock,
    sink: impl FnMut(Place, &[u8; BLOCK_BYTES]) -> Result<(), Error>,
) -> Result<RootHash, Error> {
    let salted = Sha256::new_with_prefix(superblock.salt());
    let mut levels = Levels::new(superblock.n_data_blocks(), salted.clone(), sink);
    let mut remaining = superblock.n_data_blocks();
    let mut current = read_chunk(data, Vec::new(), &mut remaining)?;
    let mut spare = Vec::new();
    while !current.is_empty() {
        let (hashes, next) = rayon::join(
            || -> Vec<Hash> {
                let blocks = current.par_chunks_exact(BLOCK_BYTES).with_min_len(32);
                blocks.map(|block| hash_block(&salted, block)).collect()
            },
            || read_chunk(data, spare, &mut remaining),
        );
        for hash in hashes {
            levels.push(hash)?;
        }
        spare = std::mem::replace(&mut current, next?);
    }
    levels.finish().map(RootHash::from_bytes)
}

/// The next whole blocks of the data in `buffer`; empty at its end.
fn read_chunk<D: Read>(data: &mut D, mut buffer: Vec<u8>, remaining: &mut u64) -> Result<Vec<u8>, Error> {
    let n_blocks = (*remaining).min(CHUNK_BLOCKS as u64);
    *remaining -= n_blocks;
    buffer.resize(n_blocks as usize * BLOCK_BYTES, 0);
    data.read_exact(&mut buffer).map_err(Error::io("read the data to be hashed"))?;
    Ok(buffer)
}

fn hash_block(salted: &Sha256, block: &[u8]) -> Hash {
    salted.clone().chain_update(block).finalize().into()
}

#[cfg(test)]
mod tests;
