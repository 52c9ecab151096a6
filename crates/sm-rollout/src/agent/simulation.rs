//! A host, a server and fate: random releases, failures, crashes and power cuts, against which the invariants must hold.
//!
//! The simulated disk keeps the order of writes that the real install promises: the target's kernel image is removed first
//! and appears last, so a cut leaves the entry absent or whole.

use proptest::prelude::*;
use sm_model::{Sha256, Timestamp, Version};

use super::{config::Source, *};
use crate::omaha::{OfferedPackage, OfferedRelease, UpdateCheck};

/// What fate does with one turn.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// The action succeeds and its outcome is remembered.
    Succeed,
    /// The action fails; the number picks how.
    Fail(u8),
    /// The action succeeds, but the agent is killed before it remembers that.
    ForgetSuccess,
    /// The agent is killed before the action.
    Kill,
    /// The power goes before the action.
    PowerCut,
    /// Time passes.
    Wait,
    /// The document is lost.
    LoseState,
    /// The server offers another version, with other bytes.
    Release(u8, u8),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Succeed),
        3 => (0..6u8).prop_map(Fate::Fail),
        2 => Just(Fate::ForgetSuccess),
        1 => Just(Fate::Kill),
        2 => Just(Fate::PowerCut),
        4 => Just(Fate::Wait),
        1 => Just(Fate::LoseState),
        2 => (1..6u8, 0..3u8).prop_map(|(version, digest)| Fate::Release(version, digest)),
    ]
}

struct World {
    state: State,
    facts: Facts,
    config: Config,
    now: Timestamp,
    offer: OfferedRelease,
    /// Versions whose health check always fails.
    bad: Vec<Version>,
    /// What was rejected, to be compared with what is started.
    seen_rejected: Vec<(Version, Option<Sha256>)>,
    n_boots: u32,
    state_was_lost: bool,
}

fn version(major: u8) -> Version {
    Version { major: u32::from(major), level: 0, patch: 0 }
}

fn release(major: u8, digest: u8) -> OfferedRelease {
    OfferedRelease {
        version: version(major),
        urls: vec!["http://h/".parse().unwrap()],
        payload: OfferedPackage { name: "p".parse().unwrap(), size_bytes: 1, sha256: Sha256([digest; 32]) },
        extras: Vec::new(),
    }
}

fn refusal(how: u8) -> CheckFailure {
    let words = "fate".to_owned();
    match how {
        0 => CheckFailure::Offline(words),
        1 => CheckFailure::Refused(words),
        _ => CheckFailure::Unacceptable(words),
    }
}

impl World {
    fn new(bad: Vec<u8>) -> Self {
        let source = Source { name: "update.conf", text: "GROUP=a\nSERVER=http://h/" };
        World {
            state: State::new(version(1)),
            facts: Facts {
                running: version(1),
                boot_id: "0".to_owned(),
                entries: vec![BootEntry { version: version(1), tries: Tries::Good }],
                health_notes: Vec::new(),
            },
            config: Config::from_sources(&[source]).unwrap(),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            offer: release(2, 0),
            bad: bad.into_iter().map(version).collect(),
            seen_rejected: Vec::new(),
            n_boots: 0,
            state_was_lost: false,
        }
    }

    fn turn(&mut self, fate: Fate, random: u64) {
        match fate {
            Fate::Wait => self.now = schedule::after(self.now, 3600),
            Fate::Release(major, digest) => self.offer = release(major, digest),
            Fate::LoseState => {
                self.state = State::new(self.facts.running);
                self.seen_rejected.clear();
                self.state_was_lost = true;
            }
            Fate::PowerCut => self.boot(),
            Fate::Kill => self.state.start(self.now, random),
            Fate::Succeed | Fate::Fail(_) | Fate::ForgetSuccess => self.act(fate, random),
        }
    }

    fn act(&mut self, fate: Fate, random: u64) {
        self.state.observe(&self.facts, self.now);
        self.remember_rejections();
        let action = self.state.next(&self.facts, &self.config, self.now);
        self.check_invariants(&action);
        let outcome = match fate {
            Fate::Fail(how) => self.fail(&action, how),
            _ => self.succeed(&action),
        };
        let reboots = outcome == Some(Outcome::RebootAsked);
        if let Some(outcome) = outcome.filter(|_| !matches!(fate, Fate::ForgetSuccess)) {
            self.state.apply(outcome, &self.facts, self.now, random);
        }
        if reboots && !matches!(fate, Fate::Fail(_)) {
            self.boot();
        }
    }

    fn succeed(&mut self, action: &Action) -> Option<Outcome> {
        match action {
            Action::Wait(until) => {
                self.now = (*until).max(self.now);
                None
            }
            Action::Report(_) => Some(Outcome::Reported(Ok(()))),
            Action::Ping(_) => Some(Outcome::Pinged(Ok(()))),
            Action::Check(_) => {
                let offer = Some(self.offer.clone());
                Some(Outcome::Checked(Ok(UpdateCheck { poll_interval_secs: None, offer })))
            }
            Action::Download { .. } => Some(Outcome::Downloaded(Ok(()))),
            Action::Install(offer) => {
                // The passive slot's old kernel image goes first, the new one comes last.
                self.facts.entries.retain(|entry| entry.version == self.facts.running);
                self.facts.entries.push(BootEntry { version: offer.version, tries: Tries::Fresh(3) });
                Some(Outcome::Installed(Ok(())))
            }
            Action::RemoveEntry(version) => {
                self.facts.entries.retain(|entry| entry.version != *version);
                None
            }
            Action::Reboot => Some(Outcome::RebootAsked),
        }
    }

    fn fail(&mut self, action: &Action, how: u8) -> Option<Outcome> {
        let words = || "fate".to_owned();
        match action {
            Action::Report(_) => Some(Outcome::Reported(Err(refusal(how)))),
            Action::Ping(_) => Some(Outcome::Pinged(Err(refusal(how)))),
            Action::Check(_) => Some(Outcome::Checked(Err(refusal(how)))),
            Action::Download { .. } => Some(Outcome::Downloaded(Err(match how {
                0 => DownloadFailure::Refused(words()),
                1 => DownloadFailure::Storage(words()),
                _ => DownloadFailure::Interrupted(words()),
            }))),
            Action::Install(_) => {
                self.facts.entries.retain(|entry| entry.version == self.facts.running);
                Some(Outcome::Installed(Err(match how {
                    0 => InstallFailure::Rejected(ErrorCode::Signature, words()),
                    1 => InstallFailure::Storage(words()),
                    _ => InstallFailure::Damaged(words()),
                })))
            }
            Action::Wait(_) | Action::RemoveEntry(_) | Action::Reboot => None,
        }
    }

    /// What systemd-boot, the health check and systemd-bless-boot do: the newest entry with tries left is tried, a bad
    /// version reboots until its tries are spent.
    fn boot(&mut self) {
        loop {
            self.n_boots += 1;
            self.facts.boot_id = self.n_boots.to_string();
            let bootable = self.facts.entries.iter_mut().filter(|entry| entry.tries != Tries::Spent);
            let entry =
                bootable.max_by_key(|entry| entry.version).expect("the running version stays bootable");
            self.facts.running = entry.version;
            match entry.tries {
                Tries::Good => break,
                Tries::Left(_) | Tries::Fresh(_) if !self.bad.contains(&entry.version) => {
                    entry.tries = Tries::Good;
                    break;
                }
                Tries::Left(1) | Tries::Fresh(1) => entry.tries = Tries::Spent,
                Tries::Left(left) | Tries::Fresh(left) => entry.tries = Tries::Left(left - 1),
                Tries::Spent => unreachable!("filtered"),
            }
        }
        self.state.start(self.now, 0);
    }

    fn remember_rejections(&mut self) {
        for rejection in &self.state.rejected {
            let seen = (rejection.version, rejection.sha256);
            if !self.seen_rejected.contains(&seen) {
                self.seen_rejected.push(seen);
            }
        }
    }

    fn check_invariants(&self, action: &Action) {
        let running = self.facts.running;
        assert!(!self.bad.contains(&running), "a version that fails its health check never stays");
        assert_eq!(self.facts.tries(running), Some(Tries::Good), "what runs stays bootable");
        match action {
            Action::Download { offer, .. } | Action::Install(offer) => {
                assert!(offer.version > running, "only what is newer is installed");
                let again = |(version, sha256): &(Version, Option<Sha256>)| {
                    *version == offer.version && sha256.is_none_or(|digest| digest == offer.payload.sha256)
                };
                assert!(!self.seen_rejected.iter().any(again), "a rejected version is tried again");
            }
            Action::RemoveEntry(version) => assert_ne!(*version, running, "what runs is never removed"),
            Action::Reboot => {
                let (target, _) = self.state.phase.target().expect("a reboot leads somewhere");
                assert!(
                    matches!(self.facts.tries(target), Some(Tries::Left(1..) | Tries::Fresh(1..))),
                    "only into what is armed"
                );
            }
            Action::Wait(until) => {
                assert!(
                    until.secs_since(self.now) <= i64::from(schedule::MAX_SECS) * 2,
                    "no wait is for ever"
                );
            }
            Action::Report(_) | Action::Check(_) | Action::Ping(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(512)))]

    #[test]
    fn whatever_happens_the_host_stays_sound(
        fates in proptest::collection::vec((fate(), any::<u64>()), 1..120), bad in proptest::collection::vec(2..6u8, 0..3),
    ) {
        let mut world = World::new(bad);
        for (fate, random) in fates {
            world.turn(fate, random);
        }
    }

    #[test]
    fn when_fate_relents_a_good_release_arrives_and_a_bad_one_is_left_alone(
        fates in proptest::collection::vec((fate(), any::<u64>()), 0..60), bad in proptest::collection::vec(2..6u8, 0..3),
    ) {
        let mut world = World::new(bad);
        for (fate, random) in fates {
            world.turn(fate, random);
        }
        // New bytes under a high version: nothing of the past stands against them.
        world.offer = release(9, 9);
        for random in 0..400 {
            world.turn(Fate::Succeed, random);
        }
        prop_assert_eq!(world.facts.running, version(9));
        prop_assert_eq!(&world.state.phase, &Phase::Idle);

        world.bad.push(version(10));
        world.offer = release(10, 10);
        for random in 0..400 {
            world.turn(Fate::Succeed, random);
        }
        prop_assert_eq!(world.facts.running, version(9));
        prop_assert!(world.state.rejection(version(10), Sha256([10; 32])).is_some());
        let boots = world.n_boots;
        for random in 0..100 {
            world.turn(Fate::Succeed, random);
        }
        prop_assert_eq!(world.n_boots, boots, "no reboot loop");
    }
}
