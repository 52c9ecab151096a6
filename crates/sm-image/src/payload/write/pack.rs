//! One chunk, stored as it is or compressed. Pure functions of the chunk: where and when they run changes nothing.

use std::io::{self, Read};

use bzip2::read::BzEncoder;
use sha2::{Digest, Sha256 as Hasher};
use sm_model::Sha256;

use super::manifest::Kind;

/// Which chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Those that [`worth_compressing`] picks, if they shrink. An image that is compressed already passes quickly.
    #[default]
    Auto,
    /// All that shrink: the bytes of delta_generator, at the speed of bzip2.
    Bzip2Always,
}

/// A chunk as it goes into the payload.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) kind: Kind,
    pub(super) data: Vec<u8>,
    pub(super) sha256: Sha256,
}

/// Stores a chunk in the smaller of the two ways that `compression` allows.
pub(super) fn pack(chunk: Vec<u8>, compression: Compression) -> io::Result<Packed> {
    let try_bzip2 = compression == Compression::Bzip2Always || worth_compressing(&chunk);
    let smaller = if try_bzip2 { deflate(&chunk)? } else { None };
    let (kind, data) = smaller.map_or((Kind::Replace, chunk), |data| (Kind::ReplaceBz, data));
    let sha256 = Sha256(Hasher::digest(&data).into());
    Ok(Packed { kind, data, sha256 })
}

/// One bzip2 stream of level 9, if it is shorter than the chunk.
fn deflate(chunk: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut data = vec![0; chunk.len()];
    let mut encoder = BzEncoder::new(chunk, bzip2::Compression::best());
    let mut filled = 0;
    while filled < data.len() {
        match encoder.read(&mut data[filled..])? {
            0 => {
                data.truncate(filled);
                data.shrink_to_fit();
                return Ok(Some(data));
            }
            n_bytes => filled += n_bytes,
        }
    }
    Ok(None)
}

/// Length of the pieces that are looked at one by one, so that a little text between compressed files is seen.
const PIECE_LEN: usize = 64 << 10;

/// Whether bzip2 has a fair chance to shrink `chunk` by more than a few percent.
///
/// A byte value that is as likely as any other fills 1/256 of a piece, and the sum of the squares of the 256 counts is
/// then `len² / 256`; it grows as bytes become unequal. A chunk is worth trying when at least an eighth of its
/// [64 KiB pieces](PIECE_LEN) exceeds that by a quarter. Compressed files stay within a tenth of it; program code is at
/// ten times, text at fifteen. Integers only, so that every machine decides alike; some 0.5 ms for 1 MiB, where trying
/// takes 100.
///
/// What this misses: repetitions of incompressible bytes within one chunk. They are stored as they are.
pub fn worth_compressing(chunk: &[u8]) -> bool {
    let n_pieces = chunk.len().div_ceil(PIECE_LEN);
    let n_uneven = chunk.chunks(PIECE_LEN).filter(|piece| has_uneven_bytes(piece)).count();
    n_uneven > 0 && n_uneven * 8 >= n_pieces
}

fn has_uneven_bytes(piece: &[u8]) -> bool {
    let mut counts = [0u64; 256];
    for &byte in piece {
        counts[usize::from(byte)] += 1;
    }
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    // Σ count² > 5/4 · (len² / 256 + len); `+ len` is what chance alone adds, which matters in short pieces.
    let len = piece.len() as u64;
    4 * 256 * squares > 5 * (len * len + 256 * len)
}
