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

/// Length of the pieces whose bytes are counted: a block, so that text between compressed files is seen.
const PIECE_LEN: usize = 4096;

/// Whether bzip2 can be expected to save at least an eighth of `chunk`.
///
/// The expectation is the order-0 entropy of each block of `PIECE_LEN`, added up: what is saved if every byte value took
/// as many bits as its frequency deserves. Compressed files come out at one percent, program code at a quarter, text at
/// a third and more. Counting takes a hundredth of the time that compressing does, and it is done in integers, so that
/// every machine decides alike.
///
/// An eighth is where time and size balance: of an EROFS image with zstd, one chunk in fourteen is tried, which gives
/// half of all that bzip2 could save there (1.7 of 3.6 percent) in a tenth of the time. What counting misses
/// are repetitions of incompressible bytes; such chunks are stored as they are.
pub fn worth_compressing(chunk: &[u8]) -> bool {
    let n_bits: u64 = chunk.chunks(PIECE_LEN).map(entropy_bits).sum();
    !chunk.is_empty() && n_bits <= 7 * chunk.len() as u64
}

/// Order-0 entropy of a piece, in bits: n·log₂ n − Σ c·log₂ c for the counts c of each byte value.
fn entropy_bits(piece: &[u8]) -> u64 {
    let mut counts = [0u64; 256];
    for &byte in piece {
        counts[usize::from(byte)] += 1;
    }
    let spread: u64 = counts.iter().map(|&count| count * log2(count)).sum();
    let n_bytes = piece.len() as u64;
    (n_bytes * log2(n_bytes)).saturating_sub(spread) >> LOG2_FRACTION_BITS
}

/// Bits after the point in the result of [`log2`].
const LOG2_FRACTION_BITS: u32 = 16;

/// Base-2 logarithm in fixed point, straight between powers of two: at most 0.09 too small. 0 for 0.
fn log2(number: u64) -> u64 {
    let Some(whole) = number.checked_ilog2() else { return 0 };
    let fraction = ((number << LOG2_FRACTION_BITS) >> whole) - (1 << LOG2_FRACTION_BITS);
    (u64::from(whole) << LOG2_FRACTION_BITS) + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_exact_at_powers_of_two_and_close_between() {
        for exponent in 0..=12 {
            assert_eq!(log2(1 << exponent), exponent << LOG2_FRACTION_BITS);
        }
        for number in 1..=4096u64 {
            let error = (number as f64).log2() - log2(number) as f64 / f64::from(1 << LOG2_FRACTION_BITS);
            assert!((-0.000_1..0.09).contains(&error), "{number}: {error}");
        }
    }

    #[test]
    fn entropy_is_nothing_for_one_value_and_eight_bits_for_all_values() {
        assert_eq!(entropy_bits(&[7; 4096]), 0);
        let all: Vec<u8> = (0..4096).map(|index| index as u8).collect();
        assert_eq!(entropy_bits(&all), 8 * 4096);
        let two: Vec<u8> = (0..4096).map(|index| index as u8 & 1).collect();
        assert_eq!(entropy_bits(&two), 4096);
    }
}
