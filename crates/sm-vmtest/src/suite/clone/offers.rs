//! What an update server offers to a copy of a machine although no host may install it, and how the copy takes it.

use std::{fs, time::Duration};

use sha2::Digest as _;
use sm_host::files;
use sm_model::{Artifact, ArtifactKind, Manifest, Sha256, Sha512, Version};

use crate::suite::{
    bench::{Bench, Service},
    finding::{Findings, Stop},
    gather::trouble,
    machine::Machine,
    release::Release,
};

/// How long asking, downloading and verifying takes on a guest's own processor, at most.
const UPDATE: Duration = Duration::from_secs(40);

/// Tells what an install would change, one line each: the passive slot, the partition table, the kernel images.
const LOOK: &str = r#"
sync
device=$(readlink -f /dev/disk/by-partlabel/_empty)
echo "slot $(head -c 4194304 "$device" | sha256sum)"
lsblk -rno NAME,PARTLABEL | sed 's/^/partition /'
lsblk -rno NAME,PARTUUID | sed 's/^/identity /'
for image in /efi/EFI/Linux/*; do echo "kernel image $image $(stat -c %s "$image")"; done
"#;

/// A server that a copy asks, and what the copy looked like before.
pub(super) struct Stall<'a> {
    bench: &'a Bench<'a>,
    service: Service,
    n_offered: u32,
}

/// What the copy made of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// How the agent ended.
    pub(super) exit: u8,
    /// What it said, and where it stands now.
    pub(super) said: String,
    /// What an install would have changed, and changed.
    pub(super) changes: Vec<String>,
}

impl<'a> Stall<'a> {
    /// Starts the server; the copy's agent asks it, but only when it is told to.
    pub(super) fn open(bench: &'a Bench<'a>, machine: &mut Machine<'_>) -> Result<Self, Stop> {
        let service = bench.serve()?;
        let (port, group) = (service.port(), bench.release().manifest().channel);
        machine.ask(&format!(
            "systemctl stop boxcar-update.service; mkdir -p /etc/boxcar; printf '%s\\n' \
             SERVER=http://10.0.2.2:{port}/v1/update/ GROUP={group} REBOOT_STRATEGY=off > /etc/boxcar/update.conf"
        ))?;
        Ok(Stall { bench, service, n_offered: 0 })
    }

    /// The payload of the release under test.
    pub(super) fn own_payload(&self) -> Result<Vec<u8>, Stop> {
        let path = self.bench.release().path_of(ArtifactKind::Payload)?;
        fs::read(&path).map_err(trouble("read", &path))
    }

    /// A version that nobody has heard of and that is later than any before.
    pub(super) fn later(&mut self) -> Version {
        self.n_offered += 1;
        let running = self.bench.release().manifest().version;
        Version { patch: running.patch.saturating_add(self.n_offered), ..running }
    }

    /// Offers `payload` as `version`, announced with its true size and digest, and lets the copy update itself.
    pub(super) fn offer(
        &self,
        machine: &mut Machine<'_>,
        version: Version,
        payload: &[u8],
    ) -> Result<Taken, Stop> {
        self.service.offer(&self.announced(version, payload)?)?;
        let before = machine.ask(LOOK)?;
        let answer = machine.run(
            "stationmaster-agent update 2>&1; status=$?; stationmaster-agent status; exit $status",
            UPDATE,
        )?;
        self.bench.note(&format!("{version}: ended with {}\n{}", answer.exit, answer.output));
        let changes = changes(&before, &machine.ask(LOOK)?);
        Ok(Taken { exit: answer.exit, said: answer.output, changes })
    }

    fn announced(&self, version: Version, payload: &[u8]) -> Result<Release, Stop> {
        let manifest = self.bench.release().manifest();
        let known = manifest.artifact(ArtifactKind::Payload);
        let known = known.ok_or_else(|| Stop::Broken("the release has no payload".to_owned()))?.clone();
        let artifact = Artifact {
            size_bytes: payload.len() as u64,
            sha256: Sha256(sha2::Sha256::digest(payload).into()),
            sha512: Sha512(sha2::Sha512::digest(payload).into()),
            ..known
        };
        let folder = self.bench.dir().join("made").join(version.to_string());
        files::create_dir_all(&folder)?;
        files::write_atomic(&folder.join(artifact.name.as_str()), payload)?;
        let manifest = Manifest { version, artifacts: vec![artifact], ..manifest.clone() };
        let text = serde_json::to_vec(&manifest).expect("a manifest has only text and numbers");
        files::write_atomic(&folder.join("manifest.json"), &text)?;
        Ok(Release::new(manifest, folder))
    }
}

impl Taken {
    /// What the agent says of its last failure; of earlier offers it may say the same.
    fn reason(&self) -> &str {
        self.said.lines().find_map(|line| line.strip_prefix("last failure")).unwrap_or("none").trim()
    }

    /// Adds what is wrong unless the agent ended with `exit`, for a reason that holds `because`.
    pub(super) fn expect_refused(&self, findings: &mut Findings, what: &str, exit: u8, because: &str) {
        findings.require(self.exit == exit && self.reason().contains(because), || {
            format!(
                "{what}: the agent ended with {}, its reason `{}`; expected {exit} and `{because}`",
                self.exit,
                self.reason()
            )
        });
    }

    /// Adds what is wrong unless nothing at all was written.
    pub(super) fn expect_untouched(&self, findings: &mut Findings, what: &str) {
        findings.problems.extend(self.changes.iter().map(|change| format!("{what}: {change}")));
    }

    /// Adds what is wrong unless the machine will start what it started before.
    pub(super) fn expect_not_armed(&self, findings: &mut Findings, what: &str) {
        let armed = self
            .changes
            .iter()
            .filter(|change| !change.contains(": slot ") && !change.contains(": identity "));
        findings.problems.extend(armed.map(|change| format!("{what}: {change}")));
    }
}

fn changes(before: &str, after: &str) -> Vec<String> {
    let missing = |of: &str, from: &str, what: &str| -> Vec<String> {
        let others: Vec<&str> = from.lines().collect();
        let lines = of.lines().filter(|line| !line.trim().is_empty() && !others.contains(line));
        lines.map(|line| format!("{what}: {line}")).collect()
    };
    [missing(after, before, "now there is"), missing(before, after, "no longer there is")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "slot ab\npartition vda4 _empty\nidentity vda4 y\nkernel image /efi/EFI/Linux/boxcar_1.efi 9\n";

    fn taken(after: &str) -> Taken {
        let said = "rejected      1: no room\nlast failure  the payload's signature is not good\n".to_owned();
        Taken { exit: 4, said, changes: changes(BEFORE, after) }
    }

    fn problems(look: impl Fn(&mut Findings)) -> usize {
        let mut findings = Findings::default();
        look(&mut findings);
        findings.problems.len()
    }

    #[test]
    fn a_refusal_is_one_only_for_its_reason() {
        let taken = taken(BEFORE);
        let problems =
            |exit, because| problems(|findings| taken.expect_refused(findings, "x", exit, because));
        assert_eq!(problems(4, "signature is not good"), 0);
        assert_eq!(problems(4, "no room"), 1);
        assert_eq!(problems(7, "signature is not good"), 1);
    }

    #[test]
    fn what_was_written_is_told_from_what_would_boot() {
        let written =
            taken(&BEFORE.replace("slot ab", "slot cd").replace("identity vda4 y", "identity vda4 z"));
        assert_eq!(problems(|findings| written.expect_untouched(findings, "x")), 4);
        assert_eq!(problems(|findings| written.expect_not_armed(findings, "x")), 0);
        let armed = taken(&format!("{BEFORE}kernel image /efi/EFI/Linux/boxcar_2+3.efi 9\n"));
        assert_eq!(problems(|findings| armed.expect_not_armed(findings, "x")), 1);
        assert_eq!(problems(|findings| taken(BEFORE).expect_untouched(findings, "x")), 0);
    }
}
