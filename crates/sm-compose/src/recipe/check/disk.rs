//! Judges `[disk]`: sizes that a release can live in for years, and how /usr is compressed.

use super::{Checker, Section};
use crate::recipe::{
    place::At,
    raw::{Number, RawDisk, Text},
    types::Disk,
};

/// What mkfs.vfat needs for FAT32 with 512-byte sectors (65525 clusters), rounded up: firmware reads little else reliably.
const LEAST_ESP_MIB: u32 = 64;
/// Largest size of a partition that anyone needs here: stops a unit mistaken for another.
const MOST_MIB: u32 = 1 << 20;
/// The kernel's limit for physical clusters of EROFS (1 MiB); what one decompresses to needs no more either.
const MOST_CLUSTER_BYTES: u32 = 1 << 20;
/// Compressors of EROFS that the kernel can read.
const COMPRESSORS: [&str; 5] = ["lz4", "lz4hc", "lzma", "deflate", "zstd"];

impl Checker<'_> {
    pub(super) fn disk(&mut self, raw: &RawDisk) -> Disk {
        let section = Section::new("`[disk]`", raw.place, &raw.written);
        let disk = Disk {
            esp_mib: self.mib(&raw.esp_mib, section, "esp-mib", LEAST_ESP_MIB),
            usr_mib: self.mib(&raw.usr_mib, section, "usr-mib", 1),
            verity_mib: self.mib(&raw.verity_mib, section, "verity-mib", 1),
            root_mib: self.mib(&raw.root_mib, section, "root-mib", 16),
            compression: self.compression(&raw.compression),
            cluster_bytes: self.cluster(&raw.cluster_bytes),
            extent_bytes: self.extent(&raw.extent_bytes),
        };
        if let Some(verity) = &raw.verity_mib {
            self.refuse_small_verity(&disk, verity);
        }
        disk
    }

    fn mib(&mut self, raw: &Number, section: Section<'_>, key: &str, least: u32) -> u32 {
        let expected = format!("a size in MiB from {least} to {MOST_MIB}");
        let Some(size) = self.required(raw, section, key, &expected) else { return least };
        if !(least..=MOST_MIB).contains(&size.value) {
            self.problems.note(size.place, format!("`{key}` cannot be {}", size.value)).expected(expected);
        }
        size.value
    }

    /// One 32-byte hash for each 4096-byte block, and for each block of hashes: 1/127 of the data, and the superblock.
    fn refuse_small_verity(&mut self, disk: &Disk, verity: &At<u32>) {
        let least = disk.usr_mib.div_ceil(127) + 1;
        if verity.value < least {
            self.problems
                .note(
                    verity.place,
                    format!("a slot of {} MiB needs a larger tree than {} MiB", disk.usr_mib, verity.value),
                )
                .expected(format!("`verity-mib` of at least {least}"));
        }
    }

    /// `None`, or `none`, for an uncompressed file system.
    fn compression(&mut self, raw: &Text) -> Option<String> {
        let text = raw.as_ref()?;
        let (compressor, options) = text.value.split_once(',').unwrap_or((&text.value, ""));
        let clean = options.bytes().all(|b| b.is_ascii_alphanumeric() || b"=,".contains(&b));
        if text.value == "none" {
            return None;
        }
        if !COMPRESSORS.contains(&compressor) || !clean {
            self.problems
                .note(text.place, format!("`{}` is no compression of EROFS", text.value.escape_debug()))
                .expected("`none`, or a compressor with options: `lz4`, `zstd,level=3`");
        }
        Some(text.value.clone())
    }

    fn cluster(&mut self, raw: &Number) -> u32 {
        let Some(size) = raw else { return 65_536 };
        if !size.value.is_power_of_two() || !(4096..=MOST_CLUSTER_BYTES).contains(&size.value) {
            self.problems
                .note(size.place, format!("`cluster-bytes` cannot be {}", size.value))
                .expected("a power of two from 4096 to 1048576");
        }
        size.value
    }

    fn extent(&mut self, raw: &Number) -> Option<u32> {
        let size = raw.as_ref()?;
        if !size.value.is_multiple_of(4096) || !(4096..=MOST_CLUSTER_BYTES).contains(&size.value) {
            self.problems
                .note(size.place, format!("`extent-bytes` cannot be {}", size.value))
                .expected("a multiple of 4096 from 4096 to 1048576");
        }
        Some(size.value)
    }
}
