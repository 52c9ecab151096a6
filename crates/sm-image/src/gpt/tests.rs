//! Tables are written, read, broken, and exchanged under power cuts.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
};

use proptest::prelude::*;
use sm_model::Arch;

use super::{header::Place, *};
use crate::crc::crc32;

const MIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 8 * MIB;
const SECTOR: usize = SECTOR_BYTES as usize;

fn new_partition(kind: Guid, guid: u128, label: &str, size_bytes: u64) -> NewPartition {
    let label = label.parse().unwrap();
    NewPartition { kind, guid: Guid::from_u128(guid), label, attributes: Attributes::READ_ONLY, size_bytes }
}

fn sample() -> Table {
    let partitions = [
        new_partition(kinds::ESP, 0x11, "ESP", 2 * MIB),
        new_partition(kinds::usr(Arch::Amd64), 0x22, "boxcar_4900.0.0", MIB + 1),
        new_partition(kinds::usr_verity(Arch::Amd64), 0x33, "boxcar_4900.0.0_v", 5),
    ];
    Table::lay_out(Guid::from_u128(0xd15c), DISK_BYTES, &partitions).unwrap()
}

fn sample_disk() -> Vec<u8> {
    let mut disk = Cursor::new(vec![0; DISK_BYTES as usize]);
    sample().write_new(&mut disk).unwrap();
    disk.into_inner()
}

fn renamed(table: &Table) -> Table {
    let guid = Guid::from_u128(0x9999);
    table.clone().relabelled(2, guid, "boxcar_4914.0.0".parse().unwrap(), Attributes::default()).unwrap()
}

fn read(disk: &[u8]) -> Result<OnDisk, Error> {
    OnDisk::read(&mut Cursor::new(disk), disk.len() as u64)
}

#[test]
fn a_new_table_reads_back_sound() {
    let found = read(&sample_disk()).unwrap();
    assert_eq!((found.table(), found.health()), (&sample(), &Health::Sound));
}

#[test]
fn partitions_follow_each_other_on_whole_mebibytes() {
    let table = sample();
    let ranges: Vec<_> = table.partitions().map(|(n, p)| (n, p.byte_range())).collect();
    assert_eq!(ranges, [(1, MIB..3 * MIB), (2, 3 * MIB..5 * MIB), (3, 5 * MIB..6 * MIB)]);
}

/// Changing these bytes changes every image: `sgdisk --verify` and `sfdisk --verify` accepted them.
#[test]
fn bytes_are_pinned() {
    let disk = sample_disk();
    assert_eq!(&disk[446..462], b"\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00\xff\x3f\x00\x00");
    assert_eq!(&disk[512..536], b"EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00\x12\xa4\xd4\xd3\x00\x00\x00\x00");
    let usr = &disk[1024 + 128..1024 + 256];
    assert_eq!(&usr[..16], b"\x0c\x68\x84\x84\x21\x95\xc6\x48\x9c\x11\xb0\x72\x06\x56\xf6\x9e");
    assert_eq!(&usr[32..48], b"\x00\x18\x00\x00\x00\x00\x00\x00\xff\x27\x00\x00\x00\x00\x00\x00");
    assert_eq!(&usr[48..64], b"\x00\x00\x00\x00\x00\x00\x00\x10b\x00o\x00x\x00c\x00");
    assert_eq!(crc32(&disk), 0x07d5_cd52);
}

#[test]
fn disks_that_are_too_small_are_refused_with_the_size_needed() {
    let partitions = [new_partition(kinds::ESP, 1, "ESP", 7 * MIB)];
    let error = Table::lay_out(Guid::NIL, DISK_BYTES, &partitions).unwrap_err();
    assert!(matches!(error, Error::DiskTooSmall { needed_bytes, .. } if needed_bytes == 9 * MIB), "{error}");
    assert_eq!(Table::smallest_disk_bytes(&partitions), 9 * MIB);
    assert!(Table::lay_out(Guid::NIL, 9 * MIB, &partitions).is_ok());
    let endless = [new_partition(kinds::ESP, 1, "ESP", u64::MAX)];
    assert!(matches!(Table::lay_out(Guid::NIL, DISK_BYTES, &endless), Err(Error::DiskTooSmall { .. })));
}

#[test]
fn twins_and_crowds_are_refused() {
    let twins = [new_partition(kinds::ESP, 1, "a", 1), new_partition(kinds::ESP, 1, "b", 1)];
    let error = Table::lay_out(Guid::NIL, DISK_BYTES, &twins).unwrap_err();
    assert!(matches!(error, Error::GuidTaken { number: 1, .. }), "{error}");
    let crowd: Vec<_> = (0..129).map(|i| new_partition(kinds::ESP, i, "x", 1)).collect();
    assert!(matches!(
        Table::lay_out(Guid::NIL, 1 << 40, &crowd),
        Err(Error::TooManyPartitions { n_partitions: 129, max: 128 })
    ));
}

#[test]
fn relabelling_keeps_identities_unique() {
    let table = sample();
    let label = Label::default();
    let taken = table.clone().relabelled(2, Guid::from_u128(0x33), label.clone(), Attributes::default());
    assert!(matches!(taken, Err(Error::GuidTaken { number: 3, .. })));
    let missing = table.relabelled(9, Guid::from_u128(0x44), label, Attributes::default());
    assert!(matches!(missing, Err(Error::NoPartition { number: 9 })));
}

#[test]
fn labels_hold_36_utf16_units() {
    assert!("x".repeat(36).parse::<Label>().is_ok());
    assert!("😀".repeat(18).parse::<Label>().is_ok());
    for text in ["x".repeat(37), "😀".repeat(19), "a\0b".to_owned()] {
        assert!(text.parse::<Label>().is_err(), "{text:?}");
    }
    let label: Label = "grüß😀".parse().unwrap();
    assert_eq!(Label::decode(&label.encode()), Some(label));
}

#[test]
fn each_copy_alone_suffices() {
    let mut disk = sample_disk();
    disk[1024] ^= 1;
    let found = read(&disk).unwrap();
    assert_eq!((found.table(), found.health()), (&sample(), &Health::PrimaryBroken(Flaw::EntriesChecksum)));
    let mut disk = sample_disk();
    let n = disk.len();
    disk[n - 512 + 60] ^= 1;
    let found = read(&disk).unwrap();
    assert_eq!((found.table(), found.health()), (&sample(), &Health::BackupBroken(Flaw::HeaderChecksum)));
}

#[test]
fn a_disk_that_has_grown_is_sound() {
    let mut disk = sample_disk();
    disk.resize(disk.len() + 4096, 0);
    assert_eq!(read(&disk).unwrap().health(), &Health::Sound);
}

#[test]
fn blank_and_short_disks_are_refused() {
    for size in [0, 512, 1024, DISK_BYTES as usize] {
        let error = read(&vec![0; size]).unwrap_err();
        assert!(matches!(error, Error::NoTable { .. }), "{size}: {error}");
    }
}

/// A header that is well signed but says something harmful is refused for what it says.
#[test]
fn hostile_headers_are_refused_by_name() {
    let cases: [(usize, &[u8], Flaw); 9] = [
        (8, &2u32.to_le_bytes(), Flaw::Revision(2)),
        (12, &91u32.to_le_bytes(), Flaw::HeaderSize(91)),
        (12, &u32::MAX.to_le_bytes(), Flaw::HeaderSize(u32::MAX)),
        (24, &7u64.to_le_bytes(), Flaw::Misplaced(7)),
        (32, &u64::MAX.to_le_bytes(), Flaw::Frame),
        (48, &u64::MAX.to_le_bytes(), Flaw::Frame),
        (72, &u64::MAX.to_le_bytes(), Flaw::Frame),
        (80, &u32::MAX.to_le_bytes(), Flaw::EntryShape { n_entries: u32::MAX, entry_bytes: 128 }),
        (84, &0u32.to_le_bytes(), Flaw::EntryShape { n_entries: 128, entry_bytes: 0 }),
    ];
    for (at, value, expected) in cases {
        let mut disk = sample_disk();
        disk[512 + at..512 + at + value.len()].copy_from_slice(value);
        resign(&mut disk[512..1024]);
        assert_eq!(read(&disk).unwrap().health(), &Health::PrimaryBroken(expected));
    }
}

fn resign(header: &mut [u8]) {
    header[16..20].fill(0);
    let checksum = crc32(&header[..92]);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let cases: [(usize, &[u8], Flaw); 5] = [
        (128 + 32, &0u64.to_le_bytes(), Flaw::OutOfRange(2)),
        (128 + 40, &u64::MAX.to_le_bytes(), Flaw::OutOfRange(2)),
        (128 + 32, &2048u64.to_le_bytes(), Flaw::Overlap(1, 2)),
        (128 + 16, &Guid::from_u128(0x11).to_efi(), Flaw::SameGuid(1, 2)),
        (128 + 56, &[0x00, 0xd8, 0x41, 0x00], Flaw::Label(2)),
    ];
    for (at, value, expected) in cases {
        let mut disk = sample_disk();
        disk[1024 + at..1024 + at + value.len()].copy_from_slice(value);
        let checksum = crc32(&disk[1024..1024 + 128 * 128]);
        disk[512 + 88..512 + 92].copy_from_slice(&checksum.to_le_bytes());
        resign(&mut disk[512..1024]);
        assert_eq!(read(&disk).unwrap().health(), &Health::PrimaryBroken(expected));
    }
}

/// A disk whose sector writes may reach the medium in any order until it is told to make them durable.
struct PowerCutDisk {
    position: u64,
    epochs: Vec<BTreeMap<u64, [u8; SECTOR]>>,
}

impl PowerCutDisk {
    fn new() -> Self {
        PowerCutDisk { position: 0, epochs: vec![BTreeMap::new()] }
    }

    /// The medium after a cut in epoch `cut`, when the sector writes that `survives` accepts got through.
    fn medium(&self, before: &[u8], cut: usize, survives: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut medium = before.to_vec();
        let whole = self.epochs[..cut].iter().flatten();
        let torn = self.epochs[cut].iter().enumerate().filter(|(i, _)| survives(*i)).map(|(_, write)| write);
        for (lba, sector) in whole.chain(torn) {
            let at = *lba as usize * SECTOR;
            medium[at..at + SECTOR].copy_from_slice(sector);
        }
        medium
    }
}

impl Write for PowerCutDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let epoch = self.epochs.last_mut().unwrap();
        for sector in bytes.chunks_exact(SECTOR) {
            epoch.insert(self.position / SECTOR_BYTES, sector.try_into().unwrap());
            self.position += SECTOR_BYTES;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for PowerCutDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(position) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.position = position;
        Ok(position)
    }
}

impl Durable for PowerCutDisk {
    fn make_durable(&mut self) -> io::Result<()> {
        self.epochs.push(BTreeMap::new());
        Ok(())
    }
}

/// The sample disk as another tool would have made it: its first partition may start right behind the entries.
fn cramped_disk() -> Vec<u8> {
    let mut disk = sample_disk();
    let n = disk.len();
    for header in [512, n - 512] {
        disk[header + 40..header + 48].copy_from_slice(&34u64.to_le_bytes());
        resign(&mut disk[header..header + 512]);
    }
    disk
}

proptest! {
    #[test]
    fn a_cut_at_any_moment_leaves_the_old_or_the_new_table(
        (broken, cramped) in prop_oneof![Just((0, false)), Just((1, false)), Just((2, false)), Just((0, true))],
        cut_permille in 0..1000usize,
        survivors: u64,
    ) {
        let mut before = if cramped { cramped_disk() } else { sample_disk() };
        let n = before.len();
        match broken { 1 => before[512] ^= 1, 2 => before[n - 512] ^= 1, _ => {} }
        let old = read(&before).unwrap();
        let new = renamed(old.table());
        let mut disk = PowerCutDisk::new();
        old.replace(&mut disk, new.clone()).unwrap();

        let cut = cut_permille * disk.epochs.len() / 1000;
        let medium = disk.medium(&before, cut, |i| survivors >> (i % 64) & 1 == 1);
        let found = read(&medium).unwrap();
        prop_assert!(found.table() == old.table() || found.table() == &new);
        if !cramped && broken != 1 {
            prop_assert!(!matches!(found.health(), Health::PrimaryBroken(_)), "{:?}", found.health());
        }

        // Whatever was left, the next replacement ends sound.
        let mut again = PowerCutDisk::new();
        found.replace(&mut again, new.clone()).unwrap();
        let healed = read(&again.medium(&medium, again.epochs.len() - 1, |_| true)).unwrap();
        prop_assert_eq!((healed.table(), healed.health()), (&new, &Health::Sound));
    }

    #[test]
    fn readers_survive_any_bytes(at in 0..20_000usize, noise in proptest::collection::vec(any::<u8>(), 1..64)) {
        let mut disk = sample_disk();
        disk[at..at + noise.len()].copy_from_slice(&noise);
        let _ = read(&disk).map(|found| found.table().partitions().map(|(_, p)| p.size_bytes()).sum::<u64>());
    }
}

#[test]
fn a_replacement_returns_what_the_disk_now_holds() {
    let before = sample_disk();
    let old = read(&before).unwrap();
    let mut disk = PowerCutDisk::new();
    let replaced = old.replace(&mut disk, renamed(old.table())).unwrap();
    let medium = disk.medium(&before, disk.epochs.len() - 1, |_| true);
    assert_eq!(read(&medium).unwrap(), replaced);
    assert_eq!(replaced.place, Place { header: 1, other_header: DISK_BYTES / SECTOR_BYTES - 1, entries: 34 });
    let mut disk = PowerCutDisk::new();
    assert_eq!(replaced.replace(&mut disk, sample()).unwrap().place.entries, 2);
}

#[test]
fn a_replacement_never_moves_partitions_or_changes_disks() {
    let old = read(&sample_disk()).unwrap();
    let mut disk = PowerCutDisk::new();
    let mut moved = sample();
    moved.partitions.get_mut(&3).unwrap().last_lba += 1;
    let mut other_disk = sample();
    other_disk.disk_guid = Guid::from_u128(5);
    for new in [moved, other_disk] {
        assert!(matches!(old.replace(&mut disk, new), Err(Error::GeometryChanged { .. })));
    }
    assert!(disk.epochs.iter().all(BTreeMap::is_empty));
}

#[test]
fn a_failing_disk_is_reported_as_such() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    impl Seek for Failing {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    let error = OnDisk::read(&mut Failing, DISK_BYTES).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the partition table");
    assert_eq!(error.exit_code(), sm_model::exit::STORAGE);
}
