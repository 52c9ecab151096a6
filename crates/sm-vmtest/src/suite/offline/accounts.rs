//! `image.users-shells`: who exists, who may log in, and that nobody has a password.

use sha2::Digest as _;
use sm_model::Sha256;

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked, Stop},
    lists::Accounts,
    usr::{Place, Usr},
};

/// Longest file of accounts.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Permission bits of everybody.
const FOR_OTHERS: u16 = 0o007;
/// Folders of user records (nss-systemd(8)).
const USER_RECORDS: [&str; 1] = ["/userdb/"];

/// Users and groups are exactly the reviewed ones; only those listed have a shell; every password is locked.
///
/// # Errors
/// When the image could not be looked into, or lacks a file of accounts.
pub fn users_shells(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let lists = &facts.lists.accounts;
    let (passwd, group) = (table(usr, "passwd")?, table(usr, "group")?);
    let mut findings = Findings::of(format!("{} users, {} groups", passwd.len(), group.len()));
    let field = |line: &[String], index: usize| line.get(index).cloned().unwrap_or_default();
    let users = passwd
        .iter()
        .map(|line| format!("{} {}:{}:{}", field(line, 0), field(line, 2), field(line, 3), field(line, 6)));
    findings.compare("user", &users.collect::<Vec<_>>(), lists.users.keys());
    let groups = group.iter().map(|line| format!("{} {}:{}", field(line, 0), field(line, 2), field(line, 3)));
    findings.compare("group", &groups.collect::<Vec<_>>(), lists.groups.keys());
    for line in &passwd {
        let (name, password, shell) = (field(line, 0), field(line, 1), field(line, 6));
        findings.require(password == "x", || format!("user `{name}` has a password field outside shadow"));
        let may_log_in = !lists.no_login_shells.contains(&shell);
        let expected = lists.with_shell.contains(&name);
        findings.require(may_log_in == expected, || format!("user `{name}` has the shell `{shell}`"));
    }
    for (file, lines) in [("shadow", table(usr, "shadow")?), ("gshadow", table(usr, "gshadow")?)] {
        let open = lines.iter().filter(|line| !is_locked(&field(line, 1)));
        findings.problems.extend(open.map(|line| format!("`{}` in {file} has a password", field(line, 0))));
    }
    let shadowed: Vec<String> = table(usr, "shadow")?.iter().map(|line| field(line, 0)).collect();
    let open = passwd.iter().map(|line| field(line, 0)).filter(|name| !shadowed.contains(name));
    findings.problems.extend(open.map(|name| format!("user `{name}` has no line in shadow")));
    for name in ["shadow", "gshadow"] {
        let path = format!("{}/{name}", usr.factory_etc());
        let mode = usr.get(&path).map_or(0, |inode| inode.mode);
        findings.require(mode & FOR_OTHERS == 0, || {
            format!("`{path}` ({mode:04o}) can be read by all: passwords set on hosts would be, too")
        });
    }
    let records = usr.files().filter(|(path, _)| USER_RECORDS.iter().any(|folder| path.contains(folder)));
    findings.problems.extend(records.map(|(path, _)| format!("`{path}` makes a user beside passwd")));
    trusted(usr, lists, &mut findings)?;
    Ok(findings)
}

/// Files of our own that decide who gets in are, to the byte, the reviewed ones.
fn trusted(usr: &Usr, lists: &Accounts, findings: &mut Findings) -> Result<(), Stop> {
    for listed in lists.trusted.keys() {
        let (expected, path) = listed.split_once(' ').unwrap_or(("", listed));
        let Place::Image(stored) = usr.resolve(path) else {
            findings.problems.push(format!("`{path}` decides who gets in and is absent"));
            continue;
        };
        let found = Sha256(sha2::Sha256::digest(usr.bytes(&stored, MAX_TEXT_BYTES)?).into());
        let what = format!("`{path}` decides who gets in and has the digest");
        findings.require(found.to_string() == expected, || {
            format!("{what} `{found}`, expected the reviewed `{expected}`")
        });
    }
    Ok(())
}

/// No password matches: `*`, or anything after `!` (shadow(5)). An empty field would let everybody in.
fn is_locked(password: &str) -> bool {
    password == "*" || password.starts_with('!')
}

/// Fields of the lines of a file below the factory /etc.
fn table(usr: &Usr, name: &str) -> Result<Vec<Vec<String>>, Stop> {
    let path = format!("{}/{name}", usr.factory_etc());
    if usr.get(&path).is_none() {
        return Err(Stop::Broken(format!("`{path}` is absent")));
    }
    let text = usr.text(&path, MAX_TEXT_BYTES)?;
    let lines = text.lines().filter(|line| !line.is_empty());
    Ok(lines.map(|line| line.split(':').map(str::to_owned).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    fn with(name: &str, text: &str) -> String {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::replaced(&format!("/usr/share/boxcar/etc/{name}"), text));
        problems(users_shells(&facts))
    }

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(users_shells(&sample::facts())), "");
    }

    #[test]
    fn accounts_outside_the_list_are_caught() {
        let more = format!("{}evil:x:0:0::/:/bin/bash\n", sample::PASSWD);
        let found = with("passwd", &more);
        assert!(found.contains("user `evil 0:0:/bin/bash` is not on"), "{found}");
        assert!(found.contains("user `evil` has the shell"), "{found}");
        assert!(found.contains("user `evil` has no line in shadow"), "{found}");
        let member = sample::GROUP.replace("sudo:x:27:core", "sudo:x:27:core,nobody");
        assert!(with("group", &member).contains("group `sudo 27:core,nobody` is not on"));
    }

    #[test]
    fn shadow_that_all_can_read_and_users_beside_passwd_are_caught() {
        assert!(
            with("shadow", sample::SHADOW)
                .contains("`/usr/share/boxcar/etc/shadow` (0755) can be read by all")
        );
        let found = with("userdb/evil.user", "{}");
        assert!(found.contains("evil.user` makes a user beside passwd"), "{found}");
    }

    #[test]
    fn what_decides_who_gets_in_is_the_reviewed_file() {
        let mut facts = sample::facts();
        let own = format!("{:x}", sha2::Sha256::digest(sample::GROUP));
        for (listed, expected) in [
            (format!("{own} /etc/group"), ""),
            (format!("{own} /etc/passwd"), "`/etc/passwd` decides who gets in and has the digest"),
            (format!("{own} /etc/absent"), "`/etc/absent` decides who gets in and is absent"),
        ] {
            facts.lists.accounts.trusted = [(listed, sample::why("x"))].into();
            let found = problems(users_shells(&facts));
            assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{found}");
        }
    }

    #[test]
    fn passwords_and_open_accounts_are_caught() {
        for password in ["", "$y$j9T$abc", "x"] {
            let open = sample::SHADOW.replace("root:*", &format!("root:{password}"));
            assert!(with("shadow", &open).contains("`root` in shadow has a password"), "{password:?}");
        }
        let outside = sample::PASSWD.replace("root:x", "root:");
        assert!(with("passwd", &outside).contains("`root` has a password field outside shadow"));
        assert!(with("gshadow", "sudo::core:core\n").contains("`sudo` in gshadow has a password"));
    }
}
