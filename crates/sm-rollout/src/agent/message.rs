//! What the agent says to the server: the document of every request.

use sm_model::{
    Board, Version,
    report::{EventKind, EventResult},
};

use super::{config::Config, state::State};
use crate::omaha::{AppId, AppRequest, Event, InstallSource, Os, Request};

/// Who asks: what never changes while an image runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The application.
    pub app_id: AppId,
    /// The board that the image was built for.
    pub board: Board,
    /// The version that runs.
    pub running: Version,
    /// `NAME` of the operating system.
    pub platform: String,
    /// `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The agent's own name and version.
    pub updater: String,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Tells events, nothing else.
    Report,
    /// Tells events and that the host is alive.
    Ping,
    /// The same, and asks for updates.
    Check,
}

impl State {
    /// Whether a request tells the events of the outbox: a report always does, the others unless the server refused them, so
    /// that what it makes of the events decides neither about updates nor about signs of life.
    pub(super) fn carries_outbox(&self, ask: Ask) -> bool {
        ask == Ask::Report || self.contact.outbox_refused.is_none()
    }

    /// The request, with the outbox unless the server refused that before and there is more to say.
    ///
    /// A check also says "this version runs" (event 3/2), as update_engine does: with the previous version `0.0.0.0` on the very
    /// first check and with an empty one later, unless the outbox tells of a finished update anyway.
    pub fn request(&self, ask: Ask, source: InstallSource, identity: &Identity, config: &Config) -> Request {
        let mut app = AppRequest::new(identity.app_id.clone(), identity.running, &config.group);
        app.board = Some(identity.board.to_string());
        app.machine_id.clone_from(&identity.machine_id);
        app.machine_alias.clone_from(&config.machine_alias);
        app.boot_id = Some(format!("{{{}}}", identity.boot_id));
        app.aleph_version = Some(self.aleph.to_string());
        app.ping = ask != Ask::Report;
        app.update_check = ask == Ask::Check;
        if self.carries_outbox(ask) {
            app.events.clone_from(&self.contact.outbox);
        }
        if ask == Ask::Check && !app.events.iter().any(tells_what_runs) {
            let first = self.contact.answered.is_none();
            let previous = if first { Event::NEVER_CHECKED } else { "" };
            app.events.push(Event {
                previous_version: Some(previous.to_owned()),
                ..Event::new(EventKind::UpdateComplete, EventResult::SuccessReboot)
            });
        }
        Request {
            updater: identity.updater.clone(),
            install_source: source,
            os: Os {
                platform: identity.platform.clone(),
                version: identity.running.to_string(),
                sp: format!("{}_{}", identity.running, identity.board.0.uname()),
                arch: None,
            },
            apps: vec![app],
        }
    }
}

fn tells_what_runs(event: &Event) -> bool {
    event.kind == EventKind::UpdateComplete && event.result == EventResult::SuccessReboot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            app_id: "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}".parse().unwrap(),
            board: "arm64-usr".parse().unwrap(),
            running: "4900.0.0".parse().unwrap(),
            platform: "Boxcar Linux".to_owned(),
            machine_id: Some("00".repeat(16)),
            boot_id: "b".to_owned(),
            updater: "stationmaster-agent-0.1.0".to_owned(),
        }
    }

    fn config() -> Config {
        let text = "GROUP=alpha\nMACHINE_ALIAS=web-1";
        Config::from_sources(&[super::super::config::Source { name: "x", text }]).unwrap()
    }

    fn app(state: &State, ask: Ask) -> AppRequest {
        state.request(ask, InstallSource::Scheduler, &identity(), &config()).apps.remove(0)
    }

    #[test]
    fn a_check_says_who_asks_and_what_runs() {
        let mut state = State::new("4800.0.0".parse().unwrap());
        let first = app(&state, Ask::Check);
        assert_eq!((first.version.as_str(), first.track.as_str()), ("4900.0.0", "alpha"));
        assert_eq!(first.board.as_deref(), Some("arm64-usr"));
        assert_eq!(first.aleph_version.as_deref(), Some("4800.0.0"));
        assert_eq!(first.boot_id.as_deref(), Some("{b}"));
        assert!(first.ping && first.update_check && first.events[0].is_routine());
        assert_eq!(first.events[0].previous_version.as_deref(), Some("0.0.0.0"));

        state.contact.answered = Some("2026-11-23T00:00:00Z".parse().unwrap());
        assert_eq!(app(&state, Ask::Check).events[0].previous_version.as_deref(), Some(""));
    }

    #[test]
    fn a_finished_update_is_told_instead_of_the_routine_event() {
        let mut state = State::new("4800.0.0".parse().unwrap());
        let done = Event {
            previous_version: Some("4800.0.0".to_owned()),
            ..Event::new(EventKind::UpdateComplete, EventResult::SuccessReboot)
        };
        state.contact.outbox = vec![done.clone()];
        assert_eq!(app(&state, Ask::Check).events, std::slice::from_ref(&done));
        assert!(!done.is_routine());
    }

    #[test]
    fn reports_carry_neither_ping_nor_question() {
        let mut state = State::new("4900.0.0".parse().unwrap());
        state.contact.outbox = vec![Event::failure(9, "x")];
        let report = app(&state, Ask::Report);
        assert!(!report.ping && !report.update_check);
        assert_eq!(report.events.len(), 1);
        let ping = app(&state, Ask::Ping);
        assert!(ping.ping && !ping.update_check);
    }
}
