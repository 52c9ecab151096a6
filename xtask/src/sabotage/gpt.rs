//! Changes of a partition table in both of its copies, with checksums that are right afterwards (UEFI 2.10, section 5.3). Written
//! without the project's own code, whose mistakes it would share.

use std::io::{Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const SECTOR_BYTES: u64 = 512;
const ENTRY_BYTES: usize = 128;
/// Against tables that are none.
const MAX_ENTRIES: u32 = 1024;

/// What an entry says instead.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Change {
    /// Which one, from 1.
    number: u32,
    /// Its name.
    label: Option<String>,
    /// Its attributes.
    attributes: Option<u64>,
    /// Its type, as bytes of the table in hexadecimal.
    kind: Option<String>,
    /// Its own identifier, as bytes of the table in hexadecimal.
    guid: Option<String>,
    /// Its first sector moves by so many.
    first_moves_by: Option<i64>,
    /// Its last sector moves by so many.
    last_moves_by: Option<i64>,
}

struct Header {
    /// The bytes, as many as it says that it has.
    bytes: Vec<u8>,
    /// Where it lies.
    sector: u64,
}

impl Header {
    fn read(disk: &mut (impl Read + Seek), sector: u64) -> Result<Self> {
        let mut bytes = vec![0; SECTOR_BYTES as usize];
        disk.seek(SeekFrom::Start(sector * SECTOR_BYTES))?;
        disk.read_exact(&mut bytes)?;
        ensure!(bytes.starts_with(b"EFI PART"), "sector {sector} holds no partition table");
        bytes.truncate((u32_at(&bytes, 12) as usize).clamp(92, SECTOR_BYTES as usize));
        Ok(Header { bytes, sector })
    }

    fn entries(&self, disk: &mut (impl Read + Seek)) -> Result<Vec<u8>> {
        let (n_entries, bytes) = (u32_at(&self.bytes, 80), u32_at(&self.bytes, 84) as usize);
        ensure!(n_entries <= MAX_ENTRIES && bytes == ENTRY_BYTES, "the table has another form");
        let mut entries = vec![0; n_entries as usize * ENTRY_BYTES];
        disk.seek(SeekFrom::Start(u64_at(&self.bytes, 72) * SECTOR_BYTES))?;
        disk.read_exact(&mut entries)?;
        Ok(entries)
    }

    fn write(&mut self, disk: &mut (impl Write + Seek), entries: &[u8]) -> Result<()> {
        disk.seek(SeekFrom::Start(u64_at(&self.bytes, 72) * SECTOR_BYTES))?;
        disk.write_all(entries)?;
        self.bytes[88..92].copy_from_slice(&crc32(entries).to_le_bytes());
        self.bytes[16..20].fill(0);
        let own = crc32(&self.bytes);
        self.bytes[16..20].copy_from_slice(&own.to_le_bytes());
        disk.seek(SeekFrom::Start(self.sector * SECTOR_BYTES))?;
        Ok(disk.write_all(&self.bytes)?)
    }
}

/// The byte that a partition starts with.
pub(super) fn start_of(disk: &mut (impl Read + Seek), number: u32) -> Result<u64> {
    let mut entries = Header::read(disk, 1)?.entries(disk)?;
    Ok(u64_at(entry(&mut entries, number)?, 32) * SECTOR_BYTES)
}

/// Changes one entry.
pub(super) fn change(disk: &mut (impl Read + Write + Seek), change: &Change) -> Result<()> {
    let mut first = Header::read(disk, 1)?;
    let mut second = Header::read(disk, u64_at(&first.bytes, 32))?;
    let mut entries = first.entries(disk)?;
    change.make(entry(&mut entries, change.number)?)?;
    first.write(disk, &entries)?;
    second.write(disk, &entries)
}

impl Change {
    fn make(&self, entry: &mut [u8]) -> Result<()> {
        let before = entry.to_vec();
        for (at, hex) in [(0, &self.kind), (16, &self.guid)] {
            if let Some(hex) = hex {
                entry[at..at + 16].copy_from_slice(&bytes16(hex)?);
            }
        }
        for (at, moves_by) in [(32, self.first_moves_by), (40, self.last_moves_by)] {
            let moved = u64_at(entry, at).checked_add_signed(moves_by.unwrap_or(0)).context("too far")?;
            entry[at..at + 8].copy_from_slice(&moved.to_le_bytes());
        }
        if let Some(attributes) = self.attributes {
            entry[48..56].copy_from_slice(&attributes.to_le_bytes());
        }
        if let Some(label) = &self.label {
            let units: Vec<u8> = label.encode_utf16().flat_map(u16::to_le_bytes).collect();
            ensure!(units.len() <= 72, "the label is too long");
            entry[56..].fill(0);
            entry[56..56 + units.len()].copy_from_slice(&units);
        }
        ensure!(entry[..] != before[..], "the entry says that already");
        Ok(())
    }
}

fn entry(entries: &mut [u8], number: u32) -> Result<&mut [u8]> {
    let idx = (number as usize).checked_sub(1);
    idx.and_then(|idx| entries.chunks_exact_mut(ENTRY_BYTES).nth(idx)).context("no such partition")
}

fn bytes16(hex: &str) -> Result<[u8; 16]> {
    u128::from_str_radix(hex, 16).map(u128::to_be_bytes).with_context(|| format!("`{hex}` is no number"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |sum, &byte| (sum << 8) | u32::from(byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    (u64::from(u32_at(bytes, at + 4)) << 32) | u64::from(u32_at(bytes, at))
}

/// CRC-32 of IEEE 802.3, bit by bit: tables are short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A disk of 64 sectors with room for four partitions, of which the first two are there.
    fn disk() -> Cursor<Vec<u8>> {
        let mut disk = Cursor::new(vec![0; 64 * SECTOR_BYTES as usize]);
        let mut entries = vec![0; 4 * ENTRY_BYTES];
        for (idx, first) in [(0_usize, 10_u64), (1, 20)] {
            entries[idx * ENTRY_BYTES..][..16].fill(7);
            entries[idx * ENTRY_BYTES + 32..][..8].copy_from_slice(&first.to_le_bytes());
        }
        for (sector, other, at) in [(1_u64, 63_u64, 2_u64), (63, 1, 62)] {
            let mut bytes = b"EFI PART".to_vec();
            bytes.resize(92, 0);
            bytes[12] = 92;
            bytes[24..32].copy_from_slice(&sector.to_le_bytes());
            bytes[32..40].copy_from_slice(&other.to_le_bytes());
            bytes[72..80].copy_from_slice(&at.to_le_bytes());
            bytes[80] = 4;
            bytes[84] = ENTRY_BYTES as u8;
            Header { bytes, sector }.write(&mut disk, &entries).unwrap();
        }
        disk
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn both_copies_say_the_new_thing_and_are_valid() {
        let mut disk = disk();
        let wanted: Change = toml::from_str("number = 2\nlabel = 'x'\nlast-moves-by = 3").unwrap();
        change(&mut disk, &wanted).unwrap();
        for sector in [1, 63] {
            let header = Header::read(&mut disk, sector).unwrap();
            let mut entries = header.entries(&mut disk).unwrap();
            assert_eq!(u32_at(&header.bytes, 88), crc32(&entries));
            let mut blank = header.bytes.clone();
            blank[16..20].fill(0);
            assert_eq!(u32_at(&header.bytes, 16), crc32(&blank));
            let entry = entry(&mut entries, 2).unwrap();
            assert_eq!((u64_at(entry, 40), &entry[56..59]), (3, &b"x\0\0"[..]));
        }
        assert_eq!(start_of(&mut disk, 2).unwrap(), 20 * 512);
    }

    #[test]
    fn a_change_that_changes_nothing_is_an_error() {
        let wanted: Change = toml::from_str("number = 1\nfirst-moves-by = 0").unwrap();
        assert_eq!(change(&mut disk(), &wanted).unwrap_err().to_string(), "the entry says that already");
        let wanted: Change = toml::from_str("number = 9\nlabel = 'x'").unwrap();
        assert_eq!(change(&mut disk(), &wanted).unwrap_err().to_string(), "no such partition");
    }
}
