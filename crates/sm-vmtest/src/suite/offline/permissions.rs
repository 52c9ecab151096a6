//! `image.suid-sgid`, `image.capabilities`, `image.perms`: who may do what, by the image's own inodes.

use std::collections::BTreeSet;

use sm_image::erofs::{Inode, Kind};

use crate::suite::{
    facts::{Facts, Listed, known},
    finding::{Findings, Looked},
};

const SUID_SGID: u16 = 0o6000;
const STICKY: u16 = 0o1000;
const WORLD_WRITABLE: u16 = 0o002;
const GROUP_WRITABLE: u16 = 0o020;
/// The attribute that capabilities(7) lie in.
const CAPABILITY: &str = "security.capability";

/// SUID and SGID files are exactly those on the reviewed list, with their owners.
///
/// # Errors
/// When the image could not be looked into.
pub fn suid_sgid(facts: &Facts) -> Looked {
    let found: Vec<String> = known(&facts.usr)?
        .entries()
        .filter(|(_, inode)| inode.mode & SUID_SGID != 0)
        .map(|(path, inode)| format!("{:04o} {}:{} {path}", inode.mode, inode.uid, inode.gid))
        .collect();
    let mut findings = Findings::of(format!("{} files", found.len()));
    findings.compare("SUID or SGID file", &found, facts.lists.permissions.suid_sgid.keys());
    Ok(findings)
}

/// Files with capabilities are exactly those on the reviewed list, with exactly those capabilities.
///
/// # Errors
/// When the image could not be looked into.
pub fn capabilities(facts: &Facts) -> Looked {
    let of = |inode: &Inode| -> Option<String> {
        Some(inode.xattrs.get(CAPABILITY)?.iter().map(|byte| format!("{byte:02x}")).collect())
    };
    let found: Vec<String> = known(&facts.usr)?
        .entries()
        .filter_map(|(path, inode)| Some(format!("{} {path}", of(inode)?)))
        .collect();
    let mut findings = Findings::of(format!("{} files", found.len()));
    findings.compare("file with capabilities", &found, facts.lists.permissions.capabilities.keys());
    Ok(findings)
}

/// Nobody but root may write, every group is known, no device is there, and the release's own list of files is true.
///
/// # Errors
/// When image or list could not be looked at.
pub fn perms(facts: &Facts) -> Looked {
    let (usr, contents) = (known(&facts.usr)?, known(&facts.contents)?);
    let mut findings = Findings::of(format!("{} entries", usr.entries().count()));
    let groups = groups(facts);
    for (path, inode) in usr.entries() {
        let is_link = matches!(inode.kind, Kind::Symlink(_));
        let writable = inode.mode & WORLD_WRITABLE != 0 && !is_link;
        findings.require(!writable, || format!("`{path}` ({:04o}) is writable for all", inode.mode));
        findings.require(!matches!(inode.kind, Kind::Special(_)), || {
            format!("`{path}` is a device, socket or pipe")
        });
        let by_group = inode.mode & GROUP_WRITABLE != 0 && inode.gid != 0 && !is_link;
        findings.require(!by_group, || {
            format!(
                "`{path}` ({:04o}) is writable for group {}, expected for root alone",
                inode.mode, inode.gid
            )
        });
        findings.require(inode.uid == 0, || {
            format!("`{path}` belongs to user {}, who may change it, expected root", inode.uid)
        });
        findings.require(groups.contains(&inode.gid), || {
            format!("`{path}` belongs to the unknown group {}", inode.gid)
        });
        if contents.get(path) != Some(&listed(inode)) {
            findings.problems.push(format!("`{path}` is not as the release's list of files says"));
        }
    }
    let sticky = usr.entries().filter(|(_, inode)| inode.mode & STICKY != 0).map(|(path, _)| path.to_owned());
    findings.compare(
        "sticky entry",
        &sticky.collect::<Vec<_>>(),
        facts.lists.permissions.sticky_directories.keys(),
    );
    let gone = contents.keys().filter(|path| path.starts_with("/usr/") && usr.get(path).is_none());
    findings.problems.extend(gone.map(|path| format!("`{path}` is on the release's list of files only")));
    Ok(findings)
}

/// Numbers of the groups on the reviewed list, `NAME GID:MEMBERS`.
fn groups(facts: &Facts) -> BTreeSet<u32> {
    let number = |group: &String| group.split_once(' ')?.1.split(':').next()?.parse().ok();
    facts.lists.accounts.groups.keys().filter_map(number).collect()
}

/// An inode as a list of files shows it.
pub(crate) fn listed(inode: &Inode) -> Listed {
    let (kind, size_bytes) = match &inode.kind {
        Kind::Directory => ('d', 0),
        Kind::File => ('-', inode.size_bytes),
        Kind::Symlink(target) => ('l', target.len() as u64),
        Kind::Special(_) => ('?', 0),
    };
    let triple = |shift: u16, special: u16, letter: char| {
        let bit = |mask: u16, yes: char| if inode.mode >> shift & mask != 0 { yes } else { '-' };
        let last = match (inode.mode & special != 0, inode.mode >> shift & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, _) => bit(1, 'x'),
        };
        [bit(4, 'r'), bit(2, 'w'), last]
    };
    let triples = [triple(6, 0o4000, 's'), triple(3, 0o2000, 's'), triple(0, 0o1000, 't')];
    Listed { mode: std::iter::once(kind).chain(triples.into_iter().flatten()).collect(), size_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    fn with(path: &str, inode: Inode) -> Facts {
        let mut facts = sample::facts();
        facts.contents.as_mut().unwrap().insert(path.to_owned(), listed(&inode));
        facts.usr = Ok(sample::with_entry(path, inode));
        facts
    }

    #[test]
    fn the_sample_passes() {
        for test in [suid_sgid, capabilities, perms] {
            assert_eq!(problems(test(&sample::facts())), "");
        }
    }

    #[test]
    fn a_new_suid_file_and_a_lost_one_are_caught() {
        let new = problems(suid_sgid(&with("/usr/bin/evil", sample::file(0o4755))));
        assert_eq!(new, "SUID or SGID file `4755 0:0 /usr/bin/evil` is not on the reviewed list");
        let lost = problems(suid_sgid(&with("/usr/bin/su", sample::file(0o755))));
        assert_eq!(lost, "SUID or SGID file `4755 0:0 /usr/bin/su` is listed but not in the image");
        assert!(problems(suid_sgid(&with("/usr/bin/su", sample::file(0o6755)))).contains("`6755 0:0"));
    }

    #[test]
    fn capabilities_outside_the_list_are_caught() {
        let mut ping = sample::file(0o755);
        ping.xattrs.insert(CAPABILITY.to_owned(), vec![1, 0, 0, 2]);
        let found = problems(capabilities(&with("/usr/bin/ping", ping)));
        assert_eq!(found, "file with capabilities `01000002 /usr/bin/ping` is not on the reviewed list");
    }

    #[test]
    fn loose_permissions_and_foreign_owners_are_caught() {
        let cases = [
            (sample::file(0o666), "writable for all"),
            (Inode { kind: Kind::Directory, ..sample::file(0o1755) }, "sticky entry `/usr/x`"),
            (Inode { uid: 4242, ..sample::file(0o644) }, "belongs to user 4242, who may change it"),
            (Inode { gid: 4242, ..sample::file(0o644) }, "unknown group 4242"),
            (Inode { gid: 27, ..sample::file(0o664) }, "writable for group 27"),
            (Inode { kind: Kind::Special(0o020_000), ..sample::file(0o600) }, "a device"),
        ];
        for (inode, expected) in cases {
            let found = problems(perms(&with("/usr/x", inode)));
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn an_image_that_is_not_what_was_listed_is_caught() {
        let mut facts = sample::facts();
        let contents = facts.contents.as_mut().unwrap();
        contents.get_mut("/usr/bin/su").unwrap().size_bytes += 1;
        contents.insert("/usr/gone".into(), Listed { mode: "-rw-r--r--".into(), size_bytes: 1 });
        let found = problems(perms(&facts));
        assert!(found.contains("`/usr/bin/su` is not as") && found.contains("`/usr/gone` is on"), "{found}");
    }

    #[test]
    fn modes_are_shown_as_ls_does() {
        assert_eq!(listed(&sample::file(0o4755)).mode, "-rwsr-xr-x");
        assert_eq!(listed(&Inode { kind: Kind::Directory, ..sample::file(0o1770) }).mode, "drwxrwx--T");
        assert_eq!(listed(&sample::link("bash")), Listed { mode: "lrwxrwxrwx".into(), size_bytes: 4 });
    }
}
