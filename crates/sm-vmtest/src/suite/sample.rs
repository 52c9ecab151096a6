//! A small release that passes every test, for tests that break it on purpose, one thing at a time.

use std::{collections::BTreeMap, io};

use sha2::Digest as _;
use sm_image::{
    erofs::{Inode, Kind},
    gpt::{Attributes, NewPartition, Table, kinds},
    verity::RootHash,
};
use sm_model::{Arch, Artifact, ArtifactKind, Manifest, Sha256, test_report::TestHost};

use crate::rules::built_in;

use super::{
    facts::{Bill, BilledFile, Disk, Facts, Kernel},
    finding::{Looked, Stop},
    lists::{Accounts, Budget, Forbidden, Identity, KernelOptions, Lists, Permissions, Runtime, Units, Why},
    offline::permissions::listed,
    report::Subject,
    usr::{Contents, Usr},
};

pub(super) const OS_RELEASE: &str = "ID=boxcar\nNAME=\"Boxcar Linux\"\nVERSION=4893.0.0\nVERSION_ID=4893.0.0\n\
    BUILD_ID=20261123000000\nIMAGE_ID=boxcar\nIMAGE_VERSION=4893.0.0\n";
pub(super) const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n";
pub(super) const GROUP: &str = "root:x:0:\nsudo:x:27:core\n";
pub(super) const SHADOW: &str = "root:*:20405::::::\nnobody:!*:20405::::::\n";

/// Problems of a test that came to its end, one a line.
pub(super) fn problems(looked: Looked) -> String {
    looked.unwrap().problems.join("\n")
}

pub(super) fn file(mode: u16) -> Inode {
    Inode { kind: Kind::File, mode, uid: 0, gid: 0, size_bytes: 1, xattrs: BTreeMap::new() }
}

pub(super) fn link(target: &str) -> Inode {
    Inode { kind: Kind::Symlink(target.to_owned()), size_bytes: target.len() as u64, ..file(0o777) }
}

#[derive(Debug, Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Contents for Memory {
    fn read(&self, path: &str, max_bytes: u64) -> io::Result<Vec<u8>> {
        let bytes = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(bytes[..bytes.len().min(max_bytes as usize)].to_vec())
    }
}

/// A /usr of these entries; files are empty of meaning.
pub(super) fn usr(entries: &[(&str, Inode)]) -> Usr {
    let mut entries: BTreeMap<String, Inode> =
        entries.iter().map(|(path, inode)| ((*path).to_owned(), inode.clone())).collect();
    add_directories(&mut entries);
    let bytes = entries.keys().map(|path| (path.clone(), b"x".to_vec())).collect();
    Usr::new("boxcar", entries, Box::new(Memory(bytes)))
}

/// Gives every entry the directories it lies in.
fn add_directories(entries: &mut BTreeMap<String, Inode>) {
    let paths: Vec<String> = entries.keys().cloned().collect();
    for path in paths {
        for (at, _) in path.match_indices('/').skip(2) {
            entries.entry(path[..at].to_owned()).or_insert_with(directory);
        }
    }
}

fn directory() -> Inode {
    Inode { kind: Kind::Directory, size_bytes: 40, ..file(0o755) }
}

fn texts() -> Vec<(&'static str, &'static str)> {
    vec![
        ("/usr/lib/os-release", OS_RELEASE),
        (
            "/usr/share/boxcar/release",
            "BOXCAR_RELEASE_VERSION=4893.0.0\nBOXCAR_RELEASE_BOARD=amd64-usr\n\
            BOXCAR_RELEASE_APPID={7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}\n",
        ),
        ("/usr/share/boxcar/update.conf", "# Defaults\nGROUP=alpha\nSERVER=disabled\n"),
        ("/usr/share/boxcar/update-payload-key.pub.pem", "-----BEGIN PUBLIC KEY-----\nMIIB\n"),
        ("/usr/share/boxcar/packages.txt", "bash 5.2 amd64 bash\n"),
        ("/usr/share/boxcar/etc/passwd", PASSWD),
        ("/usr/share/boxcar/etc/group", GROUP),
        ("/usr/share/boxcar/etc/shadow", SHADOW),
        ("/usr/share/boxcar/etc/gshadow", "sudo:*::core\n"),
        ("/usr/lib/systemd/system/ssh.service", "[Service]\nExecStart=/usr/bin/su\n"),
    ]
}

fn parts() -> (BTreeMap<String, Inode>, BTreeMap<String, Vec<u8>>) {
    let mut entries = BTreeMap::from([
        ("/usr/bin/bash".to_owned(), file(0o755)),
        ("/usr/bin/env".to_owned(), file(0o755)),
        ("/usr/bin/sh".to_owned(), link("bash")),
        ("/usr/bin/su".to_owned(), file(0o4755)),
        ("/usr/lib/systemd/system/default.target".to_owned(), link("multi-user.target")),
        ("/usr/lib/systemd/system/multi-user.target".to_owned(), file(0o644)),
        ("/usr/lib/systemd/system/multi-user.target.wants/ssh.service".to_owned(), link("../ssh.service")),
    ]);
    let mut bytes: BTreeMap<String, Vec<u8>> =
        entries.keys().map(|path| (path.clone(), b"x".to_vec())).collect();
    for (path, text) in texts() {
        let mode = if path.ends_with("shadow") { 0o640 } else { 0o644 };
        entries.insert(path.to_owned(), Inode { size_bytes: text.len() as u64, ..file(mode) });
        bytes.insert(path.to_owned(), text.into());
    }
    add_directories(&mut entries);
    (entries, bytes)
}

fn assembled((mut entries, bytes): (BTreeMap<String, Inode>, BTreeMap<String, Vec<u8>>)) -> Usr {
    add_directories(&mut entries);
    Usr::new("boxcar", entries, Box::new(Memory(bytes)))
}

/// The sample's /usr with one more entry, or another one in its place.
pub(super) fn with_entry(path: &str, inode: Inode) -> Usr {
    let (mut entries, mut bytes) = parts();
    entries.insert(path.to_owned(), inode);
    bytes.insert(path.to_owned(), b"x".to_vec());
    assembled((entries, bytes))
}

/// The sample's /usr with an executable file of these bytes.
pub(super) fn replaced(path: &str, content: impl AsRef<[u8]>) -> Usr {
    let content = content.as_ref();
    let (mut entries, mut bytes) = parts();
    entries.insert(path.to_owned(), Inode { size_bytes: content.len() as u64, ..file(0o755) });
    bytes.insert(path.to_owned(), content.to_vec());
    assembled((entries, bytes))
}

pub(super) fn why(reason: &str) -> Why {
    reason.to_owned().try_into().unwrap()
}

pub(super) fn lists() -> Lists {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let reasons = |list: &[&str]| list.iter().map(|key| ((*key).to_owned(), why("sample"))).collect();
    Lists {
        permissions: Permissions {
            suid_sgid: BTreeMap::from([("4755 0:0 /usr/bin/su".to_owned(), why("becomes root"))]),
            ..Permissions::default()
        },
        forbidden: Forbidden {
            package_managers: texts(&[
                "/usr/bin/apt",
                "/usr/bin/dpkg*",
                "/usr/bin/*-gcc*",
                "/usr/lib/dpkg/**",
            ]),
            files: texts(&[
                "**.old",
                "**~",
                "/usr/bin/perl*",
                "/usr/share/man/**",
                "**/machine-id",
                "**/ssh_host_*",
            ]),
            allowed: Vec::new(),
            etc: texts(&["passwd", "group", "shadow", "gshadow"]),
            own: BTreeMap::new(),
            harmless_keys: BTreeMap::new(),
        },
        accounts: Accounts {
            users: reasons(&["root 0:0:/bin/bash", "nobody 65534:65534:/usr/sbin/nologin"]),
            groups: reasons(&["root 0:", "sudo 27:core"]),
            no_login_shells: texts(&["/usr/sbin/nologin"]),
            with_shell: texts(&["root"]),
            trusted: BTreeMap::new(),
        },
        units: Units {
            default_target: "multi-user.target".to_owned(),
            enabled: BTreeMap::from([("multi-user.target.wants/ssh.service".to_owned(), why("the way in"))]),
            drop_ins: BTreeMap::new(),
            generators: BTreeMap::new(),
            without_program: BTreeMap::new(),
            activating: BTreeMap::new(),
        },
        kernel: KernelOptions {
            built_in: texts(&["SECCOMP"]),
            available: texts(&["DM_VERITY"]),
            unset: texts(&["DEVKMEM"]),
        },
        size: Budget {
            usr_image_mib: 200,
            usr_files_mib: 500,
            areas_mib: BTreeMap::from([("/usr/lib/modules".to_owned(), 50)]),
        },
        identity: Identity {
            name: "Boxcar Linux".to_owned(),
            app_id: "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}".to_owned(),
            update: BTreeMap::from([("SERVER".to_owned(), "disabled".to_owned())]),
            partitions_mib: vec![512, 128, 2, 128, 2],
        },
        runtime: Runtime::default(),
        rules: built_in().to_vec(),
        sha256: Sha256([0; 32]),
    }
}

/// A release whose image for machines is called `image`.
pub(super) fn bootable(image: &str) -> Manifest {
    let mut manifest = manifest();
    let image = Artifact {
        name: image.parse().unwrap(),
        kind: ArtifactKind::QemuImage,
        ..manifest.artifacts[0].clone()
    };
    manifest.artifacts.push(image);
    manifest
}

fn manifest() -> Manifest {
    let digest = |byte: char| byte.to_string().repeat(64);
    serde_json::from_value(serde_json::json!({
        "format": 1, "os": "boxcar", "version": "4893.0.0", "channel": "alpha", "board": "amd64-usr",
        "source_date": "2026-11-23T00:00:00Z",
        "inputs": {
            "recipe_sha256": digest('1'), "lock_sha256": digest('2'), "tools_lock_sha256": digest('3'),
            "agent_sha256": digest('4'), "stationmaster": "0.1.0"
        },
        "usr_root_hash": format!("{}{}", "5".repeat(32), "a".repeat(32)), "usr_size_bytes": 120 << 20, "kernel": "6.12.117-amd64",
        "artifacts": [{
            "name": "boxcar_production_image.vmlinuz", "kind": "kernel-image", "size_bytes": 1,
            "sha256": digest('6'), "sha512": digest('7').repeat(2)
        }]
    }))
    .unwrap()
}

/// The sample's partitions, in this order.
pub(super) fn table(order: &[usize]) -> Table {
    let root_hash = RootHash::from(manifest().usr_root_hash);
    let (usr, tree) = (kinds::usr(Arch::Amd64), kinds::usr_verity(Arch::Amd64));
    let guid = |n: u128| sm_image::Guid::from_u128(n);
    let all = [
        ("ESP", kinds::ESP, guid(1), Attributes::default(), 512),
        ("boxcar_4893.0.0", usr, root_hash.data_guid(), Attributes::READ_ONLY, 128),
        ("boxcar_4893.0.0_v", tree, root_hash.tree_guid(), Attributes::READ_ONLY, 2),
        ("_empty", usr, guid(4), Attributes::READ_ONLY, 128),
        ("_empty_v", tree, guid(5), Attributes::READ_ONLY, 2),
    ];
    let partitions: Vec<NewPartition> = order
        .iter()
        .map(|&index| {
            let (label, kind, guid, attributes, size_mib) = all[index];
            NewPartition { kind, guid, label: label.parse().unwrap(), attributes, size_bytes: size_mib << 20 }
        })
        .collect();
    Table::lay_out(guid(9), 1 << 30, &partitions).unwrap()
}

fn disk() -> Disk {
    let table = table(&[0, 1, 2, 3, 4]);
    let kernel = manifest().artifacts[0].sha256;
    Disk {
        size_bytes: table.disk_bytes(),
        table,
        table_health: Ok(()),
        usr_sha256: Sha256([8; 32]),
        verity: Ok(()),
        boot_files: Ok(BTreeMap::from([
            ("/EFI/BOOT/BOOTX64.EFI".to_owned(), Sha256([7; 32])),
            ("/EFI/Linux/boxcar_4893.0.0+3.efi".to_owned(), kernel),
        ])),
        artifact_sha256: Sha256([8; 32]),
    }
}

/// A release that passes every test.
pub(super) fn facts() -> Facts {
    composed(parts())
}

/// The sample with one more file, or another one in its place, that its list of files and its bill name as they should: as if
/// it had been composed so.
pub(super) fn composed_with(path: &str, inode: Inode, content: impl AsRef<[u8]>) -> Facts {
    let content = content.as_ref();
    let (mut entries, mut bytes) = parts();
    let size_bytes = if inode.kind == Kind::File { content.len() as u64 } else { inode.size_bytes };
    entries.insert(path.to_owned(), Inode { size_bytes, ..inode });
    bytes.insert(path.to_owned(), content.to_vec());
    add_directories(&mut entries);
    composed((entries, bytes))
}

fn composed((entries, bytes): (BTreeMap<String, Inode>, BTreeMap<String, Vec<u8>>)) -> Facts {
    let manifest = manifest();
    let billed = |path: &String| BilledFile {
        sha256: Some(Sha256(sha2::Sha256::digest(&bytes[path]).into()).to_string()),
        owners: vec!["bash".to_owned()],
    };
    let files = entries.iter().filter(|(_, inode)| inode.kind == Kind::File);
    Facts {
        lists: lists(),
        artifacts: Ok(manifest.artifacts.iter().map(|one| (one.name.to_string(), Ok(()))).collect()),
        disk: Ok(disk()),
        kernel: Ok(Kernel {
            uname: manifest.kernel.clone(),
            cmdline: "rw".to_owned(),
            version_id: Some(manifest.version.to_string()),
            usrhash: Ok(manifest.usr_root_hash),
        }),
        kernel_config: Ok("CONFIG_SECCOMP=y\nCONFIG_DM_VERITY=m\n# CONFIG_DEVKMEM is not set\n".to_owned()),
        contents: Ok(entries.iter().map(|(path, inode)| (path.clone(), listed(inode))).collect()),
        bill: Ok(Bill {
            files: files.map(|(path, _)| (path.clone(), billed(path))).collect(),
            components: vec!["boxcar".to_owned(), "bash".to_owned()],
        }),
        version_text: Ok(format!("FLATCAR_VERSION={0}\nBOXCAR_VERSION={0}\n", manifest.version)),
        root_hash_text: Ok(format!("{}\n", manifest.usr_root_hash)),
        packages: Ok(BTreeMap::from([("bash".to_owned(), "5.2".to_owned())])),
        twin: Ok(manifest.clone()),
        usr: Ok(assembled((entries, bytes))),
        manifest,
    }
}

/// The sample as if nothing of it could be had.
pub(super) fn nothing() -> Facts {
    let gone = || Stop::Trouble { class: "host-disk", message: "the disk is gone".to_owned() };
    Facts {
        artifacts: Err(gone()),
        usr: Err(gone()),
        disk: Err(gone()),
        kernel: Err(gone()),
        kernel_config: Err(gone()),
        contents: Err(gone()),
        bill: Err(gone()),
        version_text: Err(gone()),
        root_hash_text: Err(gone()),
        packages: Err(gone()),
        twin: Err(gone()),
        ..facts()
    }
}

/// What a report about the sample is about.
pub(super) fn subject() -> Subject {
    Subject {
        manifest_sha256: Sha256([1; 32]),
        version: "4893.0.0".parse().unwrap(),
        suite: Sha256([2; 32]),
        host: TestHost {
            accelerator: "none".into(),
            cpus: 2,
            memory_mib: 1024,
            slowness: None,
            stationmaster: "0.1.0".into(),
        },
    }
}
