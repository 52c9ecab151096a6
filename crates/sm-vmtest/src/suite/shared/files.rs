//! `image.suid-sgid.running` and `image.perms.running`: what the image says of its files holds for the machine that it becomes: in
//! /usr, in the upper half of /etc, on ROOT with /var, and in memory.

use std::time::Duration;

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    lists::{Lists, matches},
    machine::Machine,
};

/// How long looking at every file takes on a guest's own processor, at most.
const EVERY_FILE: Duration = Duration::from_secs(30);

/// Everything that is SUID or SGID, or that everybody may write to; not what containers hold, which have users of their own. The
/// boot partition has no owners (it belongs to root). Sockets and devices are what everybody talks to.
const SCRIPT: &str = "find / /usr /etc /run /tmp /dev -xdev -path /var/lib/containerd -prune -o \
    \\( -type f -o -type d \\) \\( -perm /6000 -o -perm -0002 \\) -printf '%m %U:%G %y %p\\n'; echo end";

/// SUID and SGID files of the running machine are the reviewed ones. Directories may pass their group on.
pub fn suid_sgid(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let said = machine.run(SCRIPT, EVERY_FILE)?.output;
    bench.note(&said);
    Ok(judge_suid(&said, bench.lists()))
}

/// Nothing on the running machine is writable for all, but directories that are reviewed and sticky.
pub fn perms(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let said = machine.run(SCRIPT, EVERY_FILE)?.output;
    bench.note(&said);
    Ok(judge_perms(&said, bench.lists()))
}

/// One thing that the script tells.
struct Found<'a> {
    mode: u32,
    owner: &'a str,
    is_directory: bool,
    path: &'a str,
}

fn found(said: &str) -> Vec<Found<'_>> {
    let mut found: Vec<Found<'_>> = said.lines().filter_map(one).collect();
    // `/usr` is looked through by its own name and, where it is no mount of its own, below `/`.
    found.dedup_by(|one, other| one.path == other.path);
    found
}

fn one(line: &str) -> Option<Found<'_>> {
    let mut words = line.trim_end().splitn(4, ' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let (owner, kind, path) = (words.next()?, words.next()?, words.next()?);
    Some(Found { mode, owner, is_directory: kind == "d", path })
}

fn judge_suid(said: &str, lists: &Lists) -> Findings {
    let files = found(said).into_iter().filter(|one| one.mode & 0o6000 != 0 && !one.is_directory);
    let files: Vec<String> =
        files.map(|one| format!("{:04o} {} {}", one.mode, one.owner, one.path)).collect();
    let mut findings = Findings::of(format!("{} files", files.len()));
    findings.compare("SUID or SGID file", &files, lists.permissions.suid_sgid.keys());
    whole(said, &mut findings);
    findings
}

fn judge_perms(said: &str, lists: &Lists) -> Findings {
    let open: Vec<Found<'_>> = found(said).into_iter().filter(|one| one.mode & 0o002 != 0).collect();
    let mut findings = Findings::of(format!("{} directories for all", open.len()));
    for one in &open {
        let is_sticky = one.is_directory && one.mode & 0o1000 != 0;
        findings.require(is_sticky, || {
            let how = if one.is_directory { "without a sticky bit" } else { "a file" };
            format!("`{}` ({:04o} {}) is writable for all, {how}", one.path, one.mode, one.owner)
        });
    }
    let reviewed = &lists.runtime.shared_directories;
    let directories: Vec<&str> = open.iter().filter(|one| one.is_directory).map(|one| one.path).collect();
    for path in &directories {
        findings.require(reviewed.keys().any(|pattern| matches(pattern, path)), || {
            format!("directory for all `{path}` is not on the reviewed list")
        });
    }
    for pattern in reviewed.keys() {
        findings.require(directories.iter().any(|path| matches(pattern, path)), || {
            format!("directory for all `{pattern}` is listed but not on the machine")
        });
    }
    whole(said, &mut findings);
    findings
}

/// A machine that did not look at everything has said nothing.
fn whole(said: &str, findings: &mut Findings) {
    findings.require(said.lines().last().map(str::trim) == Some("end"), || {
        "the machine did not look at all of its files".to_owned()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, why};

    const GOOD: &str = "4755 0:0 f /usr/bin/su\n2755 0:107 d /var/log/journal\n1777 0:0 d /tmp\nend\n";

    fn lists() -> Lists {
        let mut lists = sample::lists();
        lists.runtime.shared_directories = [("/tmp".to_owned(), why("for programs of all"))].into();
        lists
    }

    fn problems(said: &str) -> String {
        let (suid, perms) = (judge_suid(said, &lists()), judge_perms(said, &lists()));
        suid.problems.into_iter().chain(perms.problems).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_reviewed_machine_is_good() {
        assert_eq!(problems(GOOD), "");
    }

    #[test]
    fn what_a_boot_made_and_nobody_reviewed_is_told() {
        for (line, expected) in [
            ("4755 0:0 f /var/lib/x/rootsh", "SUID or SGID file `4755 0:0 /var/lib/x/rootsh` is not on"),
            ("666 0:0 f /etc/evil.conf", "`/etc/evil.conf` (0666 0:0) is writable for all, a file"),
            ("777 0:0 d /var/open", "`/var/open` (0777 0:0) is writable for all, without a sticky bit"),
            ("1777 0:0 d /var/drop", "directory for all `/var/drop` is not on the reviewed list"),
            ("1777 0:0 d /tmp/x/tmp", "directory for all `/tmp/x/tmp` is not on the reviewed list"),
            ("666 0:0 f /var/a b", "`/var/a b` (0666 0:0)"),
        ] {
            let found = problems(&format!("{line}\n{GOOD}"));
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn what_is_gone_and_what_was_not_looked_at_is_told() {
        assert!(
            problems(&GOOD.replace("4755 0:0 f /usr/bin/su\n", "")).contains("listed but not in the image")
        );
        assert!(
            problems(&GOOD.replace("/tmp\n", "/tmp2\n")).contains("`/tmp` is listed but not on the machine")
        );
        assert!(problems(GOOD.trim_end_matches("end\n")).contains("did not look at all"));
    }
}
