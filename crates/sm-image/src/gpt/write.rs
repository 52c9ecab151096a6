//! Writing tables: whole onto a new disk, and exchanged on a disk in use so that no power cut loses them.

use std::io::{self, Seek, SeekFrom, Write};

use super::{
    Error, Health, OnDisk, SECTOR_BYTES, Table,
    header::{PRIMARY_LBA, Place, array_sectors, encode_entries, encode_header},
};

/// A disk that can be told to keep what was written.
pub trait Durable: Write + Seek {
    /// Returns when everything written so far survives a power cut (`fdatasync`).
    ///
    /// # Errors
    /// When the disk cannot promise that.
    fn make_durable(&mut self) -> io::Result<()>;
}

/// Where the entries of a primary copy usually lie.
const FIRST_ARRAY_LBA: u64 = PRIMARY_LBA + 1;

impl Table {
    /// Writes protective MBR, primary and backup copy onto a new disk.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub fn write_new<W: Write + Seek>(&self, disk: &mut W) -> Result<(), Error> {
        write_at(disk, 0, &protective_mbr(self.disk_sectors)).map_err(Error::writing)?;
        for place in [self.primary_place(FIRST_ARRAY_LBA), self.backup_place()] {
            let entries = encode_entries(self);
            write_at(disk, place.entries, &entries).map_err(Error::writing)?;
            write_at(disk, place.header, &encode_header(self, place, &entries)).map_err(Error::writing)?;
        }
        Ok(())
    }

    fn primary_place(&self, entries: u64) -> Place {
        Place { header: PRIMARY_LBA, other_header: self.disk_sectors - 1, entries }
    }

    fn backup_place(&self) -> Place {
        let header = self.disk_sectors - 1;
        Place { header, other_header: PRIMARY_LBA, entries: header - array_sectors(self.n_entries) }
    }
}

/// The order in which a replacement writes the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The primary's new entries lie where no valid entries lie now.
    PrimaryFirst { entries: u64 },
    /// The primary's entries must be overwritten where they are; the backup carries the table meanwhile.
    BackupFirst,
}

impl OnDisk {
    /// Exchanges the table for `new`, which describes the same partitions with other identities, labels or flags.
    ///
    /// The primary's new entries go to a second array between header and first partition; one write of one sector,
    /// the primary header, then switches to them. So the primary copy, the only one that Linux looks at unasked, is
    /// valid at every moment. Order: new entries, *durable*, primary header, *durable*, backup entries, *durable*,
    /// backup header, *durable*. A cut before the primary header leaves the old table, a cut after it the new one
    /// (with [`Health::BackupOutdated`] or [`Health::BackupBroken`] until the next replacement).
    ///
    /// Where another tool left no room for a second array the backup is written first, then the primary in place.
    ///
    /// # Errors
    /// When `new` changes more than identities, labels and flags, or the disk cannot be written.
    pub fn replace<D: Durable>(&self, disk: &mut D, new: Table) -> Result<OnDisk, Error> {
        if !new.has_geometry_of(&self.table) {
            return Err(Error::GeometryChanged { disk_guid: self.table.disk_guid });
        }
        let order = self.order();
        let primary = new.primary_place(match order {
            Order::PrimaryFirst { entries } => entries,
            Order::BackupFirst => self.place.entries,
        });
        let places = match order {
            Order::PrimaryFirst { .. } => [primary, new.backup_place()],
            Order::BackupFirst => [new.backup_place(), primary],
        };
        for place in places {
            write_copy(disk, &new, place).map_err(Error::writing)?;
        }
        Ok(OnDisk { table: new, health: Health::Sound, place: primary })
    }

    fn order(&self) -> Order {
        if let Health::PrimaryBroken(_) = self.health {
            return Order::PrimaryFirst { entries: FIRST_ARRAY_LBA };
        }
        let sectors = array_sectors(self.table.n_entries);
        let current = self.place.entries..self.place.entries + sectors;
        let is_free = |&first: &u64| {
            let end = first + sectors;
            (end <= current.start || first >= current.end) && end <= self.table.first_usable
        };
        match [FIRST_ARRAY_LBA, current.end].into_iter().find(is_free) {
            Some(entries) => Order::PrimaryFirst { entries },
            None => Order::BackupFirst,
        }
    }
}

fn write_copy<D: Durable>(disk: &mut D, table: &Table, place: Place) -> io::Result<()> {
    let entries = encode_entries(table);
    write_at(disk, place.entries, &entries)?;
    disk.make_durable()?;
    write_at(disk, place.header, &encode_header(table, place, &entries))?;
    disk.make_durable()
}

fn write_at<W: Write + Seek>(disk: &mut W, lba: u64, bytes: &[u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(lba * SECTOR_BYTES))?;
    disk.write_all(bytes)?;
    disk.flush()
}

/// One MBR partition over the whole disk that keeps old tools away (UEFI 2.10, section 5.2.3).
fn protective_mbr(disk_sectors: u64) -> [u8; SECTOR_BYTES as usize] {
    const GPT_PROTECTIVE: u8 = 0xee;
    let sectors = u32::try_from(disk_sectors - 1).unwrap_or(u32::MAX);
    let mut mbr = [0; SECTOR_BYTES as usize];
    mbr[446..454].copy_from_slice(&[0, 0, 2, 0, GPT_PROTECTIVE, 0xff, 0xff, 0xff]);
    mbr[454..458].copy_from_slice(&1u32.to_le_bytes());
    mbr[458..462].copy_from_slice(&sectors.to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    mbr
}
