//! The document that survives restarts, reboots and changes of version.
//!
//! An older agent may have to read what a newer one wrote (after a fallback) and the other way round, so unknown fields are
//! ignored and missing ones have defaults; [`State::FORMAT`] rises only when that is not enough.

use serde::{Deserialize, Serialize};
use sm_model::{Sha256, Timestamp, Version};

use super::{action::CheckFailure, schedule};
use crate::omaha::{Event, Limits, OfferedRelease};

/// Everything an agent remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Format of this document: [`State::FORMAT`].
    pub format: u32,
    /// The first version that this host ever ran.
    pub aleph: Version,
    /// Where in an update the host is.
    pub phase: Phase,
    /// Talking to the server.
    #[serde(default)]
    pub contact: Contact,
    /// Versions that were tried or looked at and are not to be tried again, oldest first.
    #[serde(default)]
    pub rejected: Vec<Rejection>,
    /// What became of the last attempt that ended without an update, in words.
    #[serde(default)]
    pub last_failure: Option<String>,
}

/// Where in an update a host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Phase {
    /// Nothing to do until the next check.
    Idle,
    /// The payload is on its way into the spool.
    Downloading(Download),
    /// The payload is whole in the spool; slot and kernel image are being written. Restarts from the beginning.
    Installing {
        /// What was offered.
        offer: OfferedRelease,
        /// The version that installs it.
        from: Version,
        /// How often bytes arrived damaged.
        damaged: u32,
    },
    /// The new version is what the boot loader will try next.
    #[serde(rename = "reboot-needed")]
    Armed(Armed),
    /// The new version runs but has not been marked good.
    #[serde(rename = "booted-unconfirmed")]
    Unconfirmed(Armed),
}

/// A download under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// What was offered.
    pub offer: OfferedRelease,
    /// Transfers that broke, in a row.
    pub failures: u32,
    /// How often a whole payload arrived damaged.
    pub damaged: u32,
    /// Not before this instant.
    pub next: Timestamp,
}

/// An update that the boot loader will try or is trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// The new version.
    pub version: Version,
    /// Digest of the payload it came from.
    pub sha256: Sha256,
    /// The version that armed it, to fall back to.
    pub previous: Version,
    /// The boot that armed it, and then every boot that came up with the old version although tries were left.
    pub boot_id: String,
    /// How often that happened.
    pub missed: u32,
    /// When the reboot was asked for.
    pub reboot_asked: Option<Timestamp>,
}

impl Armed {
    pub(super) fn new(offer: &OfferedRelease, from: Version, boot_id: &str) -> Self {
        Armed {
            version: offer.version,
            sha256: offer.payload.sha256,
            previous: from,
            boot_id: boot_id.to_owned(),
            missed: 0,
            reboot_asked: None,
        }
    }
}

/// Talking to the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// When the server last answered.
    #[serde(default)]
    pub answered: Option<Timestamp>,
    /// When to ask next; at once when absent.
    #[serde(default)]
    pub next: Option<Timestamp>,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// The last failure, until the next answer.
    #[serde(default)]
    pub failure: Option<CheckFailure>,
    /// Events that the server has not acknowledged, oldest first.
    #[serde(default)]
    pub outbox: Vec<Event>,
    /// Since when the server does not take the outbox.
    #[serde(default)]
    pub outbox_refused: Option<Timestamp>,
    /// Events that were dropped because the server never took them, in words, until it takes events again.
    #[serde(default)]
    pub dropped: Option<String>,
    /// When to try the outbox again after a failure.
    #[serde(default)]
    pub outbox_next: Option<Timestamp>,
    /// The last offer that was not taken: the version, and why in words.
    #[serde(default)]
    pub declined: Option<(Version, String)>,
}

/// A version that is not to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The version.
    pub version: Version,
    /// Digest of its payload; `None` when unknown, and then whatever is offered under this version is rejected.
    pub sha256: Option<Sha256>,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl State {
    /// The format written today.
    pub const FORMAT: u32 = 1;
    /// Rejections that are kept; older ones are forgotten.
    pub const MAX_KEPT: usize = 32;
    /// Undelivered events that are kept; older ones are forgotten. Servers take 32 in one request, and a check adds one.
    pub const MAX_EVENTS: usize = 31;
    /// Largest outbox in a request, in bytes; older events are forgotten. The rest of what servers read is for the request.
    pub const MAX_OUTBOX_BYTES: usize = Limits::DEFAULT.document_bytes / 4 * 3;
    /// Largest document that an agent reads, in bytes: every list at its bound with the longest reasons, twice.
    pub const MAX_BYTES: u64 = 1 << 20;

    /// The document of a host that has never been asked about updates.
    pub fn new(running: Version) -> Self {
        State {
            format: State::FORMAT,
            aleph: running,
            phase: Phase::Idle,
            contact: Contact::default(),
            rejected: Vec::new(),
            last_failure: None,
        }
    }

    /// The agent starts: the first check is soon, but not at once, so that a fleet that comes back from a power cut does not
    /// ask in step. A check that was due sooner keeps its time.
    pub fn start(&mut self, now: Timestamp, random: u64) {
        let first = schedule::after(now, schedule::first(random));
        let keeps = |at: Timestamp| !schedule::is_due(at, now) && at < first;
        if !self.contact.next.is_some_and(keeps) {
            self.contact.next = Some(first);
        }
        self.contact.outbox_next = None;
        // An agent of another version may have kept more.
        self.bound_outbox();
    }

    /// A person asks: the next check, the outbox and a waiting download are due at once.
    pub fn hurry(&mut self, now: Timestamp) {
        self.contact.next = Some(now);
        self.contact.outbox_next = None;
        if let Phase::Downloading(download) = &mut self.phase {
            download.next = now;
        }
    }

    /// A person clears what was rejected, all or one version; returns how many were forgotten. A download or install under
    /// way is given up; an armed update stays armed.
    pub fn reset(&mut self, only: Option<Version>) -> usize {
        let before = self.rejected.len();
        self.rejected.retain(|rejection| only.is_some_and(|version| version != rejection.version));
        self.contact.declined = None;
        self.contact.failures = 0;
        self.last_failure = None;
        if matches!(self.phase, Phase::Downloading(_) | Phase::Installing { .. }) {
            self.phase = Phase::Idle;
        }
        before - self.rejected.len()
    }

    /// Why an offer is not to be taken, if so.
    pub fn rejection(&self, version: Version, sha256: Sha256) -> Option<&Rejection> {
        self.rejected.iter().find(|rejection| {
            rejection.version == version && rejection.sha256.is_none_or(|digest| digest == sha256)
        })
    }

    pub(super) fn reject(&mut self, rejection: Rejection) {
        self.rejected.retain(|old| (old.version, old.sha256) != (rejection.version, rejection.sha256));
        self.rejected.push(rejection);
        let excess = self.rejected.len().saturating_sub(State::MAX_KEPT);
        self.rejected.drain(..excess);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.contact.outbox.push(event);
        self.contact.outbox_next = None;
        self.bound_outbox();
    }

    /// Forgets the oldest events until a server can take what is left in one request.
    fn bound_outbox(&mut self) {
        let outbox = &mut self.contact.outbox;
        let mut room_bytes = State::MAX_OUTBOX_BYTES;
        let fits = |event: &&Event| match room_bytes.checked_sub(event.encoded_bytes()) {
            Some(rest) => {
                room_bytes = rest;
                true
            }
            None => false,
        };
        let n_kept = outbox.iter().rev().take(State::MAX_EVENTS).take_while(fits).count();
        outbox.drain(..outbox.len() - n_kept);
    }
}

impl Phase {
    /// The phase's name, for people and programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Downloading(_) => "downloading",
            Phase::Installing { .. } => "installing",
            Phase::Armed(_) => "reboot-needed",
            Phase::Unconfirmed(_) => "booted-unconfirmed",
        }
    }

    /// The version that an update under way leads to, and the digest of its payload.
    pub fn target(&self) -> Option<(Version, Sha256)> {
        match self {
            Phase::Idle => None,
            Phase::Downloading(Download { offer, .. }) | Phase::Installing { offer, .. } => {
                Some((offer.version, offer.payload.sha256))
            }
            Phase::Armed(armed) | Phase::Unconfirmed(armed) => Some((armed.version, armed.sha256)),
        }
    }
}
