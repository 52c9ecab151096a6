//! SHA-256 that can be written down in the middle and taken up again by another process.
//!
//! The signature of a payload covers all bytes before it. A host that was cut off after 300 MB must not fetch them again
//! only to hash them, so the state of the hash is part of its checkpoint. The rounds themselves are the `sha2` crate's.

use std::{fmt, str::FromStr};

use sha2::digest::generic_array::GenericArray;
use sm_model::Sha256;

const BLOCK_LEN: usize = 64;

/// SHA-256 after some bytes (FIPS 180-4 §6.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Midstate {
    state: [u32; 8],
    n_bytes: u64,
    /// The last `n_bytes % 64` bytes, which are no whole block yet.
    rest: Vec<u8>,
}

/// A text that is no midstate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a SHA-256 midstate: expected `STATE:LENGTH:REST`, 64 digits, a number and {BLOCK_LEN} bytes at most"
)]
pub struct InvalidMidstate;

impl Midstate {
    /// The state before the first byte (FIPS 180-4 §5.3.3).
    pub fn new() -> Self {
        let state = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        Midstate { state, n_bytes: 0, rest: Vec::new() }
    }

    /// How many bytes were taken.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Takes more bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.n_bytes = self.n_bytes.wrapping_add(bytes.len() as u64);
        if !self.rest.is_empty() {
            let (fill, after) = bytes.split_at(bytes.len().min(BLOCK_LEN - self.rest.len()));
            self.rest.extend_from_slice(fill);
            bytes = after;
            if self.rest.len() == BLOCK_LEN {
                compress(&mut self.state, &self.rest);
                self.rest.clear();
            }
        }
        let whole = bytes.len() - bytes.len() % BLOCK_LEN;
        compress(&mut self.state, &bytes[..whole]);
        self.rest.extend_from_slice(&bytes[whole..]);
    }

    /// The digest of all bytes taken so far. More can be taken afterwards.
    pub fn digest(&self) -> Sha256 {
        // FIPS 180-4 §5.1.1: a one bit, zeros up to 56 modulo 64 bytes, the length in bits.
        let mut last = self.rest.clone();
        last.push(0x80);
        last.resize(if last.len() <= BLOCK_LEN - 8 { BLOCK_LEN } else { 2 * BLOCK_LEN } - 8, 0);
        last.extend_from_slice(&self.n_bytes.wrapping_mul(8).to_be_bytes());
        let mut state = self.state;
        compress(&mut state, &last);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Sha256(digest)
    }
}

/// The rounds over whole blocks.
fn compress(state: &mut [u32; 8], blocks: &[u8]) {
    for block in blocks.chunks_exact(BLOCK_LEN) {
        sha2::compress256(state, std::slice::from_ref(GenericArray::from_slice(block)));
    }
}

impl Default for Midstate {
    fn default() -> Self {
        Midstate::new()
    }
}

impl fmt::Display for Midstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.iter().try_for_each(|word| write!(f, "{word:08x}"))?;
        write!(f, ":{}:", self.n_bytes)?;
        self.rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Midstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Midstate({self})")
    }
}

impl FromStr for Midstate {
    type Err = InvalidMidstate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(InvalidMidstate)
    }
}

fn parse(text: &str) -> Option<Midstate> {
    let mut parts = text.splitn(3, ':');
    let words = hex(parts.next()?)?;
    let n_bytes: u64 = parts.next()?.parse().ok()?;
    let rest = hex(parts.next()?)?;
    if words.len() != 32 || rest.len() as u64 != n_bytes % BLOCK_LEN as u64 {
        return None;
    }
    let mut state = [0; 8];
    for (word, bytes) in state.iter_mut().zip(words.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().ok()?);
    }
    Some(Midstate { state, n_bytes, rest })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if text.len() > 2 * BLOCK_LEN || !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

impl serde::Serialize for Midstate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Midstate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::Digest;

    proptest! {
        #[test]
        fn however_cut_and_written_down_the_digest_is_sha_256(pieces: Vec<Vec<u8>>) {
            let mut midstate = Midstate::new();
            for piece in &pieces {
                midstate.update(piece);
                midstate = midstate.to_string().parse().unwrap();
            }
            prop_assert_eq!(midstate.digest().0, <[u8; 32]>::from(sha2::Sha256::digest(pieces.concat())));
        }

        #[test]
        fn any_text_is_a_midstate_or_an_error(text in "[0-9a-f:]{0,140}") {
            if let Ok(midstate) = text.parse::<Midstate>() {
                prop_assert_eq!(midstate.to_string().parse(), Ok(midstate));
            }
        }
    }

    #[test]
    fn every_length_around_a_block_pads_right() {
        for len in 0..=2 * BLOCK_LEN + 1 {
            let bytes = vec![0x5a; len];
            let mut midstate = Midstate::new();
            midstate.update(&bytes);
            assert_eq!(midstate.digest().0, <[u8; 32]>::from(sha2::Sha256::digest(&bytes)), "{len}");
        }
    }

    #[test]
    fn a_rest_that_contradicts_the_length_is_refused() {
        let zeros = "0".repeat(64);
        for text in [format!("{zeros}:1:"), format!("{zeros}:64:00"), format!("{zeros}::"), "0:0:".to_owned()]
        {
            assert_eq!(text.parse::<Midstate>(), Err(InvalidMidstate), "{text}");
        }
    }
}
