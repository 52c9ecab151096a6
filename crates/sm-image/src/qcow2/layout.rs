//! Where everything lies in an image: header, first-level table, data, second-level tables, reference counts.

use std::collections::BTreeMap;

use super::{CLUSTER, CLUSTER_BITS, CLUSTER_BYTES, Compression, SECTOR_BYTES};
use crate::bytes::put;

const L2_ENTRIES: u64 = CLUSTER_BYTES / 8;
const REFCOUNTS_PER_BLOCK: u64 = CLUSTER_BYTES / 2;
/// Reference counts have 2^4 bits.
const REFCOUNT_ORDER: u32 = 4;
const HEADER_LEN: u32 = 112;
/// Incompatible feature bit 3: the header names a compression type.
const FEATURE_COMPRESSION_TYPE: u64 = 1 << 3;
const COMPRESSION_ZSTD: u8 = 1;
/// The cluster has one reference and may be written in place.
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Bits of a compressed cluster's entry that hold its offset; the number of sectors follows.
const COMPRESSED_OFFSET_BITS: u32 = 62 - (CLUSTER_BITS - 8);

/// An image being laid out: data first, what describes it at the end.
pub(super) struct Layout {
    size_bytes: u64,
    compression: Compression,
    l1_clusters: u64,
    /// Second-level tables by their place in the first-level table.
    l2: BTreeMap<u64, Vec<u64>>,
    /// References to each cluster of the image so far.
    refcounts: Vec<u16>,
    /// Where the next data goes.
    end: u64,
}

impl Layout {
    pub(super) fn new(size_bytes: u64, compression: Compression) -> Self {
        let l1_clusters = (l1_entries(size_bytes) * 8).div_ceil(CLUSTER_BYTES);
        let n_reserved = 1 + l1_clusters;
        Layout {
            size_bytes,
            compression,
            l1_clusters,
            l2: BTreeMap::new(),
            refcounts: vec![1; n_reserved as usize],
            end: n_reserved * CLUSTER_BYTES,
        }
    }

    /// The offset at which cluster `number` of the disk is stored as it is.
    pub(super) fn place_plain(&mut self, number: u64) -> u64 {
        let offset = self.end.next_multiple_of(CLUSTER_BYTES);
        self.reference(offset, CLUSTER_BYTES);
        self.map(number, offset | COPIED);
        self.end = offset + CLUSTER_BYTES;
        offset
    }

    /// The offset at which cluster `number` of the disk is stored in `n_bytes` of compressed data.
    ///
    /// Compressed clusters follow each other without gaps. Their size is counted in sectors, so each also refers to the
    /// rest of its last sector.
    pub(super) fn place_compressed(&mut self, number: u64, n_bytes: u64) -> u64 {
        let offset = self.end;
        let first_sector = offset / SECTOR_BYTES;
        let more_sectors = (offset + n_bytes - 1) / SECTOR_BYTES - first_sector;
        self.reference(offset, (first_sector + more_sectors + 1) * SECTOR_BYTES - offset);
        self.map(number, COMPRESSED | more_sectors << COMPRESSED_OFFSET_BITS | offset);
        self.end = offset + n_bytes;
        offset
    }

    fn map(&mut self, number: u64, entry: u64) {
        let table = self.l2.entry(number / L2_ENTRIES).or_insert_with(|| vec![0; L2_ENTRIES as usize]);
        table[(number % L2_ENTRIES) as usize] = entry;
    }

    fn reference(&mut self, offset: u64, n_bytes: u64) {
        let clusters = (offset / CLUSTER_BYTES) as usize..=((offset + n_bytes - 1) / CLUSTER_BYTES) as usize;
        if self.refcounts.len() <= *clusters.end() {
            self.refcounts.resize(clusters.end() + 1, 0);
        }
        self.refcounts[clusters].iter_mut().for_each(|count| *count += 1);
    }

    /// Offset and bytes of everything but the data, and the image's size.
    pub(super) fn finish(mut self) -> (Vec<(u64, Vec<u8>)>, u64) {
        let mut parts = Vec::new();
        let mut l1 = vec![0; (self.l1_clusters * L2_ENTRIES) as usize];
        for (index, table) in std::mem::take(&mut self.l2) {
            let offset = self.append_cluster();
            l1[index as usize] = offset | COPIED;
            parts.push((offset, big_endian(&table)));
        }
        let (n_blocks, n_table_clusters) = self.refcount_clusters();
        let table_offset = self.append_clusters(n_table_clusters);
        let first_block = self.append_clusters(n_blocks);
        let blocks = (0..n_blocks).map(|i| first_block + i * CLUSTER_BYTES).collect::<Vec<_>>();
        parts.push((0, self.header(table_offset, n_table_clusters)));
        parts.push((CLUSTER_BYTES, big_endian(&l1)));
        parts.push((table_offset, padded(big_endian(&blocks), n_table_clusters)));
        let counts = self.refcounts.iter().flat_map(|count| count.to_be_bytes()).collect();
        parts.push((first_block, padded(counts, n_blocks)));
        (parts, self.end)
    }

    fn append_cluster(&mut self) -> u64 {
        self.append_clusters(1)
    }

    fn append_clusters(&mut self, n: u64) -> u64 {
        let offset = self.end.next_multiple_of(CLUSTER_BYTES);
        self.reference(offset, n * CLUSTER_BYTES);
        self.end = offset + n * CLUSTER_BYTES;
        offset
    }

    /// Clusters for reference counts and for the table of those, which are counted themselves.
    fn refcount_clusters(&self) -> (u64, u64) {
        let counted = self.end.div_ceil(CLUSTER_BYTES);
        let (mut n_blocks, mut n_table) = (1, 1);
        loop {
            let blocks = (counted + n_blocks + n_table).div_ceil(REFCOUNTS_PER_BLOCK);
            let table = (blocks * 8).div_ceil(CLUSTER_BYTES);
            if (blocks, table) == (n_blocks, n_table) {
                return (n_blocks, n_table);
            }
            (n_blocks, n_table) = (blocks, table);
        }
    }

    fn header(&self, refcount_table: u64, refcount_table_clusters: u64) -> Vec<u8> {
        let mut header = vec![0; CLUSTER];
        put(&mut header, 0, *b"QFI\xfb");
        put(&mut header, 4, 3u32.to_be_bytes());
        put(&mut header, 20, CLUSTER_BITS.to_be_bytes());
        put(&mut header, 24, self.size_bytes.to_be_bytes());
        put(&mut header, 36, (l1_entries(self.size_bytes) as u32).to_be_bytes());
        put(&mut header, 40, CLUSTER_BYTES.to_be_bytes());
        put(&mut header, 48, refcount_table.to_be_bytes());
        put(&mut header, 56, (refcount_table_clusters as u32).to_be_bytes());
        put(&mut header, 96, REFCOUNT_ORDER.to_be_bytes());
        put(&mut header, 100, HEADER_LEN.to_be_bytes());
        if let Compression::Zstd { .. } = self.compression {
            put(&mut header, 72, FEATURE_COMPRESSION_TYPE.to_be_bytes());
            header[104] = COMPRESSION_ZSTD;
        }
        header
    }
}

fn l1_entries(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(CLUSTER_BYTES * L2_ENTRIES)
}

fn big_endian(table: &[u64]) -> Vec<u8> {
    table.iter().flat_map(|entry| entry.to_be_bytes()).collect()
}

fn padded(mut bytes: Vec<u8>, n_clusters: u64) -> Vec<u8> {
    bytes.resize((n_clusters * CLUSTER_BYTES) as usize, 0);
    bytes
}
