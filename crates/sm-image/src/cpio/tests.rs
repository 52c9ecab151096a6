//! Archives read back, have pinned bytes, and are refused when hostile.

use proptest::prelude::*;

use super::*;

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    entries.iter().try_for_each(|entry| writer.add(entry)).unwrap();
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    Reader::new(bytes, Limits::default()).collect()
}

fn entry(path: &str, permissions: u16, content: Content) -> Entry {
    Entry { path: path.to_owned(), permissions, content }
}

fn sample() -> Vec<Entry> {
    vec![
        entry("dev", 0o755, Content::Directory),
        entry("dev/console", 0o600, Content::CharacterDevice { major: 5, minor: 1 }),
        entry("init", 0o755, Content::File(b"#!/bin/sh\n".to_vec())),
        entry("sbin", 0o777, Content::Symlink("usr/bin".to_owned())),
    ]
}

/// `cpio --list --verbose` shows these members; the kernel boots from such archives.
#[test]
fn bytes_are_pinned() {
    let bytes = archive(&sample());
    let text = String::from_utf8(bytes.clone()).unwrap();
    let fields = "07070100000003000081ED00000000000000000000000100000000\
                  0000000A00000000000000000000000000000000000000050000000\
                  0init\0\0#!/bin/sh\n\0\0";
    assert!(text.contains(&fields.replace(' ', "")), "{text:?}");
    assert!(text.ends_with("TRAILER!!!\0\0\0\0"));
    assert_eq!((bytes.len(), crate::crc::crc32(&bytes)), (616, 0x1348_b045));
}

#[test]
fn what_was_written_reads_back() {
    assert_eq!(read(&archive(&sample())).unwrap(), sample());
}

#[test]
fn what_the_kernel_would_drop_is_refused() {
    let mut writer = Writer::new(Vec::new());
    assert!(matches!(writer.file("etc/passwd", 0o644, b""), Err(Error::NoParent(_))));
    writer.symlink("lib", "usr/lib").unwrap();
    assert!(matches!(writer.file("lib/x", 0o644, b""), Err(Error::NoParent(_))));
    writer.directory("etc", 0o755).unwrap();
    assert!(matches!(writer.directory("etc", 0o755), Err(Error::Twice(_))));
    for path in ["", "/etc", "etc/", "a//b", "./a", "etc/../x", "TRAILER!!!", "a\0b", &"x".repeat(4096)] {
        assert!(matches!(writer.file(path, 0o644, b""), Err(Error::Path(_))), "{path:?}");
    }
}

/// Replaces a header field (counted from 0) of the first member.
fn with_field(mut bytes: Vec<u8>, field: usize, digits: &[u8; 8]) -> Vec<u8> {
    bytes[6 + 8 * field..14 + 8 * field].copy_from_slice(digits);
    bytes
}

#[test]
fn hostile_archives_are_refused_by_name() {
    let good = archive(&[entry("init", 0o755, Content::File(b"x".to_vec()))]);
    let size_bomb = read(&with_field(good.clone(), 6, b"FFFFFFFF")).unwrap_err();
    assert!(matches!(size_bomb, Error::TooLarge { size_bytes: 0xffff_ffff, .. }), "{size_bomb}");
    let truncated_member = read(&with_field(good.clone(), 6, b"0FFFFFFF")).unwrap_err();
    assert!(truncated_member.to_string().ends_with("it ends inside a member"), "{truncated_member}");
    let cases = [
        (11, b"00000000", "path is empty or too long"),
        (11, b"00002000", "path is empty or too long"),
        (11, b"00000003", "path does not end with NUL"),
        (11, b"+0000005", "header field is not hexadecimal"),
        (1, b"0000C000", "member of unknown type"),
    ];
    for (field, digits, problem) in cases {
        let error = read(&with_field(good.clone(), field, digits)).unwrap_err();
        assert!(error.to_string().ends_with(problem), "{error}");
    }
    let escaping = archive(&[entry("ab-cd", 0o644, Content::Directory)]);
    let escaping = String::from_utf8(escaping).unwrap().replace("ab-cd", "../cd").into_bytes();
    assert!(matches!(read(&escaping), Err(Error::Path(_))));
    let cut = &good[..good.len() - 5];
    assert!(read(cut).unwrap_err().to_string().ends_with("it ends without a trailer"));
}

#[test]
fn endless_archives_end_at_the_limit() {
    let limits = Limits { max_entries: 3, ..Limits::default() };
    let error = Reader::new(&archive(&sample())[..], limits).collect::<Result<Vec<_>, _>>().unwrap_err();
    assert!(matches!(error, Error::TooManyEntries(3)), "{error}");
}

proptest! {
    #[test]
    fn any_file_reads_back(path in "[a-zA-Z0-9_+-]{1,40}", permissions in 0..=0o7777u16, bytes: Vec<u8>) {
        let entries = vec![entry(&path, permissions, Content::File(bytes))];
        prop_assert_eq!(read(&archive(&entries)).unwrap(), entries);
    }

    #[test]
    fn reading_survives_any_bytes(at: proptest::sample::Index, noise: [u8; 9]) {
        let mut bytes = archive(&sample());
        let at = at.index(bytes.len() - noise.len());
        bytes[at..at + noise.len()].copy_from_slice(&noise);
        let _ = read(&bytes);
    }
}
