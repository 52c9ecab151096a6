//! `usr.readonly`: nothing that root would try writes to /usr: neither through its files, nor around its mount, nor below it.

use std::time::Duration;

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    machine::Machine,
};

/// How long all tries take on a guest's own processor, at most.
const TRIES: Duration = Duration::from_secs(20);

/// Tries, one a line: a name, and a script that must not succeed. Each leaves nothing behind, whether it succeeds or not. Writing to
/// a block device changes nothing even where it is let through: it writes what is there.
const SCRIPT: &str = r#"
try() { if ( eval "$2" ) >/run/usr-try 2>&1; then echo "open $1"; else echo "shut $1: $(tail -n 1 /run/usr-try)"; fi; }
target=/usr/lib/os-release
device=$(findmnt -no SOURCE /usr)
mapped=$(readlink -f "$device")
backing=/dev/$(ls /sys/block/${mapped#/dev/}/slaves | head -n 1)
try 'create a file' 'echo x > /usr/.try && rm -f /usr/.try'
try 'write over a file' "exec 3<>$target"
try 'append to a file' "exec 3>>$target"
try 'change a time' "touch -c -r $target $target"
try 'change a mode' "chmod 0644 $target"
try 'change an owner' "chown root:root $target"
try 'set an attribute' "setfattr -n user.try -v 1 $target"
try 'rename a file' "mv $target $target.try && mv $target.try $target"
try 'link a file' "ln $target /usr/lib/.try && rm -f /usr/lib/.try"
try 'make a directory' 'mkdir /usr/.try && rmdir /usr/.try'
try 'remount it for writing' 'mount -o remount,rw /usr && mount -o remount,ro /usr'
try 'write through a bind mount' 'mkdir -p /run/usr-bind && mount --bind /usr /run/usr-bind; mount -o remount,bind,rw /run/usr-bind; echo x > /run/usr-bind/.try; status=$?; rm -f /run/usr-bind/.try 2>/dev/null; umount /run/usr-bind; rmdir /run/usr-bind; exit $status'
try 'write in another namespace' "unshare --mount sh -c 'mount -o remount,rw /usr; echo x > /usr/.try && rm -f /usr/.try'"
try 'mount its device for writing' "mkdir -p /run/usr-own && mount -o rw $mapped /run/usr-own && echo x > /run/usr-own/.try; status=\$?; umount /run/usr-own 2>/dev/null; rmdir /run/usr-own; exit \$status"
try 'make its device writable' "blockdev --setrw $mapped && dd if=$mapped of=$mapped bs=4096 count=1 conv=notrunc oflag=direct"
try 'write to its device' "dd if=$mapped of=$mapped bs=4096 count=1 conv=notrunc oflag=direct"
try 'write to its partition' "dd if=$backing of=$backing bs=4096 count=1 conv=notrunc oflag=direct"
rm -f /run/usr-try
echo "options $(findmnt -no OPTIONS /usr)"
echo "type $(findmnt -no FSTYPE /usr)"
while read -r _ _ _ _ point _; do case $point in /usr|/usr/*) echo "over $point" ;; esac; done < /proc/self/mountinfo
"#;

/// Tries that the kernel lets through and that are no way to change what /usr shows: the device's own checksum tree stands between.
const KEPT_SHUT_BY_VERITY: [&str; 1] = ["write to its partition"];

/// Tries everything.
pub fn readonly(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let answer = machine.run(SCRIPT, TRIES)?;
    bench.note(&answer.output);
    Ok(judge(&answer.output))
}

fn judge(said: &str) -> Findings {
    let with = |word: &str| {
        said.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (open, shut) = (with("open "), with("shut "));
    let mut findings = Findings::of(format!("{} ways to write to /usr", open.len() + shut.len()));
    let ways = open.iter().filter(|way| !KEPT_SHUT_BY_VERITY.contains(&way.as_str()));
    findings.problems.extend(ways.map(|way| format!("root can {way} in /usr")));
    // A shell that tells nothing has tried nothing.
    const N_WAYS: usize = 17;
    findings.expect_equal("the number of ways tried", open.len() + shut.len(), N_WAYS);
    let options = with("options ").join(" ");
    let is_read_only = options.split(',').any(|option| option == "ro");
    findings.require(is_read_only, || format!("/usr is mounted `{options}`, expected `ro`"));
    findings.expect_equal("the file system of /usr", with("type ").join(" ").as_str(), "erofs");
    // What lies over a part of /usr hides what was verified.
    findings.expect_equal("what is mounted at /usr and below", with("over ").join(" ").as_str(), "/usr");
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> String {
        let names = SCRIPT.lines().filter_map(|line| line.strip_prefix("try '")?.split('\'').next());
        let shut: String = names.map(|name| format!("shut {name}: Read-only file system\n")).collect();
        format!("{shut}options ro,relatime\ntype erofs\nover /usr\n")
    }

    #[test]
    fn a_usr_that_withstands_every_try_is_good() {
        assert_eq!(judge(&said()).problems, [""; 0]);
    }

    #[test]
    fn each_way_that_is_open_is_told() {
        let open = said().replace("shut change a mode: Read-only file system", "open change a mode");
        assert_eq!(judge(&open).problems, ["root can change a mode in /usr"]);
    }

    #[test]
    fn what_was_not_tried_is_not_shut() {
        assert!(
            judge("options ro\ntype erofs\nover /usr\n").problems[0]
                .starts_with("the number of ways tried is `0`")
        );
        assert_eq!(judge(&said().replace("ro,", "rw,")).problems.len(), 1);
        let hidden = judge(&format!("{}over /usr/lib/systemd\n", said())).problems;
        assert_eq!(hidden, ["what is mounted at /usr and below is `/usr /usr/lib/systemd`, expected `/usr`"]);
    }
}
