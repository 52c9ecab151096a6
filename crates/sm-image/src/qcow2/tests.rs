//! Images are read back by a reader that shares nothing with the writer, and their reference counts recounted.
#![expect(clippy::single_range_in_vec_init, reason = "extents are ranges, and one may be all there is")]

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::crc::crc32;

const ZSTD: Compression = Compression::Zstd { level: 3 };

fn image_of(disk: &[u8], extents: &[Range<u64>], compression: Compression) -> Vec<u8> {
    let mut image = Cursor::new(Vec::new());
    let end = write(&mut Cursor::new(disk), disk.len() as u64, extents, compression, &mut image).unwrap();
    assert_eq!(end, image.get_ref().len() as u64);
    image.into_inner()
}

fn whole(disk: &[u8]) -> [Range<u64>; 1] {
    [0..disk.len() as u64]
}

fn be64(bytes: &[u8], at: u64) -> u64 {
    u64::from_be_bytes(bytes[at as usize..at as usize + 8].try_into().unwrap())
}

/// Reads an image by the format's description: the disk, and how often each cluster of the image is used.
struct Reader<'a> {
    image: &'a [u8],
    uses: Vec<u16>,
}

impl Reader<'_> {
    const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

    fn disk(&mut self) -> Vec<u8> {
        let image = self.image;
        assert_eq!(&image[..8], b"QFI\xfb\0\0\0\x03");
        let (size, l1_table) = (be64(image, 24), be64(image, 40));
        let n_l1 = be64(image, 32) & 0xffff_ffff;
        self.uses(0, 1);
        self.uses(l1_table, n_l1 * 8);
        let mut disk = vec![0; size.next_multiple_of(CLUSTER_BYTES) as usize];
        for i in 0..n_l1 {
            let l2_table = be64(image, l1_table + i * 8) & Self::OFFSET;
            if l2_table == 0 {
                continue;
            }
            self.uses(l2_table, CLUSTER_BYTES);
            for j in 0..8192 {
                let entry = be64(image, l2_table + j * 8);
                if entry != 0 {
                    let at = ((i * 8192 + j) * CLUSTER_BYTES) as usize;
                    disk[at..at + CLUSTER].copy_from_slice(&self.cluster(entry));
                }
            }
        }
        disk.truncate(size as usize);
        disk
    }

    fn cluster(&mut self, entry: u64) -> Vec<u8> {
        if entry >> 62 & 1 == 0 {
            self.uses(entry & Self::OFFSET, CLUSTER_BYTES);
            let offset = (entry & Self::OFFSET) as usize;
            return self.image[offset..offset + CLUSTER].to_vec();
        }
        let offset = entry & ((1 << 54) - 1);
        let sectors = (entry >> 54 & 0xff) + 1;
        let end = (offset / 512 + sectors) * 512;
        self.uses(offset, end - offset);
        // What follows the frame in its last sector belongs to the next cluster.
        let frame = &self.image[offset as usize..end.min(self.image.len() as u64) as usize];
        let len = zstd::zstd_safe::find_frame_compressed_size(frame).unwrap();
        zstd::bulk::decompress(&frame[..len], CLUSTER).unwrap()
    }

    fn uses(&mut self, offset: u64, n_bytes: u64) {
        let range = (offset / CLUSTER_BYTES) as usize..=((offset + n_bytes - 1) / CLUSTER_BYTES) as usize;
        self.uses[range].iter_mut().for_each(|uses| *uses += 1);
    }

    /// Checks the image's own counts, and that it ends with its last cluster.
    fn check_refcounts(mut self) {
        let table = be64(self.image, 48);
        let table_clusters = be64(self.image, 56) >> 32;
        self.uses(table, table_clusters * CLUSTER_BYTES);
        let blocks: Vec<_> =
            (0..table_clusters * 8192).map(|i| be64(self.image, table + i * 8)).filter(|&b| b != 0).collect();
        blocks.iter().for_each(|&block| self.uses(block, CLUSTER_BYTES));
        let count = |cluster: usize| {
            let at = blocks[cluster / 32768] as usize + cluster % 32768 * 2;
            u16::from_be_bytes([self.image[at], self.image[at + 1]])
        };
        let counted: Vec<_> = (0..self.uses.len()).map(count).collect();
        assert_eq!(counted, self.uses);
        assert_eq!(self.image.len() % CLUSTER, 0);
    }
}

fn read_back(image: &[u8]) -> Vec<u8> {
    let mut reader = Reader { image, uses: vec![0; image.len().div_ceil(CLUSTER)] };
    let disk = reader.disk();
    reader.check_refcounts();
    disk
}

/// Zeros, compressible and incompressible clusters, and a part of one at the end.
fn sample() -> Vec<u8> {
    let mut disk = vec![0; 5 * CLUSTER + 512];
    disk[CLUSTER..2 * CLUSTER].fill(0x5a);
    let mut state = 1u32;
    for byte in &mut disk[2 * CLUSTER..3 * CLUSTER] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    disk[3 * CLUSTER + 7] = 1;
    disk[5 * CLUSTER + 511] = 2;
    disk
}

#[test]
fn disks_read_back() {
    let disk = sample();
    for compression in [Compression::None, ZSTD] {
        assert!(read_back(&image_of(&disk, &whole(&disk), compression)) == disk, "{compression:?}");
    }
}

/// Changing these bytes changes every image: `qemu-img check` and `compare` accepted them.
#[test]
fn bytes_are_pinned() {
    let image = image_of(&sample(), &whole(&sample()), Compression::None);
    assert_eq!((image.len(), crc32(&image)), (9 * CLUSTER, 0x43ba_6b67));
}

#[test]
fn zeros_take_no_room() {
    let empty = vec![0; 40 * CLUSTER];
    // Header, first-level table, table and block of reference counts.
    assert_eq!(image_of(&empty, &whole(&empty), Compression::None).len(), 4 * CLUSTER);
    assert_eq!(image_of(&empty, &[], ZSTD).len(), 4 * CLUSTER);
}

#[test]
fn only_extents_are_read() {
    let disk = sample();
    let mut expected = disk.clone();
    expected[2 * CLUSTER..3 * CLUSTER].fill(0);
    let extents =
        [10..CLUSTER_BYTES + 5, CLUSTER_BYTES + 9..2 * CLUSTER_BYTES, 3 * CLUSTER_BYTES..disk.len() as u64];
    assert!(read_back(&image_of(&disk, &extents, Compression::None)) == expected);
}

#[test]
fn large_disks_need_several_tables() {
    /// Reads as zeros but for one byte at the very end.
    struct Sparse {
        position: u64,
    }
    const SIZE: u64 = 3 << 30;
    impl Read for Sparse {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(0);
            self.position += buffer.len() as u64;
            if self.position == SIZE {
                buffer[buffer.len() - 1] = 9;
            }
            Ok(buffer.len())
        }
    }
    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let SeekFrom::Start(position) = to else { return Err(io::ErrorKind::Unsupported.into()) };
            self.position = position;
            Ok(position)
        }
    }
    let mut image = Cursor::new(Vec::new());
    let extents = [0..CLUSTER_BYTES, SIZE - CLUSTER_BYTES..SIZE];
    write(&mut Sparse { position: 0 }, SIZE, &extents, ZSTD, &mut image).unwrap();
    let image = image.into_inner();
    let entry = be64(&image, CLUSTER_BYTES + 5 * 8);
    assert_ne!(entry, 0, "the sixth second-level table maps the last half gibibyte");
    assert_eq!((0..5).map(|i| be64(&image, CLUSTER_BYTES + i * 8)).sum::<u64>(), 0);
}

#[test]
fn impossible_sizes_and_extents_are_refused() {
    let refused = |size, extents: &[Range<u64>]| {
        write(&mut Cursor::new(vec![0; 2048]), size, extents, ZSTD, &mut Cursor::new(Vec::new())).unwrap_err()
    };
    for size in [0, 511, 513, MAX_DISK_BYTES + 512] {
        assert!(matches!(refused(size, &[]), Error::Size { .. }), "{size}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a hostile extent")]
    for extents in [vec![0..2049], vec![100..200, 199..300], vec![9..5]] {
        assert!(matches!(refused(2048, &extents), Error::Extent { .. }), "{extents:?}");
    }
    assert!(matches!(refused(4096, &[0..4096]), Error::Io { .. }), "a disk shorter than said");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_disk_reads_back(
        n_sectors in 1..2000usize,
        spots in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u64>(), 1..70_000usize), 0..6),
        compress: bool,
    ) {
        let mut disk = vec![0u8; n_sectors * 512];
        for (at, seed, len) in spots {
            let at = at.index(disk.len());
            let end = (at + len).min(disk.len());
            let noise = (0u64..).map(|i| (seed.wrapping_mul(i | 1) >> 40) as u8);
            disk[at..end].iter_mut().zip(noise).for_each(|(byte, noise)| *byte = noise);
        }
        let compression = if compress { ZSTD } else { Compression::None };
        prop_assert!(read_back(&image_of(&disk, &whole(&disk), compression)) == disk);
    }
}
