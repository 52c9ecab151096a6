//! The initial RAM disk from made-up trees: its closure is complete, its bytes do not depend on chance.

use std::collections::BTreeMap;

use super::*;
use crate::recipe::{ImagePath, Mode, PlacedFile};

const LIB: &str = "/usr/lib/x86_64-linux-gnu";

/// This test's own program, cut to nothing but what names its loader and libraries, is not needed: it is a real ELF file.
fn program() -> Vec<u8> {
    std::fs::read(std::env::current_exe().unwrap()).unwrap()
}

/// An image with a real program, empty files for the libraries it needs, and links as Debian has them.
fn image() -> Tree {
    let mut tree = Tree::default();
    let bytes = program();
    let needs = elf::needs(&bytes).unwrap();
    let loader = needs.interpreter.clone().unwrap();
    let loader_name = loader.rsplit('/').next().unwrap();
    for library in &needs.libraries {
        put(&mut tree, &format!("{LIB}/{library}"), "");
    }
    tree.put("/lib64", Entry::symlink("usr/lib64", Origin::Recipe)).unwrap();
    tree.put("/lib", Entry::symlink("usr/lib", Origin::Recipe)).unwrap();
    put(&mut tree, &format!("{LIB}/{loader_name}"), "");
    let target = format!("../lib/x86_64-linux-gnu/{loader_name}");
    tree.put(&format!("/usr/lib64/{loader_name}"), Entry::symlink(target, Origin::Recipe)).unwrap();
    tree.put("/usr/bin/tool", Entry::file(bytes, Origin::Recipe)).unwrap();
    tree.put("/usr/bin/alias", Entry::symlink("tool", Origin::Recipe)).unwrap();
    for path in ["/etc/passwd", "/etc/group", "/usr/lib/os-release", "/usr/share/unrelated"] {
        put(&mut tree, path, path);
    }
    tree
}

fn put(tree: &mut Tree, path: &str, text: &str) {
    tree.put(path, Entry::file(text, Origin::Recipe)).unwrap();
}

fn initrd(files: &[&str]) -> Initrd {
    Initrd {
        modules: Vec::new(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
        units: Vec::new(),
        placed: BTreeMap::new(),
        symlinks: BTreeMap::new(),
    }
}

fn selected(tree: &Tree, initrd: &Initrd) -> Result<Tree, InitrdError> {
    select(tree, initrd, Arch::Amd64, "6.12", &ModuleIndex::default())
}

#[test]
fn a_link_brings_its_program_and_a_program_its_loader_and_libraries() {
    let found = selected(&image(), &initrd(&["/usr/bin/alias"])).unwrap();
    let needs = elf::needs(&program()).unwrap();
    assert!(found.get("/usr/bin/tool").is_some());
    for library in &needs.libraries {
        assert!(found.get(&format!("{LIB}/{library}")).is_some(), "{library}");
    }
    let loader = needs.interpreter.unwrap();
    assert!(final_file(&found, &loader).is_some(), "{loader} leads nowhere");
    assert!(found.get("/usr/share/unrelated").is_none());
}

#[test]
fn what_the_kernel_and_systemd_expect_is_always_there() {
    let found = selected(&image(), &initrd(&[])).unwrap();
    for path in
        ["/init", "/dev", "/proc", "/sys", "/run", "/sysroot", "/tmp", "/var/tmp", "/etc/initrd-release"]
    {
        assert!(found.get(path).is_some(), "{path}");
    }
}

#[test]
fn a_missing_library_is_named_with_who_needs_it() {
    let mut tree = image();
    let library = elf::needs(&program()).unwrap().libraries[0].clone();
    tree.take(&format!("{LIB}/{library}"));
    let error = selected(&tree, &initrd(&["/usr/bin/tool"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`/usr/bin/tool` needs `{library}`, which the image does not have")
    );
}

#[test]
fn misspelt_files_units_and_modules_are_found_before_a_machine_does_not_boot() {
    let tree = image();
    assert!(matches!(selected(&tree, &initrd(&["/usr/bin/tol"])), Err(InitrdError::NoMatch { .. })));
    let units = Initrd { units: vec!["absent.target".to_owned()], ..initrd(&[]) };
    assert!(matches!(selected(&tree, &units), Err(InitrdError::NoUnit { .. })));
    let modules = Initrd { modules: vec!["erofs".to_owned(), "nosuch".to_owned()], ..initrd(&[]) };
    let error = selected(&tree, &modules).unwrap_err();
    assert_eq!(error.to_string(), "the kernel has no module `erofs`, `nosuch`");
}

#[test]
fn wants_links_come_only_between_units_that_are_there() {
    let mut tree = image();
    let dir = "/usr/lib/systemd/system";
    for unit in ["a.target", "b.service", "c.service"] {
        put(&mut tree, &format!("{dir}/{unit}"), "[Unit]");
        let link = Entry::symlink(format!("../{unit}"), Origin::Recipe);
        tree.put(&format!("{dir}/a.target.wants/{unit}"), link).unwrap();
    }
    let units = ["a.target", "b.service"].map(str::to_owned).to_vec();
    let found = selected(&tree, &Initrd { units, ..initrd(&[]) }).unwrap();
    assert!(found.get(&format!("{dir}/a.target.wants/b.service")).is_some());
    assert!(found.get(&format!("{dir}/a.target.wants/c.service")).is_none());
    assert!(found.get(&format!("{dir}/c.service")).is_none());
}

#[test]
fn placed_files_win_over_the_images() {
    let mut wanted = initrd(&["/usr/share/unrelated"]);
    let path: ImagePath = "/usr/share/unrelated".parse().unwrap();
    let mode = Mode { mode: 0o755, uid: 0, gid: 0 };
    wanted.placed.insert(path, PlacedFile { bytes: b"mine"[..].into(), mode, source: None });
    let found = selected(&image(), &wanted).unwrap();
    assert_eq!(&**found.file("/usr/share/unrelated").unwrap(), b"mine");
}

#[test]
fn links_in_a_circle_end() {
    let mut tree = Tree::default();
    tree.put("/a", Entry::symlink("b", Origin::Recipe)).unwrap();
    tree.put("/b", Entry::symlink("a", Origin::Recipe)).unwrap();
    assert!(final_file(&tree, "/a").is_none());
    assert!(resolve(&tree, "/a/x").is_none());
    assert_eq!(resolve(&tree, "/../../b").as_deref(), Some("/b"));
}

#[test]
fn the_archive_reads_back_and_is_the_same_twice() {
    let tree = selected(&image(), &initrd(&[])).unwrap();
    let (first, second) = (pack(&tree).unwrap(), pack(&tree).unwrap());
    assert_eq!(first, second);
    let reader = cpio::Reader::new(zstd::Decoder::new(&*first).unwrap(), cpio::Limits::default());
    let names: Vec<_> = reader.map(|entry| entry.unwrap().path).collect();
    let expected: Vec<_> = tree.entries().map(|(path, _)| path[1..].to_owned()).collect();
    assert_eq!(names, expected);
}
