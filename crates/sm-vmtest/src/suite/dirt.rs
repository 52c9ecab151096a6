//! Whether a test left its machine as it found it: a fingerprint of what tests change by mistake, before and after.

use std::collections::BTreeSet;

use super::{finding::Stop, machine::Machine};

/// Tells, one line each: units that failed, mounts, programs, sockets that listen, settings of the kernel, links of the network, and
/// files written since the machine was first looked at. What the machine does by itself is left out.
const SCRIPT: &str = r#"
stamp=/run/stationmaster-stamp
[ -e $stamp ] || : > $stamp
systemctl list-units --failed --plain --no-legend | while read -r unit rest; do echo "failed unit $unit"; done
while read -r _ _ _ _ point options _; do echo "mount $point $options"; done < /proc/self/mountinfo | grep -v ' /efi \|mount /efi \|mount /run/credentials/\|mount /sys/fs/'
for process in /proc/[0-9]*; do
    read -r name < $process/comm 2>/dev/null && [ -s $process/cmdline ] && echo "program $name"
done 2>/dev/null | grep -v ' \((sd-\|sh$\|bash$\|grep$\|sort$\|find$\|ss$\|systemctl$\|agetty$\|systemd-\|sd-\|stationmaster-\|chronyd\)' | sort -u
ss -Hltun | while read -r kind state _ _ address _; do echo "socket $kind $address"; done
for file in kernel/core_pattern kernel/hostname kernel/panic net/ipv4/ip_forward kernel/kptr_restrict vm/overcommit_memory; do
    read -r value < /proc/sys/$file; echo "setting $file=$value"
done
ls /sys/class/net | while read -r link; do echo "network link $link"; done
find /etc /home /opt /root /srv /usr/local /var -xdev -newer $stamp \
    ! -path '/var/lib/boxcar/*' ! -path '/var/lib/containerd*' ! -path '/var/lib/systemd*' ! -path '/var/log*' ! -path '/var/tmp' \
    ! -path /var ! -path '/var/lib' ! -path '/var/opt*' 2>/dev/null | while read -r file; do echo "file $file"; done
"#;

/// What tests change by mistake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fingerprint(BTreeSet<String>);

impl Fingerprint {
    /// A machine's.
    pub(super) fn of(machine: &mut Machine<'_>) -> Result<Self, Stop> {
        Ok(Fingerprint::parse(&machine.ask(SCRIPT)?))
    }

    fn parse(said: &str) -> Self {
        Fingerprint(said.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// What is `after` and was not before, and the other way round.
    pub(super) fn changes(&self, after: &Fingerprint) -> Vec<String> {
        let new = after.0.difference(&self.0).map(|line| format!("there is a {line}"));
        let gone = self.0.difference(&after.0).filter(|line| !line.starts_with("file "));
        new.chain(gone.map(|line| format!("there is no longer a {line}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "mount / rw\nprogram sshd\nsocket tcp 0.0.0.0:22\nsetting kernel/panic=10\n";

    fn changes(after: &str) -> Vec<String> {
        Fingerprint::parse(CLEAN).changes(&Fingerprint::parse(after))
    }

    #[test]
    fn what_a_test_left_behind_and_what_it_took_away_is_told() {
        assert_eq!(changes(CLEAN), [""; 0]);
        let dirty = CLEAN.replace("program sshd\n", "").replace("panic=10", "panic=0") + "file /etc/motd\n";
        assert_eq!(
            changes(&dirty),
            [
                "there is a file /etc/motd",
                "there is a setting kernel/panic=0",
                "there is no longer a program sshd",
                "there is no longer a setting kernel/panic=10"
            ]
        );
    }

    #[test]
    fn the_same_things_in_another_order_are_the_same() {
        let lines: Vec<&str> = CLEAN.lines().rev().collect();
        assert_eq!(changes(&lines.join("\n")), [""; 0]);
    }
}
