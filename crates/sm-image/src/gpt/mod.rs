//! GUID partition tables (UEFI 2.10, chapter 5.3) on disks with 512-byte sectors.
//!
//! [`Table`] is a value: partitions by number. [`Table::lay_out`] makes one for a new disk and [`Table::write_new`]
//! writes it; [`OnDisk::read`] checks what a disk holds and [`OnDisk::replace`] exchanges it so that a power cut at
//! any moment leaves the old table or the new one. Partitions are never moved or resized here.

mod error;
mod header;
pub mod kinds;
mod label;
mod layout;
mod read;
mod write;

use std::{collections::BTreeMap, ops::Range};

use crate::Guid;

pub use error::{Error, Flaw};
pub use label::{InvalidLabel, Label};
pub use layout::NewPartition;
pub use read::{Health, OnDisk};
pub use write::Durable;

/// Size of a sector: the unit of every address in a table.
pub const SECTOR_BYTES: u64 = 512;

/// Partitions start and end at multiples of this, which suits every flash page and RAID stripe in use.
pub const ALIGNMENT_BYTES: u64 = 1 << 20;

/// What a disk's partition table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    disk_guid: Guid,
    disk_sectors: u64,
    first_usable: u64,
    last_usable: u64,
    n_entries: u32,
    partitions: BTreeMap<u32, Partition>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for: see [`kinds`].
    pub kind: Guid,
    /// Its own identity, as in `/dev/disk/by-partuuid`.
    pub guid: Guid,
    /// Its name, as in `/dev/disk/by-partlabel`.
    pub label: Label,
    /// Flags.
    pub attributes: Attributes,
    first_lba: u64,
    last_lba: u64,
}

impl Partition {
    /// Where it lies on the disk, in bytes.
    pub fn byte_range(&self) -> Range<u64> {
        self.first_lba * SECTOR_BYTES..(self.last_lba + 1) * SECTOR_BYTES
    }

    /// How large it is, in bytes.
    pub fn size_bytes(&self) -> u64 {
        (self.last_lba - self.first_lba + 1) * SECTOR_BYTES
    }
}

/// Flags of a partition. Bits 48 to 63 belong to the partition's type (Discoverable Partitions Specification, flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub u64);

impl Attributes {
    /// Bit 60: to be mounted read-only.
    pub const READ_ONLY: Attributes = Attributes(1 << 60);
}

impl Table {
    /// Identity of the disk.
    pub fn disk_guid(&self) -> Guid {
        self.disk_guid
    }

    /// Size of the disk as the table knows it: up to and including the backup header.
    pub fn disk_bytes(&self) -> u64 {
        self.disk_sectors * SECTOR_BYTES
    }

    /// Partitions with their numbers (from 1), in numeric order.
    pub fn partitions(&self) -> impl Iterator<Item = (u32, &Partition)> {
        self.partitions.iter().map(|(&number, partition)| (number, partition))
    }

    /// The partition of that number (from 1).
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.get(&number)
    }

    /// The same table with another identity, label and flags for one partition.
    ///
    /// # Errors
    /// When there is no partition of that number, or another partition has that GUID already.
    pub fn relabelled(
        mut self,
        number: u32,
        guid: Guid,
        label: Label,
        attributes: Attributes,
    ) -> Result<Table, Error> {
        if let Some((twin, _)) = self.partitions().find(|(n, other)| *n != number && other.guid == guid) {
            return Err(Error::GuidTaken { guid, number: twin });
        }
        let partition = self.partitions.get_mut(&number).ok_or(Error::NoPartition { number })?;
        (partition.guid, partition.label, partition.attributes) = (guid, label, attributes);
        Ok(self)
    }

    /// Whether `other` places the same partitions at the same sectors of the same disk.
    fn has_geometry_of(&self, other: &Table) -> bool {
        let extents = |table: &Table| -> Vec<_> {
            table.partitions.iter().map(|(n, p)| (*n, p.kind, p.first_lba, p.last_lba)).collect()
        };
        let frame = |table: &Table| (table.disk_guid, table.disk_sectors, table.n_entries);
        frame(self) == frame(other) && extents(self) == extents(other)
    }
}

#[cfg(test)]
mod tests;
