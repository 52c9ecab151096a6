//! Events and the server: what it refuses is in nobody's way, and what is kept always fits into one request.

use super::*;
use crate::omaha::{InstallSource, Request};

fn refused() -> CheckFailure {
    CheckFailure::Unacceptable("`http://h/` answered with HTTP status 400".to_owned())
}

fn nothing_newer() -> Outcome {
    Outcome::Checked(Ok(UpdateCheck { poll_interval_secs: None, offer: None }))
}

/// A host with one event to tell.
fn host() -> Host {
    let mut host = Host::new();
    host.state.tell(Event::failure(44, "unit `a.service` is failed"));
    host
}

/// The request as a server reads it.
fn request(host: &Host, ask: Ask) -> Request {
    let identity = Identity {
        app_id: "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}".parse().unwrap(),
        board: "amd64-usr".parse().unwrap(),
        running: host.facts.running,
        platform: "Boxcar Linux".to_owned(),
        machine_id: Some("00".repeat(16)),
        boot_id: "b".to_owned(),
        updater: "stationmaster-agent-0.1.0".to_owned(),
    };
    let request = host.state.request(ask, InstallSource::Scheduler, &identity, &host.config);
    Request::parse(&request.to_bytes()).unwrap()
}

fn n_news(host: &Host, ask: Ask) -> usize {
    request(host, ask).apps[0].events.iter().filter(|event| !event.is_routine()).count()
}

#[test]
fn events_that_a_server_refuses_do_not_keep_the_host_from_asking() {
    let mut host = host();
    host.state.hurry(host.now);
    assert!(matches!(host.turn(), Action::Report(_)));
    host.apply(Outcome::Reported(Err(refused())));
    assert!(matches!(host.turn(), Action::Check(_)), "at once: {:?}", host.turn());
    assert_eq!((n_news(&host, Ask::Check), n_news(&host, Ask::Report)), (0, 1));
    host.apply(nothing_newer());
    assert!(matches!(host.turn(), Action::Wait(_)));
    assert_eq!(host.told(), [(3, 0, Some(44))], "they have another chance");

    host.wait(90 * 60);
    host.deliver();
    assert_eq!((n_news(&host, Ask::Check), &host.state.contact.dropped), (0, &None));
}

#[test]
fn events_that_a_server_refuses_twice_are_dropped_with_a_note() {
    let mut host = host();
    host.state.hurry(host.now);
    host.apply(Outcome::Reported(Err(refused())));
    host.apply(nothing_newer());
    host.wait(90 * 60);
    assert!(matches!(host.turn(), Action::Report(_)));
    host.apply(Outcome::Reported(Err(refused())));
    assert_eq!(host.told(), []);
    assert!(matches!(host.turn(), Action::Check(_)));
    let reasons = host.state.explain(&host.facts, Ok(&host.config), host.now).reasons.join("\n");
    assert!(
        reasons.contains("1 events were dropped, which the server did not take: `http://h/`"),
        "{reasons}"
    );

    host.check(Some(offer(NEW, 1)));
    assert!(host.state.contact.dropped.is_some());
    host.deliver();
    assert_eq!(host.state.contact.dropped, None, "the server takes events again");
}

#[test]
fn a_server_that_takes_no_request_at_all_costs_no_event_and_is_not_asked_in_a_loop() {
    for on_trial in [false, true] {
        let mut host = host();
        if on_trial {
            host.facts.entries[0].tries = Tries::Left(1);
        }
        for _ in 0..8 {
            let mut n_asked = 0;
            loop {
                match host.turn() {
                    Action::Report(_) => host.apply(Outcome::Reported(Err(refused()))),
                    Action::Ping(_) => host.apply(Outcome::Pinged(Err(refused()))),
                    Action::Check(_) => host.apply(Outcome::Checked(Err(refused()))),
                    Action::Wait(_) => break,
                    other => panic!("{other:?}"),
                }
                n_asked += 1;
                assert!(n_asked <= 2, "with the events, and without");
            }
            host.wait(6 * 3600);
        }
        assert_eq!(host.told(), [(3, 0, Some(44))]);
    }
}

#[test]
fn a_server_that_is_away_or_broken_costs_no_event() {
    let mut host = host();
    for failure in [CheckFailure::Offline("x".to_owned()), CheckFailure::Refused("HTTP 503".to_owned())] {
        for _ in 0..3 {
            host.state.hurry(host.now);
            assert!(matches!(host.turn(), Action::Report(_)));
            host.apply(Outcome::Reported(Err(failure.clone())));
            assert!(matches!(host.turn(), Action::Wait(_)), "the server is left alone");
        }
    }
    assert_eq!(host.told(), [(3, 0, Some(44))]);
}

#[test]
fn a_full_outbox_is_taken_by_a_server_whatever_is_in_it() {
    for (worst, n_kept) in [("\"", 1), ("\u{1b}", 11), ("\n", 2), ("é", 11), ("", 31)] {
        let mut host = Host::new();
        for n in 0..100 {
            host.state.tell(Event::failure(n, &worst.repeat(5000)));
        }
        assert_eq!((n_news(&host, Ask::Report), n_news(&host, Ask::Check)), (n_kept, n_kept), "{worst:?}");
        assert!(request(&host, Ask::Check).apps[0].events.len() <= 32);
        assert_eq!(host.told().last(), Some(&(3, 0, Some(99))), "the oldest are forgotten");
    }
}

#[test]
fn an_outbox_that_another_agent_version_filled_is_cut_at_the_start() {
    let mut host = host();
    host.state.contact.outbox = vec![Event::failure(44, "x"); 40];
    host.state.start(host.now, 0);
    assert_eq!(host.told().len(), State::MAX_EVENTS);
}

#[test]
fn an_outbox_with_keys_of_another_agent_version_is_read() {
    let mut stored = serde_json::to_value(&host().state).unwrap();
    stored["contact"]["outbox"][0]["novelty"] = serde_json::json!({ "x": 1 });
    let read: State = serde_json::from_value(stored).unwrap();
    assert_eq!(read, host().state);
}

#[test]
fn a_refused_request_is_remembered_in_a_word_that_every_agent_version_knows() {
    let stored = serde_json::to_value(refused()).unwrap();
    assert_eq!(stored["kind"], "refused");
    let read: CheckFailure = serde_json::from_value(stored).unwrap();
    assert_eq!(read, CheckFailure::Refused(refused().words().to_owned()));
}
