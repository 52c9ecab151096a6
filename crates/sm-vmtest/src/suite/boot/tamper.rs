//! `verity.tamper`: bytes of /usr are changed on the disk, behind the running machine's back. It must never read them: not in a file
//! that it has to read again, and not in the program that the next boot starts with.

use std::time::Duration;

use crate::{
    host_state::{HostState, Slot},
    suite::{
        bench::Bench,
        finding::{Findings, Looked, Stop},
        machine::{BOOT, Machine},
    },
};

/// What the kernel says when verity has stopped it (`drivers/md/dm-verity-target.c`).
const STOPPED: &str = "dm-verity device corrupted";
/// What is written over /usr.
const NOISE: u8 = 0x5a;
/// Bytes that are overwritten: one sector.
const NOISE_BYTES: u64 = 512;
const BLOCK_BYTES: u64 = 4096;
/// How the console tells what came of reading.
const READING: &str = "boxcar-suite read";

/// Finds a large file that no boot reads and the program that every boot needs, says where they lie, and forgets what was read. The
/// file was read once then: that it was good yesterday must not count.
const FIND: &str = r#"
set -eu
unread=$(find /usr/lib/modules -name bcachefs.ko* -o -name btrfs.ko* -o -name xfs.ko* | head -n 1)
[ -n "$unread" ] || unread=$(find /usr/lib /usr/share -type f -size +1M | tail -n 1)
for file in "$unread" /usr/lib/systemd/systemd; do
    set -- $(filefrag -e "$file" | sed -n 's/^ *0: *[0-9]*\.\. *[0-9]*: *\([0-9]*\)\.\..*/\1/p')
    echo "$1 $file"
    cat "$file" > /dev/null
done
sync
echo 3 > /proc/sys/vm/drop_caches
"#;

/// A file, and where its first bytes lie in /usr.
#[derive(Debug, PartialEq, Eq)]
struct Victim {
    path: String,
    block: u64,
}

/// `verity.tamper`
pub fn tamper(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    bench.phase("find");
    let answer = machine.ask(FIND)?;
    let [unread, needed] = victims(&answer)?;
    let usr_at = start_of_usr(machine)?;
    let mut findings = Findings::of("two changed sectors of /usr");

    bench.phase("read");
    bench.note(&format!("changes `{}` at block {} of /usr", unread.path, unread.block));
    machine.vm().overwrite_disk(usr_at + unread.block * BLOCK_BYTES, NOISE, NOISE_BYTES)?;
    machine.send(&format!("echo \"{READING} $(sha256sum {} 2>&1)\" > /dev/console", unread.path))?;
    if let Some(read) = stops(bench, machine, 1)? {
        findings.problems.push(format!("the machine goes on after `{read}`, which was changed"));
        return Ok(findings);
    }
    bench.phase("boot");
    // The kernel waits some seconds before it reboots: time to change what that boot will need.
    bench.note(&format!("changes `{}` at block {} of /usr", needed.path, needed.block));
    machine.vm().overwrite_disk(usr_at + needed.block * BLOCK_BYTES, NOISE, NOISE_BYTES)?;
    stops(bench, machine, 2)?;
    let deadline = machine.within(Duration::from_secs(1));
    findings.require(machine.vm().wait_for_boot(deadline, &mut |_| ()).is_err(), || {
        "the machine booted from a /usr whose first program was changed".to_owned()
    });
    Ok(findings)
}

fn victims(answer: &str) -> Result<[Victim; 2], Stop> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let block = words.next()?.parse().ok()?;
        Some(Victim { block, path: words.next()?.to_owned() })
    };
    let found: Vec<Victim> = answer.lines().filter_map(parse).collect();
    found.try_into().map_err(|_| Stop::Trouble {
        class: "suite",
        message: format!("the machine does not tell where files of /usr lie: `{}`", answer.trim()),
    })
}

/// Where the partition that /usr is read from begins on the disk, in bytes.
fn start_of_usr(machine: &mut Machine<'_>) -> Result<u64, Stop> {
    let number = match HostState::of(machine.vm())?.slot {
        Slot::A => 2,
        Slot::B => 4,
    };
    let sectors = machine.ask(&format!("cat /sys/block/vda/vda{number}/start"))?;
    let sectors: Option<u64> = sectors.trim().parse().ok();
    sectors
        .map(|sectors| sectors * 512)
        .ok_or_else(|| Stop::Broken("the machine does not tell where /usr begins".to_owned()))
}

/// Waits until verity has stopped the machine for the `n`th time; or until the changed file could be read, and returns what the
/// console says then.
fn stops(bench: &Bench<'_>, machine: &Machine<'_>, n: usize) -> Result<Option<String>, Stop> {
    let console = machine.console().clone();
    bench.wait_until("verity stops the machine", BOOT, || {
        let text = console.text();
        let read = text.lines().find_map(|line| Some(line.split_once(READING)?.1.trim().to_owned()));
        let has_stopped = text.matches(STOPPED).count() >= n;
        Ok(match read {
            _ if has_stopped => Ok(None),
            Some(read) => Ok(Some(read)),
            None => Err(console.tail(3).join(" | ")),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_two_files_with_their_places() {
        let answer = "100 /usr/lib/x.ko\n7 /usr/lib/systemd/systemd\n";
        let [unread, needed] = victims(answer).unwrap();
        assert_eq!((unread.block, needed.block, needed.path.as_str()), (100, 7, "/usr/lib/systemd/systemd"));
        for short in ["", "100 /usr/x\n", " /usr/x\n /usr/y\n"] {
            assert!(matches!(victims(short), Err(Stop::Trouble { class: "suite", .. })), "{short:?}");
        }
    }
}
