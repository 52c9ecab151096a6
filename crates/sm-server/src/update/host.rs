//! What a request says about its host, in our own words: facts to store, the board, events as reports.

use sm_model::{
    Arch, Board, MachineId, Timestamp, Version,
    fleet::HostFacts,
    report::{EventKind, EventResult, Report},
};
use sm_rollout::omaha::{AppRequest, Event, Os};

/// What the host says about itself, to be stored.
pub(super) fn facts(app: &AppRequest, os: &Os) -> HostFacts {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    HostFacts {
        group: app.track.clone(),
        board: board(app, os),
        version: app.version.clone(),
        alias: text(&app.machine_alias),
        oem: text(&app.oem),
        first_version: text(&app.aleph_version),
        boot_id: text(&app.boot_id),
    }
}

/// The board that the host names; else the one of the CPU that its operating system names.
///
/// update_engine sends `board`; ue-rs only `sp="<version>_<uname -m>"`; Nebraska's syncer `arch` in Omaha's words.
fn board(app: &AppRequest, os: &Os) -> Option<Board> {
    if let Some(name) = app.board.as_deref().filter(|name| !name.is_empty()) {
        return name.parse().ok();
    }
    let of_sp = Arch::ALL
        .into_iter()
        .find(|arch| os.sp.strip_suffix(arch.uname()).is_some_and(|rest| rest.ends_with('_')));
    let of_arch = match os.arch.as_deref() {
        Some("x64") => Some(Arch::Amd64),
        Some("arm64" | "arm") => Some(Arch::Arm64),
        _ => None,
    };
    of_sp.or(of_arch).map(Board)
}

/// update_engine repeats "I am running" with every check. That is no event: it says nothing about what was before.
pub(super) fn is_greeting(event: &Event) -> bool {
    (event.kind, event.result) == (EventKind::UpdateComplete, EventResult::SuccessReboot)
        && previous_version(event).is_none()
}

/// The event as it is stored.
pub(super) fn report(app: &AppRequest, machine_id: &MachineId, event: &Event, received: Timestamp) -> Report {
    Report {
        received,
        machine_id: machine_id.clone(),
        group: app.track.clone(),
        version: app.version.clone(),
        kind: event.kind,
        result: event.result,
        error_code: event.error_code,
        previous_version: previous_version(event),
        reason: event.reason.as_deref().map(clean),
    }
}

/// `None` also for what update_engine sends when there was none: an empty text, or `0.0.0.0`.
fn previous_version(event: &Event) -> Option<Version> {
    event.previous_version.as_deref()?.parse().ok()
}

/// A host's own words, made safe to store and to print: no control characters, at most [`Event::MAX_REASON_LEN`] bytes.
fn clean(words: &str) -> String {
    let mut text: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=Event::MAX_REASON_LEN.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BOXCAR_APP_ID;

    fn app() -> AppRequest {
        AppRequest::new(BOXCAR_APP_ID.parse().unwrap(), "4900.0.0", "alpha")
    }

    fn board_of(name: Option<&str>, sp: &str, arch: Option<&str>) -> Option<String> {
        let app = AppRequest { board: name.map(str::to_owned), ..app() };
        let os = Os { sp: sp.into(), arch: arch.map(str::to_owned), ..Os::default() };
        board(&app, &os).map(|board| board.to_string())
    }

    #[test]
    fn the_board_is_what_the_host_names_else_what_its_cpu_needs() {
        assert_eq!(board_of(Some("arm64-usr"), "1.0.0_x86_64", None).as_deref(), Some("arm64-usr"));
        assert_eq!(board_of(None, "1.0.0_x86_64", None).as_deref(), Some("amd64-usr"));
        assert_eq!(board_of(Some(""), "1.0.0_aarch64", None).as_deref(), Some("arm64-usr"));
        assert_eq!(board_of(None, "", Some("x64")).as_deref(), Some("amd64-usr"));
    }

    #[test]
    fn an_unknown_board_is_not_guessed() {
        assert_eq!(board_of(Some("riscv64-usr"), "1.0.0_x86_64", None), None);
        assert_eq!(board_of(None, "1.0.0_i686", None), None);
        assert_eq!(board_of(None, "x86_64", None), None);
    }

    fn started(previous: Option<&str>) -> Event {
        let event = Event::new(EventKind::UpdateComplete, EventResult::SuccessReboot);
        Event { previous_version: previous.map(str::to_owned), ..event }
    }

    #[test]
    fn only_a_start_after_an_update_is_an_event() {
        assert!(
            [None, Some(""), Some("0.0.0.0")].into_iter().all(|previous| is_greeting(&started(previous)))
        );
        assert!(!is_greeting(&started(Some("4900.0.0"))));
        assert!(!is_greeting(&Event::failure(44, "why")));
    }

    #[test]
    fn hostile_words_are_stored_harmless_and_short() {
        let words = format!("\u{1b}[31mfailed\nwith {}", "é".repeat(5000));
        let event = Event { reason: Some(words), ..Event::failure(44, "") };
        let received = Timestamp::from_unix_secs(0).unwrap();
        let reason = report(&app(), &"m".parse().unwrap(), &event, received).reason.unwrap();
        assert!(reason.starts_with(" [31mfailed with é") && reason.len() <= Event::MAX_REASON_LEN);
        assert!(!reason.contains(char::is_control));
    }
}
