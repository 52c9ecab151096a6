//! Packages that are hostile or broken are refused, and say why; good ones unpack whole.

use std::io::{Read, Write};

use sm_host::progress::Silent;
use sm_model::{LockedPackage, Sha256};

use super::{deb::unpack_stream, *};
use crate::{recipe::Mode, tree::Node};

/// One member of a synthetic package.
pub(crate) struct Member {
    path: &'static [u8],
    kind: tar::EntryType,
    link: &'static [u8],
    content: Vec<u8>,
}

fn member(path: &'static str, kind: tar::EntryType) -> Member {
    Member { path: path.as_bytes(), kind, link: b"", content: Vec::new() }
}

pub(crate) fn file(path: &'static str, content: impl AsRef<[u8]>) -> Member {
    Member { content: content.as_ref().to_vec(), ..member(path, tar::EntryType::Regular) }
}

fn directory(path: &'static str) -> Member {
    member(path, tar::EntryType::Directory)
}

fn link(kind: tar::EntryType, path: &'static str, target: &'static str) -> Member {
    Member { link: target.as_bytes(), ..member(path, kind) }
}

/// A tar archive with names exactly as given, however hostile.
fn tar_of(members: &[Member]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        let raw = header.as_gnu_mut().unwrap();
        raw.name[..member.path.len()].copy_from_slice(member.path);
        raw.linkname[..member.link.len()].copy_from_slice(member.link);
        header.set_entry_type(member.kind);
        header.set_mode(0o640);
        header.set_uid(0);
        header.set_gid(42);
        header.set_size(member.content.len() as u64);
        header.set_cksum();
        archive.append(&header, &*member.content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn ar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        writeln!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100_644, content.len()).unwrap();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

fn deb_with(data_name: &str, data: &[u8]) -> Vec<u8> {
    ar_of(&[("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (data_name, data)])
}

fn deb_of(members: &[Member]) -> Vec<u8> {
    deb_with("data.tar", &tar_of(members))
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 6).read_to_end(&mut encoded).unwrap();
    encoded
}

fn unpacked(deb: &[u8], limits: Limits) -> Result<deb::Unpacked, UnpackError> {
    unpack_stream(deb, &"pkg".parse().unwrap(), &|path| !path.starts_with("/usr/share/doc/"), limits)
}

fn paths(deb: &[u8]) -> Vec<String> {
    unpacked(deb, Limits::DEFAULT).unwrap().entries.into_iter().map(|(path, _)| path).collect()
}

/// The whole chain of an error as one line.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn every_compression_of_the_data_member_gives_the_same_files() {
    let members = [directory("./"), directory("./usr/"), file("./usr/x", "content")];
    let tar = tar_of(&members);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    let debs = [
        deb_with("data.tar", &tar),
        deb_with("data.tar.gz", &gz.finish().unwrap()),
        deb_with("data.tar.xz", &xz(&tar)),
        deb_with("data.tar.zst", &zstd::encode_all(&*tar, 3).unwrap()),
    ];
    for deb in debs {
        let entries = unpacked(&deb, Limits::DEFAULT).unwrap().entries;
        assert_eq!(entries[1].0, "/usr/x");
        assert_eq!(entries[1].1.node, Node::File(b"content".to_vec().into()));
        assert_eq!(entries[1].1.mode, Mode { mode: 0o640, uid: 0, gid: 42 });
    }
}

#[test]
fn hard_links_share_their_content_and_symbolic_links_keep_their_target() {
    let deb = deb_of(&[
        file("./usr/a", "x"),
        link(tar::EntryType::Link, "./usr/b", "./usr/a"),
        link(tar::EntryType::Symlink, "./usr/c", "../etc/../../outside"),
    ]);
    let entries = unpacked(&deb, Limits::DEFAULT).unwrap().entries;
    let (Node::File(a), Node::File(b)) = (&entries[0].1.node, &entries[1].1.node) else {
        panic!("{entries:?}")
    };
    assert_eq!(a.identity(), b.identity());
    assert_eq!(entries[2].1.node, Node::Symlink("../etc/../../outside".to_owned()));
}

#[test]
fn unwanted_files_are_absent_and_the_changelog_is_kept_aside() {
    let deb = deb_of(&[
        directory("./usr/share/doc/pkg/"),
        file("./usr/share/doc/pkg/changelog.Debian.gz", "log"),
        file("./usr/share/doc/pkg/changelog.gz", "upstream's"),
        file("./usr/share/doc/other/changelog.Debian.gz", "not this package's"),
        file("./usr/x", ""),
    ]);
    let unpacked = unpacked(&deb, Limits::DEFAULT).unwrap();
    assert_eq!(unpacked.changelog.as_deref(), Some(&b"log"[..]));
    assert_eq!(unpacked.entries.len(), 1);
}

#[test]
fn paths_that_leave_the_image_are_refused() {
    for path in ["../etc/passwd", "./../x", "./usr/../../x", "/etc/passwd", "./usr/.."] {
        let error = unpacked(&deb_of(&[file(path, "x")]), Limits::DEFAULT).unwrap_err();
        assert!(matches!(error, UnpackError::Refused { .. }), "{path}: {error}");
    }
    let not_utf8 = Member { path: b"./usr/\xff", ..file("", "x") };
    assert!(unpacked(&deb_of(&[not_utf8]), Limits::DEFAULT).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn devices_pipes_and_strange_links_are_refused() {
    use tar::EntryType;
    for kind in [EntryType::Block, EntryType::Char, EntryType::Fifo, EntryType::Continuous] {
        let error = unpacked(&deb_of(&[member("./dev/x", kind)]), Limits::DEFAULT).unwrap_err();
        assert!(error.to_string().contains("special file"), "{error}");
    }
    for bad in [
        link(EntryType::Link, "./x", "./absent"),
        link(EntryType::Link, "./x", "/etc/passwd"),
        link(EntryType::Symlink, "./x", ""),
        link(EntryType::Symlink, "./x", "a\nb"),
    ] {
        assert!(matches!(unpacked(&deb_of(&[bad]), Limits::DEFAULT), Err(UnpackError::Refused { .. })));
    }
}

#[test]
fn a_bomb_stops_at_the_limit_even_inside_an_unwanted_file() {
    let limits = Limits { decoded_bytes: 1 << 20, ..Limits::DEFAULT };
    for path in ["./usr/x", "./usr/share/doc/x"] {
        let bomb = Member { content: vec![0; 4 << 20], ..file(path, "") };
        let deb = deb_with("data.tar.xz", &xz(&tar_of(&[bomb])));
        assert!(deb.len() < 10_000);
        let error = unpacked(&deb, limits).unwrap_err();
        assert!(words(&error).contains("more than is allowed"), "{}", words(&error));
    }
}

#[test]
fn a_dictionary_larger_than_the_limit_is_refused() {
    let limits = Limits { decoder_memory_bytes: 1 << 20, ..Limits::DEFAULT };
    let deb = deb_with("data.tar.xz", &xz(&tar_of(&[file("./usr/x", "x")])));
    assert!(matches!(unpacked(&deb, limits), Err(UnpackError::Data { .. })));
}

#[test]
fn endless_entries_stop_at_the_limit() {
    let many: Vec<Member> = (0..50).map(|_| directory("./usr/share/doc/d/")).collect();
    let limits = Limits { entries: 49, ..Limits::DEFAULT };
    assert!(unpacked(&deb_of(&many), limits).unwrap_err().to_string().contains("too many files"));
}

#[test]
fn a_header_that_claims_more_than_there_is_fails_without_reserving_it() {
    let mut tar = tar_of(&[file("./usr/x", "x")]);
    tar[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = tar[..512]
        .iter()
        .enumerate()
        .map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) })
        .sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(matches!(unpacked(&deb_with("data.tar", &tar), Limits::DEFAULT), Err(UnpackError::Data { .. })));
}

#[test]
fn cut_and_damaged_packages_are_refused_at_every_length() {
    let deb = deb_with("data.tar.xz", &xz(&tar_of(&[file("./usr/x", "content")])));
    for len in 0..deb.len() - 4 {
        assert!(unpacked(&deb[..len], Limits::DEFAULT).is_err(), "cut at {len}");
    }
}

#[test]
fn things_that_are_no_debian_package_say_what_was_expected() {
    let cases: [(Vec<u8>, &str); 5] = [
        (b"PK\x03\x04 something else entirely".to_vec(), "expected an `ar` archive"),
        (ar_of(&[("data.tar", b"")]), "debian-binary"),
        (ar_of(&[("debian-binary", b"3.0\n")]), "2.x"),
        (ar_of(&vec![("debian-binary", &b"2.0\n"[..]); 20]), "no member `data.tar`"),
        (ar_of(&[("debian-binary", b"2.0\n"), ("data.tar.lz", b"")]), "cannot read the archive's members"),
    ];
    for (bytes, expected) in cases {
        let error = unpacked(&bytes, Limits::DEFAULT).unwrap_err();
        assert!(words(&error).contains(expected), "{}", words(&error));
    }
}

/// Writes a package into a directory, and locks it.
pub(crate) fn package_file(dir: &std::path::Path, name: &str, members: &[Member]) -> PackageFile {
    let path = dir.join(format!("{name}.deb"));
    let bytes = deb_of(members);
    std::fs::write(&path, &bytes).unwrap();
    let package = LockedPackage {
        name: name.parse().unwrap(),
        version: "1".parse().unwrap(),
        arch: "all".to_owned(),
        source: name.to_owned(),
        suite: "trixie".to_owned(),
        path: String::new(),
        size_bytes: bytes.len() as u64,
        sha256: Sha256([0; 32]),
    };
    PackageFile { package, path }
}

#[test]
fn packages_merge_in_the_locks_order_and_dropped_directories_leave_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let packages = [
        package_file(
            dir.path(),
            "aa",
            &[directory("./usr/"), directory("./usr/share/man/man1/"), file("./usr/a", "a")],
        ),
        package_file(
            dir.path(),
            "bb",
            &[directory("./usr/"), file("./usr/share/man/man1/b.1", "b"), file("./usr/b", "b")],
        ),
    ];
    let rules = DropRules { paths: vec!["/usr/share/man/**".to_owned()], keep: Vec::new() };
    let tree = unpack_all(&packages, &rules, &Silent).unwrap().tree;
    let paths: Vec<&str> = tree.entries().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/usr", "/usr/a", "/usr/b"]);
    assert_eq!(tree.get("/usr").unwrap().origin.to_string(), "package `aa`");
}

#[test]
fn a_package_below_anothers_link_and_a_file_of_two_packages_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rules = DropRules { paths: Vec::new(), keep: Vec::new() };
    let escape = [
        package_file(dir.path(), "aa", &[link(tar::EntryType::Symlink, "./usr/lib", "/etc")]),
        package_file(dir.path(), "bb", &[file("./usr/lib/passwd", "x")]),
    ];
    assert!(words(&unpack_all(&escape, &rules, &Silent).unwrap_err()).contains("below `/usr/lib`"));
    let twice = [
        package_file(dir.path(), "cc", &[file("./usr/x", "1")]),
        package_file(dir.path(), "dd", &[file("./usr/x", "1")]),
    ];
    assert!(
        words(&unpack_all(&twice, &rules, &Silent).unwrap_err())
            .contains("from package `cc` and from package `dd`")
    );
}

#[test]
fn names_longer_than_the_header_are_read() {
    let mut archive = tar::Builder::new(Vec::new());
    let long = format!("usr/{}", "n".repeat(200));
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, &long, &b""[..]).unwrap();
    assert_eq!(paths(&deb_with("data.tar", &archive.into_inner().unwrap())), [format!("/{long}")]);
}
