//! Placing partitions on a new disk, one after the other.

use std::collections::BTreeMap;

use super::{ALIGNMENT_BYTES, Attributes, Error, Label, Partition, SECTOR_BYTES, Table, header};
use crate::Guid;

/// A partition to be placed on a new disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartition {
    /// What it is for: see [`kinds`](super::kinds).
    pub kind: Guid,
    /// Its own identity.
    pub guid: Guid,
    /// Its name.
    pub label: Label,
    /// Flags.
    pub attributes: Attributes,
    /// Its size in bytes; rounded up to [`ALIGNMENT_BYTES`].
    pub size_bytes: u64,
}

impl Table {
    /// The smallest disk that holds `partitions`: one alignment unit before the first and one after the last.
    pub fn smallest_disk_bytes(partitions: &[NewPartition]) -> u64 {
        let units = partitions.iter().map(|partition| aligned(partition.size_bytes));
        units.fold(2 * ALIGNMENT_BYTES, u64::saturating_add)
    }

    /// Places `partitions` in order, numbered from 1, on a disk of `disk_bytes` (rounded down to whole alignment units).
    ///
    /// # Errors
    /// When they do not fit, are too many, or two of them have one GUID.
    pub fn lay_out(disk_guid: Guid, disk_bytes: u64, partitions: &[NewPartition]) -> Result<Table, Error> {
        let needed_bytes = Table::smallest_disk_bytes(partitions);
        let n_partitions = partitions.len();
        if n_partitions > header::N_ENTRIES as usize {
            return Err(Error::TooManyPartitions { n_partitions, max: header::N_ENTRIES });
        }
        if needed_bytes > disk_bytes {
            return Err(Error::DiskTooSmall { n_partitions, needed_bytes, disk_bytes });
        }
        let disk_sectors = disk_bytes / ALIGNMENT_BYTES * (ALIGNMENT_BYTES / SECTOR_BYTES);
        let mut table = Table {
            disk_guid,
            disk_sectors,
            first_usable: ALIGNMENT_BYTES / SECTOR_BYTES,
            last_usable: disk_sectors - 2 - header::array_sectors(header::N_ENTRIES),
            n_entries: header::N_ENTRIES,
            partitions: BTreeMap::new(),
        };
        for (number, partition) in (1..).zip(partitions) {
            table.append(number, partition)?;
        }
        Ok(table)
    }

    fn append(&mut self, number: u32, new: &NewPartition) -> Result<(), Error> {
        if let Some((twin, _)) = self.partitions().find(|(_, other)| other.guid == new.guid) {
            return Err(Error::GuidTaken { guid: new.guid, number: twin });
        }
        let first_lba = self.partitions.values().map(|p| p.last_lba + 1).max().unwrap_or(self.first_usable);
        let last_lba = first_lba + aligned(new.size_bytes) / SECTOR_BYTES - 1;
        let NewPartition { kind, guid, attributes, .. } = *new;
        let label = new.label.clone();
        self.partitions.insert(number, Partition { kind, guid, label, attributes, first_lba, last_lba });
        Ok(())
    }
}

/// Rounded up to the alignment; an empty partition still takes one unit.
fn aligned(size_bytes: u64) -> u64 {
    size_bytes.max(1).checked_next_multiple_of(ALIGNMENT_BYTES).unwrap_or(u64::MAX)
}
