//! One copy of a table as bytes: a header sector and an array of entries (UEFI 2.10, sections 5.3.2 and 5.3.3).

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom},
};

use super::{Attributes, Flaw, Label, Partition, SECTOR_BYTES, Table};
use crate::{
    Guid,
    bytes::{array, put, u32_le, u64_le},
    crc::crc32,
};

/// Entries of a table that we make: what every tool makes.
pub(super) const N_ENTRIES: u32 = 128;
/// Most entries we read: keeps a hostile header from asking for gigabytes.
pub(super) const MAX_ENTRIES: u32 = 1024;
/// Sector of the primary header.
pub(super) const PRIMARY_LBA: u64 = 1;

const SIGNATURE: [u8; 8] = *b"EFI PART";
const REVISION_1_0: u32 = 0x0001_0000;
const HEADER_BYTES: u32 = 92;
const ENTRY_BYTES: u32 = 128;
const SECTOR: usize = SECTOR_BYTES as usize;

/// Where a copy lies, or is to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Sector of its header.
    pub(super) header: u64,
    /// Sector of the other copy's header.
    pub(super) other_header: u64,
    /// First sector of its entries.
    pub(super) entries: u64,
}

/// Sectors that an array of so many entries takes.
pub(super) fn array_sectors(n_entries: u32) -> u64 {
    (u64::from(n_entries) * u64::from(ENTRY_BYTES)).div_ceil(SECTOR_BYTES)
}

/// The entries of a table, padded to whole sectors.
pub(super) fn encode_entries(table: &Table) -> Vec<u8> {
    let mut bytes = vec![0; array_sectors(table.n_entries) as usize * SECTOR];
    for (&number, partition) in &table.partitions {
        let at = (number as usize - 1) * ENTRY_BYTES as usize;
        let entry = &mut bytes[at..at + ENTRY_BYTES as usize];
        put(entry, 0, partition.kind.to_efi());
        put(entry, 16, partition.guid.to_efi());
        put(entry, 32, partition.first_lba.to_le_bytes());
        put(entry, 40, partition.last_lba.to_le_bytes());
        put(entry, 48, partition.attributes.0.to_le_bytes());
        put(entry, 56, partition.label.encode());
    }
    bytes
}

/// The header sector of a copy at `place` whose entries are `entries`.
pub(super) fn encode_header(table: &Table, place: Place, entries: &[u8]) -> [u8; SECTOR] {
    let array_bytes = table.n_entries as usize * ENTRY_BYTES as usize;
    let mut header = [0; SECTOR];
    put(&mut header, 0, SIGNATURE);
    put(&mut header, 8, REVISION_1_0.to_le_bytes());
    put(&mut header, 12, HEADER_BYTES.to_le_bytes());
    put(&mut header, 24, place.header.to_le_bytes());
    put(&mut header, 32, place.other_header.to_le_bytes());
    put(&mut header, 40, table.first_usable.to_le_bytes());
    put(&mut header, 48, table.last_usable.to_le_bytes());
    put(&mut header, 56, table.disk_guid.to_efi());
    put(&mut header, 72, place.entries.to_le_bytes());
    put(&mut header, 80, table.n_entries.to_le_bytes());
    put(&mut header, 84, ENTRY_BYTES.to_le_bytes());
    put(&mut header, 88, crc32(&entries[..array_bytes]).to_le_bytes());
    let checksum = crc32(&header[..HEADER_BYTES as usize]);
    put(&mut header, 16, checksum.to_le_bytes());
    header
}

/// A copy that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) table: Table,
    pub(super) place: Place,
}

/// Reads and checks the copy whose header lies at sector `lba` of a disk of `disk_sectors`.
pub(super) fn read_copy<R: Read + Seek>(
    disk: &mut R,
    lba: u64,
    disk_sectors: u64,
) -> io::Result<Result<Copy, Flaw>> {
    if lba >= disk_sectors {
        return Ok(Err(Flaw::OutOfDisk));
    }
    let mut header = [0; SECTOR];
    read_at(disk, lba, &mut header)?;
    let (frame, place) = match check_header(&header, lba, disk_sectors) {
        Ok(checked) => checked,
        Err(flaw) => return Ok(Err(flaw)),
    };
    let mut entries = vec![0; frame.n_entries as usize * ENTRY_BYTES as usize];
    read_at(disk, place.entries, &mut entries)?;
    if crc32(&entries) != u32_le(&header, 88) {
        return Ok(Err(Flaw::EntriesChecksum));
    }
    Ok(decode_entries(frame, &entries).map(|table| Copy { table, place }))
}

fn read_at<R: Read + Seek>(disk: &mut R, lba: u64, bytes: &mut [u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(lba * SECTOR_BYTES))?;
    disk.read_exact(bytes)
}

/// The checks of UEFI 2.10, section 5.3.2, in its order, then those that keep hostile numbers from doing harm.
fn check_header(header: &[u8; SECTOR], lba: u64, disk_sectors: u64) -> Result<(Table, Place), Flaw> {
    if array(header, 0) != SIGNATURE {
        return Err(Flaw::Signature);
    }
    match u32_le(header, 8) {
        REVISION_1_0 => {}
        other => return Err(Flaw::Revision(other)),
    }
    check_header_checksum(header)?;
    let place = Place { header: lba, other_header: u64_le(header, 32), entries: u64_le(header, 72) };
    match u64_le(header, 24) {
        my_lba if my_lba == lba => {}
        elsewhere => return Err(Flaw::Misplaced(elsewhere)),
    }
    let (n_entries, entry_bytes) = (u32_le(header, 80), u32_le(header, 84));
    if !(1..=MAX_ENTRIES).contains(&n_entries) || entry_bytes != ENTRY_BYTES {
        return Err(Flaw::EntryShape { n_entries, entry_bytes });
    }
    let table = Table {
        disk_guid: Guid::from_efi(array(header, 56)),
        disk_sectors: lba.max(place.other_header).saturating_add(1),
        first_usable: u64_le(header, 40),
        last_usable: u64_le(header, 48),
        n_entries,
        partitions: BTreeMap::new(),
    };
    check_frame(&table, place, disk_sectors)?;
    Ok((table, place))
}

fn check_header_checksum(header: &[u8; SECTOR]) -> Result<(), Flaw> {
    let size = u32_le(header, 12);
    if size < HEADER_BYTES || u64::from(size) > SECTOR_BYTES {
        return Err(Flaw::HeaderSize(size));
    }
    let mut blanked = *header;
    put(&mut blanked, 16, [0; 4]);
    let checksum = crc32(&blanked[..size as usize]);
    (checksum == u32_le(header, 16)).then_some(()).ok_or(Flaw::HeaderChecksum)
}

/// Headers, both arrays and the usable sectors follow each other without overlap, inside the disk.
fn check_frame(table: &Table, place: Place, disk_sectors: u64) -> Result<(), Flaw> {
    let sectors = array_sectors(table.n_entries);
    let entries_end = place.entries.checked_add(sectors).ok_or(Flaw::Frame)?;
    let entries_fit = if place.header == PRIMARY_LBA {
        place.entries > PRIMARY_LBA && entries_end <= table.first_usable
    } else {
        place.entries > table.last_usable && entries_end <= place.header
    };
    let usable_fits = table.first_usable <= table.last_usable && table.last_usable < table.disk_sectors - 1;
    let one_is_primary = (place.header == PRIMARY_LBA) != (place.other_header == PRIMARY_LBA);
    let on_disk = table.disk_sectors <= disk_sectors;
    (entries_fit && usable_fits && one_is_primary && on_disk).then_some(()).ok_or(Flaw::Frame)
}

fn decode_entries(mut table: Table, entries: &[u8]) -> Result<Table, Flaw> {
    for (number, entry) in (1..).zip(entries.chunks_exact(ENTRY_BYTES as usize)) {
        let kind = Guid::from_efi(array(entry, 0));
        if kind == Guid::NIL {
            continue;
        }
        let (first_lba, last_lba) = (u64_le(entry, 32), u64_le(entry, 40));
        if first_lba < table.first_usable || last_lba > table.last_usable || last_lba < first_lba {
            return Err(Flaw::OutOfRange(number));
        }
        let label = Label::decode(&array(entry, 56)).ok_or(Flaw::Label(number))?;
        let attributes = Attributes(u64_le(entry, 48));
        let guid = Guid::from_efi(array(entry, 16));
        table.partitions.insert(number, Partition { kind, guid, label, attributes, first_lba, last_lba });
    }
    check_disjoint(&table)?;
    Ok(table)
}

fn check_disjoint(table: &Table) -> Result<(), Flaw> {
    let mut by_start: Vec<_> = table.partitions().collect();
    by_start.sort_by_key(|(_, partition)| partition.first_lba);
    for pair in by_start.windows(2) {
        if pair[1].1.first_lba <= pair[0].1.last_lba {
            return Err(Flaw::Overlap(pair[0].0, pair[1].0));
        }
    }
    by_start.sort_by_key(|(number, partition)| (partition.guid, *number));
    match by_start.windows(2).find(|pair| pair[0].1.guid == pair[1].1.guid) {
        Some(twins) => Err(Flaw::SameGuid(twins[0].0, twins[1].0)),
        None => Ok(()),
    }
}
