//! `image.no-package-manager` and `image.banned-files`: what an image never holds.

use sm_image::erofs::Inode;

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked, Stop},
    lists::matches,
    usr::Usr,
};

/// How much of a file is looked at for a private key.
const KEY_BYTES: u64 = 64;

/// No package manager, no compiler, no data base of either.
///
/// # Errors
/// When the image could not be looked into.
pub fn no_package_manager(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let patterns = &facts.lists.forbidden.package_managers;
    let found = usr.entries().filter(|(path, _)| is_any(patterns, path));
    let problems = found.map(|(path, _)| format!("`{path}` installs or builds software"));
    Ok(Findings::with(format!("{} entries", usr.entries().count()), problems))
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
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
        findings.require(!path.contains(odd), || format!("`{}` is an odd name", path.escape_debug()));
        let in_etc = path.strip_prefix(&etc).filter(|_| inode.kind != sm_image::erofs::Kind::Directory);
        let is_known = in_etc.is_none_or(|below| is_any(&forbidden.etc, below));
        findings.require(is_known, || format!("`{path}` is not on the reviewed list of files of /etc"));
        if is_private_key(usr, path, inode)? {
            findings.problems.push(format!("`{path}` is a private key"));
        }
    }
    Ok(findings)
}

fn is_any(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, path))
}

fn is_private_key(usr: &Usr, path: &str, inode: &Inode) -> Result<bool, Stop> {
    if inode.kind != sm_image::erofs::Kind::File || inode.size_bytes < KEY_BYTES {
        return Ok(false);
    }
    let head = usr.bytes(path, KEY_BYTES)?;
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(line.starts_with(b"-----BEGIN ") && line.windows(11).any(|word| word == b"PRIVATE KEY"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    fn with(path: &str) -> Facts {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::replaced(path, "x"));
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
        ] {
            assert!(problems(banned_files(&with(path))).contains(path), "{path}");
        }
    }

    #[test]
    fn private_keys_are_caught_by_their_content() {
        let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n", "b3Blb".repeat(20));
        let mut facts = sample::facts();
        facts.usr = Ok(sample::replaced("/usr/share/innocent.txt", &text));
        assert_eq!(problems(banned_files(&facts)), "`/usr/share/innocent.txt` is a private key");
    }
}
