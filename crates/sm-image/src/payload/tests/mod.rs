//! Writer and reader against each other, against pinned bytes and against forgeries.

mod forgery;
mod hostile;
mod pinned;
mod roundtrip;
mod writing;

use std::io::{self, Cursor};

use sm_model::Sha256;

use super::{
    read::{Expected, Installer, Limits, Part, ReadError, Received, Signature, Target},
    write::{Compression, SIGNATURE_LEN, Source, WriteError, Written, write},
};

/// What a payload has filled.
#[derive(Debug, Default, PartialEq, Eq)]
struct Memory {
    partition: Vec<u8>,
    kernel: Vec<u8>,
}

impl Target for Memory {
    fn write_at(&mut self, part: Part, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = match part {
            Part::Partition => &mut self.partition,
            Part::Kernel => &mut self.kernel,
            Part::Skipped => return Err(io::Error::other("nothing may be written for skipped parts")),
        };
        assert_eq!(file.len() as u64, offset, "{part} is written in order and without gaps");
        file.extend_from_slice(bytes);
        Ok(())
    }
}

/// A signature that needs no key: the digest, repeated.
fn sign(digest: &Sha256) -> Result<[u8; SIGNATURE_LEN], io::Error> {
    let mut signature = [0; SIGNATURE_LEN];
    signature.chunks_exact_mut(32).for_each(|part| part.copy_from_slice(&digest.0));
    Ok(signature)
}

/// Accepts what [`sign`] makes, and returns the digest as evidence.
fn check(digest: &Sha256, signatures: &[Signature]) -> Result<Sha256, &'static str> {
    let good = |signature: &Signature| sign(digest).is_ok_and(|expected| expected[..] == signature.data);
    if signatures.iter().any(good) { Ok(*digest) } else { Err("signed by nobody") }
}

fn try_build(
    partition: &[u8],
    kernel: Option<&[u8]>,
    compression: Compression,
) -> Result<(Vec<u8>, Written), WriteError> {
    let (mut partition_reader, mut kernel_reader) = (partition, kernel.unwrap_or_default());
    let mut out = Vec::new();
    let written = write(
        Source { reader: &mut partition_reader, size_bytes: partition.len() as u64 },
        kernel.map(|kernel| Source { reader: &mut kernel_reader, size_bytes: kernel.len() as u64 }),
        compression,
        &mut [&mut sign],
        &mut Cursor::new(Vec::new()),
        &mut out,
    )?;
    Ok((out, written))
}

fn build(partition: &[u8], kernel: &[u8]) -> Vec<u8> {
    try_build(partition, Some(kernel), Compression::Auto).unwrap().0
}

/// Reads a payload in pieces of `piece_len` bytes.
fn install(
    payload: &[u8],
    expected: Option<Expected>,
    piece_len: usize,
) -> Result<(Memory, Received<Sha256>), ReadError> {
    let mut memory = Memory::default();
    let mut installer = Installer::new(Limits::default(), expected);
    payload.chunks(piece_len).try_for_each(|piece| installer.push(piece, &mut memory))?;
    installer.finish(check).map(|received| (memory, received))
}

/// Why a payload is refused.
fn refusal(payload: &[u8]) -> ReadError {
    install(payload, None, payload.len().max(1)).expect_err("a bad payload is refused")
}

/// Bytes that do not compress and are the same on every machine: xorshift64.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(word).take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// Bytes that compress well.
fn text(len: usize) -> Vec<u8> {
    (0..)
        .flat_map(|line| format!("line {line} of a text that repeats itself\n").into_bytes())
        .take(len)
        .collect()
}
