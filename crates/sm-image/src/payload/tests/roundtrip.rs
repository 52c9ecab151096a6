//! Whatever is written is read back, however it arrives.

use proptest::prelude::*;
use sha2::Digest;

use super::*;
use crate::payload::write::CHUNK_LEN;

/// A chunk of each sort, an uneven kernel.
fn sample() -> (Vec<u8>, Vec<u8>) {
    let partition = [text(CHUNK_LEN), noise(CHUNK_LEN, 1), vec![0; CHUNK_LEN], noise(4096, 2)].concat();
    (partition, text(CHUNK_LEN + 5))
}

#[test]
fn partition_and_kernel_come_out_as_they_went_in() {
    let (partition, kernel) = sample();
    let (payload, written) = try_build(&partition, Some(&kernel), Compression::Auto).unwrap();
    let (memory, received) = install(&payload, None, 70_000).unwrap();
    assert!(memory.partition == partition && memory.kernel == kernel);
    assert_eq!(received.payload_sha256(), written.sha256);
    assert_eq!(received.plan().total_len(), written.size_bytes);
    assert_eq!(received.plan().partition().sha256, written.partition_sha256);
    assert_eq!(received.evidence(), &written.signed_sha256);
    assert_eq!((written.n_replace, written.n_replace_bz), (3, 3));
}

#[test]
fn the_digests_are_those_of_the_plain_files() {
    let (partition, kernel) = sample();
    let (payload, written) = try_build(&partition, Some(&kernel), Compression::Auto).unwrap();
    let sha256 = |bytes: &[u8]| Sha256(sha2::Sha256::digest(bytes).into());
    assert_eq!(written.sha256, sha256(&payload));
    assert_eq!(written.partition_sha256, sha256(&partition));
    assert_eq!(written.kernel_sha256, Some(sha256(&kernel)));
    assert_eq!(written.signed_sha256, sha256(&payload[..payload.len() - 264]));
}

#[test]
fn a_payload_without_kernel_is_whole_too() {
    let partition = noise(8192, 3);
    let (payload, written) = try_build(&partition, None, Compression::Auto).unwrap();
    let (memory, received) = install(&payload, None, 1000).unwrap();
    assert_eq!((memory.partition, memory.kernel), (partition, Vec::new()));
    assert_eq!((received.plan().kernel(), written.kernel_sha256), (None, None));
}

#[test]
fn it_does_not_matter_how_the_bytes_are_cut() {
    let payload = build(&text(12_288), b"a kernel");
    let whole = install(&payload, None, payload.len()).unwrap().0;
    for piece_len in [1, 2, 19, 20, 21, 255, 4096] {
        assert_eq!(install(&payload, None, piece_len).unwrap().0, whole, "{piece_len}");
    }
}

#[test]
fn what_is_installed_is_proved_by_reading_it_back() {
    let (partition, kernel) = (noise(8192, 4), noise(10, 5));
    let payload = build(&partition, &kernel);
    let received = || install(&payload, None, 512).unwrap().1;

    let larger_slot = [&partition[..], &[9; 4096]].concat();
    let installed = received().read_back(&mut &larger_slot[..], Some(&mut &kernel[..])).unwrap();
    assert_eq!(installed.plan().partition().size_bytes, 8192);

    let rotten = [&partition[..8191], &[!partition[8191]]].concat();
    let error = received().read_back(&mut &rotten[..], Some(&mut &kernel[..])).unwrap_err();
    assert!(matches!(error, ReadError::ContentDigest { part: Part::Partition, .. }), "{error}");
    let error = received().read_back(&mut &partition[..], Some(&mut &kernel[1..])).unwrap_err();
    assert!(matches!(error, ReadError::ReadBack { part: Part::Kernel, .. }), "{error}");
    let error = received().read_back(&mut &partition[..], None).unwrap_err();
    assert!(matches!(error, ReadError::KernelPresence { in_payload: true }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_image_and_kernel_come_back(
        blocks in prop::collection::vec(any::<(u8, bool)>(), 1..600),
        kernel in prop::collection::vec(any::<u8>(), 1..5000),
        piece_len in 1usize..200_000,
    ) {
        let block = |&(byte, noisy): &(u8, bool)| if noisy { noise(4096, byte.into()) } else { vec![byte; 4096] };
        let partition: Vec<u8> = blocks.iter().flat_map(block).collect();
        for compression in [Compression::Auto, Compression::Bzip2Always] {
            let (payload, _) = try_build(&partition, Some(&kernel), compression).unwrap();
            let (memory, _) = install(&payload, None, piece_len).unwrap();
            prop_assert!(memory.partition == partition && memory.kernel == kernel);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes: Vec<u8>, len in 0u64..300) {
        let _ = install(&bytes, None, 7);
        let head = [&b"CrAU\0\0\0\0\0\0\0\x01"[..], &len.to_be_bytes(), &bytes].concat();
        let _ = install(&head, None, 100);
        let _ = super::super::read::Plan::parse(&head, &Limits::default());
    }
}
