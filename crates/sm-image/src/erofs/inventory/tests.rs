//! Inventories against a recorded image, and against images that lie.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// Recorded from `mkfs.erofs`: see `tests/README.md`.
fn small() -> Vec<u8> {
    zstd::decode_all(&include_bytes!("tests/small.erofs.zst")[..]).unwrap()
}

fn read(image: &[u8]) -> Result<BTreeMap<String, Inode>, Error> {
    inventory(&mut Cursor::new(image), &Limits::default())
}

#[test]
fn modes_owners_sizes_and_links_are_those_of_the_archive() {
    let entries = read(&small()).unwrap();
    assert_eq!(entries.len(), 309);
    let of = |path: &str| {
        let inode = &entries[path];
        (inode.kind.clone(), inode.mode, inode.uid, inode.gid, inode.size_bytes)
    };
    assert_eq!(of("/bin/sudo"), (Kind::File, 0o4755, 0, 27, 10));
    assert_eq!(of("/dir/plain"), (Kind::File, 0o640, 100_000, 42, 6));
    assert_eq!(of("/dir/zeros"), (Kind::File, 0o644, 0, 0, 20_000));
    assert_eq!(of("/bin/link").0, Kind::Symlink("../dir/plain".into()));
    assert_eq!((of("/dir").0, of("/dir").1), (Kind::Directory, 0o1777));
    assert_eq!((of("/dir/null").0, of("/dir/null").1), (Kind::Special(0o020_000), 0o666));
    assert!(entries.contains_key("/dir/file-299"));
}

#[test]
fn shared_and_own_attributes_are_read() {
    let entries = read(&small()).unwrap();
    let capability = &entries["/bin/ping"].xattrs["security.capability"];
    assert_eq!(capability[..6], [1, 0, 0, 2, 0, 0x20]);
    assert_eq!(entries["/bin/twin"].xattrs["security.capability"], *capability);
    assert_eq!(entries["/bin/twin"].xattrs["user.note"], b"own");
    assert!(entries["/bin/sudo"].xattrs.is_empty());
}

#[test]
fn limits_hold() {
    let with = |limits: Limits| inventory(&mut Cursor::new(small()), &limits);
    let whole = Limits::default();
    assert!(matches!(with(Limits { max_entries: 308, ..whole }), Err(Error::TooLarge { .. })));
    assert!(matches!(with(Limits { max_path_bytes: 12, ..whole }), Err(Error::TooLarge { .. })));
    assert!(matches!(with(Limits { max_directory_bytes: 4096, ..whole }), Err(Error::TooLarge { .. })));
    assert!(with(Limits { max_entries: 309, ..whole }).is_ok());
}

/// A directory block of one name.
fn block(inode: u64, name: &[u8]) -> Vec<u8> {
    let mut block = inode.to_le_bytes().to_vec();
    block.extend([12, 0, 2, 0]);
    block.extend(name);
    block
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    assert_eq!(names_of(&block(36, b"etc\0\0")), Some(vec![("etc".into(), 36)]));
    for name in [&b"a/b"[..], b"/", b"\0a", b""] {
        assert_eq!(names_of(&block(36, name)), None, "{name:?}");
    }
    for first_name in [0, 11, 13, 255] {
        let mut block = block(36, b"etc");
        block[8] = first_name;
        assert_eq!(names_of(&block), None, "{first_name}");
    }
}

/// Lets every directory name point at the root, as a ring would.
#[test]
fn directories_in_a_ring_are_refused() {
    let mut image = small();
    let root = u16_le(&image, 1024 + 14);
    // The checksum covers the superblock's block only in images that say so.
    put_feature_compat(&mut image, 0);
    let at = find_dirent(&image, b"bindir");
    image[at..at + 8].copy_from_slice(&u64::from(root).to_le_bytes());
    let refused = read(&image).unwrap_err();
    assert_eq!(refused.to_string(), "EROFS entry `/bin`: the directory has two places");
}

fn put_feature_compat(image: &mut [u8], features: u8) {
    image[1024 + 8] = features;
}

/// Where the dirent of `bin` in the root directory lies: three after `.` and `..` by name order, before its names.
fn find_dirent(image: &[u8], names: &[u8]) -> usize {
    let names_at = image.windows(names.len()).position(|window| window == names).unwrap();
    // `.`, `..`, `bin`, `dir`: names follow four dirents and three bytes of the first two names.
    names_at - 3 - 4 * DIRENT_BYTES + 2 * DIRENT_BYTES
}

#[test]
fn every_cut_is_an_error_and_never_a_panic() {
    let image = small();
    for n_bytes in (0..image.len()).step_by(97) {
        if let Ok(entries) = read(&image[..n_bytes]) {
            assert_eq!(entries.len(), 309, "cut at {n_bytes}");
        }
    }
}

proptest! {
    #[test]
    fn reading_survives_any_change(changes in proptest::collection::vec((0_usize..24_576, any::<u8>()), 1..40)) {
        let mut image = small();
        put_feature_compat(&mut image, 0);
        for (at, byte) in changes {
            image[at] = byte;
        }
        let _ = read(&image);
    }
}
