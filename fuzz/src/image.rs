//! Seeds for everything that images, disks and payloads are made of.

use std::io::{self, Cursor};

use sm_image::{
    Guid, cpio,
    gpt::{Attributes, NewPartition, Table, kinds},
    payload::write::{Compression, SIGNATURE_LEN, Source, write},
    uki,
    verity::Superblock,
};
use sm_model::{Arch, Sha256};

/// Size that the disk of a `gpt` input claims to have.
pub const DISK_BYTES: u64 = 4 << 20;
/// What a `gpt` input holds: the primary header and its entries.
pub const GPT_BYTES: usize = 33 * 512;

pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("boot_entry", "fresh", b"boxcar_4900.0.1+3.efi".to_vec()),
        ("boot_entry", "tried", b"boxcar_4900.0.1+2-1.efi".to_vec()),
        ("cpio", "initrd", initrd()),
        ("erofs", "superblock", erofs()),
        ("erofs_inventory", "small", erofs_with_files()),
        ("gpt", "three", gpt()),
        ("payload", "small", payload()),
        ("uki", "image", kernel_image()),
        ("verity", "superblock", verity()),
    ]
}

fn initrd() -> Vec<u8> {
    let mut writer = cpio::Writer::new(Vec::new());
    writer.directory("dev", 0o755).expect("a new directory");
    writer.character_device("dev/console", 0o600, 5, 1).expect("its directory is there");
    writer.file("init", 0o755, b"#!/bin/sh\n").expect("a new file");
    writer.symlink("sbin", "usr/bin").expect("a new link");
    writer.finish().expect("memory does not fail")
}

/// A superblock without checksum, then the rest of its block.
fn erofs() -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[1024..1028].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
    image[1036] = 12;
    image[1060] = 1;
    image
}

/// The image that `sm-image`'s own tests read.
fn erofs_with_files() -> Vec<u8> {
    let packed = include_bytes!("../../crates/sm-image/src/erofs/inventory/tests/small.erofs.zst");
    zstd::bulk::decompress(packed, 1 << 20).expect("the fixture")
}

fn gpt() -> Vec<u8> {
    let partition = |kind, guid, label: &str| NewPartition {
        kind,
        guid: Guid::from_u128(guid),
        label: label.parse().expect("a short label"),
        attributes: Attributes::READ_ONLY,
        size_bytes: 1,
    };
    let partitions = [
        partition(kinds::usr(Arch::Amd64), 1, "boxcar_1.0.0"),
        partition(kinds::usr_verity(Arch::Amd64), 2, "boxcar_1.0.0_v"),
    ];
    let table = Table::lay_out(Guid::from_u128(3), DISK_BYTES, &partitions).expect("room for two");
    let mut disk = Cursor::new(vec![0; DISK_BYTES as usize]);
    table.write_new(&mut disk).expect("memory does not fail");
    disk.get_ref()[512..512 + GPT_BYTES].to_vec()
}

/// The digest, repeated: a signature that needs no key.
fn sign(digest: &Sha256) -> Result<[u8; SIGNATURE_LEN], io::Error> {
    let mut signature = [0; SIGNATURE_LEN];
    signature.chunks_exact_mut(32).for_each(|part| part.copy_from_slice(&digest.0));
    Ok(signature)
}

fn payload() -> Vec<u8> {
    let (partition, kernel) = ([7; 8192], [9; 100]);
    let mut out = Vec::new();
    write(
        Source { reader: &mut &partition[..], size_bytes: 8192 },
        Some(Source { reader: &mut &kernel[..], size_bytes: 100 }),
        Compression::Auto,
        &mut [&mut sign],
        &mut Cursor::new(Vec::new()),
        &mut out,
    )
    .expect("a whole number of blocks");
    out
}

fn kernel_image() -> Vec<u8> {
    let mut out = Vec::new();
    let parts = uki::Parts {
        stub: &crate::pe::stub(),
        linux: &crate::pe::kernel(),
        initrd: b"initrd",
        cmdline: &format!("usrhash={} rw", "ab".repeat(32)),
        os_release: "ID=boxcar\n",
        uname: "6.12.1",
    };
    uki::build(&parts, &mut out).expect("a usable stub");
    out
}

fn verity() -> Vec<u8> {
    let superblock = Superblock::new(4096 * 300, &[0xab; 32], Guid::from_u128(4)).expect("whole blocks");
    superblock.encode().to_vec()
}
