//! `image.no-package-manager` and `image.banned-files`: what an image never holds.

use rayon::prelude::*;
use sm_image::erofs::{Inode, Kind};

use super::secrets::{interpreter_in, names_crates_of_builder, secret_in};
use crate::suite::{
    elf,
    facts::{Facts, known},
    finding::{Findings, Looked, Stop},
    lists::matches,
    usr::Usr,
};

/// Largest file of an image.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// Longest name of a file.
const MAX_NAME_BYTES: usize = 100;

/// No package manager, no compiler, no data base of either.
///
/// # Errors
/// When the image could not be looked into.
pub fn no_package_manager(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let patterns = &facts.lists.forbidden.package_managers;
    let problems = usr.entries().filter_map(|(path, inode)| {
        let target = target_of(path, inode).filter(|target| is_any(patterns, target));
        let what = match target {
            _ if is_any(patterns, path) => format!("`{path}`"),
            Some(target) => format!("`{path}`, a link to `{target}`,"),
            None => return None,
        };
        Some(format!("{what} installs or builds software, which an image is not changed by"))
    });
    Ok(Findings::with(format!("{} entries", usr.entries().count()), problems))
}

/// Where a link points, as a path; none of anything else.
fn target_of(path: &str, inode: &Inode) -> Option<String> {
    let Kind::Symlink(target) = &inode.kind else { return None };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(if target.starts_with('/') { target.clone() } else { format!("{folder}/{target}") })
}

/// No file of a kind that has no place in an image, no odd names, no secrets.
///
/// # Errors
/// When the image could not be looked into.
pub fn banned_files(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let forbidden = &facts.lists.forbidden;
    let mut findings = Findings::of(format!("{} entries", usr.entries().count()));
    let etc = format!("{}/", usr.factory_etc());
    for (path, inode) in usr.entries() {
        let banned = is_any(&forbidden.files, path) && !is_any(&forbidden.allowed, path);
        findings.require(!banned, || format!("`{path}` has no place in an image"));
        findings.require(!is_odd(path), || {
            let name = path.escape_default();
            format!("`{name}` is an odd name: expected at most {MAX_NAME_BYTES} printable ASCII characters")
        });
        let in_etc = path.strip_prefix(&etc).filter(|_| inode.kind != Kind::Directory);
        let is_known = in_etc.is_none_or(|below| is_any(&forbidden.etc, below));
        findings.require(is_known, || format!("`{path}` is not on the reviewed list of files of /etc"));
    }
    let files: Vec<&str> = usr.files().map(|(path, _)| path).collect();
    let is_harmless = |path: &&&str| forbidden.harmless_keys.keys().any(|pattern| matches(pattern, path));
    let inside: Result<Vec<_>, Stop> =
        files.par_iter().filter(|path| !is_harmless(path)).map(|path| inside(usr, path)).collect();
    findings.problems.extend(inside?.into_iter().flatten());
    findings.problems.extend(own_files(facts, usr)?);
    Ok(findings)
}

/// Whether people, terminals or scripts could take a name for another, or for something else than a name. Units of systemd
/// have backslashes (systemd.unit(5), "String Escaping for Inclusion in Unit Names").
fn is_odd(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let escapes = name.split('\\').skip(1);
    let is_escaped = |rest: &str| {
        rest.strip_prefix('x')
            .is_some_and(|hex| hex.get(..2).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok()))
    };
    !name.chars().all(|c| c.is_ascii_graphic())
        || name.starts_with('-')
        || name.ends_with('.')
        || name.len() > MAX_NAME_BYTES
        || !escapes.into_iter().all(is_escaped)
}

/// What is in a file that is in no image, whatever the file is called.
fn inside(usr: &Usr, path: &str) -> Result<Option<String>, Stop> {
    let bytes = usr.bytes(path, MAX_FILE_BYTES)?;
    if let Some(secret) = secret_in(&bytes) {
        return Ok(Some(format!("`{path}` holds {secret}: whoever has the image has it, too")));
    }
    if names_crates_of_builder(&bytes) {
        return Ok(Some(format!(
            "`{path}` names folders of the machine that built it: built elsewhere, it differs"
        )));
    }
    let interpreter = if elf::is_elf(&bytes) { interpreter_in(&bytes) } else { None };
    Ok(interpreter.map(|which| format!("`{path}` is, or brings, an interpreter of {which}")))
}

/// Files that come from no package are exactly the reviewed ones.
fn own_files(facts: &Facts, usr: &Usr) -> Result<Vec<String>, Stop> {
    let (bill, packages, own) = (known(&facts.bill)?, known(&facts.packages)?, &facts.lists.forbidden.own);
    let from_package = |path: &str| {
        bill.files.get(path).is_some_and(|file| file.owners.iter().any(|owner| packages.contains_key(owner)))
    };
    let found: Vec<String> =
        usr.files().filter(|(path, _)| !from_package(path)).map(|(path, _)| usr.appears_at(path)).collect();
    let is_listed = |path: &&String| own.keys().any(|pattern| matches(pattern, path));
    let extra = found.iter().filter(|path| !is_listed(path)).map(|path| {
        format!("`{path}` comes from no package and is not on the reviewed list of files of our own")
    });
    let lost = own.keys().filter(|pattern| !found.iter().any(|path| matches(pattern, path)));
    let lost =
        lost.map(|pattern| format!("`{pattern}` is on the list of files of our own, and not in the image"));
    Ok(extra.chain(lost).collect())
}

fn is_any(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    fn with(path: &str) -> Facts {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::replaced(path, "x"));
        let billed = facts.bill.as_ref().unwrap().files["/usr/bin/su"].clone();
        facts.bill.as_mut().unwrap().files.insert(path.to_owned(), billed);
        facts
    }

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(no_package_manager(&sample::facts())), "");
        assert_eq!(problems(banned_files(&sample::facts())), "");
    }

    #[test]
    fn package_managers_and_compilers_are_caught() {
        for path in ["/usr/bin/apt", "/usr/bin/dpkg", "/usr/bin/x86_64-linux-gnu-gcc-14", "/usr/lib/dpkg/x"] {
            assert!(problems(no_package_manager(&with(path))).contains(path), "{path}");
        }
        assert_eq!(problems(no_package_manager(&with("/usr/bin/adapt"))), "");
    }

    #[test]
    fn files_of_etc_that_nobody_reviewed_are_caught() {
        let path = "/usr/share/boxcar/etc/sudoers.d/evil";
        let found = problems(banned_files(&with(path)));
        assert_eq!(found, format!("`{path}` is not on the reviewed list of files of /etc"));
    }

    #[test]
    fn leftovers_interpreters_and_odd_names_are_caught() {
        for path in [
            "/usr/share/a.old",
            "/usr/share/a~",
            "/usr/bin/perl5.40",
            "/usr/share/man/man1/a.1",
            "/usr/share/boxcar/etc/machine-id",
            "/usr/share/boxcar/etc/ssh/ssh_host_rsa_key",
            "/usr/share/a b",
            "/usr/share/a\u{fffd}",
            "/usr/share/-rf",
            "/usr/share/a\\b",
        ] {
            let found = problems(banned_files(&with(path)));
            assert!(found.contains(&path.escape_default().to_string()), "{path}: {found}");
        }
        let escaped = "/usr/lib/systemd/system/system-systemd\\x2dcryptsetup.slice";
        assert!(!problems(banned_files(&with(escaped))).contains("odd"));
    }

    #[test]
    fn files_of_no_package_are_the_reviewed_ones() {
        let mut facts = sample::facts();
        facts.bill.as_mut().unwrap().files.get_mut("/usr/lib/os-release").unwrap().owners =
            vec!["boxcar".into()];
        let found = problems(banned_files(&facts));
        assert!(found.starts_with("`/usr/lib/os-release` comes from no package"), "{found}");
        facts.lists.forbidden.own = [("/usr/lib/os-*".to_owned(), sample::why("ours"))].into();
        assert_eq!(problems(banned_files(&facts)), "");
        facts.lists.forbidden.own =
            [("/usr/lib/{os-*,b}".to_owned(), sample::why("ours")), ("/x".into(), sample::why("x"))].into();
        assert_eq!(
            problems(banned_files(&facts)),
            "`/x` is on the list of files of our own, and not in the image"
        );
    }

    #[test]
    fn a_link_to_a_package_manager_is_one() {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::with_entry("/usr/bin/get", sample::link("apt")));
        assert!(
            problems(no_package_manager(&facts)).starts_with("`/usr/bin/get`, a link to `/usr/bin/apt`,")
        );
    }

    #[test]
    fn private_keys_are_caught_by_their_content() {
        let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n", "b3Blb".repeat(20));
        let mut facts = with("/usr/share/innocent.txt");
        facts.usr = Ok(sample::replaced("/usr/share/innocent.txt", &text));
        let found = problems(banned_files(&facts));
        assert!(found.starts_with("`/usr/share/innocent.txt` holds a private key"), "{found}");
        facts.lists.forbidden.harmless_keys =
            [("/usr/share/*.txt".to_owned(), sample::why("a test's"))].into();
        assert_eq!(problems(banned_files(&facts)), "");
    }
}
