//! The decision: from document, facts and settings to the next thing to do.

use sm_model::Timestamp;

use super::{
    action::Action,
    config::{Config, RebootStrategy},
    facts::Facts,
    schedule,
    state::{Armed, Phase, State},
};
use crate::omaha::Url;

/// How long a host looks whether its new version was marked good before it looks again.
pub(super) const CONFIRM_SECS: u32 = 15;
/// How long a reboot that was asked for may take before it is asked for again.
pub(super) const REBOOT_SECS: u32 = 10 * 60;

impl State {
    /// What to do next. The facts must have been given to [`State::observe`] before.
    pub fn next(&self, facts: &Facts, config: &Config, now: Timestamp) -> Action {
        if let Some(version) = facts.spent() {
            return Action::RemoveEntry(version);
        }
        let Some(server) = &config.server else { return self.next_without_server(facts, config, now) };
        if !self.contact.outbox.is_empty() && is_due(self.contact.outbox_next, now) {
            return Action::Report(server.clone());
        }
        let turn = match &self.phase {
            Phase::Armed(armed) => self.next_armed(armed, config, now, Some(server)),
            Phase::Unconfirmed(_) => self.next_on_trial(server, now),
            // Whatever the document says: the other slot is the way back until what runs is marked good.
            _ if facts.unproven().is_some() => self.next_on_trial(server, now),
            Phase::Idle if is_due(self.contact.next, now) => Action::Check(server.clone()),
            Phase::Idle => Action::Wait(self.next_contact(now)),
            Phase::Downloading(download) if schedule::is_due(download.next, now) => {
                let urls = &download.offer.urls;
                let turn = (download.failures + download.damaged) as usize;
                match urls.get(turn % urls.len().max(1)) {
                    Some(url) => Action::Download {
                        url: url.join(&download.offer.payload.name),
                        offer: download.offer.clone(),
                    },
                    None => Action::Check(server.clone()),
                }
            }
            Phase::Downloading(download) => Action::Wait(download.next),
            Phase::Installing { offer, .. } => Action::Install(offer.clone()),
        };
        self.but_report_in_time(turn)
    }

    /// Without a server nothing new starts, but what was begun is finished.
    fn next_without_server(&self, facts: &Facts, config: &Config, now: Timestamp) -> Action {
        match &self.phase {
            Phase::Installing { offer, .. } if facts.unproven().is_none() => Action::Install(offer.clone()),
            Phase::Armed(armed) => self.next_armed(armed, config, now, None),
            Phase::Installing { .. } | Phase::Unconfirmed(_) => {
                Action::Wait(schedule::after(now, CONFIRM_SECS))
            }
            Phase::Idle | Phase::Downloading(_) => Action::Wait(schedule::after(now, schedule::MAX_SECS)),
        }
    }

    /// What runs may have to give way to the other slot: nothing but a sign of life until it is marked good.
    fn next_on_trial(&self, server: &Url, now: Timestamp) -> Action {
        if is_due(self.contact.next, now) {
            return Action::Ping(server.clone());
        }
        Action::Wait(schedule::after(now, CONFIRM_SECS))
    }

    fn next_armed(&self, armed: &Armed, config: &Config, now: Timestamp, server: Option<&Url>) -> Action {
        let asked_again = armed.reboot_asked.map(|asked| schedule::after(asked, REBOOT_SECS));
        match (config.reboot, server) {
            (RebootStrategy::Reboot, _) if is_due(asked_again, now) => Action::Reboot,
            (_, Some(server)) if is_due(self.contact.next, now) => Action::Ping(server.clone()),
            (RebootStrategy::Reboot, _) => Action::Wait(asked_again.unwrap_or(now)),
            (RebootStrategy::Off, Some(_)) => Action::Wait(self.next_contact(now)),
            (RebootStrategy::Off, None) => Action::Wait(schedule::after(now, schedule::MAX_SECS)),
        }
    }

    fn next_contact(&self, now: Timestamp) -> Timestamp {
        self.contact.next.unwrap_or(now)
    }

    /// A wait ends when the outbox is due.
    fn but_report_in_time(&self, action: Action) -> Action {
        match (action, self.contact.outbox_next) {
            (Action::Wait(until), Some(outbox)) if !self.contact.outbox.is_empty() => {
                Action::Wait(until.min(outbox))
            }
            (action, _) => action,
        }
    }
}

/// What has no time is due.
fn is_due(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_none_or(|at| schedule::is_due(at, now))
}
