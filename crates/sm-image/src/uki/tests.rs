//! Images built from small made-up stubs and kernels read back, and hostile ones are refused.

use std::io::Cursor;

use proptest::prelude::*;
use sm_model::Arch;

use super::{pe::Checksum, *};
use crate::{bytes::put, crc::crc32};

const SBAT: &[u8] =
    b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\nsystemd-stub,1,x\n\0";
const USRHASH: &str = "dd2661f29736b994bb4d44940a72e328d0b56887df8761a1274e7d51cc525eed";

/// A PE file with headers of 512 bytes, two data directories short of full, and sections one page apart.
fn pe(machine: u16, sections: &[(&[u8; 8], &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 512];
    put(&mut file, 0, *b"MZ");
    put(&mut file, 60, 64u32.to_le_bytes());
    put(&mut file, 64, *b"PE\0\0");
    put(&mut file, 68, machine.to_le_bytes());
    put(&mut file, 70, (sections.len() as u16).to_le_bytes());
    put(&mut file, 84, 152u16.to_le_bytes());
    put(&mut file, 88, 0x20bu16.to_le_bytes());
    put(&mut file, 88 + 32, 4096u32.to_le_bytes());
    put(&mut file, 88 + 36, 512u32.to_le_bytes());
    put(&mut file, 88 + 56, (4096 * (sections.len() as u32 + 1)).to_le_bytes());
    put(&mut file, 88 + 60, 512u32.to_le_bytes());
    for (i, (name, content)) in sections.iter().enumerate() {
        let entry = 240 + 40 * i;
        put(&mut file, entry, **name);
        put(&mut file, entry + 8, (content.len() as u32).to_le_bytes());
        put(&mut file, entry + 12, (4096 * (i as u32 + 1)).to_le_bytes());
        put(&mut file, entry + 16, (content.len() as u32).next_multiple_of(512).to_le_bytes());
        let raw_offset = file.len() as u32;
        put(&mut file, entry + 20, raw_offset.to_le_bytes());
        file.extend_from_slice(content);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file
}

fn stub() -> Vec<u8> {
    pe(0x8664, &[(b".text\0\0\0", &[0x90; 700]), (b".sbat\0\0\0", SBAT)])
}

fn kernel() -> Vec<u8> {
    pe(0x8664, &[(b".text\0\0\0", &[0xcc; 5000]), (b".sbat\0\0\0", b"sbat,1,x\nlinux,1,y\n")])
}

fn cmdline() -> String {
    format!("usrhash={USRHASH} rw console=ttyS0,115200")
}

fn image() -> Vec<u8> {
    built(&stub(), &kernel(), &cmdline()).unwrap()
}

fn built(stub: &[u8], linux: &[u8], cmdline: &str) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let os_release = "ID=boxcar\nIMAGE_VERSION=\"4900.0.1\"\n";
    let parts = Parts { stub, linux, initrd: b"initrd", cmdline, os_release, uname: "6.12.1" };
    let len = build(&parts, &mut out)?;
    assert_eq!(len, out.len() as u64);
    Ok(out)
}

fn read(file: &[u8]) -> Result<Image, Error> {
    Image::read(&mut Cursor::new(file))
}

fn content<'a>(file: &'a [u8], image: &Image, name: &str) -> &'a [u8] {
    let range = image.section(name).unwrap().bytes.clone();
    &file[range.start as usize..range.end as usize]
}

#[test]
fn what_was_built_reads_back() {
    let file = image();
    let image = read(&file).unwrap();
    assert_eq!((image.arch(), image.cmdline(), image.uname()), (Arch::Amd64, &*cmdline(), "6.12.1"));
    assert_eq!(image.usrhash().unwrap().to_string(), USRHASH);
    assert_eq!(
        (image.os_release("ID"), image.os_release("IMAGE_VERSION")),
        (Some("boxcar"), Some("4900.0.1"))
    );
    assert_eq!(image.os_release("VERSION"), None);
    assert_eq!(content(&file, &image, ".initrd"), b"initrd");
    assert_eq!(content(&file, &image, ".linux"), kernel());
    assert_eq!(content(&file, &image, ".text"), [0x90; 700]);
}

#[test]
fn sections_follow_each_other_in_memory_without_overlap() {
    let file = image();
    let headers = pe::Headers::read(&mut Cursor::new(&file)).unwrap().unwrap();
    let names: Vec<_> = headers.sections.iter().map(pe::SectionHeader::name).collect();
    assert_eq!(names, [".text", ".sbat", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"]);
    for pair in headers.sections.windows(2) {
        assert!(pair[0].address_end() <= u64::from(pair[1].address));
        assert_eq!(pair[1].address % headers.section_alignment(), 0);
        assert_eq!(pair[1].raw_offset % headers.file_alignment(), 0);
    }
    let last = headers.sections.last().unwrap();
    assert_eq!(u64::from(headers.image_bytes()), last.address_end().next_multiple_of(4096));
    assert_eq!(last.virtual_bytes, 3 * 4096, "room for the kernel as its own headers ask");
}

#[test]
fn revocation_data_of_stub_and_kernel_are_merged() {
    let file = image();
    let image = read(&file).unwrap();
    let sbat = String::from_utf8(content(&file, &image, ".sbat").to_vec()).unwrap();
    let components: Vec<_> =
        sbat.lines().filter_map(|line| line.split_once(',').map(|(name, _)| name)).collect();
    assert_eq!(components, ["sbat", "systemd-stub", "linux", "uki"]);
    assert!(sbat.ends_with("\n\0"));
}

/// Changing these bytes changes every kernel image.
#[test]
fn bytes_are_pinned() {
    let file = image();
    assert_eq!((file.len(), crc32(&file)), (10_752, 0xe95b_465b));
}

/// A file's checksum field makes the sum over the whole file come out even again.
#[test]
fn the_checksum_is_right_for_odd_sections_too() {
    let mut file = image();
    let stored = u32::from_le_bytes(file[88 + 64..88 + 68].try_into().unwrap());
    file[88 + 64..88 + 68].fill(0);
    let mut whole = Checksum::default();
    whole.add(&file);
    assert_eq!(whole.finish(), stored);
}

#[test]
fn other_texts_change_nothing_else() {
    let old = image();
    let same = reword(&old, &cmdline(), "ID=boxcar\nIMAGE_VERSION=\"4900.0.1\"\n").unwrap();
    assert_eq!(crc32(&same), crc32(&old));
    let longer = format!("{} {}", cmdline(), "x".repeat(600));
    let new = reword(&old, &longer, "ID=boxcar\nIMAGE_VERSION=4900.0.2\n").unwrap();
    let image = read(&new).unwrap();
    assert_eq!((image.cmdline(), image.os_release("IMAGE_VERSION")), (&*longer, Some("4900.0.2")));
    for name in [".text", ".sbat", ".uname", ".initrd", ".linux"] {
        assert_eq!(content(&new, &image, name), content(&old, &read(&old).unwrap(), name), "{name}");
    }
}

#[test]
fn texts_without_room_and_signed_images_are_refused() {
    let refused = reword(&image(), &"x".repeat(4097), "ID=boxcar").unwrap_err();
    assert!(matches!(refused, Error::NoRoom("a longer text")), "{refused}");
    let mut signed = image();
    put(&mut signed, 88 + 144, 1u64.to_le_bytes());
    assert!(matches!(reword(&signed, "rw", "ID=boxcar"), Err(Error::UnsuitableStub(_))));
    assert!(matches!(reword(&stub(), "rw", "ID=boxcar"), Err(Error::NoSection(".cmdline"))));
    assert!(matches!(reword(&image(), "", "ID=boxcar"), Err(Error::Text { section: ".cmdline", .. })));
}

proptest! {
    #[test]
    fn rewording_survives_any_bytes(at in 0..600usize, noise: [u8; 6]) {
        let mut file = image();
        file[at..at + noise.len()].copy_from_slice(&noise);
        let _ = reword(&file, "rw", "ID=boxcar");
    }

    #[test]
    fn checksums_do_not_depend_on_where_parts_end(bytes: Vec<u8>, cut: proptest::sample::Index) {
        let cut = if bytes.is_empty() { 0 } else { cut.index(bytes.len()) };
        let (mut whole, mut parts) = (Checksum::default(), Checksum::default());
        whole.add(&bytes);
        parts.add(&bytes[..cut]);
        parts.add(&bytes[cut..]);
        prop_assert_eq!(whole.finish(), parts.finish());
    }

    #[test]
    fn reading_survives_any_bytes(at in 0..600usize, noise: [u8; 6]) {
        let mut file = image();
        file[at..at + noise.len()].copy_from_slice(&noise);
        let _ = read(&file).map(|image| image.usrhash().map(|hash| hash.to_string()));
        let _ = built(&file, &kernel(), "x");
    }

    #[test]
    fn building_survives_any_stub(at in 0..400usize, noise: [u8; 6]) {
        let mut stub = stub();
        stub[at..at + noise.len()].copy_from_slice(&noise);
        let _ = built(&stub, &kernel(), "x");
    }
}

#[test]
fn parts_for_different_machines_are_refused() {
    let arm = pe(0xaa64, &[(b".text\0\0\0", &[0; 8])]);
    let error = built(&stub(), &arm, "x").unwrap_err();
    assert_eq!(error.to_string(), "the stub is for amd64, the kernel for arm64");
}

#[test]
fn unsuitable_stubs_are_refused() {
    let mut signed = stub();
    put(&mut signed, 88 + 144, 1u64.to_le_bytes());
    let without_sbat = pe(0x8664, &[(b".text\0\0\0", &[0; 8])]);
    let with_os_release = pe(0x8664, &[(b".sbat\0\0\0", SBAT), (b".osrel\0\0", b"ID=other")]);
    for stub in [signed, without_sbat, with_os_release, image()] {
        assert!(matches!(built(&stub, &kernel(), "x"), Err(Error::UnsuitableStub(_))));
    }
    assert!(matches!(built(b"", &kernel(), "x"), Err(Error::Malformed { what: "stub", .. })));
    assert!(matches!(built(&stub(), b"bzImage", "x"), Err(Error::Malformed { what: "kernel", .. })));
}

#[test]
fn headers_that_would_run_into_the_first_section_are_refused() {
    let mut stub = stub();
    put(&mut stub, 240 + 12, 512u32.to_le_bytes());
    assert!(matches!(built(&stub, &kernel(), "x"), Err(Error::NoRoom(_))));
}

#[test]
fn texts_that_would_be_misread_are_refused() {
    let long = "x".repeat(image::MAX_TEXT_BYTES as usize + 1);
    for cmdline in ["", "quiet\nrw", "quiet\0rw", &long] {
        let error = built(&stub(), &kernel(), cmdline).unwrap_err();
        assert!(matches!(error, Error::Text { section: ".cmdline", .. }), "{error}");
    }
}

#[test]
fn command_lines_need_exactly_one_root_hash() {
    let twice = format!("usrhash={USRHASH} usrhash={USRHASH}");
    let doubtful = format!("usrhash={USRHASH} usrhash=");
    for cmdline in ["rw quiet", "usrhash=12", &twice, &doubtful] {
        let file = built(&stub(), &kernel(), cmdline).unwrap();
        assert!(matches!(read(&file).unwrap().usrhash(), Err(Error::UsrHash)), "{cmdline}");
    }
}

#[test]
fn hostile_images_are_refused_by_name() {
    let cmdline = 240 + 40 * 3;
    let cases: [(usize, &[u8], &str); 9] = [
        (0, b"ZM", "no MZ and PE signatures"),
        (60, &[0xff; 4], "it ends inside its headers"),
        (68, &[0x4c, 0x01], "machine type 0x014c: expected 0x8664 or 0xaa64"),
        (70, &[0xff, 0xff], "65535 sections and 0 bytes of headers: expected at most 96 and 65536"),
        (88, &[0x0b, 0x01], "optional header of 152 bytes with magic 0x10b: expected PE32+"),
        (
            88 + 36,
            &[3, 0, 0, 0],
            "sections aligned to 4096 in memory and 3 in the file: expected powers of two up to 64 KiB",
        ),
        (88 + 60, &[0xff; 4], "7 sections and 4294967295 bytes of headers: expected at most 96 and 65536"),
        (cmdline + 20, &[0xff; 4], "section `.cmdline` lies outside the file or the address space"),
        (cmdline + 12, &[0xff; 4], "section `.cmdline` lies outside the file or the address space"),
    ];
    for (at, value, expected) in cases {
        let mut file = image();
        file[at..at + value.len()].copy_from_slice(value);
        let Err(Error::Malformed { source, .. }) = read(&file) else { panic!("{expected}") };
        assert_eq!(source.to_string(), expected);
    }
    for name in [".linux", ".initrd", ".cmdline", ".osrel", ".uname"] {
        let mut file = image();
        let at = file.windows(name.len()).position(|bytes| bytes == name.as_bytes()).unwrap();
        file[at] = b'_';
        assert!(matches!(read(&file), Err(Error::NoSection(missing)) if missing == name));
    }
}
