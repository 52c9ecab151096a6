//! The directory: names, sums, the link to the newest version, and bytes that follow from the inputs alone.

use std::{fs, os::unix::fs::PermissionsExt};

use sha2::Digest as _;
use sm_host::{
    files,
    process::{Invocation, Runner as _, SystemRunner},
};
use sm_model::{ArtifactKind, Sha256, exit};

use super::{Fixture, names_in, plan};
use crate::release::{ReleaseDir, ReleaseError};

#[test]
fn the_directory_has_every_artifact_under_its_name() {
    let fixture = Fixture::new("4893.2.0");
    let published = fixture.publish().unwrap();
    assert_eq!(published.directory, fixture.board().join("4893.2.0"));
    assert_eq!(names_in(&fixture.board()), ["4893.2.0", "current"]);
    assert_eq!(fs::read_link(fixture.board().join("current")).unwrap().to_str(), Some("4893.2.0"));
    let names = names_in(&published.directory);
    let plain: Vec<_> = names.iter().filter(|name| !name.ends_with(".DIGESTS")).map(String::as_str).collect();
    assert_eq!(
        plain,
        [
            "SHA256SUMS",
            "SHA512SUMS",
            "boxcar_production_image.bin.zst",
            "boxcar_production_image.vmlinuz",
            "boxcar_production_image_changelogs.json.zst",
            "boxcar_production_image_contents.txt",
            "boxcar_production_image_kernel_config.txt",
            "boxcar_production_image_packages.lock",
            "boxcar_production_image_packages.txt",
            "boxcar_production_image_sbom.json",
            "boxcar_production_image_verity.txt",
            "boxcar_production_qemu_uefi_image.img",
            "boxcar_production_update.bin.zst",
            "boxcar_production_update.gz",
            "manifest.json",
            "version.txt",
        ]
    );
    assert_eq!(names.len() - plain.len(), published.manifest.artifacts.len());
    for name in names {
        let mode = fs::metadata(published.directory.join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644, "{name}");
    }
}

#[test]
fn version_text_is_flatcars_and_then_ours() {
    assert_eq!(
        crate::release::version_text::version_text(&plan("4893.2.1")),
        "FLATCAR_BUILD=4893\nFLATCAR_BRANCH=2\nFLATCAR_PATCH=1\nFLATCAR_VERSION=4893.2.1\nFLATCAR_VERSION_ID=4893.2.1\n\
         FLATCAR_BUILD_ID=\"\"\nFLATCAR_SDK_VERSION=0.1.0\nBOXCAR_VERSION=4893.2.1\nBOXCAR_CHANNEL=stable\n\
         BOXCAR_BOARD=amd64-usr\nBOXCAR_SOURCE_DATE_EPOCH=1795411560\nBOXCAR_STATIONMASTER_VERSION=0.1.0\n"
    );
}

#[test]
fn packages_are_listed_in_flatcars_form() {
    let fixture = Fixture::new("4893.2.0");
    fixture.publish().unwrap();
    let release = ReleaseDir::open(&fixture.board().join("current")).unwrap();
    assert_eq!(
        release.text(ArtifactKind::PackageList).unwrap(),
        "debian/bash-5.2.37-2+deb13u1::trixie\ndebian/libstdc++6-14.2.0-19::trixie\n\
         debian/systemd-dev-257.9-1~deb13u1::trixie\n"
    );
    assert_eq!(release.lock().unwrap(), fixture.lock);
    assert_eq!(release.text(ArtifactKind::RootHash).unwrap(), format!("{}\n", "ab".repeat(32)));
}

#[test]
fn sums_are_those_that_the_usual_tools_check() {
    let published = Fixture::new("4893.2.0");
    let directory = published.publish().unwrap().directory;
    for (tool, sums) in [("sha256sum", "SHA256SUMS"), ("sha512sum", "SHA512SUMS")] {
        let path = ["/usr/bin", "/bin"]
            .iter()
            .map(|dir| format!("{dir}/{tool}"))
            .find(|path| fs::exists(path).unwrap());
        let check = Invocation::new(path.unwrap()).args(["--check", "--strict", sums]).cwd(&directory);
        let said = String::from_utf8(SystemRunner.run(&check).unwrap().stdout).unwrap();
        assert_eq!(said.lines().filter(|line| line.ends_with(": OK")).count(), 14, "{said}");
    }
    let digests = fs::read_to_string(directory.join("version.txt.DIGESTS")).unwrap();
    assert!(digests.starts_with("# SHA512 HASH\n") && digests.ends_with("  version.txt\n"), "{digests}");
}

#[test]
fn the_disk_image_unpacks_to_what_it_was_and_the_payload_reads_back() {
    let fixture = Fixture::new("4893.2.0");
    let published = fixture.publish().unwrap();
    let release = ReleaseDir::open(&published.directory).unwrap();
    let packed = fs::File::open(release.path_of(ArtifactKind::DiskImage).unwrap()).unwrap();
    assert_eq!(zstd::decode_all(packed).unwrap(), fs::read(&fixture.image.disk).unwrap());
    let payload = fs::read(release.path_of(ArtifactKind::Payload).unwrap()).unwrap();
    assert_eq!(&payload[..4], b"CrAU");
    release.verify().unwrap();
}

#[test]
fn the_same_inputs_give_the_same_bytes_wherever_they_are_written() {
    let [one, two] = [Fixture::new("4893.2.0"), Fixture::new("4893.2.0")];
    let [a, b] = [one.publish().unwrap(), two.publish().unwrap()];
    assert_eq!(a.manifest_sha256, b.manifest_sha256);
    assert_eq!(a.manifest, b.manifest);
    let text = fs::read(a.directory.join("manifest.json")).unwrap();
    assert_eq!(Sha256(sha2::Sha256::digest(&text).into()), a.manifest_sha256);
    let release = ReleaseDir::open(&a.directory).unwrap();
    assert_eq!((release.manifest_sha256(), release.manifest_bytes()), (a.manifest_sha256, text.as_slice()));
}

#[test]
fn a_version_is_used_once_but_the_same_bytes_twice_are_fine() {
    let mut fixture = Fixture::new("4893.2.0");
    let first = fixture.publish().unwrap();
    assert_eq!(fixture.publish().unwrap(), first);
    fixture.image.kernel = "another".into();
    let error = fixture.publish().unwrap_err();
    assert!(matches!(error, ReleaseError::AlreadyReleased { .. }));
    assert!(error.hint().unwrap().contains("--version"));
    assert_eq!(names_in(&fixture.board()), ["4893.2.0", "current"]);
    ReleaseDir::open(&first.directory).unwrap().verify().unwrap();
}

#[test]
fn the_link_follows_the_newest_and_the_older_version_stays() {
    let mut fixture = Fixture::new("4893.2.0");
    fixture.publish().unwrap();
    fixture.plan = plan("4893.2.1");
    fixture.publish().unwrap();
    assert_eq!(names_in(&fixture.board()), ["4893.2.0", "4893.2.1", "current"]);
    assert_eq!(fs::read_link(fixture.board().join("current")).unwrap().to_str(), Some("4893.2.1"));
    fixture.plan = plan("4800.2.0");
    assert!(!fixture.publish().unwrap().is_current);
    assert_eq!(fs::read_link(fixture.board().join("current")).unwrap().to_str(), Some("4893.2.1"));
}

#[test]
fn the_link_can_be_taken_back_to_an_older_version() {
    let fixture = Fixture::new("4893.2.0");
    let older = fixture.publish().unwrap().directory;
    Fixture::over(&fixture.directory, "4893.2.1").publish().unwrap();
    ReleaseDir::open(&older).unwrap().make_current().unwrap();
    assert_eq!(fs::read_link(fixture.board().join("current")).unwrap().to_str(), Some("4893.2.0"));

    let stray = fixture.board().join("stray");
    fs::rename(&older, &stray).unwrap();
    let refused = ReleaseDir::open(&stray).unwrap().make_current().unwrap_err();
    assert!(matches!(refused, ReleaseError::Misplaced { .. }), "{refused}");
}

#[test]
fn what_stands_in_the_way_of_the_link_is_not_touched() {
    let fixture = Fixture::new("4893.2.0");
    fs::create_dir_all(fixture.board().join("current/precious")).unwrap();
    let error = fixture.publish().unwrap_err();
    assert!(matches!(error, ReleaseError::CurrentIsNoLink(_)), "{error}");
    assert_eq!(names_in(&fixture.board()), ["current"]);
    assert_eq!(names_in(&fixture.board().join("current")), ["precious"]);
}

#[test]
fn a_file_that_is_gone_is_named_and_nothing_is_left() {
    let fixture = Fixture::new("4893.2.0");
    files::remove(&fixture.image.uki).unwrap();
    let error = fixture.publish().unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open `{}`", fixture.image.uki.display()));
    assert_eq!(error.exit_code(), exit::STORAGE);
    assert_eq!(names_in(&fixture.board()), [""; 0]);
}

#[test]
fn a_changed_artifact_is_noticed_before_it_is_believed() {
    let fixture = Fixture::new("4893.2.0");
    let directory = fixture.publish().unwrap().directory;
    let list = directory.join("boxcar_production_image_packages.txt");
    let mut text = fs::read_to_string(&list).unwrap();
    text.push_str("debian/evil-1::trixie\n");
    fs::write(&list, text).unwrap();
    let release = ReleaseDir::open(&directory).unwrap();
    for error in [release.text(ArtifactKind::PackageList).unwrap_err(), release.verify().unwrap_err()] {
        assert!(matches!(error, ReleaseError::Digest { .. }));
        assert_eq!(error.exit_code(), exit::VERIFICATION);
    }
}

#[test]
fn what_is_no_release_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(ReleaseDir::open(dir.path()), Err(ReleaseError::NoRelease(_))));
    fs::write(dir.path().join("manifest.json"), "{\"artifacts\": [{\"name\": \"../x\"}]}").unwrap();
    assert!(matches!(ReleaseDir::open(dir.path()), Err(ReleaseError::Malformed { .. })));
    fs::write(dir.path().join("manifest.json"), vec![b' '; 2 << 20]).unwrap();
    assert!(matches!(ReleaseDir::open(dir.path()), Err(ReleaseError::File(_))));
}
