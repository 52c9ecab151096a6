//! Which release a guest runs, from which slot, and what else it could boot: asked in the guest, judged here.

use std::time::Duration;

use sm_model::{Sha256, Version};

use crate::{Vm, VmError};

/// Asks for everything at once: under emulation each process costs a noticeable time.
const SCRIPT: &str = r#"
. /usr/lib/os-release
echo "version=$VERSION_ID"
for word in $(cat /proc/cmdline); do case "$word" in usrhash=*) echo "$word";; esac; done
for device in /sys/block/dm-*; do
    [ "$(cat "$device/dm/name")" = usr ] || continue
    for partition in "$device"/slaves/*/partition; do echo "partition=$(cat "$partition")"; done
done
for entry in /efi/EFI/Linux/*.efi; do echo "entry=${entry##*/}"; done
echo "machine=$(cat /etc/machine-id)"
"#;

/// One of the two places that a release is installed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Partitions 2 and 3.
    A,
    /// Partitions 4 and 5.
    B,
}

impl Slot {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

/// What a host runs and could run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostState {
    /// Version of the running release, from its os-release.
    pub version: Version,
    /// Root hash of /usr that its kernel was told.
    pub root_hash: Sha256,
    /// Where /usr is read from.
    pub slot: Slot,
    /// Boot entries on the boot partition: file names of unified kernel images.
    pub entries: Vec<String>,
    /// Its machine id.
    pub machine_id: String,
}

impl HostState {
    /// Asks a guest.
    ///
    /// # Errors
    /// When it does not answer, or answers what no Boxcar host would.
    pub fn of(vm: &mut Vm) -> Result<Self, VmError> {
        let deadline = vm.pace().within(Duration::from_secs(5));
        let answer = vm.guest().run_ok(SCRIPT, deadline)?;
        HostState::parse(&answer).ok_or(VmError::Unexpected {
            expected: "version, root hash, slot and machine id of a host",
            found: answer,
        })
    }

    fn parse(answer: &str) -> Option<Self> {
        let values = |key: &str| {
            let prefix = format!("{key}=");
            answer.lines().filter_map(move |line| line.trim().strip_prefix(&prefix).map(str::to_owned))
        };
        let slot = match values("partition").filter_map(|n| n.parse::<u32>().ok()).min()? {
            2 => Slot::A,
            4 => Slot::B,
            _ => return None,
        };
        Some(HostState {
            version: values("version").next()?.parse().ok()?,
            root_hash: values("usrhash").next()?.parse().ok()?,
            slot,
            entries: values("entry").filter(|name| !name.starts_with('*')).collect(),
            machine_id: values("machine").next()?,
        })
    }

    /// The boot entry of a release, if there is one.
    pub fn entry(&self, os: &str, version: Version) -> Option<&str> {
        let stem = format!("{os}_{version}");
        let is_its = |name: &&String| {
            name.strip_prefix(&stem).is_some_and(|rest| rest == ".efi" || rest.starts_with('+'))
        };
        self.entries.iter().find(is_its).map(String::as_str)
    }

    /// Whether a release was marked good: its boot entry counts no more tries.
    pub fn is_good(&self, os: &str, version: Version) -> bool {
        self.entry(os, version).is_some_and(|entry| entry == format!("{os}_{version}.efi"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> String {
        format!(
            "version=4900.0.1\nusrhash={}\npartition=4\npartition=5\nentry=boxcar_4900.0.0.efi\n\
             entry=boxcar_4900.0.1+2-1.efi\nmachine=0123\n",
            "ab".repeat(32)
        )
    }

    #[test]
    fn a_host_on_trial_is_not_good_yet() {
        let state = HostState::parse(&answer()).unwrap();
        let [old, new]: [Version; 2] = ["4900.0.0", "4900.0.1"].map(|v| v.parse().unwrap());
        assert_eq!((state.version, state.slot), (new, Slot::B));
        assert!(state.is_good("boxcar", old) && !state.is_good("boxcar", new));
        assert_eq!(state.entry("boxcar", new), Some("boxcar_4900.0.1+2-1.efi"));
        assert_eq!(state.entry("boxcar", "4900.0.10".parse().unwrap()), None);
    }

    #[test]
    fn an_answer_without_a_part_is_none() {
        for key in ["version", "usrhash", "partition", "machine"] {
            let text: Vec<String> =
                answer().lines().filter(|line| !line.starts_with(key)).map(str::to_owned).collect();
            assert_eq!(HostState::parse(&text.join("\n")), None, "{key}");
        }
    }

    #[test]
    fn a_boot_partition_without_entries_has_none() {
        let text = answer().replace("entry=boxcar_4900.0.0.efi\n", "").replace("boxcar_4900.0.1+2-1", "*");
        assert!(HostState::parse(&text).unwrap().entries.is_empty());
    }
}
