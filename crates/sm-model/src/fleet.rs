//! What the update server knows about hosts: the entries of its append-only log, and the instance they add up to.
//!
//! Adding them up is the store's work; these are only the documents.

use serde::{Deserialize, Serialize};

use crate::{Board, MachineId, Timestamp, Version, report::Report};

/// What a host says about itself in every request. Free text is kept as sent, clipped by the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// Group (Omaha's `track`) the host follows.
    pub group: String,
    /// Board it runs on, where it names one that we know.
    pub board: Option<Board>,
    /// Version it runs.
    pub version: String,
    /// Name its operator gave it.
    pub alias: String,
    /// Platform it runs on: `qemu`, `ec2`, …
    pub oem: String,
    /// Version it was installed with.
    pub first_version: String,
    /// Id of the running boot; a new one tells of a reboot.
    pub boot_id: String,
}

/// One entry of the append-only log. Never changed once written, so that entries can be chained by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// A host came for the first time, or something it says about itself has changed.
    Seen {
        /// When.
        received: Timestamp,
        /// Which host.
        machine_id: MachineId,
        /// Everything it says about itself now.
        host: HostFacts,
    },
    /// A host was offered a version that it had not been offered just before.
    Offered {
        /// When.
        received: Timestamp,
        /// Which host.
        machine_id: MachineId,
        /// Version it was offered.
        version: Version,
    },
    /// A host reported an event.
    Event(Report),
}

impl Entry {
    /// When the server received what this entry tells.
    pub const fn received(&self) -> Timestamp {
        match self {
            Entry::Seen { received, .. } | Entry::Offered { received, .. } => *received,
            Entry::Event(report) => report.received,
        }
    }

    /// The host it is about.
    pub const fn machine_id(&self) -> &MachineId {
        match self {
            Entry::Seen { machine_id, .. } | Entry::Offered { machine_id, .. } => machine_id,
            Entry::Event(report) => &report.machine_id,
        }
    }
}

/// Where a host stands on its way to the version it was last offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceStatus {
    /// It runs what it runs; nothing is under way.
    Idle,
    /// It was offered an update and has not said anything since.
    Offered,
    /// It is downloading.
    Downloading,
    /// It has downloaded, and now verifies and writes.
    Downloaded,
    /// The update is written; the host waits for its reboot.
    Installed,
    /// It runs the version it was offered.
    Updated,
    /// The attempt failed; the host still runs the old version.
    Failed,
    /// It tried the new version and came back to the old one.
    FellBack,
}

impl InstanceStatus {
    /// Every status, in the order of an update.
    pub const ALL: [InstanceStatus; 8] = [
        InstanceStatus::Idle,
        InstanceStatus::Offered,
        InstanceStatus::Downloading,
        InstanceStatus::Downloaded,
        InstanceStatus::Installed,
        InstanceStatus::Updated,
        InstanceStatus::Failed,
        InstanceStatus::FellBack,
    ];

    /// The word for it, as serialised.
    pub const fn name(self) -> &'static str {
        match self {
            InstanceStatus::Idle => "idle",
            InstanceStatus::Offered => "offered",
            InstanceStatus::Downloading => "downloading",
            InstanceStatus::Downloaded => "downloaded",
            InstanceStatus::Installed => "installed",
            InstanceStatus::Updated => "updated",
            InstanceStatus::Failed => "failed",
            InstanceStatus::FellBack => "fell-back",
        }
    }
}

/// One host as the log tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its machine id.
    pub machine_id: MachineId,
    /// What it last said about itself.
    pub host: HostFacts,
    /// When it first came.
    pub first_seen: Timestamp,
    /// When an entry last changed anything here.
    pub changed: Timestamp,
    /// Where it stands.
    pub status: InstanceStatus,
    /// Version it was last offered.
    pub last_offered: Option<Version>,
    /// Versions that it tried and came back from, oldest first. They are not offered to this host again.
    pub fell_back_from: Vec<Version>,
    /// Error code of the last failure, as sent.
    pub error_code: Option<i64>,
    /// The host's own words on the last failure.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{EventKind, EventResult};

    fn entries() -> [Entry; 3] {
        let received = Timestamp::from_unix_secs(1_785_000_000).unwrap();
        let machine_id: MachineId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let host = HostFacts {
            group: "stable".into(),
            board: "amd64-usr".parse().ok(),
            version: "4900.2.0".into(),
            alias: "box".into(),
            oem: "qemu".into(),
            first_version: "4899.2.0".into(),
            boot_id: "{b191}".into(),
        };
        let version = "4901.2.0".parse().unwrap();
        let report = Report {
            received,
            machine_id: machine_id.clone(),
            group: "stable".into(),
            version: "4900.2.0".into(),
            kind: EventKind::UpdateComplete,
            result: EventResult::Error,
            error_code: Some(44),
            previous_version: None,
            reason: Some("boxcar-health.service failed".into()),
        };
        [
            Entry::Seen { received, machine_id: machine_id.clone(), host },
            Entry::Offered { received, machine_id, version },
            Entry::Event(report),
        ]
    }

    #[test]
    fn entries_read_back_and_keep_their_spelling() {
        for entry in entries() {
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        }
        assert_eq!(
            serde_json::to_string(&entries()[1]).unwrap(),
            r#"{"entry":"offered","received":"2026-07-25T17:20:00Z","machine_id":"0123456789abcdef0123456789abcdef","version":"4901.2.0"}"#,
            "stored logs are read by this spelling"
        );
    }

    #[test]
    fn an_entry_tells_its_host_and_time() {
        for entry in entries() {
            assert_eq!(entry.machine_id().as_str(), "0123456789abcdef0123456789abcdef");
            assert_eq!(entry.received().unix_secs(), 1_785_000_000);
        }
    }

    #[test]
    fn status_names_are_those_of_the_json() {
        for status in InstanceStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
    }
}
