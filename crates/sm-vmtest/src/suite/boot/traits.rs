//! What tells one machine from another, asked in the guest.

use std::collections::BTreeMap;

use crate::suite::{finding::Stop, machine::Machine};

/// Asks for everything at once: under emulation each process costs a noticeable time.
const SCRIPT: &str = r#"
disk=/dev/$(lsblk --noheadings --nodeps --output PKNAME "$(findmnt --noheadings --output SOURCE /)")
echo "machine id=$(cat /etc/machine-id)"
echo "boot id=$(cat /proc/sys/kernel/random/boot_id)"
for key in /etc/ssh/ssh_host_*_key.pub; do echo "host key ${key##*/}=$(cut -d ' ' -f 2 "$key")"; done
echo "random seed=$(sha256sum < /var/lib/systemd/random-seed)"
echo "disk id=$(sfdisk --disk-id "$disk")"
echo "ROOT partition=$(findmnt --noheadings --output PARTUUID /)"
echo "ROOT file system=$(findmnt --noheadings --output UUID /)"
for file in /etc/hostid /var/lib/dbus/machine-id /var/lib/systemd/credential.secret \
    /var/lib/containerd/io.containerd.grpc.v1.introspection/uuid /efi/loader/random-seed; do
    [ ! -s $file ] || echo "file $file=$(sha256sum < $file)"
done
"#;

/// Traits that change with every boot.
const OF_A_BOOT: [&str; 3] = ["boot id", "random seed", "file /efi/loader/random-seed"];

/// The traits of a machine, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Traits(BTreeMap<String, String>);

impl Traits {
    /// Asks a machine.
    pub(super) fn of(machine: &mut Machine<'_>) -> Result<Self, Stop> {
        Traits::parse(&machine.ask(SCRIPT)?)
    }

    fn parse(answer: &str) -> Result<Self, Stop> {
        let traits: BTreeMap<String, String> = answer
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let wanted =
            ["machine id", "boot id", "random seed", "disk id", "ROOT partition", "ROOT file system"];
        let missing = wanted.iter().find(|&&name| traits.get(name).is_none_or(String::is_empty));
        match missing {
            Some(name) => Err(Stop::Broken(format!("the machine does not tell its {name}: `{answer}`"))),
            None if !traits.keys().any(|name| name.starts_with("host key")) => {
                Err(Stop::Broken("the machine has no SSH host key".to_owned()))
            }
            None => Ok(Traits(traits)),
        }
    }

    /// What should be another with every boot, and is the same in `later`.
    pub(super) fn stale_in(&self, later: &Traits) -> Vec<String> {
        let shared = self.shared_with(later);
        let stale = shared.into_iter().filter(|name| OF_A_BOOT.contains(name));
        stale.map(|name| format!("two boots have the same {name}: `{}`", self.get(name))).collect()
    }

    /// Value of one trait, which every machine has.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Names of the traits that both have with the same value.
    pub(super) fn shared_with(&self, other: &Traits) -> Vec<&str> {
        let same = self.0.iter().filter(|&(name, value)| other.0.get(name) == Some(value));
        same.map(|(name, _)| name.as_str()).collect()
    }

    /// What is another in `later`, and should be the same as long as a machine lives.
    pub(super) fn changed_until(&self, later: &Traits) -> Vec<String> {
        let lasting = self.0.iter().filter(|(name, _)| !OF_A_BOOT.contains(&name.as_str()));
        let changed = lasting.filter(|&(name, value)| later.0.get(name) != Some(value));
        changed
            .map(|(name, value)| format!("the {name} was `{value}` and is `{}`", later.get(name)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "machine id=a\nboot id=b\nhost key ssh_host_ed25519_key.pub=AAAA+/=\nrandom seed=c  -\n\
                          disk id=D\nROOT partition=e\nROOT file system=f\n";

    #[test]
    fn a_machine_lives_on_through_boots() {
        let first = Traits::parse(ANSWER).unwrap();
        let second = Traits::parse(&ANSWER.replace("boot id=b", "boot id=x")).unwrap();
        assert_eq!(first.changed_until(&second), [""; 0]);
        let other = Traits::parse(&ANSWER.replace("AAAA+/=", "BBBB")).unwrap();
        assert_eq!(
            first.changed_until(&other),
            ["the host key ssh_host_ed25519_key.pub was `AAAA+/=` and is `BBBB`"]
        );
    }

    #[test]
    fn each_boot_has_what_no_other_has() {
        let first = Traits::parse(ANSWER).unwrap();
        let second = Traits::parse(&ANSWER.replace("boot id=b", "boot id=x")).unwrap();
        assert_eq!(first.stale_in(&second), ["two boots have the same random seed: `c  -`"]);
    }

    #[test]
    fn two_machines_share_what_is_the_same() {
        let one = Traits::parse(ANSWER).unwrap();
        let changed = ANSWER.replace("machine id=a", "machine id=x").replace("boot id=b", "boot id=x");
        let other = Traits::parse(&changed.replace("AAAA", "BBBB").replace("=f", "=x")).unwrap();
        assert_eq!(one.shared_with(&other), ["ROOT partition", "disk id", "random seed"]);
    }

    #[test]
    fn a_machine_without_a_trait_is_broken() {
        for line in ["boot id=b\n", "disk id=D\n", "host key ssh_host_ed25519_key.pub=AAAA+/=\n"] {
            assert!(matches!(Traits::parse(&ANSWER.replace(line, "")), Err(Stop::Broken(_))), "{line}");
        }
        assert!(Traits::parse(&ANSWER.replace("disk id=D", "disk id=")).is_err());
    }
}
