//! Images broken on purpose, one thing at a time: the whole class runs at each, and exactly the tests that should, fail.

use std::collections::BTreeMap;

use sm_host::clock::SystemClock;
use sm_image::erofs::{Inode, Kind};
use sm_model::{Sha256, test_report::AttemptOutcome};

use crate::suite::{
    catalog::{Class, choose},
    facts::{BilledFile, Facts},
    finding::Stop,
    run::run,
    sample::{self, composed_with, facts, file, link},
};

/// Names of the offline tests that fail at a release, without `image.`.
fn failing(facts: &Facts) -> Vec<String> {
    let tests: Vec<_> = choose(&[Class::Offline], None).collect();
    let failed = run(&tests, facts, &SystemClock).into_iter().filter(|one| {
        assert!(!matches!(one.attempt.outcome, AttemptOutcome::Error { .. }), "{:?}", one.attempt);
        one.attempt.outcome == AttemptOutcome::Fail
    });
    failed.map(|one| one.attempt.test.as_str().trim_start_matches("image.").to_owned()).collect()
}

fn changed(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = facts();
    change(&mut facts);
    facts
}

fn with_capability() -> Inode {
    let attribute = BTreeMap::from([("security.capability".to_owned(), vec![1, 0, 0, 2])]);
    Inode { xattrs: attribute, ..file(0o755) }
}

#[test]
fn a_sound_release_fails_nothing() {
    assert_eq!(failing(&facts()), <[&str; 0]>::default());
}

#[test]
fn a_file_that_should_not_be_there_is_caught_by_the_test_that_knows_why() {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n", "MIIB".repeat(20));
    let script = "#!/usr/bin/python3\nprint()\n";
    let bash = "#!/usr/bin/bash\nexit 0\n";
    let evil = "[Service]\nExecStart=/usr/bin/absent\n";
    let cases: Vec<(&str, Inode, &str, &[&str])> = vec![
        ("/usr/bin/evil", file(0o4755), bash, &["suid-sgid"]),
        ("/usr/bin/evil", file(0o2755), bash, &["suid-sgid"]),
        ("/usr/bin/evil", with_capability(), bash, &["capabilities"]),
        ("/usr/bin/evil", file(0o777), bash, &["perms"]),
        ("/usr/bin/evil", Inode { uid: 4242, ..file(0o755) }, bash, &["perms"]),
        ("/usr/bin/evil", Inode { gid: 4242, ..file(0o755) }, bash, &["perms"]),
        ("/usr/share/drop", Inode { kind: Kind::Directory, ..file(0o1755) }, "", &["perms"]),
        ("/usr/bin/evil", file(0o755), script, &["links-libs-shebangs"]),
        ("/usr/bin/dead", link("nowhere"), "", &["links-libs-shebangs"]),
        ("/usr/bin/ring", link("ring"), "", &["links-libs-shebangs"]),
        ("/usr/bin/apt", file(0o755), bash, &["no-package-manager"]),
        ("/usr/bin/x86_64-linux-gnu-gcc-14", file(0o755), bash, &["no-package-manager"]),
        ("/usr/bin/perl", file(0o755), bash, &["banned-files"]),
        ("/usr/share/man/man1/a.1.gz", file(0o644), "x", &["banned-files"]),
        ("/usr/share/a b", file(0o644), "x", &["banned-files"]),
        ("/usr/share/boxcar/etc/ssh/ssh_host_ed25519_key", file(0o600), "x", &["banned-files"]),
        ("/usr/share/boxcar/etc/machine-id", file(0o444), "x", &["banned-files"]),
        ("/usr/share/innocent.txt", file(0o600), &key, &["banned-files"]),
        (
            "/usr/lib/systemd/system/multi-user.target.wants/evil.service",
            link("../ssh.service"),
            "",
            &["unit-presets"],
        ),
        ("/usr/lib/systemd/system/evil.service", file(0o644), evil, &["unit-presets"]),
        ("/usr/lib/systemd/system/ssh.service.d/evil.conf", file(0o644), "[Service]\n", &["unit-presets"]),
        ("/usr/lib/systemd/system-generators/evil", file(0o755), bash, &["unit-presets"]),
        ("/usr/lib/systemd/system/ssh.service", link("/dev/null"), "", &["unit-presets"]),
        ("/usr/share/boxcar/etc/sudoers.d/evil", file(0o440), "x", &["banned-files"]),
    ];
    for (path, inode, content, expected) in cases {
        assert_eq!(failing(&composed_with(path, inode.clone(), content)), expected, "{path} {inode:?}");
    }
}

#[test]
fn a_file_that_was_changed_behind_the_lists_is_caught_by_list_and_bill() {
    let mut smuggled = facts();
    smuggled.usr = Ok(sample::replaced("/usr/bin/more", "#!/usr/bin/bash\n"));
    assert_eq!(failing(&smuggled), ["banned-files", "perms", "sbom-complete"]);
    let mut same_size = facts();
    same_size.usr = Ok(sample::replaced("/usr/bin/bash", "y"));
    assert_eq!(failing(&same_size), ["sbom-complete"]);
}

#[test]
fn accounts_of_others_are_caught() {
    let more = format!("{}evil:x:0:0::/:/bin/bash\n", sample::PASSWD);
    let open = sample::SHADOW.replace("root:*", "root:");
    let member = sample::GROUP.replace("sudo:x:27:core", "sudo:x:27:core,evil");
    for (name, text) in [("passwd", more), ("shadow", open), ("group", member)] {
        let path = format!("/usr/share/boxcar/etc/{name}");
        assert_eq!(failing(&composed_with(&path, file(0o644), text)), ["users-shells"], "{name}");
    }
}

#[test]
fn words_about_another_release_are_caught() {
    let text = sample::OS_RELEASE.replace("4893.0.0", "4892.0.0");
    assert_eq!(failing(&composed_with("/usr/lib/os-release", file(0o644), text)), ["os-release"]);
    let conf = "GROUP=stable\n";
    assert_eq!(failing(&composed_with("/usr/share/boxcar/update.conf", file(0o644), conf)), ["os-release"]);
    let other_kernel = changed(|facts| facts.kernel.as_mut().unwrap().uname = "6.1".to_owned());
    assert_eq!(failing(&other_kernel), ["os-release"]);
}

#[test]
fn documents_and_images_that_do_not_agree_are_caught() {
    type Change = fn(&mut Facts);
    let cases: [(&str, Change); 12] = [
        ("artifacts", |facts| {
            facts.artifacts.as_mut().unwrap().values_mut().for_each(|one| *one = Err("is absent".to_owned()));
        }),
        ("layout", |facts| facts.disk.as_mut().unwrap().verity = Err("block 7".to_owned())),
        ("layout", |facts| facts.disk.as_mut().unwrap().usr_sha256 = Sha256([1; 32])),
        ("layout", |facts| facts.disk.as_mut().unwrap().table_health = Err("torn".to_owned())),
        ("layout", |facts| facts.disk.as_mut().unwrap().boot_files = Ok(BTreeMap::new())),
        ("layout", |facts| facts.kernel.as_mut().unwrap().usrhash = Ok(Sha256([1; 32]))),
        ("layout", |facts| facts.disk = Err(Stop::Broken("no partition table".to_owned()))),
        ("kernel-config", |facts| {
            let config = facts.kernel_config.as_mut().unwrap();
            *config = config.replace("CONFIG_SECCOMP=y", "CONFIG_SECCOMP=m");
        }),
        ("sbom-complete", |facts| drop(facts.bill.as_mut().unwrap().files.remove("/usr/bin/su"))),
        ("sbom-complete", |facts| {
            let more = BilledFile { sha256: None, owners: vec!["bash".to_owned()] };
            facts.bill.as_mut().unwrap().files.insert("/usr/bin/other".to_owned(), more);
        }),
        ("reproducible", |facts| facts.twin.as_mut().unwrap().artifacts[0].sha256.0[0] ^= 1),
        ("size-budget", |facts| facts.manifest.usr_size_bytes = 1 << 40),
    ];
    for (number, (expected, change)) in cases.into_iter().enumerate() {
        let found = failing(&changed(change));
        assert!(found.contains(&expected.to_owned()), "case {number}: {found:?}, expected {expected}");
        assert!(found.len() <= 2, "case {number}: {found:?}");
    }
}
