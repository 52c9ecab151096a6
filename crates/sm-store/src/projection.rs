//! How the entries of the log add up to an instance: a pure fold, so that any past state can be recomputed.

use sm_model::{
    MachineId, Timestamp, Version,
    fleet::{Entry, HostFacts, Instance, InstanceStatus},
    report::{EventKind, EventResult, Report},
};

/// Omaha's error code of a host that came back to its old version (`kActionCodeRollback` in update_engine).
const CODE_FELL_BACK: i64 = 44;

/// update_engine adds flags (resumed, test server, developer mode, …) to its codes in bits 28 to 31.
const CODE_WITHOUT_FLAGS: i64 = 0x0fff_ffff;

/// Versions remembered as fallen back from, per host: more than ever are on offer to one group at a time.
const MAX_BLAMED: usize = 16;

/// The instance after `entry`; `None` where an entry other than `Seen` tells of a host never seen.
pub fn fold(instance: Option<Instance>, entry: &Entry) -> Option<Instance> {
    match (instance, entry) {
        (Some(mut instance), entry) => {
            apply(&mut instance, entry);
            Some(instance)
        }
        (None, Entry::Seen { received, machine_id, host }) => Some(first_seen(*received, machine_id, host)),
        (None, _) => None,
    }
}

/// The instance that a host's first `Seen` entry makes.
pub fn first_seen(received: Timestamp, machine_id: &MachineId, host: &HostFacts) -> Instance {
    Instance {
        machine_id: machine_id.clone(),
        host: host.clone(),
        first_seen: received,
        changed: received,
        status: InstanceStatus::Idle,
        last_offered: None,
        fell_back_from: Vec::new(),
        error_code: None,
        reason: None,
    }
}

/// Adds one entry to the instance it is about.
pub fn apply(instance: &mut Instance, entry: &Entry) {
    instance.changed = entry.received();
    match entry {
        Entry::Seen { host, .. } => see(instance, host),
        Entry::Offered { version, .. } => {
            instance.status = InstanceStatus::Offered;
            instance.last_offered = Some(*version);
        }
        Entry::Event(report) => hear(instance, report),
    }
}

fn see(instance: &mut Instance, host: &HostFacts) {
    let runs_what_was_offered =
        instance.last_offered.is_some_and(|offered| offered.to_string() == host.version);
    if host.version != instance.host.version && runs_what_was_offered {
        updated(instance);
    }
    instance.host = host.clone();
}

fn hear(instance: &mut Instance, report: &Report) {
    match (report.kind, report.result) {
        (_, EventResult::Error) => failed(instance, report),
        (EventKind::DownloadStarted, EventResult::Success) => instance.status = InstanceStatus::Downloading,
        (EventKind::DownloadFinished, EventResult::Success) => instance.status = InstanceStatus::Downloaded,
        (EventKind::UpdateComplete, EventResult::Success) => instance.status = InstanceStatus::Installed,
        (EventKind::UpdateComplete, EventResult::SuccessReboot) if report.previous_version.is_some() => {
            updated(instance);
        }
        _ => {}
    }
}

fn updated(instance: &mut Instance) {
    let running = instance.last_offered;
    instance.fell_back_from.retain(|version| Some(*version) != running);
    instance.status = InstanceStatus::Updated;
    instance.error_code = None;
    instance.reason = None;
}

fn failed(instance: &mut Instance, report: &Report) {
    instance.error_code = report.error_code;
    instance.reason.clone_from(&report.reason);
    instance.status = InstanceStatus::Failed;
    if is_fall_back(report) {
        instance.status = InstanceStatus::FellBack;
        blame(instance, abandoned(instance, report));
    }
}

fn blame(instance: &mut Instance, version: Option<Version>) {
    let Some(version) = version else { return };
    instance.fell_back_from.retain(|known| *known != version);
    instance.fell_back_from.push(version);
    let n_forgotten = instance.fell_back_from.len().saturating_sub(MAX_BLAMED);
    instance.fell_back_from.drain(..n_forgotten);
}

/// Whether the report says that the host tried a new version and came back to the old one.
pub fn is_fall_back(report: &Report) -> bool {
    report.result == EventResult::Error
        && report.error_code.is_some_and(|code| code & CODE_WITHOUT_FLAGS == CODE_FELL_BACK)
}

/// The version that the host came back from. The report does not name it: it is the one we last offered, unless that
/// is what the host runs.
fn abandoned(instance: &Instance, report: &Report) -> Option<Version> {
    instance.last_offered.filter(|offered| offered.to_string() != report.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(secs).unwrap()
    }

    fn host(version: &str) -> HostFacts {
        HostFacts {
            group: "stable".into(),
            board: "amd64-usr".parse().ok(),
            version: version.into(),
            alias: String::new(),
            oem: "qemu".into(),
            first_version: "4900.2.0".into(),
            boot_id: String::new(),
        }
    }

    fn seen(version: &str) -> Entry {
        Entry::Seen { received: at(1), machine_id: "m".parse().unwrap(), host: host(version) }
    }

    fn offered(version: &str) -> Entry {
        Entry::Offered {
            received: at(2),
            machine_id: "m".parse().unwrap(),
            version: version.parse().unwrap(),
        }
    }

    fn event(
        running: &str,
        kind: u16,
        result: u16,
        error_code: Option<i64>,
        previous: Option<&str>,
    ) -> Entry {
        Entry::Event(Report {
            received: at(3),
            machine_id: "m".parse().unwrap(),
            group: "stable".into(),
            version: running.into(),
            kind: EventKind::from_number(kind),
            result: EventResult::from_number(result),
            error_code,
            previous_version: previous.map(|text| text.parse().unwrap()),
            reason: error_code.map(|_| "why".into()),
        })
    }

    fn after(entries: &[Entry]) -> Instance {
        entries.iter().fold(None, fold).expect("the first entry is `Seen`")
    }

    const B: &str = "4901.2.0";

    /// The events that update_engine sends in a good update, and the status that each leads to.
    #[test]
    fn a_good_update_walks_through_every_status_in_order() {
        let mut story = vec![seen("4900.2.0")];
        let mut statuses = vec![after(&story).status];
        for entry in [
            offered(B),
            event("4900.2.0", 13, 1, None, None),
            event("4900.2.0", 14, 1, None, None),
            event("4900.2.0", 3, 1, None, None),
            event(B, 3, 2, None, Some("4900.2.0")),
        ] {
            story.push(entry);
            statuses.push(after(&story).status);
        }
        assert!(statuses.is_sorted(), "{statuses:?}");
        assert_eq!(statuses[..], InstanceStatus::ALL[..6]);
    }

    #[test]
    fn a_host_that_comes_back_with_the_offered_version_is_updated_without_saying_so() {
        let instance = after(&[seen("4900.2.0"), offered(B), seen(B)]);
        assert_eq!(instance.status, InstanceStatus::Updated);
    }

    #[test]
    fn falling_back_names_the_version_last_offered_and_keeps_the_hosts_words() {
        for code in [44, 44 + (1 << 28), 44 - (1 << 31)] {
            let instance = after(&[seen("4900.2.0"), offered(B), event("4900.2.0", 3, 0, Some(code), None)]);
            assert_eq!(instance.status, InstanceStatus::FellBack);
            assert_eq!(instance.fell_back_from, [B.parse().unwrap()]);
            assert_eq!((instance.error_code, instance.reason.as_deref()), (Some(code), Some("why")));
        }
    }

    #[test]
    fn a_failed_download_is_no_fall_back_and_the_next_success_clears_it() {
        let failed = [seen("4900.2.0"), offered(B), event("4900.2.0", 3, 0, Some(268_435_465), None)];
        let instance = after(&failed);
        assert_eq!((instance.status, instance.fell_back_from), (InstanceStatus::Failed, vec![]));
        let instance = after(&[&failed[..], &[event(B, 3, 2, None, Some("4900.2.0"))]].concat());
        assert_eq!(
            (instance.status, instance.error_code, instance.reason),
            (InstanceStatus::Updated, None, None)
        );
    }

    #[test]
    fn a_fall_back_report_from_the_offered_version_itself_blames_nothing() {
        let instance = after(&[seen(B), offered(B), event(B, 3, 0, Some(44), None)]);
        assert_eq!(instance.fell_back_from, []);
    }

    #[test]
    fn blame_is_kept_over_versions_bounded_and_lifted_by_success() {
        let mut story = vec![seen("4900.2.0")];
        for major in 4901..4921 {
            story.push(offered(&format!("{major}.2.0")));
            story.push(event("4900.2.0", 3, 0, Some(44), None));
        }
        let blamed = after(&story).fell_back_from;
        assert_eq!((blamed.len(), blamed[15].major), (MAX_BLAMED, 4920));
        story.extend([offered("4920.2.0"), event("4920.2.0", 3, 2, None, Some("4900.2.0"))]);
        assert_eq!(after(&story).fell_back_from, blamed[..15]);
    }

    #[test]
    fn greetings_and_foreign_events_move_nothing() {
        let story = [seen("4900.2.0"), offered(B), event("4900.2.0", 13, 1, None, None)];
        for (kind, result) in [(3, 2), (800, 1), (3, 9), (65_535, 65_535)] {
            let instance = after(&[&story[..], &[event("4900.2.0", kind, result, None, None)]].concat());
            assert_eq!(instance.status, InstanceStatus::Downloading, "{kind}/{result}");
        }
    }

    #[test]
    fn entries_about_a_host_never_seen_make_no_instance() {
        assert_eq!(fold(None, &offered(B)), None);
    }
}
