//! Where everything lies in the file system, and the sectors that say so.

use super::{Error, Volume};
use crate::bytes::put;

pub(super) const SECTOR_BYTES: u64 = 512;
/// Sectors before the first allocation table; 32 is customary.
const RESERVED_SECTORS: u64 = 32;
const N_FATS: u64 = 2;
/// Tables are rounded up to this, so that clusters start at whole 4096-byte blocks.
const FAT_ALIGNMENT_SECTORS: u64 = 8;
const FIRST_CLUSTER: u64 = 2;
const ROOT_CLUSTER: u32 = 2;
const MEDIA_FIXED_DISK: u8 = 0xf8;

/// Sectors of the boot sector and of its copy; the info sector follows each.
pub(super) const BOOT_SECTORS: [u64; 2] = [0, 6];
/// Entry of the last cluster of a file.
pub(super) const END_OF_CHAIN: u32 = 0x0fff_ffff;

/// Smallest file system: a file system is FAT32 by having at least 65525 clusters (section 3.5), here of 512 bytes.
pub const MIN_BYTES: u64 = 34 << 20;
/// From this size on clusters have 4096 bytes, which flash storage likes.
const LARGE_BYTES: u64 = 272 << 20;
/// Largest file system: far below what cluster and sector numbers can count, far above any need.
pub const MAX_BYTES: u64 = 256 << 30;

/// Sizes of the parts of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    sectors: u64,
    cluster_sectors: u64,
    fat_sectors: u64,
    n_clusters: u64,
}

impl Geometry {
    pub(super) fn of(volume: &Volume) -> Result<Self, Error> {
        let size_bytes = volume.range.end.saturating_sub(volume.range.start);
        let whole = [volume.range.start, size_bytes].iter().all(|bytes| bytes.is_multiple_of(SECTOR_BYTES));
        if !whole || !(MIN_BYTES..=MAX_BYTES).contains(&size_bytes) {
            return Err(Error::Size { size_bytes });
        }
        let cluster_sectors = if size_bytes < LARGE_BYTES { 1 } else { 8 };
        Ok(Geometry::with_clusters(size_bytes / SECTOR_BYTES, cluster_sectors))
    }

    /// A table for more clusters than there can be, which costs at most a few sectors.
    fn with_clusters(sectors: u64, cluster_sectors: u64) -> Self {
        let most_clusters = (sectors - RESERVED_SECTORS) / cluster_sectors;
        let fat_sectors = ((most_clusters + FIRST_CLUSTER) * 4)
            .div_ceil(SECTOR_BYTES)
            .next_multiple_of(FAT_ALIGNMENT_SECTORS);
        let data_sectors = sectors - RESERVED_SECTORS - N_FATS * fat_sectors;
        Geometry { sectors, cluster_sectors, fat_sectors, n_clusters: data_sectors / cluster_sectors }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.sectors * SECTOR_BYTES
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.cluster_sectors * SECTOR_BYTES
    }

    /// One more than the last cluster's number.
    pub(super) fn end_cluster(&self) -> u64 {
        self.n_clusters + FIRST_CLUSTER
    }

    pub(super) fn fat_offsets(&self) -> [u64; N_FATS as usize] {
        [RESERVED_SECTORS, RESERVED_SECTORS + self.fat_sectors].map(|sector| sector * SECTOR_BYTES)
    }

    pub(super) fn cluster_offset(&self, cluster: u32) -> u64 {
        let first_sector = RESERVED_SECTORS + N_FATS * self.fat_sectors;
        first_sector * SECTOR_BYTES + (u64::from(cluster) - FIRST_CLUSTER) * self.cluster_bytes()
    }

    /// The boot sector with its parameter block (section 3). `hidden_sectors` lie before the file system.
    pub(super) fn boot_sector(&self, id: u32, label: [u8; 11], hidden_sectors: u32) -> [u8; 512] {
        let mut sector = [0; SECTOR_BYTES as usize];
        put(&mut sector, 0, *b"\xeb\x58\x90MSWIN4.1");
        put(&mut sector, 11, (SECTOR_BYTES as u16).to_le_bytes());
        sector[13] = self.cluster_sectors as u8;
        put(&mut sector, 14, (RESERVED_SECTORS as u16).to_le_bytes());
        sector[16] = N_FATS as u8;
        sector[21] = MEDIA_FIXED_DISK;
        put(&mut sector, 24, 63u16.to_le_bytes());
        put(&mut sector, 26, 255u16.to_le_bytes());
        put(&mut sector, 28, hidden_sectors.to_le_bytes());
        put(&mut sector, 32, (self.sectors as u32).to_le_bytes());
        put(&mut sector, 36, (self.fat_sectors as u32).to_le_bytes());
        put(&mut sector, 44, ROOT_CLUSTER.to_le_bytes());
        put(&mut sector, 48, (BOOT_SECTORS[0] as u16 + 1).to_le_bytes());
        put(&mut sector, 50, (BOOT_SECTORS[1] as u16).to_le_bytes());
        sector[64] = 0x80;
        sector[66] = 0x29;
        put(&mut sector, 67, id.to_le_bytes());
        put(&mut sector, 71, label);
        put(&mut sector, 82, *b"FAT32   ");
        put(&mut sector, 510, [0x55, 0xaa]);
        sector
    }

    /// The sector that counts free clusters (section 5), when the table has `n_used` entries.
    pub(super) fn info_sector(&self, n_used: u32) -> [u8; 512] {
        let n_free = (self.end_cluster() - u64::from(n_used)) as u32;
        let mut sector = [0; SECTOR_BYTES as usize];
        put(&mut sector, 0, *b"RRaA");
        put(&mut sector, 484, *b"rrAa");
        put(&mut sector, 488, n_free.to_le_bytes());
        put(&mut sector, 492, n_used.to_le_bytes());
        put(&mut sector, 510, [0x55, 0xaa]);
        sector
    }
}

/// The two entries before the first cluster's: the media type, and that the file system was closed properly.
pub(super) fn fat_start() -> Vec<u32> {
    vec![0x0fff_ff00 | u32::from(MEDIA_FIXED_DISK), 0x0fff_ffff]
}
