//! The changelogs artifact: what packages' changelogs say survives the image that drops them.

use std::collections::BTreeMap;

use super::{Fixture, changelog, gzip};
use crate::release::{ReleaseDir, changelogs::Changelogs};

#[test]
fn entries_are_kept_by_source_package_newest_first() {
    let fixture = Fixture::new("4893.2.0");
    let directory = fixture.publish().unwrap().directory;
    let changelogs = ReleaseDir::open(&directory).unwrap().changelogs().unwrap();
    let entries = &changelogs.sources["bash"];
    let versions: Vec<_> = entries.iter().map(|entry| entry.version.as_str()).collect();
    assert_eq!(versions, ["5.2.37-2+deb13u1", "5.2.37-2"]);
    assert_eq!(entries[0].cves.iter().map(ToString::to_string).collect::<Vec<_>>(), ["CVE-2026-1234"]);
    assert_eq!(entries[0].text, "  * Fix CVE-2026-1234.");
    assert!(!changelogs.sources.contains_key("gcc-14"));
}

#[test]
fn long_texts_are_cut_at_a_line_and_old_entries_keep_only_their_ids() {
    let lines = "  * é fixes CVE-2026-9999 and more\n".repeat(1000);
    let long = format!("bash (9) x; urgency=low\n\n{lines}\n -- A <a@b>  now\n");
    let many: String = (0..60)
        .rev()
        .map(|n| changelog(&format!("1.{n}")).split("\n\nbash").next().unwrap().to_owned() + "\n\n")
        .collect();
    let lock = Fixture::new("4893.2.0").lock;
    let collect =
        |text: String| Changelogs::collect(&lock, &BTreeMap::from([("bash".parse().unwrap(), gzip(text))]));
    let cut = &collect(long).sources["bash"][0];
    assert!(cut.text.len() <= 8200 && cut.text.ends_with("more\n  [...]"), "{}", cut.text.len());
    assert_eq!(cut.cves.len(), 1);
    let old = &collect(many).sources["bash"];
    assert_eq!(old.len(), 40);
    assert!(old[12].text.is_empty() && old[12].cves.len() == 1 && !old[11].text.is_empty());
}

#[test]
fn hostile_frames_are_refused() {
    let bomb = zstd::encode_all(&*vec![b' '; 80 << 20], 1).unwrap();
    for bytes in [&b""[..], b"\x28\xb5\x2f\xfd", &bomb, &zstd::encode_all(&b"{}"[..], 1).unwrap()] {
        assert!(Changelogs::decode(bytes).is_err());
    }
    let later = zstd::encode_all(&br#"{"format": 2, "sources": {}}"#[..], 1).unwrap();
    assert!(Changelogs::decode(&later).is_err());
}

#[test]
fn a_changelog_that_does_not_unpack_is_as_good_as_none() {
    let lock = Fixture::new("4893.2.0").lock;
    let collected =
        Changelogs::collect(&lock, &BTreeMap::from([("bash".parse().unwrap(), b"not gzip".to_vec())]));
    assert!(collected.sources.is_empty());
    assert_eq!(Changelogs::decode(&collected.encode().unwrap()).unwrap(), collected);
}
