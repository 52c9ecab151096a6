//! Trees merge packages, drop what is not wanted, and are written in one order.

use super::*;

fn package(name: &str) -> Origin {
    Origin::Package(name.parse().unwrap())
}

fn tree_of(paths: &[&str]) -> Tree {
    let mut tree = Tree::default();
    for path in paths {
        tree.add(path, Entry::file("x", package("pkg"))).unwrap();
    }
    tree
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.entries().map(|(path, _)| path).collect()
}

#[test]
fn paths_that_are_not_absolute_and_normal_are_refused() {
    let long = format!("/{}", "a".repeat(256));
    let deep = "/a".repeat(2100);
    for path in
        ["", "/", "usr", "../x", "/../x", "/a/../b", "/a//b", "/a/./b", "/a/", "/a\n", "/a\0", &long, &deep]
    {
        let error = Tree::default().add(path, Entry::file("x", Origin::Recipe)).unwrap_err();
        assert!(matches!(error, TreeError::Path { .. }), "{path:?}: {error}");
    }
}

#[test]
fn two_packages_share_directories_but_not_files() {
    let mut tree = Tree::default();
    tree.add("/usr", Entry::directory(package("aa"))).unwrap();
    tree.add("/usr", Entry::directory(package("bb"))).unwrap();
    assert_eq!(tree.get("/usr").unwrap().origin, package("aa"));
    tree.add("/usr/x", Entry::file("1", package("aa"))).unwrap();
    let error = tree.add("/usr/x", Entry::file("1", package("bb"))).unwrap_err();
    assert_eq!(error.to_string(), "`/usr/x` comes from package `aa` and from package `bb`");
    assert!(error.hint().unwrap().contains("`drop`"));
}

#[test]
fn a_directory_made_on_the_way_takes_its_packages_mode_later() {
    let mut tree = tree_of(&["/usr/lib/x"]);
    let mut lib = Entry::directory(package("pkg"));
    lib.mode.mode = 0o700;
    tree.add("/usr/lib", lib).unwrap();
    assert_eq!(tree.get("/usr/lib").unwrap().mode.mode, 0o700);
}

#[test]
fn nothing_is_put_through_a_link_or_below_a_file() {
    let mut tree = tree_of(&["/file"]);
    tree.add("/link", Entry::symlink("/etc", package("evil"))).unwrap();
    for path in ["/link/passwd", "/file/x"] {
        let error = tree.add(path, Entry::file("x", package("pkg"))).unwrap_err();
        assert!(matches!(error, TreeError::NotADirectory { .. }), "{error}");
        assert!(tree.put(path, Entry::file("x", Origin::Recipe)).is_err());
    }
}

#[test]
fn putting_replaces_a_file_but_not_a_filled_directory() {
    let mut tree = tree_of(&["/usr/a/b"]);
    tree.put("/usr/a/b", Entry::file("new", Origin::Recipe)).unwrap();
    assert_eq!(&**tree.file("/usr/a/b").unwrap(), b"new");
    assert!(matches!(
        tree.put("/usr/a", Entry::file("x", Origin::Recipe)),
        Err(TreeError::FilledDirectory { .. })
    ));
}

#[test]
fn taking_leaves_neighbours_whose_names_start_the_same() {
    let mut tree = tree_of(&["/a/x", "/a-b/x", "/a.d", "/a0", "/ab", "/b"]);
    assert_eq!(paths(&tree.take("/a")), ["/a", "/a/x"]);
    assert_eq!(paths(&tree), ["/a-b", "/a-b/x", "/a.d", "/a0", "/ab", "/b"]);
}

#[test]
fn directories_emptied_by_retain_go_and_others_stay() {
    let mut tree = tree_of(&["/usr/a/b/c", "/usr/d"]);
    tree.put("/usr/empty", Entry::directory(Origin::Recipe)).unwrap();
    tree.retain(|path, _| !path.starts_with("/usr/a/b"));
    assert_eq!(paths(&tree), ["/usr", "/usr/d", "/usr/empty"]);
}

#[test]
fn a_directory_that_retain_refuses_stays_while_it_has_content() {
    let mut tree = tree_of(&["/usr/a/b/c"]);
    tree.retain(|path, _| path == "/usr/a/b/c");
    assert_eq!(paths(&tree), ["/usr", "/usr/a", "/usr/a/b", "/usr/a/b/c"]);
}

#[test]
fn renaming_moves_everything_below() {
    let mut tree = tree_of(&["/etc/a", "/etc/b/c", "/etcetera"]);
    tree.rename("/etc", "/usr/share/os/etc").unwrap();
    let moved: Vec<_> = tree.below("/usr/share/os/etc").map(|(path, _)| path).collect();
    assert_eq!(moved, ["/usr/share/os/etc/a", "/usr/share/os/etc/b", "/usr/share/os/etc/b/c"]);
    assert!(tree.get("/etc").is_none());
    assert!(tree.get("/etcetera").is_some());
}

/// Every header of the archive: name, kind, mode, owner, time, link target.
fn listing(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let line = |entry: tar::Entry<'_, &[u8]>| {
        let header = entry.header();
        let target = entry.link_name_bytes().map(|raw| String::from_utf8(raw.into_owned()).unwrap());
        format!(
            "{} {:?} {:o} {}:{} @{} {}",
            String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
            header.entry_type(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mtime().unwrap(),
            target.unwrap_or_default()
        )
    };
    archive.entries().unwrap().map(|entry| line(entry.unwrap())).collect()
}

#[test]
fn a_tar_holds_owner_mode_and_links_as_declared() {
    let mut tree = Tree::default();
    let mut owned = Entry::file("x", Origin::Recipe);
    owned.mode = Mode { mode: 0o2755, uid: 0, gid: 42 };
    tree.put("/usr/bin/chage", owned.clone()).unwrap();
    tree.put("/usr/bin/again", owned).unwrap();
    tree.put("/usr/lib/rel", Entry::symlink("../../etc//x/./y", Origin::Recipe)).unwrap();
    tree.put("/usr/lib/null", Entry::symlink("/dev/null", Origin::Recipe)).unwrap();
    let long = format!("/usr/{}/{}", "d".repeat(150), "f".repeat(150));
    tree.put(&long, Entry::symlink("t".repeat(300), Origin::Recipe)).unwrap();
    let mut tar = Vec::new();
    write_tar(&tree, "/usr", sm_model::Timestamp::from_unix_secs(7).unwrap(), &mut tar).unwrap();
    let found = listing(&tar);
    assert_eq!(
        found[..8],
        [
            ". Directory 755 0:0 @7 ".to_owned(),
            "bin Directory 755 0:0 @7 ".to_owned(),
            "bin/again Regular 2755 0:42 @7 ".to_owned(),
            "bin/chage Link 2755 0:42 @7 bin/again".to_owned(),
            format!("{} Directory 755 0:0 @7 ", "d".repeat(150)),
            format!("{} Symlink 777 0:0 @7 {}", long.strip_prefix("/usr/").unwrap(), "t".repeat(300)),
            "lib Directory 755 0:0 @7 ".to_owned(),
            "lib/null Symlink 777 0:0 @7 /dev/null".to_owned(),
        ]
    );
    assert_eq!(found[8], "lib/rel Symlink 777 0:0 @7 ../../etc//x/./y");
}
