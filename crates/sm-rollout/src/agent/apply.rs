//! What outcomes change in the document, and which events they tell the server.

use sm_model::{
    Timestamp, Version,
    report::{EventKind, EventResult},
};

use super::{
    action::{CheckFailure, DownloadFailure, ErrorCode, InstallFailure, Outcome},
    facts::Facts,
    message::Ask,
    schedule,
    state::{Armed, Download, Phase, Rejection, State},
};
use crate::omaha::{Event, OfferedRelease, UpdateCheck};

/// Transfers that may break in a row before the download is given up until the next check.
const MAX_FAILURES: u32 = 20;
/// Whole payloads that may arrive damaged before the offer is given up until the next check.
const MAX_DAMAGED: u32 = 3;
/// Shortest and longest delay between two transfers.
const RETRY_SECS: (u32, u32) = (20, 30 * 60);

impl State {
    /// Takes note of how an action turned out. `random` spreads the times that follow from it.
    pub fn apply(&mut self, outcome: Outcome, facts: &Facts, now: Timestamp, random: u64) {
        match outcome {
            Outcome::Reported(Ok(())) => self.delivered(Ask::Report, now, random),
            Outcome::Pinged(Ok(())) => self.delivered(Ask::Ping, now, random),
            Outcome::Checked(Ok(check)) => self.checked(check, facts, now, random),
            Outcome::Reported(Err(failure)) => self.not_answered(Ask::Report, failure, now, random),
            Outcome::Pinged(Err(failure)) => self.not_answered(Ask::Ping, failure, now, random),
            Outcome::Checked(Err(failure)) => self.not_answered(Ask::Check, failure, now, random),
            Outcome::Downloaded(result) => self.downloaded(result, facts, now, random),
            Outcome::Installed(result) => self.installed(result, facts, now, random),
            Outcome::RebootAsked => {
                if let Phase::Armed(armed) = &mut self.phase {
                    armed.reboot_asked = Some(now);
                }
            }
        }
    }

    /// The server answered, and took the outbox if the request carried it.
    fn delivered(&mut self, ask: Ask, now: Timestamp, random: u64) {
        let was_due = self.contact.next.is_none_or(|next| schedule::is_due(next, now));
        if self.carries_outbox(ask) && !self.contact.outbox.is_empty() {
            self.contact.dropped = None;
            self.empty_outbox();
        }
        self.contact.answered = Some(now);
        self.contact.failures = 0;
        self.contact.failure = None;
        // A report between two checks does not put the next check off; a ping does, and what was due during an update.
        if ask == Ask::Ping || was_due && !matches!(self.phase, Phase::Idle) {
            self.contact.next = Some(schedule::after(now, schedule::periodic(None, random)));
        }
    }

    fn empty_outbox(&mut self) {
        self.contact.outbox.clear();
        self.contact.outbox_refused = None;
        self.contact.outbox_next = None;
    }

    fn checked(&mut self, check: UpdateCheck, facts: &Facts, now: Timestamp, random: u64) {
        self.delivered(Ask::Check, now, random);
        self.contact.next = Some(schedule::after(now, schedule::periodic(check.poll_interval_secs, random)));
        self.contact.declined = None;
        let Some(offer) = check.offer else { return };
        match self.refusal(&offer, facts.running) {
            Some(reason) => self.contact.declined = Some((offer.version, reason)),
            None => {
                self.tell(Event::new(EventKind::DownloadStarted, EventResult::Success));
                self.last_failure = None;
                self.phase = Phase::Downloading(Download { offer, failures: 0, damaged: 0, next: now });
            }
        }
    }

    /// Why an offer is not taken, in words; `None` when it is.
    fn refusal(&self, offer: &OfferedRelease, running: Version) -> Option<String> {
        if offer.version == running {
            return Some("it is the version that runs".to_owned());
        }
        if offer.version < running {
            return Some(format!("it is older than {running}, which runs"));
        }
        let rejection = self.rejection(offer.version, offer.payload.sha256)?;
        Some(format!("it was rejected on {}: {}", rejection.since, rejection.reason))
    }

    fn not_answered(&mut self, ask: Ask, failure: CheckFailure, now: Timestamp, random: u64) {
        self.contact.failures = self.contact.failures.saturating_add(1);
        let (base, max) = match &failure {
            CheckFailure::Offline(_) => (schedule::OFFLINE_SECS, schedule::PERIODIC_SECS),
            CheckFailure::Refused(_) | CheckFailure::Unacceptable(_) => {
                (schedule::PERIODIC_SECS, schedule::MAX_SECS)
            }
        };
        let retry = schedule::after(now, schedule::backoff(base, max, self.contact.failures, random));
        let may_be_events = self.may_be_events(ask, &failure, now);
        self.contact.failure = Some(failure);
        self.contact.outbox_next = Some(retry);
        // What is due keeps its time when it goes without the events now.
        if !may_be_events && self.contact.next.is_none_or(|next| schedule::is_due(next, now)) {
            self.contact.next = Some(retry);
        }
    }

    /// Whether the events may be why a request was not taken. They are dropped when that happens again and the server answered a
    /// request without them in between: one that takes no request at all costs no event.
    fn may_be_events(&mut self, ask: Ask, failure: &CheckFailure, now: Timestamp) -> bool {
        let CheckFailure::Unacceptable(words) = failure else { return false };
        let n_events = self.contact.outbox.len();
        if n_events == 0 || !self.carries_outbox(ask) {
            return false;
        }
        match self.contact.outbox_refused {
            None => self.contact.outbox_refused = Some(now),
            Some(since) if self.contact.answered.is_some_and(|answered| answered >= since) => {
                let dropped =
                    format!("{n_events} events were dropped, which the server did not take: {words}");
                self.contact.dropped = Some(dropped);
                self.empty_outbox();
            }
            Some(_) => {}
        }
        true
    }

    fn downloaded(
        &mut self,
        result: Result<(), DownloadFailure>,
        facts: &Facts,
        now: Timestamp,
        random: u64,
    ) {
        let Phase::Downloading(download) = &mut self.phase else { return };
        let n_urls = download.offer.urls.len();
        let reason = match result {
            Ok(()) => {
                let Download { offer, damaged, .. } = download.clone();
                self.tell(Event::new(EventKind::DownloadFinished, EventResult::Success));
                self.last_failure = None;
                self.phase = Phase::Installing { offer, from: facts.running, damaged };
                return;
            }
            Err(DownloadFailure::Storage(reason)) => return self.failed(ErrorCode::Write, &reason),
            Err(DownloadFailure::Refused(reason)) if download.failures as usize + 1 >= n_urls => {
                return self.failed(ErrorCode::DownloadTransfer, &reason);
            }
            Err(DownloadFailure::Interrupted(reason) | DownloadFailure::Refused(reason)) => reason,
        };
        download.failures += 1;
        if download.failures > MAX_FAILURES {
            return self.failed(ErrorCode::DownloadTransfer, &reason);
        }
        let (base, max) = RETRY_SECS;
        download.next = schedule::after(now, schedule::backoff(base, max, download.failures, random));
        self.last_failure = Some(reason);
    }

    fn installed(&mut self, result: Result<(), InstallFailure>, facts: &Facts, now: Timestamp, random: u64) {
        let Phase::Installing { offer, from, damaged } = self.phase.clone() else { return };
        match result {
            Ok(()) => {
                self.tell(Event::new(EventKind::UpdateComplete, EventResult::Success));
                self.last_failure = None;
                self.phase = Phase::Armed(Armed::new(&offer, from, &facts.boot_id));
            }
            Err(InstallFailure::Damaged(reason)) if damaged + 1 < MAX_DAMAGED => {
                let delay = schedule::backoff(RETRY_SECS.0, RETRY_SECS.1, damaged + 1, random);
                let next = schedule::after(now, delay);
                self.last_failure = Some(reason);
                self.phase = Phase::Downloading(Download { offer, failures: 0, damaged: damaged + 1, next });
            }
            Err(InstallFailure::Damaged(reason)) => self.failed(ErrorCode::PayloadHash, &reason),
            Err(InstallFailure::Storage(reason)) => self.failed(ErrorCode::Write, &reason),
            Err(InstallFailure::Rejected(code, reason)) => {
                self.reject(Rejection {
                    version: offer.version,
                    sha256: Some(offer.payload.sha256),
                    reason: reason.clone(),
                    since: now,
                });
                self.failed(code, &reason);
            }
        }
    }
}
