//! A whole image from made-up packages and tools, read back with the codecs that hosts use.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
};

use sm_host::{
    process::{FakeRunner, Invocation, Output, ProcessError},
    progress::Silent,
};
use sm_image::{
    gpt::{Attributes, OnDisk, kinds},
    uki,
    verity::{self, RootHash},
};
use sm_model::{Arch, Channel};

use super::*;
use crate::{
    recipe::{
        Choices,
        tests::{RECIPE, load_texts},
    },
    tree::Origin,
    unpack::tests::{Member, file, package_file, words, xz},
};

/// A public key of the right kind. Its private half was never kept.
const PAYLOAD_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwcxMebHfq/Y5dIxEV0aE\n\
QiYIBlL5BkVWtZzGz3Vt9m+32JOdCwjjh192vV8Gw+d7xP0Uk+/mAbdNJvVLHS2b\n\
4iJ9VawRqTYdO3UifBP19CYsuZ5P6RW82Fg9XZ74LE3KJC3FKW66x5Qg3QEFFNPB\n\
7CX4+NF8i0eET/TUb5aq9+VScrJ3hUJV2kvKrCKJ4TUWoyvn1+iCGK/sM4pmiASs\n\
5gFKjyxh8w77+TdufwyslfB+ZNQuwoqLf6K6JlKa75rvxsuowff1ulMnzmK588Ry\n\
jf31y0e2kIh0Y8uvRPpeAxUOm0Dg2cQ6RwB+eBt33EBNOhQz8h+N/t+Aon5ee62H\n\
1wIDAQAB\n\
-----END PUBLIC KEY-----\n";

/// The least that is a PE file with one section, for the stub, the kernel and the boot loader.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let sbat = b"sbat,1,x\nmade-up,1,y\n";
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(60, &64_u32.to_le_bytes());
    put(64, b"PE\0\0");
    put(68, &0x8664_u16.to_le_bytes());
    put(70, &1_u16.to_le_bytes());
    put(84, &152_u16.to_le_bytes());
    put(88, &0x20b_u16.to_le_bytes());
    put(88 + 32, &4096_u32.to_le_bytes());
    put(88 + 36, &512_u32.to_le_bytes());
    put(88 + 56, &8192_u32.to_le_bytes());
    put(88 + 60, &512_u32.to_le_bytes());
    put(240, b".sbat\0\0\0");
    put(248, &(sbat.len() as u32).to_le_bytes());
    put(252, &4096_u32.to_le_bytes());
    put(256, &512_u32.to_le_bytes());
    put(260, &512_u32.to_le_bytes());
    bytes.extend_from_slice(sbat);
    bytes.resize(1024, 0);
    bytes
}

/// The least that is a program for 64-bit x86: a header that needs nothing.
fn agent() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    bytes[16..20].copy_from_slice(&[2, 0, 62, 0]);
    bytes[20] = 1;
    bytes[52] = 64;
    bytes
}

fn members() -> Vec<Member> {
    vec![
        file("./boot/config-6.12", "CONFIG_EROFS_FS=m\n"),
        file("./boot/vmlinuz-6.12", program()),
        file("./etc/hosts.allow", "none\n"),
        file("./usr/bin/mount", "mount"),
        file("./usr/bin/ssh-agent", "agent"),
        file("./usr/lib/modules/6.12/kernel/erofs.ko.xz", xz(b"module")),
        file("./usr/lib/modules/6.12/modules.builtin", ""),
        file("./usr/lib/systemd/boot/efi/linuxx64.efi.stub", program()),
        file("./usr/lib/systemd/boot/efi/systemd-bootx64.efi", program()),
        file("./usr/lib/systemd/system/initrd.target", "[Unit]\n"),
        file("./usr/lib/systemd/system/multi-user.target", "[Unit]\n"),
        file("./usr/lib/systemd/system/ssh.service", "[Install]\nWantedBy=multi-user.target\n"),
        file("./usr/share/base-passwd/group.master", "root:*:0:\nshadow:*:42:\n"),
        file("./usr/share/base-passwd/passwd.master", "root:*:0:0:root:/root:/bin/bash\n"),
        file("./usr/share/ca-certificates/A.crt", "certificate\n"),
        file("./usr/share/man/man1/mount.1", "dropped"),
        file("./var/lib/mount", "not in /usr"),
    ]
}

fn plan() -> Plan {
    let choices = Choices {
        arch: Arch::Amd64,
        channel: Channel::Stable,
        version: "4893.2.0".parse().unwrap(),
        source_date: "2026-11-23T00:00:00Z".parse().unwrap(),
        payload_key_pem: Some(PAYLOAD_KEY.to_owned()),
    };
    let mut plan = load_texts(RECIPE, &[]).unwrap().plan(choices).unwrap();
    let disk = &mut plan.target.disk;
    (disk.esp_mib, disk.usr_mib, disk.root_mib) = (64, 16, 16);
    plan
}

/// Tools that do what the real ones do as far as composing looks: an index line per module, an image that holds the tar.
fn fake_tools() -> FakeRunner {
    FakeRunner::new(|run: &Invocation| {
        let args: Vec<&str> = run.args.iter().map(|arg| arg.to_str().unwrap()).collect();
        match run.name.as_str() {
            "depmod" => index_modules(&args),
            "mkfs.erofs" => pad_tar(&args),
            other => panic!("`{other}` is not part of composing"),
        }
        Ok::<_, ProcessError>(Output::default())
    })
}

fn index_modules(args: &[&str]) {
    let base = args[args.iter().position(|arg| *arg == "--basedir").unwrap() + 1];
    let dir = Path::new(base).join("lib/modules").join(args[args.len() - 1]);
    let index = if dir.join("kernel/erofs.ko").exists() { "kernel/erofs.ko:\n" } else { "" };
    fs::write(dir.join("modules.dep"), index).unwrap();
}

fn pad_tar(args: &[&str]) {
    let mut tar = fs::read(args[args.len() - 1]).unwrap();
    tar.resize(tar.len().next_multiple_of(4096), 0);
    fs::write(args[args.len() - 2], tar).unwrap();
}

struct Composition {
    /// Keeps packages, tools and results until the test ends.
    dir: tempfile::TempDir,
    result: Result<ComposedImage, ComposeError>,
}

fn composed(work_name: &str, members: &[Member], plan: &Plan) -> Composition {
    let dir = tempfile::tempdir().unwrap();
    let path = |below: &str| dir.path().join(below);
    for tool in ["lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "sbin/depmod", "bin/mkfs.erofs"] {
        files::write_atomic(&path("tools/usr").join(tool), b"").unwrap();
    }
    files::write_atomic(&path("agent"), &agent()).unwrap();
    files::create_dir_all(&path(work_name)).unwrap();
    let inputs = Inputs {
        plan,
        packages: &[package_file(dir.path(), "everything", members)],
        tools: &ToolsTree::open(path("tools"), Arch::Amd64).unwrap(),
        agent: &path("agent"),
        work: &path(work_name),
    };
    let result = compose(&inputs, &fake_tools(), &Silent);
    Composition { dir, result }
}

fn bytes_of(disk: &Path, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut file = File::open(disk).unwrap();
    file.seek(SeekFrom::Start(range.start)).unwrap();
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes).unwrap();
    bytes
}

fn table_of(disk: &Path) -> sm_image::gpt::Table {
    let size = fs::metadata(disk).unwrap().len();
    OnDisk::read(&mut File::open(disk).unwrap(), size).unwrap().table().clone()
}

#[test]
fn the_disk_has_its_slots_and_they_are_found_by_the_root_hash() {
    let composition = composed("work", &members(), &plan());
    let image = composition.result.unwrap();
    let table = table_of(&image.disk);
    let root_hash = RootHash::from(image.root_hash);
    let found: Vec<_> = table
        .partitions()
        .map(|(number, partition)| {
            (number, partition.label.to_string(), partition.kind, partition.attributes)
        })
        .collect();
    let (usr, tree) = (kinds::usr(Arch::Amd64), kinds::usr_verity(Arch::Amd64));
    let expected = [
        (1, "ESP", kinds::ESP, Attributes::default()),
        (2, "boxcar_4893.2.0", usr, Attributes::READ_ONLY),
        (3, "boxcar_4893.2.0_v", tree, Attributes::READ_ONLY),
        (4, "_empty", usr, Attributes::READ_ONLY),
        (5, "_empty_v", tree, Attributes::READ_ONLY),
    ];
    assert_eq!(found, expected.map(|(number, label, kind, flags)| (number, label.to_owned(), kind, flags)));
    assert_eq!(table.partition(2).unwrap().guid, root_hash.data_guid());
    assert_eq!(table.partition(3).unwrap().guid, root_hash.tree_guid());
}

#[test]
fn slot_a_holds_the_usr_image_and_a_tree_that_verifies_it() {
    let composition = composed("work", &members(), &plan());
    let image = composition.result.unwrap();
    let table = table_of(&image.disk);
    let data = bytes_of(&image.disk, table.partition(2).unwrap().byte_range());
    let tree = bytes_of(&image.disk, table.partition(3).unwrap().byte_range());
    let usr = fs::read(&image.usr).unwrap();
    assert_eq!(usr.len() as u64, image.usr_size_bytes);
    assert_eq!(data[..usr.len()], usr);
    let expected = RootHash::from(image.root_hash);
    verity::verify(&mut &*usr, &mut std::io::Cursor::new(tree), expected).unwrap();
}

#[test]
fn the_kernel_image_carries_the_root_hash_and_the_release() {
    let composition = composed("work", &members(), &plan());
    let image = composition.result.unwrap();
    let kernel = uki::Image::read(&mut File::open(&image.uki).unwrap()).unwrap();
    assert_eq!(kernel.cmdline(), format!("usrhash={} rw console=tty0 console=ttyS0", image.root_hash));
    assert_eq!(kernel.os_release("IMAGE_VERSION"), Some("4893.2.0"));
    assert_eq!((kernel.uname(), image.kernel.as_str()), ("6.12", "6.12"));
}

#[test]
fn only_usr_is_shipped_and_every_file_tells_where_it_comes_from() {
    let composition = composed("work", &members(), &plan());
    let tree = composition.result.unwrap().tree;
    assert!(tree.entries().all(|(path, _)| path == "/usr" || path.starts_with("/usr/")));
    let origin = |path: &str| tree.get(path).unwrap_or_else(|| panic!("no {path}")).origin.clone();
    let package = Origin::Package("everything".parse().unwrap());
    assert_eq!(origin("/usr/bin/mount"), package);
    assert_eq!(origin("/usr/share/boxcar/etc/hosts.allow"), package);
    assert_eq!(origin("/usr/share/boxcar/etc/hosts"), Origin::Recipe);
    assert_eq!(origin("/usr/lib/modules/6.12/modules.dep"), Origin::Composed);
    for absent in ["/usr/share/man", "/usr/lib/systemd/boot/efi", "/usr/lib/modules/6.12/kernel/erofs.ko.xz"]
    {
        assert!(tree.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes_in_a_directory_of_another_name() {
    let all_bytes = |work: &str| {
        let composition = composed(work, &members(), &plan());
        let image = composition.result.unwrap();
        assert!(image.disk.starts_with(composition.dir.path()));
        [&image.usr, &image.uki, &image.qcow2].map(|path| fs::read(path).unwrap())
    };
    assert!(all_bytes("work") == all_bytes("another/and/much/longer/name"));
}

#[test]
fn a_usr_image_larger_than_its_slot_is_refused_with_the_key_to_raise() {
    let mut plan = plan();
    plan.target.disk.usr_mib = 1;
    let mut members = members();
    members.push(file("./usr/lib/large", vec![1; 2 << 20]));
    let error = composed("work", &members, &plan).result.unwrap_err();
    assert!(error.to_string().starts_with("the /usr image has "), "{error}");
    assert!(error.hint().unwrap().contains("`usr-mib`"));
}

#[test]
fn a_payload_key_that_hosts_could_not_use_stops_composing_before_anything_is_unpacked() {
    let mut plan = plan();
    plan.payload_key_pem = PAYLOAD_KEY.replace("MIIB", "MIIC");
    let composition = composed("work", &[], &plan);
    let error = composition.result.unwrap_err();
    assert!(matches!(error, ComposeError::PayloadKey(_)), "{}", words(&error));
    assert_eq!(fs::read_dir(composition.dir.path().join("work")).unwrap().count(), 0);
}

#[test]
fn a_kernel_without_a_module_that_is_asked_for_stops_composing() {
    let mut plan = plan();
    plan.target.initrd.modules.push("dm-verity".to_owned());
    let error = composed("work", &members(), &plan).result.unwrap_err();
    assert!(words(&error).ends_with("the kernel has no module `dm-verity`"), "{}", words(&error));
}

#[test]
fn a_tool_that_fails_is_named_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let failing = FakeRunner::new(|run: &Invocation| {
        Err(ProcessError::Failed {
            name: run.name.clone(),
            status: "exit status: 1".to_owned(),
            stderr: "No space left on device".to_owned(),
        })
    });
    for tool in ["lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "sbin/depmod"] {
        files::write_atomic(&dir.path().join("tools/usr").join(tool), b"").unwrap();
    }
    files::write_atomic(&dir.path().join("agent"), &agent()).unwrap();
    let inputs = Inputs {
        plan: &plan(),
        packages: &[package_file(dir.path(), "everything", &members())],
        tools: &ToolsTree::open(dir.path().join("tools"), Arch::Amd64).unwrap(),
        agent: &dir.path().join("agent"),
        work: dir.path(),
    };
    let error = compose(&inputs, &failing, &Silent).unwrap_err();
    assert_eq!(words(&error), "a tool failed: `depmod` ended with exit status: 1: No space left on device");
}
