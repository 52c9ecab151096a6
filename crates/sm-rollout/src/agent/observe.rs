//! What the facts say about the update under way: booted, marked good, fallen back, vanished.

use sm_model::{
    Sha256, Timestamp, Version,
    report::{EventKind, EventResult},
};

use super::{
    action::ErrorCode,
    facts::{Facts, Tries},
    state::{Armed, Phase, Rejection, State},
};
use crate::omaha::Event;

/// Boots that may come up with the old version although the new one has tries left, before it is given up.
const MAX_MISSED: u32 = 2;

impl State {
    /// Brings the document in line with what the host sees. Call it before [`State::next`], and save the document before
    /// acting: a fallback must be remembered before its traces are removed.
    pub fn observe(&mut self, facts: &Facts, now: Timestamp) {
        if let Some(version) = facts.spent() {
            self.fell_back(version, facts, now);
        }
        if self.phase.target().is_some_and(|(target, _)| target < facts.running) {
            // Something newer was booted meanwhile, by a person or by an attempt that the document has lost.
            self.phase = Phase::Idle;
        }
        match self.phase.clone() {
            Phase::Idle => {}
            Phase::Downloading(download) => {
                if download.offer.version == facts.running {
                    self.phase = Phase::Idle;
                }
            }
            // The power went between arming and remembering it.
            Phase::Installing { offer, from, .. } if offer.version == facts.running => {
                self.booted(Armed::new(&offer, from, &facts.boot_id), facts);
            }
            Phase::Installing { .. } => {}
            Phase::Armed(armed) | Phase::Unconfirmed(armed) if armed.version == facts.running => {
                self.booted(armed, facts);
            }
            Phase::Armed(armed) | Phase::Unconfirmed(armed) => self.not_booted(armed, facts, now),
        }
    }

    /// A person goes back to the `previous` version: what runs is given up, and not installed again before [`State::reset`].
    pub fn roll_back(&mut self, running: Version, previous: Version, now: Timestamp) {
        let sha256 = self.phase.target().filter(|(target, _)| *target == running).map(|(_, sha256)| sha256);
        self.give_up_version(running, sha256, &format!("a person went back to {previous}"), now);
    }

    /// The new version runs: it is either good, or still on trial.
    fn booted(&mut self, armed: Armed, facts: &Facts) {
        match facts.tries(armed.version) {
            Some(Tries::Left(_) | Tries::Fresh(_) | Tries::Spent) => self.phase = Phase::Unconfirmed(armed),
            // Without an entry of its own nobody can count its tries, so nothing is left to wait for.
            Some(Tries::Good) | None => {
                let previous =
                    if armed.previous == armed.version { String::new() } else { armed.previous.to_string() };
                self.tell(Event {
                    previous_version: Some(previous),
                    ..Event::new(EventKind::UpdateComplete, EventResult::SuccessReboot)
                });
                self.phase = Phase::Idle;
                self.last_failure = None;
            }
        }
    }

    /// The old version runs: before the reboot that is as it should be, after it is not.
    fn not_booted(&mut self, mut armed: Armed, facts: &Facts, now: Timestamp) {
        match facts.tries(armed.version) {
            None => {
                let reason =
                    format!("the kernel image of {} is gone from the EFI system partition", armed.version);
                self.failed(ErrorCode::Write, &reason);
            }
            Some(_) if armed.boot_id == facts.boot_id => self.phase = Phase::Armed(armed),
            Some(_) if armed.missed < MAX_MISSED => {
                armed.missed += 1;
                armed.boot_id.clone_from(&facts.boot_id);
                armed.reboot_asked = None;
                self.phase = Phase::Armed(armed);
            }
            Some(_) => {
                let reason = format!("the boot loader chose another version {} times", MAX_MISSED + 1);
                self.give_up_version(armed.version, Some(armed.sha256), &reason, now);
            }
        }
    }

    /// A version was tried in vain. Told once, and remembered even if the document knows nothing of the attempt.
    fn fell_back(&mut self, version: Version, facts: &Facts, now: Timestamp) {
        let reason = facts.health_note(version).map_or_else(
            || "it was booted until its tries were spent and never passed its health check".to_owned(),
            str::to_owned,
        );
        let attempt = match &self.phase {
            Phase::Installing { .. } | Phase::Armed(_) | Phase::Unconfirmed(_) => self.phase.target(),
            Phase::Idle | Phase::Downloading(_) => None,
        };
        match attempt {
            Some((target, sha256)) if target == version => {
                self.give_up_version(version, Some(sha256), &reason, now);
            }
            _ if self.rejected.iter().any(|rejection| rejection.version == version) => {}
            _ => {
                let phase = std::mem::replace(&mut self.phase, Phase::Idle);
                let concerns_phase = phase.target().is_some_and(|(target, _)| target == version);
                self.give_up_version(version, None, &reason, now);
                if !concerns_phase {
                    self.phase = phase;
                }
            }
        }
    }

    fn give_up_version(&mut self, version: Version, sha256: Option<Sha256>, reason: &str, now: Timestamp) {
        self.reject(Rejection { version, sha256, reason: reason.to_owned(), since: now });
        self.failed(ErrorCode::Rollback, &format!("version {version} fell back: {reason}"));
    }

    /// An attempt is over without an update.
    pub(super) fn failed(&mut self, code: ErrorCode, reason: &str) {
        self.tell(Event::failure(code.number(), reason));
        self.last_failure = Some(reason.to_owned());
        self.phase = Phase::Idle;
    }
}
