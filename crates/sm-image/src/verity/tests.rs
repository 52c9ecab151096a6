//! Trees against those that `veritysetup format` made of the same data, and under attack.

use std::io::{Cursor, Read};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::Guid;

const SALT: [u8; 32] = [0xab; 32];
const UUID: Guid = Guid::from_u128(0x01234567_89ab_cdef_0123_456789abcdef);

/// Data whose every block repeats its own number.
fn numbered_blocks(n: u64) -> Vec<u8> {
    (0..n).flat_map(|i| i.to_le_bytes().repeat(BLOCK_BYTES / 8)).collect()
}

fn superblock(n_blocks: u64) -> Superblock {
    Superblock::new(n_blocks * BLOCK_BYTES as u64, &SALT, UUID).unwrap()
}

fn tree_of(data: &[u8]) -> (Vec<u8>, RootHash) {
    let mut tree = Cursor::new(Vec::new());
    let n_blocks = (data.len() / BLOCK_BYTES) as u64;
    let root = format(&mut &data[..], &superblock(n_blocks), &mut tree).unwrap();
    (tree.into_inner(), root)
}

/// `veritysetup 2.6.1 format --salt=ab… --uuid=01234567-…`: data blocks, root hash, size and SHA-256 of the hash device.
const VERITYSETUP: [(u64, &str, usize, &str); 5] = [
    (
        1,
        "dd2661f29736b994bb4d44940a72e328d0b56887df8761a1274e7d51cc525eed",
        4096,
        "893ff30de60ed7e3fcdb55abcf4291996c14930b5db0b70ffd68e7eb216d9538",
    ),
    (
        2,
        "889ca272ee77a3b65700ccb98d5a91b646d9f786c7da7b978be20b3aaa696a30",
        8192,
        "25411530bc8c3b9ff6d14bf0a21b68464fc4f0dac878928327c4682824a9b38f",
    ),
    (
        128,
        "3edc5e2e2f3dd8a820074022fa3e129a3ee2ed5886ae46f69b0325269f3cade1",
        8192,
        "38b4caa4af352684ef99cd5bb716a8227df57054dddba9ad8e98a8645ea38997",
    ),
    (
        129,
        "4ec1d5887067261ea6fda6ba020e822a5319b847649cf49842af3d761c62951a",
        16384,
        "82c7456cfb925d3bdc0bb3c6c5ae4e3117794e9df753696cb50883a0b5ca87db",
    ),
    (
        16385,
        "6c8b5d3081d123d229a27612894a35b7e04ffa11914f25e9f31dc3178fc90200",
        544_768,
        "92ab4c862ed3df6483e82b381d1f593ffa8ac3f416e8baa17bb94dbd87601fe8",
    ),
];

#[test]
fn trees_are_those_of_veritysetup() {
    for (n_blocks, root, len, sha256) in VERITYSETUP {
        let data = numbered_blocks(n_blocks);
        let (tree, found) = tree_of(&data);
        assert_eq!(found.to_string(), root, "{n_blocks} blocks");
        assert_eq!(tree.len(), len, "{n_blocks} blocks");
        assert_eq!(sm_model::Sha256(Sha256::digest(&tree).into()).to_string(), sha256, "{n_blocks} blocks");
        assert_eq!(tree_bytes(data.len() as u64), len as u64);
        assert_eq!(root_hash(&mut &data[..], &superblock(n_blocks)).unwrap(), found);
    }
}

#[test]
fn what_was_formatted_verifies() {
    let data = numbered_blocks(1300);
    let (tree, root) = tree_of(&data);
    assert_eq!(verify(&mut &data[..], &mut Cursor::new(tree), root).unwrap(), superblock(1300));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_byte_goes_unnoticed(n_blocks in 1..300u64, at: proptest::sample::Index, bit in 0..8u32) {
        let mut data = numbered_blocks(n_blocks);
        let (mut tree, root) = tree_of(&data);
        // Everything but the superblock's UUID and padding, which name the tree and are not covered by it.
        let hashes = tree.len() - BLOCK_BYTES;
        let at = at.index(data.len() + hashes);
        match at.checked_sub(data.len()) {
            None => data[at] ^= 1 << bit,
            Some(in_tree) => tree[BLOCK_BYTES + in_tree] ^= 1 << bit,
        }
        let error = verify(&mut &data[..], &mut Cursor::new(tree), root).unwrap_err();
        prop_assert!(matches!(error, Error::Differs { .. } | Error::RootHash { .. }), "{error}");
    }

    #[test]
    fn superblocks_read_back(n_blocks in 1..=Superblock::MAX_DATA_BLOCKS, uuid: u128, salt in proptest::collection::vec(any::<u8>(), 0..=256)) {
        let superblock = Superblock::new(n_blocks * BLOCK_BYTES as u64, &salt, Guid::from_u128(uuid)).unwrap();
        prop_assert_eq!(Superblock::parse(&superblock.encode()), Ok(superblock));
    }

    #[test]
    fn parsing_survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Superblock::parse(&bytes);
    }
}

#[test]
fn another_root_hash_is_refused_with_both() {
    let data = numbered_blocks(3);
    let (tree, found) = tree_of(&data);
    let expected = RootHash::from_bytes([7; 32]);
    let error = verify(&mut &data[..], &mut Cursor::new(tree), expected).unwrap_err();
    assert!(matches!(error, Error::RootHash { found: f, expected: e } if (f, e) == (found, expected)));
    assert_eq!(error.exit_code(), sm_model::exit::VERIFICATION);
}

#[test]
fn short_data_and_short_trees_are_errors() {
    let data = numbered_blocks(200);
    let (tree, root) = tree_of(&data);
    let short_data = verify(&mut &data[..5000], &mut Cursor::new(&tree), root);
    assert!(matches!(short_data, Err(Error::Io { .. })));
    for len in [0, 100, 4096, 8192] {
        assert!(matches!(
            verify(&mut &data[..], &mut Cursor::new(&tree[..len]), root),
            Err(Error::Io { .. })
        ));
    }
}

#[test]
fn sizes_that_are_no_whole_blocks_are_refused() {
    for data_bytes in [0, 1, 4095, 4097] {
        let error = Superblock::new(data_bytes, &SALT, UUID).unwrap_err();
        assert!(matches!(error, Error::DataSize { .. }), "{error}");
    }
}

#[test]
fn hostile_superblocks_are_refused_by_name() {
    use InvalidSuperblock as Invalid;
    let cases: [(usize, &[u8], Invalid); 8] = [
        (0, b"VERITY", Invalid::Signature),
        (8, &[2], Invalid::Version { version: 2, hash_type: 1 }),
        (12, &[0], Invalid::Version { version: 1, hash_type: 0 }),
        (32, b"md5\0\0\0", Invalid::Algorithm),
        (64, &[0, 4], Invalid::BlockSize { data: 1024, hash: 4096 }),
        (72, &[0; 8], Invalid::DataBlocks(0)),
        (72, &[0xff; 8], Invalid::DataBlocks(u64::MAX)),
        (80, &[0xff, 0xff], Invalid::Salt(65535)),
    ];
    for (at, value, expected) in cases {
        let mut bytes = superblock(9).encode();
        bytes[at..at + value.len()].copy_from_slice(value);
        assert_eq!(Superblock::parse(&bytes), Err(expected));
    }
    assert_eq!(Superblock::parse(&[0; 511]), Err(Invalid::Length(511)));
}

#[test]
fn partition_identities_are_the_halves_of_the_root_hash() {
    let root: RootHash = VERITYSETUP[0].1.parse().unwrap();
    assert_eq!(root.data_guid().to_string(), "dd2661f2-9736-b994-bb4d-44940a72e328");
    assert_eq!(root.tree_guid().to_string(), "d0b56887-df87-61a1-274e-7d51cc525eed");
}

/// However large the data, two chunks and one block per level are held: reads never ask for more than a chunk.
#[test]
fn data_is_read_in_bounded_pieces() {
    struct Zeros {
        largest: usize,
    }
    impl Read for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.largest = self.largest.max(buffer.len());
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    let mut zeros = Zeros { largest: 0 };
    root_hash(&mut zeros, &superblock(5000)).unwrap();
    assert_eq!(zeros.largest, CHUNK_BLOCKS * BLOCK_BYTES);
}

#[test]
fn the_parameters_that_hosts_recompute_follow_from_the_image_alone() {
    let digest = sm_model::Sha256([0xff; 32]);
    let superblock = Superblock::of_image(8192, &digest).unwrap();
    assert_eq!(superblock.salt(), digest.as_bytes());
    assert_eq!(superblock.uuid().to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
    assert_eq!(superblock.n_data_blocks(), 2);
}
