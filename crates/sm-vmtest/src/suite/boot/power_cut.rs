//! `boot.crash-recovery`: the power goes in the middle of the first boot, again and again, and later in the middle of writes. The
//! machine comes up healthy, with whole file systems and everything it was told to keep.

use std::{os::unix::fs::MetadataExt, path::Path, time::Duration};

use sm_host::qemu::WriteCache;

use super::traits::Traits;
use crate::{
    VmPlan,
    host_state::HostState,
    suite::{
        bench::Bench,
        finding::{Findings, Looked, Stop},
        machine::{BOOT, Machine},
    },
};

/// Where the power goes in the first boot: once the disk has grown by so much. The first write is the boot loader's, which counts
/// the try; then the partition is made, and its file system.
const GROWN_BYTES: [u64; 2] = [64 << 10, 2 << 20];
/// What the owner gives the machine on its first boot: nobody holds the other half.
const OWNERS_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3b1J9m5tKQkJxQ0hXc1p2R0N6dEx3WmZyVjJkQ3lB owner@example.org";
/// Counts up in a file, durably, and says each number once it is safe.
const COUNT: &str = r#"
mkdir -p /var/lib/count
n=0
while [ $n -lt 100000 ]; do
    n=$((n + 1))
    echo $n > /var/lib/count/new && sync /var/lib/count/new && mv /var/lib/count/new /var/lib/count/n && sync /var/lib/count
    echo $n > /run/count
    head -c 200000 /dev/urandom > /var/lib/count/noise-$((n % 20))
done
"#;
/// Ends once the host has its keys and its owner's. What is then flushed is one other file, and with it the journal of the file
/// system: all names, and of files that nobody flushed, no content. That is the worst that a power cut leaves.
const MADE_ONCE: &str = r#"
until [ -e /etc/ssh/ssh_host_ed25519_key.pub ] && [ -e /home/core/.ssh/authorized_keys ]; do sleep 0.1; done
echo x > /var/lib/flushed; sync /var/lib/flushed
"#;
/// Lets the file system note an error, as a disk with a fault would make it, durably.
const HURT: &str = r#"
root=$(findmnt --noheadings --output SOURCE /)
echo suite > /sys/fs/ext4/${root##*/}/trigger_fs_error
sync
"#;
/// Numbers that are counted before the power goes.
const COUNTED: u64 = 15;
/// What a file system would say about itself, and whether anything complained.
const HEALTH: &str = r#"
root=$(findmnt --noheadings --output SOURCE /)
echo "state $(dumpe2fs -h "$root" 2>/dev/null | sed -n 's/^Filesystem state: *//p')"
echo "errors $(journalctl --boot --dmesg --quiet --no-pager --output=cat | grep -c -E '(EXT4|FAT)-fs.*(error|checksum|orrupted)')"
"#;

/// `boot.crash-recovery`
pub fn recovers(bench: &Bench<'_>) -> Looked {
    let mut findings = Findings::of("four power cuts");
    let mut machine = cut_first_boot(bench, &mut findings)?;
    let traits = judge(bench, &mut machine, "after power cuts in the first boot", &mut findings)?;
    bench.phase("write");
    machine.send(&format!("({COUNT}) >/dev/null 2>&1 &"))?;
    let counted = machine.wait_for(
        "enough writes",
        "cat /run/count 2>/dev/null || echo 0",
        |answer| number(&answer.output) >= COUNTED,
        BOOT,
    )?;
    let safe = number(&counted.output);
    machine.ask(HURT)?;
    let mut machine = machine.cut_power().start()?;
    bench.phase("boot");
    machine.healthy_boot()?;
    let later = judge(bench, &mut machine, "after a power cut in the middle of writes", &mut findings)?;
    findings.problems.extend(traits.changed_until(&later));
    let found = machine.ask("cat /var/lib/count/n 2>&1")?;
    findings.require(number(&found) >= safe, || format!("{safe} was safely written, and `{found}` is there"));
    Ok(findings)
}

/// Cuts the power at several points of the first boot, and lets the last one come to rest.
fn cut_first_boot<'a>(bench: &Bench<'a>, findings: &mut Findings) -> Result<Machine<'a>, Stop> {
    bench.phase("first boot");
    let mut plan = VmPlan { cache: WriteCache::KeepsFlushed, ..bench.plan("a", bench.release())? };
    plan.access = plan.access.with_ssh_key("core", OWNERS_KEY);
    let disk = plan.disk();
    let mut machine = bench.start("a", plan)?;
    let fresh = allocated_bytes(&disk)?;
    for grown in GROWN_BYTES {
        bench.wait_until("the disk is written to", BOOT, || {
            let now = allocated_bytes(&disk)?.saturating_sub(fresh);
            Ok(if now >= grown { Ok(()) } else { Err(format!("{now} of {grown} bytes")) })
        })?;
        findings
            .notes
            .push(format!("power cut when the disk had grown by {} bytes", allocated_bytes(&disk)? - fresh));
        machine = machine.cut_power().start()?;
    }
    machine.next_shell()?;
    machine.run(MADE_ONCE, BOOT)?;
    findings.notes.push(
        "power cut when the files of a first boot had names, and their content was not flushed".to_owned(),
    );
    machine = machine.cut_power().start()?;
    bench.phase("boot");
    machine.healthy_boot()?;
    Ok(machine)
}

/// Looks at a machine that must be as good as one that never lost power.
fn judge(
    bench: &Bench<'_>,
    machine: &mut Machine<'_>,
    when: &str,
    findings: &mut Findings,
) -> Result<Traits, Stop> {
    bench.phase("assert");
    let manifest = bench.release().manifest();
    let traits = Traits::of(machine)?;
    let state = HostState::of(machine.vm())?;
    findings.require((state.version, state.root_hash) == (manifest.version, manifest.usr_root_hash), || {
        format!("{when}, {} with root hash {} runs", state.version, state.root_hash)
    });
    let good = format!("{}_{}.efi", manifest.os, manifest.version);
    let listed = machine.wait_for(
        "the image marked good",
        "ls /efi/EFI/Linux",
        |answer| answer.output.lines().any(|name| name.trim() == good),
        BOOT,
    )?;
    findings.require(listed.output.trim() == good, || {
        format!("{when}, the kernel images are `{}`", listed.output.trim())
    });
    let health = machine.ask(HEALTH)?;
    findings.problems.extend(sick(&health).into_iter().map(|problem| format!("{when}, {problem}")));
    let key =
        machine.run("ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key && sshd -t", Duration::from_secs(5))?;
    findings.require(key.is_success(), || format!("{when}, the host key is unusable: {}", key.output.trim()));
    let owners = machine.ask("cat /home/core/.ssh/authorized_keys 2>&1 || true")?;
    findings.require(owners == OWNERS_KEY, || {
        format!("{when}, the owner's key is `{owners}`, expected `{OWNERS_KEY}`: nobody gets in")
    });
    Ok(traits)
}

fn sick(health: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for line in health.lines() {
        match line.split_once(' ') {
            Some(("state", "clean")) | Some(("errors", "0")) => {}
            Some(("state", state)) => problems.push(format!("ROOT's file system is `{state}`")),
            Some(("errors", n)) => {
                problems.push(format!("the kernel complains {n} times about file systems"))
            }
            _ => {}
        }
    }
    problems
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

fn allocated_bytes(disk: &Path) -> Result<u64, Stop> {
    /// Unit of `st_blocks` (inode(7)).
    const UNIT_BYTES: u64 = 512;
    let metadata = disk.metadata().map_err(crate::suite::gather::trouble("measure", disk))?;
    Ok(metadata.blocks() * UNIT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clean_file_system_without_complaints_is_healthy() {
        assert_eq!(sick("state clean\nerrors 0\n"), [""; 0]);
        assert_eq!(
            sick("state clean with errors\nerrors 3\n"),
            ["ROOT's file system is `clean with errors`", "the kernel complains 3 times about file systems"]
        );
        assert_eq!(sick("state \nerrors 0\n").len(), 1);
    }
}
