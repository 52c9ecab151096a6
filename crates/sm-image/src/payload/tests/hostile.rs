//! Every lie that a payload can tell, told once.

use super::{
    forgery::{ForgedOperation, Forgery},
    *,
};
use crate::payload::{
    read::{Malformed, OperationName, Structure},
    schema::{manifest, operation_type},
    write::encode::Message,
};

const FIRST: OperationName = OperationName { part: Part::Partition, index: 0 };
const SECOND: OperationName = OperationName { part: Part::Partition, index: 1 };

/// What happens to the good payload after one change.
fn changed(change: impl FnOnce(&mut Forgery)) -> ReadError {
    let mut forgery = Forgery::good();
    change(&mut forgery);
    refusal(&forgery.payload())
}

macro_rules! assert_refused {
    ($error:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error = $error;
        assert!(matches!(error, $pattern $(if $guard)?), "{error:?}");
        assert_eq!(error.exit_code(), sm_model::exit::VERIFICATION);
    }};
}

#[test]
fn the_forger_makes_a_good_payload_when_nothing_is_changed() {
    let (memory, _) = install(&Forgery::good().payload(), None, 100).unwrap();
    assert_eq!((memory.partition.len(), &memory.kernel[..]), (8192, &b"uki"[..]));
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let payload = Forgery::good().payload();
    let head_len = payload.len() - 264 - 8192 - 3;
    let positions = (0..head_len + 8)
        .chain((head_len..payload.len()).step_by(37))
        .chain(payload.len() - 264..payload.len());
    for position in positions {
        for bit in [0x01, 0x80] {
            let mut flipped = payload.clone();
            flipped[position] ^= bit;
            let result = install(&flipped, None, 1000);
            // The version of a signature is outside of what it signs, and means nothing to us.
            assert!(result.is_err() || position == payload.len() - 264 + 4, "byte {position} bit {bit:#x}");
        }
    }
}

#[test]
fn each_place_of_a_flipped_byte_has_its_own_words() {
    let good = build(&noise(8192, 22), b"kernel");
    let flip = |position: usize| {
        let mut payload = good.clone();
        payload[position] ^= 1;
        refusal(&payload)
    };
    assert_refused!(flip(0), ReadError::WrongMagic { .. });
    assert_refused!(flip(11), ReadError::UnsupportedVersion { found: 0 });
    let data = good.len() - 264 - 8192 - 6;
    assert_refused!(flip(data), ReadError::DataDigest { operation: FIRST, .. });
    assert_refused!(flip(good.len() - 300), ReadError::DataDigest { .. });
    assert_refused!(flip(good.len() - 1), ReadError::Signature(_));
}

#[test]
fn a_changed_manifest_with_matching_data_is_not_signed() {
    let mut payload = Forgery::good().payload();
    let signatures = payload.split_off(payload.len() - 264);
    let mut other = Forgery::good();
    other.procedures[0].2[0].data = b"UKI".to_vec();
    let mut forged = other.payload();
    forged.truncate(forged.len() - 264);
    assert_refused!(refusal(&[forged, signatures].concat()), ReadError::Signature(_));
}

#[test]
fn a_payload_cut_anywhere_says_where() {
    let payload = Forgery::good().payload();
    let head_len = payload.len() - 264 - 8192 - 3;
    for (len, inside) in [
        (0, Structure::Header),
        (19, Structure::Header),
        (20, Structure::Manifest),
        (head_len - 1, Structure::Manifest),
        (head_len, Structure::Operation(FIRST)),
        (head_len + 4096, Structure::Operation(SECOND)),
        (head_len + 8192, Structure::Operation(OperationName { part: Part::Kernel, index: 0 })),
        (payload.len() - 264, Structure::Signatures),
        (payload.len() - 1, Structure::Signatures),
    ] {
        let error = refusal(&payload[..len]);
        assert_refused!(&error, ReadError::Truncated { found_bytes, inside: place, .. } if *place == inside && *found_bytes == len as u64);
    }
    assert_eq!(
        refusal(&payload[..head_len + 5]).to_string(),
        format!(
            "the payload ends after {} bytes, inside the data of operation 0 of the partition: expected {} bytes",
            head_len + 5,
            payload.len()
        )
    );
}

#[test]
fn bytes_after_the_end_are_refused() {
    let payload = [Forgery::good().payload(), vec![0]].concat();
    assert_refused!(refusal(&payload), ReadError::TrailingBytes { .. });
}

#[test]
fn nothing_more_is_taken_after_a_refusal() {
    let mut installer = Installer::new(Limits::default(), None);
    assert!(installer.push(&[b'x'; 20], &mut Memory::default()).is_err());
    let again = installer.push(&Forgery::good().payload(), &mut Memory::default());
    assert_refused!(again.unwrap_err(), ReadError::AlreadyRefused);
    assert_refused!(installer.finish(check).unwrap_err(), ReadError::AlreadyRefused);
}

#[test]
fn a_payload_other_than_the_announced_one_is_refused() {
    let payload = Forgery::good().payload();
    let size_bytes = payload.len() as u64;
    let wrong_size = Expected { size_bytes: size_bytes + 1, sha256: Sha256([0; 32]) };
    let mut installer = Installer::new(Limits::default(), Some(wrong_size));
    // The head alone tells: nothing of the data is fetched or written.
    let error =
        installer.push(&payload[..payload.len() - 264 - 8192 - 3], &mut Memory::default()).unwrap_err();
    assert_refused!(error, ReadError::PayloadSize { .. });
    let wrong_digest = Expected { size_bytes, sha256: Sha256([0; 32]) };
    assert_refused!(
        install(&payload, Some(wrong_digest), 4096).unwrap_err(),
        ReadError::PayloadDigest { .. }
    );
}

#[test]
fn a_manifest_larger_than_the_limit_is_refused_before_it_is_held() {
    for len in [4 * 1024 * 1024 + 1, u64::MAX] {
        let header = [&b"CrAU"[..], &1u64.to_be_bytes(), &len.to_be_bytes()].concat();
        assert_refused!(refusal(&header), ReadError::TooLarge { what: "manifest", .. });
    }
}

#[test]
fn a_manifest_of_countless_operations_or_procedures_is_refused() {
    for field in [manifest::PARTITION_OPERATIONS, manifest::PROCEDURES] {
        let operation = Message::default().number(1, 0);
        let many = (0..70_000).fold(Message::default(), |message, _| {
            message.bytes(field, if field == manifest::PROCEDURES { &[] } else { &[0x08, 0x00] })
        });
        drop(operation);
        let error = changed(|forgery| forgery.extra = many.into_bytes());
        assert_refused!(error, ReadError::TooManyOperations { limit: 65_536 });
    }
}

#[test]
fn targets_larger_than_their_place_are_refused() {
    let payload = Forgery::good().payload();
    let with = |limits| Installer::new(limits, None).push(&payload, &mut Memory::default()).unwrap_err();
    assert_refused!(with(Limits::for_slot(8191, 3)), ReadError::TooLarge { what: "partition", .. });
    assert_refused!(with(Limits::for_slot(8192, 2)), ReadError::TooLarge { what: "kernel", .. });
}

#[test]
fn a_wrong_target_size_is_refused() {
    for size in [4096, 8192 - 4096 + 1, 0] {
        let error = changed(|forgery| forgery.partition_size = size);
        assert_refused!(error, ReadError::Extent { .. } | ReadError::UnpackedLength { .. });
    }
    let error = changed(|forgery| forgery.partition_size = 12_288);
    assert_refused!(error, ReadError::NotFilled { found_bytes: 8192, expected_bytes: 12_288, .. });
    let error = changed(|forgery| forgery.procedures[0].1 = Some(4097));
    assert_refused!(error, ReadError::NotFilled { part: Part::Kernel, .. });
    let error = changed(|forgery| forgery.procedures[0].1 = Some(2));
    assert_refused!(error, ReadError::UnpackedLength { .. });
}

#[test]
fn overlapping_distant_and_empty_ranges_are_refused() {
    for range in [(0, 1), (2, 1), (1, 0), (u64::MAX, 1), (1 << 52, 1), (u64::MAX / 4096 + 1, 1)] {
        let error = changed(|forgery| forgery.partition[1].extents = vec![range]);
        assert_refused!(error, ReadError::Extent { operation: SECOND, .. });
    }
    let error = changed(|forgery| forgery.partition[0].extents = vec![(0, 2)]);
    assert_refused!(error, ReadError::Extent { operation: SECOND, .. });
    for ranges in [vec![], vec![(1, 1), (2, 1)]] {
        let error = changed(|forgery| forgery.partition[1].extents = ranges.clone());
        assert_refused!(error, ReadError::ExtentCount { operation: SECOND, found } if found == ranges.len());
    }
}

#[test]
fn a_range_that_would_fill_memory_is_refused() {
    let error = changed(|forgery| {
        forgery.partition[1].extents = vec![(1, u64::MAX)];
        forgery.partition_size = 1 << 33;
    });
    assert_refused!(error, ReadError::TooLarge { what: "range of an operation", .. });
}

#[test]
fn data_that_overlaps_or_leaves_a_gap_is_refused() {
    for offset in [0, 4095, 4097, u64::from(u32::MAX)] {
        let error = changed(|forgery| forgery.partition[1].data_offset = Some(offset));
        assert_refused!(error, ReadError::DataOffset { operation: SECOND, expected: 4096, .. });
    }
    let error = changed(|forgery| forgery.partition[1].data_offset = Some(1 << 32));
    assert_refused!(error, ReadError::Malformed { source: Malformed::Above32Bits("data_offset", _), .. });
    for offset in [0, 8194, 8196] {
        let error = changed(|forgery| forgery.signatures_offset = Some(offset));
        assert_refused!(error, ReadError::SignaturesOffset { expected: 8195, .. });
    }
}

#[test]
fn operations_without_data_or_with_too_much_are_refused() {
    let error = changed(|forgery| forgery.partition[1].data.clear());
    assert_refused!(error, ReadError::DataLength { operation: SECOND, found_bytes: 0, .. });
    let error = changed(|forgery| forgery.partition[1].data = vec![0; (4 << 20) + 1]);
    assert_refused!(error, ReadError::DataLength { operation: SECOND, .. });
}

#[test]
fn data_with_another_digest_than_the_manifests_is_refused() {
    let error = changed(|forgery| forgery.partition[1].sha256 = Some([0; 32]));
    assert_refused!(error, ReadError::DataDigest { operation: SECOND, .. });
}

#[test]
fn a_bzip2_bomb_is_refused_after_its_range() {
    let mut bomb = Vec::new();
    let zeros = io::Read::take(io::repeat(0), 64 << 20);
    io::Read::read_to_end(&mut bzip2::read::BzEncoder::new(zeros, bzip2::Compression::best()), &mut bomb)
        .unwrap();
    let error = changed(|forgery| forgery.partition[1] = ForgedOperation::replace_bz(1, 1, bomb));
    assert_refused!(error, ReadError::UnpackedLength { operation: SECOND, expected_bytes: 4096 });
}

#[test]
fn data_that_is_no_bzip2_stream_is_refused() {
    let error = changed(|forgery| forgery.partition[1].kind = operation_type::REPLACE_BZ);
    assert_refused!(error, ReadError::Unpack { operation: SECOND, .. });
}

#[test]
fn raw_data_longer_or_shorter_than_its_range_is_refused() {
    for len in [4095, 4097] {
        let error = changed(|forgery| {
            forgery.partition[1] = ForgedOperation::replace(1, noise(len, 23));
            forgery.partition[1].extents = vec![(1, 1)];
        });
        assert_refused!(error, ReadError::UnpackedLength { operation: SECOND, .. });
    }
}

#[test]
fn delta_payloads_are_refused_by_name() {
    for (kind, name) in [(operation_type::MOVE, "MOVE"), (operation_type::BSDIFF, "BSDIFF")] {
        let error = changed(|forgery| forgery.partition[1].kind = kind);
        assert_eq!(
            error.to_string(),
            format!(
                "this is a delta payload (operation 1 of the partition is `{name}`): expected a full one"
            )
        );
    }
    assert_refused!(changed(|forgery| forgery.old_partition = true), ReadError::Delta { .. });
    let error = changed(|forgery| forgery.partition[0].src_extents = vec![(0, 1)]);
    assert_refused!(error, ReadError::Delta { .. });
}

#[test]
fn unknown_operation_types_are_refused() {
    for kind in [4, 100, u64::MAX] {
        let error = changed(|forgery| forgery.partition[0].kind = kind);
        assert_refused!(error, ReadError::UnknownOperation { operation: FIRST, found } if found == kind);
    }
}

#[test]
fn unsigned_payloads_are_refused() {
    assert_refused!(changed(|forgery| forgery.signatures_offset = Some(u64::MAX)), ReadError::Unsigned);
    assert_refused!(changed(|forgery| forgery.signatures_len = Some(0)), ReadError::Unsigned);
    let error = changed(|forgery| forgery.signatures_len = Some(8193));
    assert_refused!(error, ReadError::TooLarge { what: "signatures", .. });
}

#[test]
fn signatures_that_are_no_message_are_refused() {
    let mut payload = Forgery::good().payload();
    let start = payload.len() - 264;
    payload[start] = 0x0b;
    assert_refused!(refusal(&payload), ReadError::Malformed { message: "signatures", .. });
}

#[test]
fn other_block_sizes_are_refused() {
    for block_size in [0, 512, 4095, 1 << 40] {
        let error = changed(|forgery| forgery.block_size = block_size);
        assert_refused!(error, ReadError::BlockSize { found } if found == block_size);
    }
}

#[test]
fn fields_that_contradict_themselves_are_refused() {
    for (extra, name) in [
        (Message::default().number(manifest::BLOCK_SIZE, 4096), "block_size"),
        (Message::default().number(manifest::SIGNATURES_OFFSET, 8195), "signatures_offset"),
    ] {
        let error = changed(|forgery| forgery.extra = extra.into_bytes());
        assert_refused!(error, ReadError::Malformed { source: Malformed::Twice(found), .. } if found == name);
    }
    let error = changed(|forgery| forgery.procedures.push(forgery.procedures[0].clone()));
    assert_refused!(error, ReadError::Malformed { source: Malformed::Twice("procedures[KERNEL]"), .. });
}

#[test]
fn a_kernel_without_size_and_digest_is_refused() {
    let error = changed(|forgery| forgery.procedures[0].1 = None);
    assert_refused!(error, ReadError::Malformed { source: Malformed::Missing("new_info"), .. });
}

#[test]
fn a_short_digest_is_refused() {
    let error = changed(|forgery| forgery.partition_sha256 = vec![0; 31]);
    assert_refused!(error, ReadError::Malformed { source: Malformed::DigestLength("hash", 31), .. });
}

#[test]
fn procedures_that_we_do_not_know_are_checked_and_skipped() {
    for kind in [None, Some(1), Some(77)] {
        let mut forgery = Forgery::good();
        forgery.procedures.push((kind, Some(10), vec![ForgedOperation::replace(9, noise(10, 24))]));
        let (memory, _) = install(&forgery.payload(), None, 64).unwrap();
        assert_eq!((memory.partition.len(), &memory.kernel[..]), (8192, &b"uki"[..]));
        forgery.procedures[1].2[0].sha256 = Some([0; 32]);
        assert_refused!(refusal(&forgery.payload()), ReadError::DataDigest { .. });
    }
}

#[test]
fn fields_that_we_do_not_know_are_skipped() {
    let mut forgery = Forgery::good();
    forgery.extra = Message::default().number(6, 1).bytes(100, b"later").into_bytes();
    assert!(install(&forgery.payload(), None, 64).is_ok());
}

#[test]
fn a_target_that_cannot_be_written_ends_it_as_a_storage_error() {
    struct Full;
    impl Target for Full {
        fn write_at(&mut self, _: Part, _: u64, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let mut installer = Installer::new(Limits::default(), None);
    let error = installer.push(&Forgery::good().payload(), &mut Full).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the partition at byte 0");
    assert_eq!(error.exit_code(), sm_model::exit::STORAGE);
}
