//! The levels of a hash tree, filled from below with one block of each in memory.
//!
//! Level 0 holds the hashes of data blocks, each further level those of the level below. On disk the top level comes
//! first, right behind the superblock's block.

use sha2::Sha256;

use super::{BLOCK_BYTES, Error, Hash, hash_block};

const HASHES_PER_BLOCK: u64 = (BLOCK_BYTES / size_of::<Hash>()) as u64;

/// Where a hash block belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Level, counted from the data.
    pub(super) level: usize,
    /// Hash block within the level.
    pub(super) index: u64,
    /// Block of the hash device.
    pub(super) block: u64,
}

/// Hash blocks of each level over so many data blocks, lowest first. A single data block needs none.
fn level_sizes(n_data_blocks: u64) -> Vec<u64> {
    let above = |below: &u64| (*below > 1).then(|| below.div_ceil(HASHES_PER_BLOCK));
    std::iter::successors(above(&n_data_blocks), above).collect()
}

/// Blocks of a tree over so many data blocks.
pub(super) fn n_hash_blocks(n_data_blocks: u64) -> u64 {
    level_sizes(n_data_blocks).iter().sum()
}

struct Level {
    /// First block of the level on the hash device.
    first_block: u64,
    n_finished: u64,
    filling: [u8; BLOCK_BYTES],
    n_hashes: usize,
}

/// A tree under construction.
pub(super) struct Levels<S> {
    levels: Vec<Level>,
    salted: Sha256,
    sink: S,
    root: Hash,
}

impl<S: FnMut(Place, &[u8; BLOCK_BYTES]) -> Result<(), Error>> Levels<S> {
    pub(super) fn new(n_data_blocks: u64, salted: Sha256, sink: S) -> Self {
        let sizes = level_sizes(n_data_blocks);
        let first_blocks = (0..sizes.len()).map(|level| 1 + sizes[level + 1..].iter().sum::<u64>());
        let levels = first_blocks
            .map(|first_block| Level { first_block, n_finished: 0, filling: [0; BLOCK_BYTES], n_hashes: 0 })
            .collect();
        Levels { levels, salted, sink, root: [0; 32] }
    }

    /// Takes the hash of the next data block.
    pub(super) fn push(&mut self, hash: Hash) -> Result<(), Error> {
        self.push_to(0, hash)
    }

    fn push_to(&mut self, level: usize, hash: Hash) -> Result<(), Error> {
        let Some(filled) = self.levels.get_mut(level) else {
            self.root = hash;
            return Ok(());
        };
        let at = filled.n_hashes * size_of::<Hash>();
        filled.filling[at..at + size_of::<Hash>()].copy_from_slice(&hash);
        filled.n_hashes += 1;
        if filled.n_hashes as u64 == HASHES_PER_BLOCK { self.close_block(level) } else { Ok(()) }
    }

    fn close_block(&mut self, level: usize) -> Result<(), Error> {
        let closing = &mut self.levels[level];
        let place =
            Place { level, index: closing.n_finished, block: closing.first_block + closing.n_finished };
        (self.sink)(place, &closing.filling)?;
        let hash = hash_block(&self.salted, &closing.filling);
        closing.n_finished += 1;
        closing.n_hashes = 0;
        closing.filling.fill(0);
        self.push_to(level + 1, hash)
    }

    /// Pads the last block of every level with zeros and returns the root hash.
    pub(super) fn finish(mut self) -> Result<Hash, Error> {
        for level in 0..self.levels.len() {
            if self.levels[level].n_hashes > 0 {
                self.close_block(level)?;
            }
        }
        Ok(self.root)
    }
}
