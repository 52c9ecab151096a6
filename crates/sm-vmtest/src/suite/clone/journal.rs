//! `journal.persist-and-limits`: what a host logs survives a reboot, takes no more room than it may, and tells no secrets.

use std::time::Duration;

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    machine::Machine,
};

/// How long a flood of messages takes on a guest's own processor, at most.
const FLOOD: Duration = Duration::from_secs(20);
/// Size of the journal that the flood must keep to, in MiB; and what one more file may take beside it.
const CAP_MIB: u64 = 8;
const SLACK_MIB: u64 = 4;
/// Largest size that an image may let its journal grow to, in MiB.
const MAX_DEFAULT_MIB: u64 = 1024;

/// Tells how the journal is set up, and leaves a mark in it.
const MARK: &str = r#"
systemd-analyze cat-config systemd/journald.conf 2>/dev/null | sed -n 's/^SystemMaxUse=/max-use /p; s/^Storage=/storage /p; s/^MaxRetentionSec=/retention /p'
systemd-cat -t stationmaster-mark echo before the reboot
echo "<5>stationmaster-mark of the kernel" > /dev/kmsg
journalctl --sync
ls -d /var/log/journal/* | head -n 1 | sed 's/^/files /'
"#;

/// Asks for the mark, and for what should never be logged.
const AFTER_REBOOT: &str = r#"
journalctl --boot=-1 --identifier=stationmaster-mark --output=cat --no-pager | sed 's/^/mark /'
echo "boots $(journalctl --list-boots --no-pager --quiet | wc -l)"
echo "kernel $(journalctl --boot=-1 --dmesg --no-pager --quiet --output=cat | grep -c 'stationmaster-mark of the kernel')"
echo "suppressed $(journalctl --output=cat --no-pager --identifier=systemd-journald | grep -c '^Suppressed [0-9]* messages')"
echo "open $(find /var/log/journal /run/log/journal -type f -perm /007 2>/dev/null | tr '\n' ' ')"
echo "secrets $(journalctl --output=cat --no-pager | grep -c 'BEGIN .*PRIVATE KEY\|\$6\$[A-Za-z0-9./]\{8\}\|\$y\$j9T\$')"
"#;

/// Lets the journal take less, floods it, and tells what it takes.
fn flood() -> String {
    format!(
        "mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\\nSystemMaxUse={CAP_MIB}M\\nSystemMaxFileSize=2M\\nRateLimitIntervalSec=0\\nCompress=no\\n' > /etc/systemd/journald.conf.d/90-cap.conf
systemctl restart systemd-journald
head -c {n_bytes} /dev/urandom | base64 -w 32000 | systemd-cat -t stationmaster-flood
journalctl --sync
echo \"kib $(du -sk /var/log/journal | cut -f 1)\"
echo \"running $(systemctl is-active systemd-journald)\"
systemd-cat -t stationmaster-mark echo after the flood
journalctl --sync
journalctl --identifier=stationmaster-mark --output=cat --no-pager --lines=1 | sed 's/^/last /'
",
        n_bytes = (2 * CAP_MIB) << 20
    )
}

/// Writes, reboots, floods.
pub fn persist_and_limits(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let set_up = machine.ask(MARK)?;
    bench.phase("reboot");
    machine.reboot()?;
    bench.phase("persist");
    let kept = machine.ask(AFTER_REBOOT)?;
    bench.phase("flood");
    let flooded = machine.run(&flood(), FLOOD)?;
    let said = format!("{set_up}\n{kept}\n{}", flooded.output);
    bench.note(&said);
    Ok(judge(&said))
}

fn judge(said: &str) -> Findings {
    let value = |word: &str| {
        let mut lines = said.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        lines.next_back().unwrap_or("").trim()
    };
    let number = |word: &str| value(word).parse::<u64>().unwrap_or(u64::MAX);
    let mut findings = Findings::of(format!("a journal of {} KiB after a flood", value("kib")));
    findings.expect_equal("the storage", value("storage"), "persistent");
    let limit = value("max-use").strip_suffix('M').and_then(|mib| mib.parse().ok()).unwrap_or(u64::MAX);
    findings.require(limit <= MAX_DEFAULT_MIB, || {
        format!("`SystemMaxUse=` is `{}`, expected at most {MAX_DEFAULT_MIB}M", value("max-use"))
    });
    findings.expect_equal("what was logged before the reboot", value("mark"), "before the reboot");
    findings.require((2..=100).contains(&number("boots")), || {
        format!("the journal knows {} boots, expected 2 or more", value("boots"))
    });
    findings.require((1..u64::MAX).contains(&number("kernel")), || {
        "the journal holds nothing of the kernel's".to_owned()
    });
    findings.expect_equal(
        "the number of times that messages of a boot were dropped",
        value("suppressed"),
        "0",
    );
    findings.expect_equal("what everybody may read of the journal", value("open"), "");
    findings.require(matches!(value("retention"), "" | "0"), || {
        format!(
            "`MaxRetentionSec=` is `{}`: what is logged goes before its room is needed",
            value("retention")
        )
    });
    findings.expect_equal("the number of secrets in the journal", value("secrets"), "0");
    findings.require(number("kib") <= (CAP_MIB + SLACK_MIB) << 10, || {
        format!("the journal takes {} KiB and may take {CAP_MIB} MiB", value("kib"))
    });
    findings.expect_equal("journald after the flood", value("running"), "active");
    findings.expect_equal("what was logged after the flood", value("last"), "after the flood");
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "storage persistent\nmax-use 256M\nfiles /var/log/journal/ab\nmark before the reboot\nboots 2\nkernel 5\nsuppressed 0\n\
        open \nsecrets 0\nkib 8200\nrunning active\nlast after the flood\n";

    #[test]
    fn a_journal_that_persists_and_keeps_its_size_is_good() {
        assert_eq!(judge(SAID).problems, [""; 0]);
    }

    #[test]
    fn each_thing_that_goes_wrong_is_told() {
        for (from, to) in [
            ("persistent", "volatile"),
            ("256M", "9000M"),
            ("mark before the reboot\n", ""),
            ("boots 2", "boots 1"),
            ("kernel 5", "kernel 0"),
            ("suppressed 0", "suppressed 2"),
            ("open ", "open /var/log/journal/ab/system.journal"),
            ("storage persistent\n", "storage persistent\nretention 1day\n"),
            ("secrets 0", "secrets 3"),
            ("kib 8200", "kib 16000"),
            ("running active", "running failed"),
            ("last after the flood", "last before the reboot"),
        ] {
            assert_eq!(judge(&SAID.replace(from, to)).problems.len(), 1, "{from}");
        }
        assert_eq!(judge("").problems.len(), 10);
    }
}
