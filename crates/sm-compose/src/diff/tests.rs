//! Two made-up releases and everything that differs between them.

use super::Diff;
use crate::{
    release::{
        ReleaseDir,
        tests::{Fixture, changelog, gzip, locked, plan},
    },
    tree::{Entry, Origin},
};

fn diff() -> Diff {
    let old = Fixture::new("4893.2.0");
    let mut new = Fixture::new("4893.2.0");
    new.plan = plan("4900.2.0");
    new.lock.packages = vec![
        locked("bash", "5.2.37-2+deb13u2", "bash"),
        locked("libstdc++6", "14.1.0-1", "gcc-14"),
        locked(
            "linux-image-6.12.60+deb13-cloud-amd64-unsigned-with-a-long-name",
            "6.12.60-1+a.very.long.version",
            "linux",
        ),
    ];
    new.image.changelogs = [("bash".parse().unwrap(), gzip(changelog("5.2.37-2+deb13u2")))].into();
    new.image.kernel = "6.12.60+deb13-cloud-amd64".into();
    new.image.kernel_config = b"CONFIG_EROFS_FS=y\n".to_vec();
    let recipe = |content: &str| Entry::file(content, Origin::Recipe);
    new.image.tree.put("/usr/lib/new", recipe(&"x".repeat(3000))).unwrap();
    new.image.tree.put("/usr/lib/os-release", recipe("ID=boxcar\nVERSION=2\n")).unwrap();
    new.image.tree.take("/usr/lib/libstdc++.so.6");
    let [old, new] = [old.publish().unwrap(), new.publish().unwrap()].map(|one| one.directory);
    Diff::between(&ReleaseDir::open(&old).unwrap(), &ReleaseDir::open(&new).unwrap(), 10).unwrap()
}

#[test]
fn text_and_json_tell_the_same() {
    let told = diff().to_string();
    for line in told.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert_eq!(told, TOLD);
    let json = serde_json::to_value(diff()).unwrap();
    assert_eq!(json["packages"][0]["name"], "bash");
    assert_eq!(json["packages"][0]["kind"], "upgraded");
    assert_eq!(json["sources"][0]["cves"][0], "CVE-2026-1234");
    assert_eq!(json["files"]["added"][0]["new_bytes"], 3000);
}

#[test]
fn a_release_does_not_differ_from_itself() {
    let fixture = Fixture::new("4893.2.0");
    let release = ReleaseDir::open(&fixture.publish().unwrap().directory).unwrap();
    let same = Diff::between(&release, &release, 10).unwrap();
    assert!(same.packages.is_empty() && same.sources.is_empty() && same.kernel_config.is_empty());
    assert_eq!((same.files.n_added, same.files.n_removed, same.files.n_changed), (0, 0, 0));
}

const TOLD: &str = "\
boxcar stable amd64-usr: 4893.2.0 → 4900.2.0

Packages: 1 added, 1 removed, 1 upgraded, 1 downgraded, 0 rebuilt
  ↑ bash                      5.2.37-2+deb13u1 → 5.2.37-2+deb13u2
  ↓ libstdc++6                14.2.0-19 → 14.1.0-1
  + linux-image-6.12.60+deb13-cloud-amd64-unsigned-with-a-long-name
      6.12.60-1+a.very.long.version
  - systemd-dev               257.9-1~deb13u1

CVE ids: 1 named by the changelogs of 1 source package
  bash                        5.2.37-2+deb13u1 → 5.2.37-2+deb13u2
    CVE-2026-1234

Images
  boxcar_production_image.bin.zst            3.0 MiB →    3.0 MiB         ±0 B
  boxcar_production_qemu_uefi_image.img          4 B →        4 B         ±0 B
  boxcar_production_update.bin.zst           1.0 MiB →    1.0 MiB         ±0 B
  boxcar_production_image.vmlinuz                9 B →        9 B         ±0 B
  boxcar_production_update.gz                1.0 MiB →    1.0 MiB         ±0 B

Files: 1 added, 1 removed, 1 changed; 209 B → 3.1 KiB (+2.9 KiB)
  added
      +2.9 KiB  /usr/lib/new
  removed
          -7 B  /usr/lib/libstdc++.so.6
  grown
         +10 B  /usr/lib/os-release

Kernel: 6.12.57+deb13-cloud-amd64 → 6.12.60+deb13-cloud-amd64
  build configuration: 2 options differ
    CONFIG_BTRFS_FS                               n → absent
    CONFIG_EROFS_FS                               m → y
";

#[test]
fn notes_hear_of_sources_that_are_new_or_gone_and_not_of_packages_that_only_changed_their_name() {
    let old = vec![
        locked("linux-image-6.12.48", "6.12.48-1", "linux"),
        locked("vim-tiny", "2:9.1-1", "vim"),
        locked("curl", "8.1-2", "curl"),
    ];
    let new = vec![
        locked("linux-image-6.12.60", "6.12.60-1", "linux"),
        locked("nano", "8.4-1", "nano"),
        locked("curl", "8.1-1", "curl"),
    ];
    let lock = |packages| {
        let mut lock = Fixture::new("4893.2.0").lock;
        lock.packages = packages;
        lock
    };
    let changelogs = crate::release::changelogs::Changelogs::default();
    let updates = super::source_updates(&lock(old), &lock(new), &changelogs);
    let told: Vec<_> =
        updates.iter().map(|update| format!("{} {:?}", update.source, update.change)).collect();
    assert_eq!(told, ["curl Downgraded", "linux Upgraded", "nano Added", "vim Removed"]);
}
