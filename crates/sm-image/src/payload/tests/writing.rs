//! What the writer promises: the same bytes every time, sources of the announced size, and honest failures.

use std::io::{Read, Seek, SeekFrom, Write};

use super::*;
use crate::payload::write::{CHUNK_LEN, worth_compressing};

fn build_in_pool(n_threads: usize, partition: &[u8]) -> Vec<u8> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| build(partition, b"kernel"))
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let partition = [text(3 * CHUNK_LEN), noise(9 * CHUNK_LEN, 8), text(4096)].concat();
    let alone = build_in_pool(1, &partition);
    assert!(build_in_pool(2, &partition) == alone);
    assert!(build_in_pool(7, &partition) == alone);
}

#[test]
fn the_spool_may_start_anywhere_and_hold_something_before() {
    let partition = text(8192);
    let mut spool = Cursor::new(b"something else".to_vec());
    spool.seek(SeekFrom::End(0)).unwrap();
    let mut out = Vec::new();
    let source = Source { reader: &mut &partition[..], size_bytes: 8192 };
    write(source, None, Compression::Auto, &mut [&mut sign], &mut spool, &mut out).unwrap();
    assert_eq!(out, try_build(&partition, None, Compression::Auto).unwrap().0);
}

#[test]
fn each_key_signs_and_the_last_signature_has_version_2() {
    let partition = noise(4096, 9);
    let mut other = |_: &Sha256| Ok::<_, io::Error>([7; SIGNATURE_LEN]);
    let mut out = Vec::new();
    let source = Source { reader: &mut &partition[..], size_bytes: 4096 };
    let signers: &mut [&mut dyn crate::payload::write::Signer] = &mut [&mut other, &mut sign];
    write(source, None, Compression::Auto, signers, &mut Cursor::new(Vec::new()), &mut out).unwrap();
    let (_, received) = install(&out, None, 100).unwrap();
    let versions: Vec<_> = received.signatures().iter().map(|signature| signature.version).collect();
    assert_eq!(versions, [Some(1), Some(2)]);
}

#[test]
fn a_source_that_is_longer_or_shorter_than_announced_is_refused() {
    for (announced, longer) in [(8192, false), (4096, true)] {
        let bytes = noise(6000, 10);
        let source = Source { reader: &mut &bytes[..], size_bytes: announced };
        let mut spool = Cursor::new(Vec::new());
        let error = write(source, None, Compression::Auto, &mut [&mut sign], &mut spool, &mut Vec::new())
            .unwrap_err();
        assert!(matches!(error, WriteError::SourceSize { longer: found, .. } if found == longer), "{error}");
    }
}

#[test]
fn an_image_without_whole_blocks_is_refused() {
    for len in [0, 1, 4095, 4097] {
        let error = try_build(&noise(len, 11), None, Compression::Auto).unwrap_err();
        assert!(matches!(error, WriteError::PartitionSize { .. }), "{len}: {error}");
    }
}

#[test]
fn nobody_signing_is_refused_and_a_failing_key_is_told() {
    let unsigned = |signers: &mut [&mut dyn crate::payload::write::Signer]| {
        let partition = noise(4096, 12);
        let source = Source { reader: &mut &partition[..], size_bytes: 4096 };
        write(source, None, Compression::Auto, signers, &mut Cursor::new(Vec::new()), &mut Vec::new())
    };
    assert!(matches!(unsigned(&mut []), Err(WriteError::NoSigner)));
    let mut broken = |_: &Sha256| Err::<[u8; SIGNATURE_LEN], _>("card removed");
    assert!(
        matches!(unsigned(&mut [&mut broken]), Err(WriteError::Sign(source)) if source.to_string() == "card removed")
    );
}

/// A disk that takes `room` bytes.
struct Full {
    room: usize,
    bytes: Cursor<Vec<u8>>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Full {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Seek for Full {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(position)
    }
}

#[test]
fn a_full_disk_is_told_for_spool_and_payload() {
    let partition = noise(3 * CHUNK_LEN, 13);
    let attempt = |spool_room, out_room| {
        let source = Source { reader: &mut &partition[..], size_bytes: partition.len() as u64 };
        let mut spool = Full { room: spool_room, bytes: Cursor::new(Vec::new()) };
        let mut out = Full { room: out_room, bytes: Cursor::new(Vec::new()) };
        write(source, None, Compression::Auto, &mut [&mut sign], &mut spool, &mut out)
    };
    assert!(matches!(attempt(2 * CHUNK_LEN, usize::MAX), Err(WriteError::Spool(_))));
    assert!(matches!(attempt(usize::MAX, 2 * CHUNK_LEN), Err(WriteError::Output(_))));
    assert!(attempt(4 * CHUNK_LEN, 4 * CHUNK_LEN).is_ok());
}

#[test]
fn text_code_and_zeros_are_worth_compressing_and_noise_is_not() {
    assert!(worth_compressing(&text(CHUNK_LEN)));
    assert!(worth_compressing(&[0; 4096]));
    for len in [4096, 65_536, 65_537, CHUNK_LEN] {
        assert!(!worth_compressing(&noise(len, 14)), "{len}");
    }
    assert!(!worth_compressing(&[]));
}

#[test]
fn a_chunk_with_enough_text_in_it_is_worth_compressing_and_one_with_a_little_is_not() {
    let mixed = |n_text: usize| [noise(CHUNK_LEN - n_text, 15), text(n_text)].concat();
    assert!(worth_compressing(&mixed(CHUNK_LEN / 2)));
    assert!(!worth_compressing(&mixed(CHUNK_LEN / 16)));
}
