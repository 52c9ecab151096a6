//! File systems are read back with another implementation of FAT.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use proptest::prelude::*;

use super::*;
use crate::crc::crc32;

const MIB: u64 = 1 << 20;

fn volume(range: Range<u64>) -> Volume {
    Volume { range, id: 0x1234_abcd, label: "ESP".to_owned() }
}

fn made(volume: &Volume, files: &[(&str, &[u8])]) -> Result<Vec<u8>, Error> {
    let mut disk = Cursor::new(vec![0; volume.range.end as usize]);
    let files = files.iter().map(|(path, content)| File::new(*path, *content)).collect();
    write(&mut disk, volume, files).map(|()| disk.into_inner())
}

/// Every file with its content, as the `fatfs` crate finds them.
fn read(disk: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let fs = fatfs::FileSystem::new(Cursor::new(disk.to_vec()), fatfs::FsOptions::new()).unwrap();
    assert_eq!(
        (fs.volume_id(), &*fs.volume_label(), fs.fat_type()),
        (0x1234_abcd, "ESP", fatfs::FatType::Fat32)
    );
    let mut files = BTreeMap::new();
    collect("", &fs.root_dir(), &mut files);
    files
}

fn collect<D: Read + Write + Seek>(
    prefix: &str,
    dir: &fatfs::Dir<'_, D>,
    files: &mut BTreeMap<String, Vec<u8>>,
) {
    for entry in dir.iter().map(Result::unwrap) {
        let path = format!("{prefix}{}", entry.file_name());
        match entry.file_name().as_str() {
            "." | ".." => {}
            _ if entry.is_dir() => collect(&format!("{path}/"), &entry.to_dir(), files),
            _ => {
                let mut content = Vec::new();
                entry.to_file().read_to_end(&mut content).unwrap();
                files.insert(path, content);
            }
        }
    }
}

fn sample() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("EFI/BOOT/BOOTX64.EFI", &[1; 5000]),
        ("EFI/systemd/systemd-bootx64.efi", &[2; 512]),
        ("EFI/Linux/boxcar_4900.0.1+3.efi", &[3; 300_000]),
        ("loader/loader.conf", b"timeout 0\n"),
        ("empty", b""),
    ]
}

#[test]
fn another_implementation_reads_what_was_written() {
    let disk = made(&volume(0..MIN_BYTES), &sample()).unwrap();
    let expected = sample().into_iter().map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
    assert_eq!(read(&disk), expected);
}

/// Changing these bytes changes every image: `fsck.vfat -n`, `mdir` and OVMF accepted them.
#[test]
fn bytes_are_pinned() {
    let disk = made(&volume(0..MIN_BYTES), &sample()).unwrap();
    assert_eq!(crc32(&disk), 0xc8b8_953c);
}

#[test]
fn free_clusters_are_counted() {
    let disk = made(&volume(0..MIN_BYTES), &sample()).unwrap();
    let fs = fatfs::FileSystem::new(Cursor::new(disk), fatfs::FsOptions::new()).unwrap();
    let recorded = fs.stats().unwrap();
    // 6 directories and the files' clusters of 512 bytes: 10, 1, 586 and 1; the empty file has none.
    assert_eq!(recorded.total_clusters() - recorded.free_clusters(), 6 + 10 + 1 + 586 + 1);
}

#[test]
fn nothing_outside_the_range_is_written() {
    let mut disk = Cursor::new(vec![0xaa; (36 * MIB) as usize]);
    disk.get_mut()[MIB as usize..35 * MIB as usize].fill(0);
    write(&mut disk, &volume(MIB..35 * MIB), vec![File::new("a", &b"x"[..])]).unwrap();
    let disk = disk.into_inner();
    assert!(disk[..MIB as usize].iter().chain(&disk[35 * MIB as usize..]).all(|&byte| byte == 0xaa));
    assert_eq!(read(&disk[MIB as usize..]).len(), 1);
}

#[test]
fn a_directory_of_many_files_takes_many_clusters() {
    let names: Vec<_> =
        (0..300).map(|i| format!("many/a file-with-a-long-name-{i}.txt").replace(' ', "_")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    assert_eq!(read(&made(&volume(0..MIN_BYTES), &files).unwrap()).len(), 300);
}

#[test]
fn a_full_partition_is_reported_with_the_file_that_did_not_fit() {
    let large = vec![7; 30 << 20];
    let error = made(&volume(0..MIN_BYTES), &[("a", &large), ("dir/b", &large)]).unwrap_err();
    assert!(matches!(&error, Error::Full { path, .. } if path == "dir/b"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn an_unreadable_file_is_reported_with_its_path() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let mut disk = Cursor::new(vec![0; MIN_BYTES as usize]);
    let error = write(&mut disk, &volume(0..MIN_BYTES), vec![File::new("a/b", Broken)]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `a/b` for the EFI system partition");
}

#[test]
fn paths_that_firmware_would_not_find_are_refused() {
    for path in ["", "/a", "a/", "a//b", "..", "a b", "a\\b", "é", "a.", &"x".repeat(256)] {
        assert!(matches!(made(&volume(0..MIN_BYTES), &[(path, b"")]), Err(Error::Path(_))), "{path:?}");
    }
    for twins in [["a", "A"], ["a", "a/b"], ["a/b", "A"]] {
        let files = twins.map(|path| (path, &b""[..]));
        assert!(matches!(made(&volume(0..MIN_BYTES), &files), Err(Error::Twice(_))), "{twins:?}");
    }
}

#[test]
fn places_that_cannot_hold_fat32_are_refused() {
    for range in [0..0, 0..MIN_BYTES - 512, 0..MIN_BYTES + 1, 1..MIN_BYTES + 1, 0..MAX_BYTES + 512] {
        let error = write(&mut Cursor::new(Vec::new()), &volume(range), Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Size { .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn every_accepted_size_is_fat32_with_all_clusters_inside(sectors in MIN_BYTES / 512..=MAX_BYTES / 512) {
        let geometry = Geometry::of(&volume(0..sectors * 512)).unwrap();
        let end = geometry.cluster_offset(geometry.end_cluster() as u32);
        prop_assert!(end <= sectors * 512);
        prop_assert!(geometry.end_cluster() - 2 >= 65_525);
        let [first, second] = geometry.fat_offsets();
        prop_assert!((second - first) / 4 >= geometry.end_cluster());
        prop_assert_eq!(geometry.cluster_offset(2) % 4096, 0);
    }
}
