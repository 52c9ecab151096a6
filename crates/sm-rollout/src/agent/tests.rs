//! One host's way through good and bad updates, turn by turn.

mod on_hold;
mod outbox;

use proptest::prelude::*;
use sm_model::{
    Sha256, Timestamp, Version,
    report::{EventKind, EventResult},
};

use super::*;
use crate::{
    agent::{config::Source, state::Contact},
    omaha::{Event, OfferedPackage, OfferedRelease, UpdateCheck},
};

const OLD: &str = "4900.0.0";
const NEW: &str = "4900.0.1";

/// A host with a clock that the test moves.
struct Host {
    state: State,
    facts: Facts,
    config: Config,
    now: Timestamp,
}

impl Host {
    fn new() -> Self {
        let running: Version = OLD.parse().unwrap();
        let text = "GROUP=alpha\nSERVER=http://h/v1/update/";
        let mut host = Host {
            state: State::new(running),
            facts: Facts {
                running,
                boot_id: "boot-1".to_owned(),
                entries: vec![BootEntry { version: running, tries: Tries::Good }],
                health_notes: Vec::new(),
            },
            config: Config::from_sources(&[Source { name: "update.conf", text }]).unwrap(),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
        };
        host.state.start(host.now, 0);
        host
    }

    /// The next action after what the host sees is taken in; the document goes through its stored form.
    fn turn(&mut self) -> Action {
        self.state.observe(&self.facts, self.now);
        let stored = serde_json::to_string(&self.state).unwrap();
        self.state = serde_json::from_str(&stored).unwrap();
        self.state.next(&self.facts, &self.config, self.now)
    }

    fn apply(&mut self, outcome: Outcome) {
        self.state.apply(outcome, &self.facts, self.now, 7);
    }

    fn wait(&mut self, secs: i64) {
        self.now = Timestamp::from_unix_secs(self.now.unix_secs() + secs).unwrap();
    }

    fn check(&mut self, offer: Option<OfferedRelease>) {
        self.state.hurry(self.now);
        if matches!(self.turn(), Action::Report(_)) {
            self.apply(Outcome::Reported(Ok(())));
        }
        assert!(matches!(self.turn(), Action::Check(_)), "{:?}", self.state);
        self.apply(Outcome::Checked(Ok(UpdateCheck { poll_interval_secs: None, offer })));
    }

    /// Checks, downloads, installs; the new version is armed.
    fn arm(&mut self) {
        self.check(Some(offer(NEW, 1)));
        self.apply(Outcome::Downloaded(Ok(())));
        assert_eq!(self.state.phase.name(), "installing");
        self.facts.entries.push(BootEntry { version: NEW.parse().unwrap(), tries: Tries::Fresh(3) });
        self.apply(Outcome::Installed(Ok(())));
        assert_eq!(self.state.phase.name(), "reboot-needed");
    }

    fn boot(&mut self, version: &str, new_tries: Tries) {
        self.facts.running = version.parse().unwrap();
        self.facts.boot_id.push('x');
        for entry in &mut self.facts.entries {
            if entry.version == NEW.parse().unwrap() {
                entry.tries = new_tries;
            }
        }
        self.state.start(self.now, 0);
    }

    /// Kinds, results and codes of the events not yet delivered.
    fn told(&self) -> Vec<(u16, u16, Option<i64>)> {
        let numbers = |event: &Event| (event.kind.number(), event.result.number(), event.error_code);
        self.state.contact.outbox.iter().map(numbers).collect()
    }

    fn deliver(&mut self) {
        assert!(matches!(self.turn(), Action::Report(_)));
        self.apply(Outcome::Reported(Ok(())));
        assert_eq!(self.told(), []);
    }
}

fn offer(version: &str, digest: u8) -> OfferedRelease {
    OfferedRelease {
        version: version.parse().unwrap(),
        urls: vec!["http://a/".parse().unwrap(), "http://b/".parse().unwrap()],
        payload: OfferedPackage {
            name: "update.gz".parse().unwrap(),
            size_bytes: 10,
            sha256: Sha256([digest; 32]),
        },
        extras: Vec::new(),
    }
}

#[test]
fn a_good_update_is_told_step_by_step_and_ends_marked_good() {
    let mut host = Host::new();
    assert!(matches!(host.turn(), Action::Wait(_)));
    host.wait(13 * 60);
    host.check(Some(offer(NEW, 1)));
    assert_eq!(host.told(), [(13, 1, None)]);
    host.deliver();
    let Action::Download { url, .. } = host.turn() else { panic!("a download") };
    assert_eq!(url.as_str(), "http://a/update.gz");
    host.apply(Outcome::Downloaded(Ok(())));
    assert_eq!(host.told(), [(14, 1, None)]);
    host.deliver();
    assert!(matches!(host.turn(), Action::Install(_)));
    host.facts.entries.push(BootEntry { version: NEW.parse().unwrap(), tries: Tries::Fresh(3) });
    host.apply(Outcome::Installed(Ok(())));
    assert_eq!(host.told(), [(3, 1, None)]);
    host.deliver();
    assert_eq!(host.turn(), Action::Reboot);
    host.apply(Outcome::RebootAsked);
    assert!(matches!(host.turn(), Action::Wait(_)), "it is asked for once");

    host.boot(NEW, Tries::Left(2));
    assert!(matches!(host.turn(), Action::Wait(_)));
    assert_eq!(
        (host.state.phase.name(), host.told()),
        ("booted-unconfirmed", vec![]),
        "not before it is good"
    );
    host.facts.entries[1].tries = Tries::Good;
    assert!(matches!(host.turn(), Action::Report(_)));
    assert_eq!(host.told(), [(3, 2, None)]);
    assert_eq!(host.state.contact.outbox[0].previous_version.as_deref(), Some(OLD));
    host.deliver();
    assert_eq!(host.state.phase, Phase::Idle);
}

#[test]
fn a_fallback_is_told_with_its_reason_once_and_the_version_is_not_tried_again() {
    let mut host = Host::new();
    host.arm();
    host.deliver();
    host.boot(NEW, Tries::Left(2));
    host.turn();
    host.boot(OLD, Tries::Spent);
    host.facts.health_notes = vec![(NEW.parse().unwrap(), "unit `containerd.service` failed".to_owned())];
    assert_eq!(host.turn(), Action::RemoveEntry(NEW.parse().unwrap()));
    host.facts.entries.pop();
    assert_eq!(host.told(), [(3, 0, Some(44))]);
    let reason = host.state.contact.outbox[0].reason.clone().unwrap();
    assert!(reason.contains("containerd.service"), "{reason}");
    host.deliver();

    host.check(Some(offer(NEW, 1)));
    assert_eq!((host.state.phase.name(), host.told()), ("idle", vec![]));
    assert!(host.state.contact.declined.as_ref().unwrap().1.contains("containerd.service"));
    host.check(Some(offer(NEW, 2)));
    assert_eq!(
        host.state.phase.name(),
        "downloading",
        "other bytes under the same version are another chance"
    );
}

#[test]
fn a_fallback_is_recognised_even_when_the_document_is_lost() {
    let mut host = Host::new();
    host.facts.entries.push(BootEntry { version: NEW.parse().unwrap(), tries: Tries::Spent });
    for _ in 0..3 {
        assert_eq!(host.turn(), Action::RemoveEntry(NEW.parse().unwrap()));
        assert_eq!(host.told(), [(3, 0, Some(44))], "told once however often it is seen");
    }
    host.facts.entries.pop();
    host.deliver();
    host.check(Some(offer(NEW, 1)));
    assert_eq!(host.state.phase.name(), "idle");
}

#[test]
fn a_power_cut_between_arming_and_remembering_it_loses_nothing() {
    let mut host = Host::new();
    host.check(Some(offer(NEW, 1)));
    host.apply(Outcome::Downloaded(Ok(())));
    host.facts.entries.push(BootEntry { version: NEW.parse().unwrap(), tries: Tries::Fresh(3) });
    host.boot(NEW, Tries::Good);
    host.turn();
    assert_eq!(host.state.phase, Phase::Idle);
    let last = host.state.contact.outbox.last().unwrap();
    assert_eq!((last.kind, last.result), (EventKind::UpdateComplete, EventResult::SuccessReboot));
    assert_eq!(last.previous_version.as_deref(), Some(OLD));
}

#[test]
fn an_attempt_that_something_newer_has_overtaken_is_dropped() {
    let mut host = Host::new();
    host.check(Some(offer(NEW, 1)));
    host.apply(Outcome::Downloaded(Ok(())));
    host.facts.running = "4914.0.0".parse().unwrap();
    host.turn();
    assert_eq!(host.state.phase, Phase::Idle);
}

#[test]
fn a_kernel_image_that_vanished_is_told_and_never_rebooted_into() {
    let mut host = Host::new();
    host.arm();
    host.deliver();
    host.facts.entries.pop();
    assert!(matches!(host.turn(), Action::Report(_)));
    assert_eq!((host.state.phase.name(), host.told()), ("idle", vec![(3, 0, Some(14))]));
}

#[test]
fn a_boot_loader_that_keeps_choosing_the_old_version_ends_the_attempt() {
    let mut host = Host::new();
    host.arm();
    host.deliver();
    for _ in 0..2 {
        host.boot(OLD, Tries::Fresh(3));
        assert_eq!(host.turn(), Action::Reboot);
    }
    host.boot(OLD, Tries::Fresh(3));
    host.turn();
    assert_eq!((host.state.phase.name(), host.told()), ("idle", vec![(3, 0, Some(44))]));
    assert!(host.state.rejection(NEW.parse().unwrap(), Sha256([1; 32])).is_some());
}

#[test]
fn downgrades_and_the_running_version_are_declined_in_words() {
    for (version, words) in [("4899.3.9", "older"), (OLD, "the version that runs")] {
        let mut host = Host::new();
        host.check(Some(offer(version, 1)));
        assert_eq!((host.state.phase.name(), host.told()), ("idle", vec![]));
        assert!(host.state.contact.declined.unwrap().1.contains(words));
    }
}

#[test]
fn broken_transfers_take_turns_among_mirrors_and_end_at_last() {
    let mut host = Host::new();
    host.check(Some(offer(NEW, 1)));
    let mut hosts = Vec::new();
    while let Phase::Downloading(download) = &host.state.phase {
        let wait = download.next.secs_since(host.now);
        assert!(wait <= 45 * 60, "{wait}");
        host.wait(wait);
        if matches!(host.turn(), Action::Report(_)) {
            host.apply(Outcome::Reported(Ok(())));
        }
        let Action::Download { url, .. } = host.turn() else { panic!("a download: {:?}", host.turn()) };
        hosts.push(url.as_str().as_bytes()[7]);
        host.apply(Outcome::Downloaded(Err(DownloadFailure::Interrupted("reset".to_owned()))));
    }
    assert_eq!(&hosts[..4], b"abab");
    assert_eq!(hosts.len(), 21);
    assert_eq!(host.told(), [(3, 0, Some(9))]);
    assert_eq!(host.state.rejected, []);
}

#[test]
fn a_file_that_no_mirror_has_ends_the_attempt_at_once() {
    let mut host = Host::new();
    host.check(Some(offer(NEW, 1)));
    host.apply(Outcome::Downloaded(Err(DownloadFailure::Refused("404".to_owned()))));
    assert_eq!(host.state.phase.name(), "downloading", "the other mirror is asked");
    host.apply(Outcome::Downloaded(Err(DownloadFailure::Refused("404".to_owned()))));
    assert_eq!(host.told(), [(13, 1, None), (3, 0, Some(9))]);
}

#[test]
fn damaged_bytes_are_fetched_again_a_few_times_and_a_bad_signature_never() {
    let mut host = Host::new();
    host.check(Some(offer(NEW, 1)));
    for _ in 0..3 {
        assert_eq!(host.state.phase.name(), "downloading");
        host.apply(Outcome::Downloaded(Ok(())));
        host.apply(Outcome::Installed(Err(InstallFailure::Damaged("digest".to_owned()))));
    }
    assert_eq!((host.state.phase.name(), host.state.rejected.len()), ("idle", 0));
    assert_eq!(host.told().last(), Some(&(3, 0, Some(10))));

    host.deliver();
    host.check(Some(offer(NEW, 1)));
    host.apply(Outcome::Downloaded(Ok(())));
    let rejected = InstallFailure::Rejected(ErrorCode::Signature, "not signed by our key".to_owned());
    host.apply(Outcome::Installed(Err(rejected)));
    assert_eq!(host.told().last(), Some(&(3, 0, Some(18))));
    assert!(host.state.rejection(NEW.parse().unwrap(), Sha256([1; 32])).is_some());
    assert_eq!(host.state.reset(None), 1);
    host.deliver();
    host.check(Some(offer(NEW, 1)));
    assert_eq!(host.state.phase.name(), "downloading", "an operator cleared it");
}

#[test]
fn a_full_disk_ends_the_attempt_without_blaming_the_version() {
    for install in [false, true] {
        let mut host = Host::new();
        host.check(Some(offer(NEW, 1)));
        if install {
            host.apply(Outcome::Downloaded(Ok(())));
            host.apply(Outcome::Installed(Err(InstallFailure::Storage("full".to_owned()))));
        } else {
            host.apply(Outcome::Downloaded(Err(DownloadFailure::Storage("full".to_owned()))));
        }
        assert_eq!((host.state.phase.name(), host.state.rejected.len()), ("idle", 0));
        assert_eq!(host.told().last(), Some(&(3, 0, Some(14))));
        assert!(matches!(host.turn(), Action::Report(_)));
    }
}

#[test]
fn a_server_that_fails_is_asked_less_and_less_and_an_absent_network_soon_again() {
    let mut host = Host::new();
    let mut last = 0;
    for _ in 0..8 {
        host.state.hurry(host.now);
        assert!(matches!(host.turn(), Action::Check(_)));
        host.apply(Outcome::Checked(Err(CheckFailure::Refused("HTTP 503".to_owned()))));
        last = host.state.contact.next.unwrap().secs_since(host.now);
        assert!(last <= 6 * 3600);
    }
    assert!(last >= 2 * 3600, "{last}");
    let mut host = Host::new();
    host.state.hurry(host.now);
    host.apply(Outcome::Checked(Err(CheckFailure::Offline("no route".to_owned()))));
    assert!(host.state.contact.next.unwrap().secs_since(host.now) <= 90);
}

#[test]
fn the_servers_interval_is_honoured_within_bounds() {
    for (wish, range) in [(600, 540..=660), (0, 27..=33), (u32::MAX, 12_960..=15_840)] {
        let mut host = Host::new();
        host.state.hurry(host.now);
        host.apply(Outcome::Checked(Ok(UpdateCheck { poll_interval_secs: Some(wish), offer: None })));
        let next = host.state.contact.next.unwrap().secs_since(host.now);
        assert!(range.contains(&next), "{wish}: {next}");
    }
}

#[test]
fn without_a_server_nothing_starts_but_what_is_armed_is_booted() {
    let mut host = Host::new();
    host.config.server = None;
    host.state.hurry(host.now);
    assert!(matches!(host.turn(), Action::Wait(_)));
    let mut host = Host::new();
    host.arm();
    host.config.server = None;
    assert_eq!(host.turn(), Action::Reboot);
}

#[test]
fn with_reboots_off_the_host_pings_and_waits() {
    let mut host = Host::new();
    host.config.reboot = RebootStrategy::Off;
    host.arm();
    host.deliver();
    host.wait(51 * 60);
    assert!(matches!(host.turn(), Action::Ping(_)));
    host.apply(Outcome::Pinged(Ok(())));
    assert!(matches!(host.turn(), Action::Wait(_)));
}

#[test]
fn a_document_of_another_agent_version_is_read() {
    let text = r#"{"format":1,"aleph":"1.0.0","phase":{"name":"idle","novelty":1},"novelty":{}}"#;
    let state: State = serde_json::from_str(text).unwrap();
    assert_eq!((state.phase, state.contact), (Phase::Idle, Contact::default()));
}

#[test]
fn the_stored_form_of_every_phase_is_pinned() {
    let mut host = Host::new();
    host.arm();
    let stored = serde_json::to_value(&host.state.phase).unwrap();
    assert_eq!(
        stored,
        serde_json::json!({
            "name": "reboot-needed", "version": NEW, "sha256": "01".repeat(32), "previous": OLD,
            "boot_id": "boot-1", "missed": 0, "reboot_asked": null,
        })
    );
}

#[test]
fn words_for_every_phase_name_the_versions_and_what_is_next() {
    let mut host = Host::new();
    let mut words = Vec::new();
    let mut say = |host: &mut Host| {
        host.turn();
        let words_now = host.state.explain(&host.facts, Ok(&host.config), host.now);
        words.push(format!("{} / {} / {}", words_now.standing, words_now.reasons.join("; "), words_now.next));
    };
    say(&mut host);
    host.check(Some(offer(NEW, 1)));
    host.deliver();
    say(&mut host);
    host.apply(Outcome::Downloaded(Ok(())));
    host.deliver();
    say(&mut host);
    host.facts.entries.push(BootEntry { version: NEW.parse().unwrap(), tries: Tries::Fresh(3) });
    host.apply(Outcome::Installed(Ok(())));
    host.deliver();
    host.config.reboot = RebootStrategy::Off;
    say(&mut host);
    host.boot(NEW, Tries::Left(2));
    say(&mut host);
    assert_eq!(
        words,
        [
            "4900.0.0 runs; no update is under way /  / look again in 2 min, at 2026-11-23T00:02:00Z",
            "4900.0.0 runs; 4900.0.1 is being downloaded /  / download http://a/update.gz",
            "4900.0.0 runs; 4900.0.1 is downloaded and being installed /  / verify 4900.0.1 and write it to the passive slot",
            "4900.0.0 runs; 4900.0.1 is installed and waits for a reboot / `REBOOT_STRATEGY=off`: the reboot is left to you / look again in 40 min, at 2026-11-23T00:40:07Z",
            "4900.0.1 runs on trial; 4900.0.0 is kept to fall back to / boot-complete.target has not been reached yet; 2 more tries are left after this boot / look again in 15 s, at 2026-11-23T00:00:15Z",
        ]
    );
}

proptest! {
    #[test]
    fn lists_never_grow_without_bound(n in 0..100u8) {
        let mut host = Host::new();
        for digest in 0..n {
            host.state.phase = Phase::Installing {
                offer: offer(NEW, digest), from: OLD.parse().unwrap(), damaged: 0,
            };
            let failure = InstallFailure::Rejected(ErrorCode::Signature, "x".to_owned());
            host.apply(Outcome::Installed(Err(failure)));
        }
        prop_assert!(host.state.rejected.len() <= State::MAX_KEPT);
        prop_assert!(host.state.contact.outbox.len() <= State::MAX_EVENTS);
    }
}

#[test]
fn what_a_person_goes_back_from_is_told_and_not_taken_again() {
    let mut host = Host::new();
    host.arm();
    host.boot(NEW, Tries::Good);
    host.deliver();
    assert_eq!(host.state.phase, Phase::Idle);
    let (new, old): (Version, Version) = (NEW.parse().unwrap(), OLD.parse().unwrap());
    host.state.roll_back(new, old, host.now);
    assert_eq!(host.told(), [(3, 0, Some(44))]);

    host.boot(OLD, Tries::Spent);
    assert_eq!(host.turn(), Action::RemoveEntry(new));
    host.facts.entries.retain(|entry| entry.version == old);
    host.deliver();
    host.check(Some(offer(NEW, 1)));
    assert_eq!(host.state.phase, Phase::Idle);
    let (version, reason) = host.state.contact.declined.clone().unwrap();
    assert_eq!(version, new);
    assert!(reason.contains("a person went back to 4900.0.0"), "{reason}");
    host.state.reset(None);
    host.check(Some(offer(NEW, 1)));
    assert_eq!(host.state.phase.name(), "downloading");
}
