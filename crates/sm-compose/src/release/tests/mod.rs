//! A release of a made-up image: what is written, what is told about it, and what stays when it goes wrong.

mod bill;
mod changes;
mod directory;
mod full_disk;

use std::{
    convert::Infallible,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use sha2::Digest as _;
use sm_host::progress::Silent;
use sm_image::payload::write::Compression;
use sm_model::{Lock, LockedArchive, LockedPackage, Sha256};

use super::{Published, Release, ReleaseError, publish};
use crate::{
    archive::lock_file,
    image::ComposedImage,
    recipe::{Choices, Mode, Plan, tests::RECIPE, tests::load_texts},
    tree::{Entry, Origin, Tree},
};

/// A made-up image with everything a release needs, in a directory of its own.
pub(crate) struct Fixture {
    _owned: Option<tempfile::TempDir>,
    pub(crate) directory: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) image: ComposedImage,
    pub(crate) lock: Lock,
}

const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-3+

Files: lib/*
License: odd
 Do as you like.
";

impl Fixture {
    pub(crate) fn new(version: &str) -> Self {
        let owned = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("disk.raw", [noise(3 << 20), vec![0; 1 << 20]].concat()),
            ("disk.qcow2", b"QFI\xfb".to_vec()),
            ("usr.erofs", noise(1 << 20)),
            ("kernel.efi", b"MZ kernel".to_vec()),
        ] {
            fs::write(owned.path().join(name), bytes).unwrap();
        }
        Fixture::over(owned.path(), version).owning(owned)
    }

    /// A fixture over the files of another one.
    pub(crate) fn over(directory: &Path, version: &str) -> Self {
        Fixture {
            _owned: None,
            directory: directory.to_owned(),
            plan: plan(version),
            image: image(directory),
            lock: lock(),
        }
    }

    fn owning(self, owned: tempfile::TempDir) -> Self {
        Fixture { _owned: Some(owned), ..self }
    }

    /// Where releases of this fixture go.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("out")
    }

    pub(crate) fn board(&self) -> PathBuf {
        self.root().join("stable/amd64-usr")
    }

    pub(crate) fn publish(&self) -> Result<Published, ReleaseError> {
        let lock_text = lock_file::to_text(&self.lock).unwrap();
        let release = Release {
            plan: &self.plan,
            image: &self.image,
            lock: &self.lock,
            lock_text: &lock_text,
            tools_lock_sha256: Sha256([1; 32]),
            agent_sha256: Sha256([2; 32]),
            compression: Compression::Auto,
            signer: &mut |_: &Sha256| Ok::<_, Infallible>([7; 256]),
        };
        publish(release, &self.root(), &Silent)
    }
}

/// Names in a directory, sorted, hidden ones included.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn plan(version: &str) -> Plan {
    let choices = Choices {
        arch: sm_model::Arch::Amd64,
        channel: sm_model::Channel::Stable,
        version: version.parse().unwrap(),
        source_date: "2026-11-23T05:26:00Z".parse().unwrap(),
        payload_key_pem: None,
    };
    load_texts(RECIPE, &[]).unwrap().plan(choices).unwrap()
}

/// Bytes that no compressor makes smaller.
fn noise(n_bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..n_bytes / 8).flat_map(|_| next()).collect()
}

fn image(directory: &Path) -> ComposedImage {
    ComposedImage {
        disk: directory.join("disk.raw"),
        qcow2: directory.join("disk.qcow2"),
        usr: directory.join("usr.erofs"),
        usr_size_bytes: 1 << 20,
        usr_sha256: Sha256(sha2::Sha256::digest(noise(1 << 20)).into()),
        root_hash: Sha256([0xab; 32]),
        uki: directory.join("kernel.efi"),
        kernel: "6.12.57+deb13-cloud-amd64".into(),
        kernel_config: b"CONFIG_EROFS_FS=m\n# CONFIG_BTRFS_FS is not set\n".to_vec(),
        tree: tree(),
        changelogs: [("bash".parse().unwrap(), gzip(changelog("5.2.37-2+deb13u1")))].into(),
    }
}

/// A changelog whose newest entry names a CVE id.
pub(crate) fn changelog(newest: &str) -> String {
    format!(
        "bash ({newest}) trixie-security; urgency=high\n\n  * Fix CVE-2026-1234.\n\n -- A <a@example.org>  Mon, 02 Nov 2026 \
         10:00:00 +0000\n\nbash (5.2.37-2) unstable; urgency=low\n\n  * Fix CVE-2020-0001.\n\n -- A <a@example.org>  Wed, 01 \
         Jan 2025 10:00:00 +0000\n"
    )
}

pub(crate) fn gzip(text: String) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn tree() -> Tree {
    let package = |name: &str| Origin::Package(name.parse().unwrap());
    let mut tree = Tree::default();
    let mut put = |path: &str, entry| tree.put(path, entry).unwrap();
    put(
        "/usr/bin/bash",
        Entry { mode: Mode { mode: 0o755, uid: 0, gid: 0 }, ..Entry::file("bash", package("bash")) },
    );
    put("/usr/bin/sh", Entry::symlink("bash", Origin::Composed));
    put("/usr/bin/stationmaster-agent", Entry::file("agent", Origin::Composed));
    put("/usr/lib/os-release", Entry::file("ID=boxcar\n", Origin::Composed));
    put("/usr/lib/libstdc++.so.6", Entry::file("library", package("libstdc++6")));
    put("/usr/share/boxcar/etc/group", Entry::file("root:x:0:\n", Origin::Recipe));
    put("/usr/share/boxcar/etc/passwd", Entry::file("root:x:0:0::/root:/bin/bash\n", Origin::Recipe));
    put("/usr/share/doc/bash/copyright", Entry::file(COPYRIGHT, package("bash")));
    tree
}

fn lock() -> Lock {
    Lock {
        format: Lock::FORMAT,
        arch: sm_model::Arch::Amd64,
        request: Sha256([3; 32]),
        archives: vec![LockedArchive {
            suite: "trixie".into(),
            mirror: "debian".into(),
            release_sha256: Sha256([4; 32]),
            date: "2026-11-01T00:00:00Z".parse().unwrap(),
        }],
        packages: vec![
            locked("bash", "5.2.37-2+deb13u1", "bash"),
            locked("libstdc++6", "14.2.0-19", "gcc-14"),
            locked("systemd-dev", "257.9-1~deb13u1", "systemd"),
        ],
    }
}

pub(crate) fn locked(name: &str, version: &str, source: &str) -> LockedPackage {
    LockedPackage {
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
        arch: "amd64".into(),
        source: source.into(),
        suite: "trixie".into(),
        path: format!("pool/main/x/{name}_amd64.deb"),
        size_bytes: 10,
        sha256: Sha256([5; 32]),
    }
}
