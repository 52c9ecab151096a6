//! Partition tables with right checksums: whatever is accepted has disjoint partitions inside the disk and can be
//! replaced by itself.
#![no_main]

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use libfuzzer_sys::fuzz_target;
use sm_image::gpt::{Durable, OnDisk};
use stationmaster_fuzz::image::{DISK_BYTES, GPT_BYTES};

struct Disk(Cursor<Vec<u8>>);

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Durable for Disk {
    fn make_durable(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A disk with the input as its primary table, checksums made right where that is possible.
fn disk(bytes: &[u8]) -> Disk {
    let mut disk = vec![0; DISK_BYTES as usize];
    let len = bytes.len().min(GPT_BYTES);
    disk[512..512 + len].copy_from_slice(&bytes[..len]);
    let field = |disk: &[u8], at: usize| {
        u32::from_le_bytes(disk[512 + at..512 + at + 4].try_into().expect("four bytes"))
    };
    let entries = (field(&disk, 80).min(1024) * 128) as usize;
    let first = u64::from_le_bytes(disk[584..592].try_into().expect("eight bytes")).min(1024) as usize * 512;
    let checksum = crc32fast::hash(&disk[first..first + entries]);
    disk[512 + 88..512 + 92].copy_from_slice(&checksum.to_le_bytes());
    disk[512 + 16..512 + 20].fill(0);
    let checksum = crc32fast::hash(&disk[512..512 + field(&disk, 12).clamp(92, 512) as usize]);
    disk[512 + 16..512 + 20].copy_from_slice(&checksum.to_le_bytes());
    Disk(Cursor::new(disk))
}

fuzz_target!(|bytes: &[u8]| {
    let mut disk = disk(bytes);
    let Ok(found) = OnDisk::read(&mut disk, DISK_BYTES) else { return };
    let mut end = 512;
    let mut ranges: Vec<_> =
        found.table().partitions().map(|(_, partition)| partition.byte_range()).collect();
    ranges.sort_by_key(|range| range.start);
    for range in ranges {
        assert!(end <= range.start && range.start < range.end && range.end <= DISK_BYTES);
        end = range.end;
    }
    found.replace(&mut disk, found.table().clone()).expect("the same geometry");
    let again = OnDisk::read(&mut disk, DISK_BYTES).expect("it was just written");
    assert_eq!(again.table(), found.table());
});
