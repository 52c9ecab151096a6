//! Whole updates, good and bad, with everything the server hears about them.

use sm_agent::{
    Turn,
    health::{self, Note, Problem},
    store::Store,
};
use sm_host::fetch::Answer;
use sm_rollout::agent::Phase;

use crate::host::{Host, NEW, NEW_RELEASE, OLD, OLD_RELEASE, OLDER_RELEASE, PAYLOAD, SERVER};

/// A host on which the new version is armed.
fn armed() -> Host {
    let host = Host::new();
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    host.settle();
    assert_eq!(host.state().phase.name(), "reboot-needed", "{:?}", host.state().last_failure);
    host
}

#[test]
fn an_update_is_installed_beside_the_running_version_and_told() {
    let host = armed();
    assert_eq!(host.boots().to_string(), NEW);
    let names: Vec<_> = host.entries().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["boxcar_4907.0.0+3.efi", "boxcar_4900.0.0.efi"]);
    assert_eq!(host.told(), [(13, 1, None), (14, 1, None), (3, 1, None)]);
    let left: Vec<_> = std::fs::read_dir(host.path("var/lib/boxcar/update"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["state.json", "lock"].contains(&name.as_str()))
        .collect();
    assert_eq!(left, [""; 0], "payload and scratch files are gone");
}

#[test]
fn the_reboot_is_asked_of_the_service_manager_once() {
    let host = armed();
    let agent = host.agent();
    let lock = agent.store().lock().unwrap();
    assert_eq!(agent.turn(&lock).unwrap(), Turn::RebootDue);
    agent.reboot(&lock).unwrap();
    assert!(matches!(agent.turn(&lock).unwrap(), Turn::Wait(_)));
    let runs: Vec<_> = host.runner.asked().iter().map(|run| (run.name.clone(), run.args.clone())).collect();
    assert_eq!(runs, [("systemctl".to_owned(), vec!["--no-block".into(), "reboot".into()])]);
}

#[test]
fn a_good_version_is_told_only_when_it_was_marked_good() {
    let host = armed();
    let told = host.told().len();
    host.boot_new("boxcar_4907.0.0+2-1.efi");
    host.settle();
    assert_eq!((host.state().phase.name(), host.told().len()), ("booted-unconfirmed", told));
    host.boot_new("boxcar_4907.0.0.efi");
    host.answer(None);
    host.settle();
    assert_eq!(host.state().phase, Phase::Idle);
    let last = host.events().pop().unwrap();
    assert_eq!((last.kind.number(), last.result.number()), (3, 2));
    assert_eq!(last.previous_version.as_deref(), Some(OLD));
}

#[test]
fn a_version_that_fails_its_health_check_is_told_with_its_reason_and_not_tried_again() {
    let host = armed();
    host.boot_new("boxcar_4907.0.0+2-1.efi");
    host.settle();
    let problem = Problem {
        subject: "unit `web.service`".to_owned(),
        words: "is failed (failed), result exit-code".to_owned(),
        log: vec!["cannot open `/etc/web.conf`".to_owned()],
    };
    let note =
        Note { version: NEW_RELEASE.version, at: host.agent().world().clock.now(), problems: vec![problem] };
    health::leave(&Store::of(&host.root()), &note).unwrap();
    host.boot_old("boxcar_4907.0.0+0-3.efi");
    host.settle();

    assert_eq!(host.boots().to_string(), OLD);
    let names: Vec<_> = host.entries().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["boxcar_4900.0.0.efi"], "the spent kernel image is gone");
    let failures: Vec<_> = host.events().into_iter().filter(|event| event.error_code == Some(44)).collect();
    assert_eq!(failures.len(), 1);
    let reason = failures[0].reason.as_deref().unwrap();
    assert!(reason.contains("web.service") && reason.contains("cannot open `/etc/web.conf`"), "{reason}");

    let downloads = host.server.asked().iter().filter(|request| request.url == PAYLOAD).count();
    host.settle();
    let declined = host.state().contact.declined.unwrap();
    assert_eq!(declined.0, NEW_RELEASE.version);
    assert!(declined.1.contains("rejected"), "{}", declined.1);
    assert_eq!(host.server.asked().iter().filter(|request| request.url == PAYLOAD).count(), downloads);
}

#[test]
fn a_server_that_goes_away_in_mid_download_is_returned_to_where_it_left() {
    let host = Host::new();
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    let payload = NEW_RELEASE.payload.clone();
    host.server.serve_in_turn(
        PAYLOAD,
        vec![
            Answer::BreaksAfter(payload.clone(), 700_000),
            Answer::Unreachable,
            Answer::Status(503),
            Answer::Bytes(payload),
        ],
    );
    for _ in 0..3 {
        host.settle();
        assert_eq!(host.state().phase.name(), "downloading");
        assert_eq!(host.boots().to_string(), OLD);
    }
    host.settle();
    assert_eq!(host.boots().to_string(), NEW);
    let starts: Vec<_> = host
        .server
        .asked()
        .iter()
        .filter(|request| request.url == PAYLOAD)
        .map(|request| request.start_bytes)
        .collect();
    assert_eq!(starts, [0, 700_000, 700_000, 700_000]);
}

#[test]
fn nothing_newer_and_older_offers_change_nothing() {
    for offer in [
        None,
        Some(OLDER_RELEASE.offer_of(&OLDER_RELEASE.payload)),
        Some(OLD_RELEASE.offer_of(&OLD_RELEASE.payload)),
    ] {
        let host = Host::new();
        let before = std::fs::read(host.disk()).unwrap();
        host.answer(offer);
        host.settle();
        assert_eq!(host.state().phase, Phase::Idle);
        assert_eq!(host.told(), []);
        assert!(std::fs::read(host.disk()).unwrap() == before);
        assert_eq!(host.entries().len(), 2);
    }
}

#[test]
fn answers_that_are_no_answers_leave_the_host_alone() {
    let hostile = [
        Answer::Bytes(b"<html>login here</html>".to_vec()),
        Answer::Bytes(vec![b'<'; 1 << 20]),
        Answer::Bytes(
            br#"<!DOCTYPE r [<!ENTITY a "aaaa">]><response protocol="3.0">&a;</response>"#.to_vec(),
        ),
        Answer::Status(500),
        Answer::Unreachable,
    ];
    for answer in hostile {
        let host = Host::new();
        host.server.serve(SERVER, answer.clone());
        host.settle();
        let state = host.state();
        assert_eq!(state.phase, Phase::Idle);
        assert_eq!(state.contact.failures, 1, "{answer:?}");
        assert_eq!(host.entries().len(), 2);
    }
}

#[test]
fn a_disk_that_is_not_laid_out_for_updates_is_never_written() {
    let host = Host::new();
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    let before = std::fs::read(host.disk()).unwrap();
    host.put("proc/cmdline", format!("usrhash={} rw\n", OLDER_RELEASE.root));
    host.settle();
    assert!(std::fs::read(host.disk()).unwrap() == before);
    let failure = host.state().last_failure.unwrap();
    assert!(failure.contains("/usr is mounted from partitions [2, 3]"), "{failure}");
    assert_eq!(host.told().last(), Some(&(3, 0, Some(14))));
    assert_eq!(host.state().rejected, [], "the release is not to blame");
}

#[test]
fn a_lost_document_is_begun_afresh_and_the_update_goes_on() {
    let host = armed();
    host.put("var/lib/boxcar/update/state.json", "{ not json");
    host.boot_new("boxcar_4907.0.0.efi");
    host.answer(None);
    host.settle();
    assert_eq!(host.state().phase, Phase::Idle);
    assert!(host.path("var/lib/boxcar/update/state.json.unreadable").exists());
}

#[test]
fn a_person_goes_back_to_the_previous_version_and_stays_there() {
    let host = Host::new();
    let agent = host.agent();
    let lock = agent.store().lock().unwrap();
    assert_eq!(agent.roll_back(&lock).unwrap(), OLDER_RELEASE.version);
    drop(lock);
    let names: Vec<_> = host.entries().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["boxcar_4893.0.0.efi", "boxcar_4900.0.0+0-1.efi"]);
    assert_eq!(host.boots(), OLDER_RELEASE.version);
    host.boot_older();
    host.offer(&OLD_RELEASE, &OLD_RELEASE.payload);
    host.settle();
    assert_eq!(host.told(), [(3, 0, Some(44))]);
    let reason = host.state().contact.declined.unwrap().1;
    assert!(reason.contains("a person went back to 4893.0.0"), "{reason}");
    assert_eq!(host.boots(), OLDER_RELEASE.version);
}

/// An offer that nobody may take now: disk and kernel images stay as they are, and nothing is downloaded.
fn assert_not_taken_now(host: &Host) {
    let look = || (std::fs::read(host.disk()).unwrap(), host.entries());
    let (disk, entries) = look();
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    for _ in 0..3 {
        host.settle();
    }
    let after = look();
    assert!(after.0 == disk, "a slot was written");
    assert_eq!(after.1, entries);
    assert!(!host.server.asked().iter().any(|request| request.url == PAYLOAD));
}

#[test]
fn rollback_then_an_offer_leaves_a_host_that_comes_up_and_updates_afterwards() {
    let host = Host::new();
    let agent = host.agent();
    let lock = agent.store().lock().unwrap();
    agent.roll_back(&lock).unwrap();
    drop(lock);
    assert_not_taken_now(&host);
    assert_eq!(host.boots(), OLDER_RELEASE.version, "the way back is whole");
    host.boot_older();
    host.settle();
    assert_eq!(host.boots().to_string(), NEW);
    let names: Vec<_> = host.entries().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["boxcar_4907.0.0+3.efi", "boxcar_4893.0.0.efi"]);
}

#[test]
fn a_lost_document_during_a_trial_then_an_offer_keeps_the_way_back_until_the_version_is_marked_good() {
    let host = Host::new();
    let [good, on_trial] =
        ["boxcar_4900.0.0.efi", "boxcar_4900.0.0+2-1.efi"].map(|name| host.path("efi/EFI/Linux").join(name));
    std::fs::rename(&good, &on_trial).unwrap();
    host.put("var/lib/boxcar/update/state.json", "{ not json");
    assert_not_taken_now(&host);
    std::fs::rename(&on_trial, &good).unwrap();
    host.settle();
    assert_eq!(host.boots().to_string(), NEW, "checks go on");
}

#[test]
fn events_that_the_server_refuses_do_not_keep_the_host_from_updating() {
    let host = armed();
    host.boot_old("boxcar_4907.0.0+0-3.efi");
    let answer = Answer::Bytes(host.response(None));
    host.server.serve_in_turn(SERVER, vec![Answer::Status(413), answer.clone(), Answer::Status(400), answer]);
    host.settle();
    assert_eq!(host.state().contact.outbox.len(), 1, "one refusal may be an accident");
    assert!(host.state().contact.answered.is_some_and(|at| at == host.agent().world().clock.now()));
    host.settle();
    let contact = host.state().contact;
    assert_eq!((contact.outbox, contact.failures), (vec![], 0));
    assert!(contact.dropped.unwrap().contains("HTTP status 400"));
}

#[test]
fn there_is_no_way_back_once_the_other_slot_is_taken() {
    let host = armed();
    let agent = host.agent();
    let lock = agent.store().lock().unwrap();
    let refused = agent.roll_back(&lock).unwrap_err();
    assert_eq!(refused.exit_code(), sm_model::exit::NEGATIVE);
    assert!(refused.to_string().starts_with("cannot go back from 4900.0.0"), "{refused}");
    assert_eq!(host.boots().to_string(), NEW, "what is armed stays armed");
    // A kernel image alone is not enough: its slot holds something else by now.
    std::fs::write(host.path("efi/EFI/Linux/boxcar_4893.0.0.efi"), &OLDER_RELEASE.kernel).unwrap();
    let refused = agent.roll_back(&lock).unwrap_err().to_string();
    assert!(refused.ends_with("the other slot does not hold 4893.0.0 any more"), "{refused}");
}
