//! Fix-ups on trees made up for the purpose: what is declared happens, what contradicts is refused.

use std::{collections::BTreeMap, io::Read as _};

use sm_model::{Arch, Channel, Timestamp};

use super::*;
use crate::recipe::{
    Choices, Group, Mode, Target, User,
    tests::{RECIPE, load_texts},
};

fn put(tree: &mut Tree, path: &str, text: impl Into<Blob>) {
    tree.put(path, Entry::file(text, Origin::Recipe)).unwrap();
}

fn text(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.file(path).unwrap_or_else(|| panic!("no {path}")).to_vec()).unwrap()
}

fn with_master_files(sysusers: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    put(
        &mut tree,
        "/usr/share/base-passwd/passwd.master",
        "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    );
    put(
        &mut tree,
        "/usr/share/base-passwd/group.master",
        "root:*:0:\nsudo:*:27:\nshadow:*:42:\nnogroup:*:65534:\n",
    );
    for (name, lines) in sysusers {
        put(&mut tree, &format!("/usr/lib/sysusers.d/{name}"), *lines);
    }
    tree
}

fn plan() -> Plan {
    let choices = Choices {
        arch: Arch::Amd64,
        channel: Channel::Stable,
        version: "4893.2.0".parse().unwrap(),
        source_date: Timestamp::from_unix_secs(1_763_000_000).unwrap(),
        payload_key_pem: None,
    };
    load_texts(RECIPE, &[]).unwrap().plan(choices).unwrap()
}

fn target(users: &[(&str, u32)], groups: &[(&str, u32, &[&str])]) -> Target {
    let user = |uid: u32| User {
        uid,
        gid: uid,
        description: "Somebody".to_owned(),
        home: "/home/x".to_owned(),
        shell: "/bin/bash".to_owned(),
    };
    let group =
        |gid, members: &[&str]| Group { gid, members: members.iter().map(|&m| m.to_owned()).collect() };
    Target {
        users: users.iter().map(|&(name, uid)| (name.to_owned(), user(uid))).collect(),
        groups: groups.iter().map(|&(name, gid, members)| (name.to_owned(), group(gid, members))).collect(),
        ..plan().target
    }
}

fn written(tree: &mut Tree, target: &Target) -> Result<(), FixupError> {
    accounts::write(tree, target, "boxcar", Timestamp::from_unix_secs(20_000 * 86_400 + 5).unwrap())
}

#[test]
fn accounts_are_the_master_files_the_recipes_and_what_packages_declare() {
    let declared = "u core 500 -\nu! daemon-x - \"Daemon\"\ng tape 26 -\nm core tape\n";
    let mut tree = with_master_files(&[("x.conf", declared)]);
    let target = target(
        &[("core", 500), ("daemon-x", 110)],
        &[("core", 500, &[]), ("daemon-x", 110, &[]), ("sudo", 27, &["core"])],
    );
    written(&mut tree, &target).unwrap();
    assert_eq!(
        text(&tree, "/etc/passwd"),
        "root:x:0:0:root:/root:/bin/bash\ndaemon-x:x:110:110:Somebody:/home/x:/bin/bash\n\
         core:x:500:500:Somebody:/home/x:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    assert_eq!(
        text(&tree, "/etc/group"),
        "root:x:0:\ntape:x:26:core\nsudo:x:27:core\nshadow:x:42:\ndaemon-x:x:110:\ncore:x:500:\nnogroup:x:65534:\n"
    );
}

#[test]
fn no_account_has_a_password_and_only_root_and_shadow_read_that() {
    let mut tree = with_master_files(&[]);
    written(&mut tree, &target(&[], &[])).unwrap();
    assert_eq!(text(&tree, "/etc/shadow"), "root:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n");
    for path in ["/etc/shadow", "/etc/gshadow"] {
        assert_eq!(tree.get(path).unwrap().mode, Mode { mode: 0o640, uid: 0, gid: 42 });
    }
}

#[test]
fn one_sysusers_file_repeats_the_numbers_and_the_packages_files_are_gone() {
    let mut tree = with_master_files(&[("x.conf", "u core - -\n"), ("y.conf", "")]);
    written(&mut tree, &target(&[("core", 500)], &[("core", 500, &[]), ("sudo", 27, &["core"])])).unwrap();
    let files: Vec<&str> = tree.below("/usr/lib/sysusers.d").map(|(path, _)| path).collect();
    assert_eq!(files, ["/usr/lib/sysusers.d/boxcar.conf"]);
    let lines = text(&tree, files[0]);
    for line in ["g core 500\n", "u core 500:500 \"Somebody\" /home/x /bin/bash\n", "m core sudo\n"] {
        assert!(lines.contains(line), "{lines}");
    }
    assert!(sysusers::parse(&lines).is_ok());
}

#[test]
fn accounts_without_a_number_are_all_named_with_who_wants_them() {
    let mut tree = with_master_files(&[("a.conf", "u one - -\n"), ("b.conf", "g two - -\n")]);
    let error = written(&mut tree, &target(&[], &[])).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("user `one` (`/usr/lib/sysusers.d/a.conf`") && told.contains("group `two`"),
        "{told}"
    );
    assert!(error.hint().unwrap().contains("[users]"));
}

#[test]
fn two_accounts_with_one_number_are_refused() {
    let mut tree = with_master_files(&[]);
    let error = written(&mut tree, &target(&[("a", 7), ("b", 7)], &[("a", 7, &[])])).unwrap_err();
    assert_eq!(error.to_string(), "user number 7 belongs to `a` and to `b`");
}

#[test]
fn damaged_master_files_and_declarations_are_told_with_their_line() {
    let mut tree = with_master_files(&[]);
    put(&mut tree, "/usr/share/base-passwd/passwd.master", "root:*:0:0:root:/root:/bin/bash\nhalf:*\n");
    let error = written(&mut tree, &target(&[], &[])).unwrap_err();
    assert_eq!(error.to_string(), "line 2 of `/usr/share/base-passwd/passwd.master` is damaged");
    let mut tree = with_master_files(&[("x.conf", "nonsense\n")]);
    assert!(matches!(written(&mut tree, &target(&[], &[])), Err(FixupError::Sysusers { .. })));
}

#[test]
fn certificates_become_one_bundle_in_the_order_of_their_names() {
    let mut tree = Tree::default();
    put(&mut tree, "/usr/share/ca-certificates/mozilla/B.crt", "b");
    put(&mut tree, "/usr/share/ca-certificates/mozilla/A.crt", "a\n");
    put(&mut tree, "/usr/share/ca-certificates/README", "no certificate");
    certificates::bundle(&mut tree).unwrap();
    assert_eq!(text(&tree, "/etc/ssl/certs/ca-certificates.crt"), "a\nb\n");
    assert!(tree.get("/usr/share/ca-certificates").is_none());
    assert!(matches!(certificates::bundle(&mut Tree::default()), Err(FixupError::Missing { .. })));
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 6).read_to_end(&mut encoded).unwrap();
    encoded
}

#[test]
fn modules_are_stored_decompressed_under_their_plain_name() {
    let mut tree = Tree::default();
    put(&mut tree, "/usr/lib/modules/6.12/kernel/erofs.ko.xz", xz(b"module"));
    put(&mut tree, "/usr/lib/modules/6.12/modules.order", "kernel/erofs.ko\n");
    kernel_modules::decompress(&mut tree).unwrap();
    let found: Vec<&str> = tree.below("/usr/lib/modules/6.12").map(|(path, _)| path).collect();
    assert_eq!(
        found,
        [
            "/usr/lib/modules/6.12/kernel",
            "/usr/lib/modules/6.12/kernel/erofs.ko",
            "/usr/lib/modules/6.12/modules.order"
        ]
    );
    assert_eq!(text(&tree, "/usr/lib/modules/6.12/kernel/erofs.ko"), "module");
}

#[test]
fn a_damaged_module_is_named() {
    let mut tree = Tree::default();
    put(&mut tree, "/usr/lib/modules/6.12/bad.ko.xz", "no xz");
    let error = kernel_modules::decompress(&mut tree).unwrap_err();
    assert_eq!(error.to_string(), "cannot decompress kernel module `/usr/lib/modules/6.12/bad.ko.xz`");
}

fn bootable() -> Tree {
    let mut tree = Tree::default();
    for path in [
        "/boot/vmlinuz-6.12",
        "/boot/config-6.12",
        "/usr/lib/modules/6.12/modules.order",
        "/usr/lib/systemd/boot/efi/linuxaa64.efi.stub",
        "/usr/lib/systemd/boot/efi/systemd-bootaa64.efi",
    ] {
        put(&mut tree, path, path);
    }
    tree
}

#[test]
fn what_boots_the_image_is_taken_out_of_it() {
    let mut tree = bootable();
    let boot = BootFiles::take(&mut tree, Arch::Arm64).unwrap();
    assert_eq!(boot.release, "6.12");
    assert_eq!(&*boot.stub, b"/usr/lib/systemd/boot/efi/linuxaa64.efi.stub");
    assert!(tree.get("/boot").is_none() && tree.get("/usr/lib/systemd/boot/efi").is_none());
}

#[test]
fn two_kernels_none_or_another_architectures_loader_are_refused() {
    let mut two = bootable();
    put(&mut two, "/usr/lib/modules/6.13/modules.order", "");
    let told = BootFiles::take(&mut two, Arch::Arm64).unwrap_err().to_string();
    assert!(told.ends_with("found 6.12, 6.13"), "{told}");
    assert!(
        BootFiles::take(&mut Tree::default(), Arch::Arm64).unwrap_err().to_string().ends_with("found none")
    );
    let told = BootFiles::take(&mut bootable(), Arch::Amd64).unwrap_err().to_string();
    assert!(told.contains("linuxx64.efi.stub"), "{told}");
}

#[test]
fn os_release_names_the_release_and_nothing_of_the_builder() {
    let plan = plan();
    let lines: BTreeMap<String, String> = os_release(&plan)
        .lines()
        .map(|line| {
            line.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
                .unwrap()
        })
        .collect();
    let version = plan.version.to_string();
    for (key, value) in [
        ("ID", &plan.os.id),
        ("IMAGE_ID", &plan.os.id),
        ("VERSION_ID", &version),
        ("IMAGE_VERSION", &version),
    ] {
        assert_eq!(&lines[key], value, "{key}");
    }
}

#[test]
fn sealing_moves_etc_and_leaves_only_usr() {
    let mut tree = Tree::default();
    for path in ["/etc/hosts", "/usr/bin/x", "/root/.profile", "/opt/y"] {
        put(&mut tree, path, "x");
    }
    seal(&mut tree, "boxcar").unwrap();
    let files: Vec<&str> = tree.entries().filter(|(_, e)| e.size_bytes() > 0).map(|(path, _)| path).collect();
    assert_eq!(files, ["/usr/bin/x", "/usr/share/boxcar/etc/hosts"]);
    assert!(tree.entries().all(|(path, _)| path.starts_with("/usr")));
}

#[test]
fn the_mode_of_a_file_that_is_not_there_cannot_be_set() {
    let mut plan = plan();
    plan.target.modes =
        BTreeMap::from([("/usr/bin/gone".parse().unwrap(), Mode { mode: 0o755, uid: 0, gid: 0 })]);
    let error = place(&mut Tree::default(), &plan).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the recipe sets the mode of `/usr/bin/gone`, which the image does not have"
    );
}
