//! Reading the table of a disk: the primary copy, or the backup where the primary is broken.

use std::io::{Read, Seek};

use super::{
    Error, Flaw, SECTOR_BYTES, Table,
    header::{PRIMARY_LBA, Place, read_copy},
};

/// A table as found on a disk. Only what was read can be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDisk {
    pub(super) table: Table,
    pub(super) health: Health,
    /// Where the copy that was used lies.
    pub(super) place: Place,
}

/// In what state the two copies were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Both copies are valid and agree.
    Sound,
    /// Both are valid but differ: a replacement was cut short after its moment of change. The primary was used.
    BackupOutdated,
    /// The primary was used, the backup is unusable.
    BackupBroken(Flaw),
    /// The backup was used, the primary is unusable. Linux does not see such a table by itself; firmware repairs it.
    PrimaryBroken(Flaw),
}

impl OnDisk {
    /// Reads and checks both copies of the table of a disk of `disk_bytes`.
    ///
    /// # Errors
    /// When neither copy is valid, or the disk cannot be read.
    pub fn read<R: Read + Seek>(disk: &mut R, disk_bytes: u64) -> Result<OnDisk, Error> {
        let disk_sectors = disk_bytes / SECTOR_BYTES;
        let primary = read_copy(disk, PRIMARY_LBA, disk_sectors).map_err(Error::reading)?;
        // A disk that has grown has its backup where the primary says; without a primary, only the end can be tried.
        let backup_lba = match &primary {
            Ok(copy) => copy.place.other_header,
            Err(_) => disk_sectors.saturating_sub(1),
        };
        let backup = read_copy(disk, backup_lba, disk_sectors).map_err(Error::reading)?;
        let (copy, health) = match (primary, backup) {
            (Ok(primary), Ok(backup)) if primary.table == backup.table => (primary, Health::Sound),
            (Ok(primary), Ok(_)) => (primary, Health::BackupOutdated),
            (Ok(primary), Err(flaw)) => (primary, Health::BackupBroken(flaw)),
            (Err(flaw), Ok(backup)) => (backup, Health::PrimaryBroken(flaw)),
            (Err(primary), Err(backup)) => return Err(Error::NoTable { primary, backup }),
        };
        Ok(OnDisk { table: copy.table, health, place: copy.place })
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// In what state its two copies were found.
    pub fn health(&self) -> &Health {
        &self.health
    }
}
