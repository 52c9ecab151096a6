//! Posts are there once, readings are whole, and waiting ends.

use serde_json::json;
use sm_host::{
    clock::{Clock, FakeClock},
    fetch::Bearer,
};
use sm_matrix::{
    Client, Error, MAX_ATTEMPTS, MAX_WAIT_SECS, Room,
    fake::{ADDRESS, BOT, FakeHomeserver, Fault, ROOM, TOKEN},
    room::MAX_PAGES,
};
use sm_model::{Sha256, Timestamp};
use sm_release::room::post::{Kind, Post};

fn server_with_alice() -> FakeHomeserver {
    let server = FakeHomeserver::new();
    server.join("@alice:x");
    server
}

fn start() -> Timestamp {
    "2026-12-02T10:00:00Z".parse().unwrap()
}

fn post() -> Post {
    let about = Sha256([7; 32]);
    let content =
        json!({ "msgtype": "m.notice", "body": "Go or No-Go?", Kind::Question.key(): about.to_string() });
    Post { kind: Kind::Question, about, content }
}

/// Does something in the room, and tells how long it waited.
fn within<T>(
    server: &FakeHomeserver,
    act: impl FnOnce(&Room<'_>) -> Result<T, Error>,
) -> (Result<T, Error>, i64) {
    let clock = FakeClock::new(start());
    let client = Client::new(ADDRESS, Bearer(TOKEN.to_owned()), server, &clock);
    let room = Room::enter(&client, ROOM.parse().unwrap());
    let result = room.and_then(|room| act(&room));
    (result, clock.now().secs_since(start()))
}

fn slow_down(ms: u64) -> Fault {
    Fault::Refuses(429, json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": ms }))
}

/// The two requests by which a room is entered go well.
fn after_entering(faults: Vec<Fault>) -> Vec<Fault> {
    let whoami = Fault::Says(format!("{{\"user_id\":\"{BOT}\"}}").into_bytes());
    let plain = Fault::Refuses(404, json!({ "errcode": "M_NOT_FOUND" }));
    [vec![whoami, plain], faults].concat()
}

#[test]
fn everything_since_a_post_is_read_in_order_over_many_pages() {
    let server = server_with_alice();
    server.say("@alice:x", "before", None);
    let (id, _) = within(&server, |room| room.post(&post()));
    let id = id.unwrap();
    for n in 0..7 {
        server.say("@alice:x", &n.to_string(), None);
    }
    let reading = within(&server, |room| room.since(&id)).0.unwrap();
    assert_eq!(reading.timeline.len(), 8);
    assert_eq!(reading.timeline[0].id, id);
    let ids: Vec<&str> = reading.timeline.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8"]);
    assert_eq!(reading.members.len(), 2);
}

#[test]
fn what_is_posted_again_is_there_once() {
    let server = server_with_alice();
    let first = within(&server, |room| room.post(&post())).0.unwrap();
    assert_eq!(within(&server, |room| room.post(&post())).0.unwrap(), first);
    // Even when the server has forgotten the transaction.
    server.forget_transactions();
    assert_eq!(within(&server, |room| room.post(&post())).0.unwrap(), first);
    assert_eq!(server.events().len(), 1);
}

#[test]
fn a_post_whose_answer_is_lost_is_there_once() {
    let server = server_with_alice();
    let page = Fault::Says(br#"{"chunk":[]}"#.to_vec());
    server.fails(after_entering(vec![page, Fault::LosesAnswer]));
    let (id, waited) = within(&server, |room| room.post(&post()));
    assert_eq!((id.unwrap().as_str(), server.events().len(), waited), ("$0", 1, 1));
}

#[test]
fn somebody_elses_copy_of_the_mark_is_not_our_post() {
    let server = server_with_alice();
    let copy = json!({ "chunk": [{ "event_id": "$9", "sender": "@eve:x", "type": "m.room.message",
        "content": post().content }] });
    server.fails(after_entering(vec![Fault::Says(copy.to_string().into_bytes())]));
    assert_eq!(within(&server, |room| room.post(&post())).0.unwrap(), "$0");
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    for (fault, secs) in [
        (slow_down(1500), 2),
        (Fault::RetryAfter(429, 7), 7),
        (Fault::RetryAfter(503, 9), 9),
        (Fault::Refuses(502, json!("<html>")), 1),
        (Fault::Unreachable, 1),
    ] {
        let server = server_with_alice();
        server.fails(after_entering(vec![fault.clone()]));
        let (members, waited) = within(&server, |room| room.members());
        assert_eq!((members.unwrap().len(), waited), (2, secs), "{fault:?}");
    }
}

#[test]
fn waiting_ends_when_the_server_asks_for_too_much_or_never_answers() {
    let server = server_with_alice();
    server.fails(after_entering(vec![slow_down(3_600_000)]));
    let (result, waited) = within(&server, |room| room.members());
    assert!(matches!(result, Err(Error::Busy { wait_secs: 3600, .. })));
    assert_eq!(waited, 0);

    let server = server_with_alice();
    server.fails(after_entering(vec![slow_down(u64::MAX)]));
    assert!(matches!(within(&server, |room| room.members()).0, Err(Error::Busy { .. })));

    let server = server_with_alice();
    server.fails(vec![Fault::Unreachable; 50]);
    let (result, waited) = within(&server, |room| room.members());
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Down { attempts: MAX_ATTEMPTS, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("nothing is posted twice"));
    assert_eq!(server.n_asked(), MAX_ATTEMPTS);
    assert!(u64::try_from(waited).unwrap() <= MAX_WAIT_SECS);
}

#[test]
fn what_waiting_does_not_help_is_told_at_once() {
    let server = server_with_alice();
    let clock = FakeClock::new(start());
    let client = Client::new(ADDRESS, Bearer("wrong".to_owned()), &server, &clock);
    let error = client.whoami().unwrap_err();
    let told = format!("{error} {error:?} {client:?} {}", error.hint().unwrap());
    assert!(
        told.contains("M_UNKNOWN_TOKEN") && told.contains("token file") && !told.contains("wrong"),
        "{told}"
    );
    assert_eq!(server.n_asked(), 1);

    let server = server_with_alice();
    server.leave(BOT);
    assert!(matches!(within(&server, |room| room.post(&post())).0, Err(Error::Refused { status: 403, .. })));
    assert!(matches!(within(&server, |room| room.members()).0, Err(Error::NotIn(_))));
}

#[test]
fn no_error_names_the_token() {
    for fault in [Fault::Unreachable, slow_down(9_000_000), Fault::Says(b"{".to_vec())] {
        let server = server_with_alice();
        server.fails(vec![fault; MAX_ATTEMPTS]);
        let error = within(&server, |room| room.members()).0.unwrap_err();
        assert!(!format!("{error:?} {error}").contains(TOKEN), "{error:?}");
    }
}

#[test]
fn an_encrypted_room_is_refused() {
    let server = server_with_alice();
    server.encrypt();
    assert!(matches!(within(&server, |room| room.members()).0, Err(Error::Encrypted)));
}

#[test]
fn pages_that_lead_in_a_circle_end_the_reading() {
    let server = server_with_alice();
    server.say("@alice:x", "hi", None);
    server.go_in_circles();
    assert!(matches!(within(&server, |room| room.since("$none")).0, Err(Error::Circle)));
}

#[test]
fn a_question_that_is_gone_or_too_far_back_ends_the_reading() {
    let server = server_with_alice();
    server.say("@alice:x", "hi", None);
    assert!(matches!(within(&server, |room| room.since("$none")).0, Err(Error::NoQuestion)));
    for _ in 0..2 * MAX_PAGES + 5 {
        server.say("@alice:x", "spam", None);
    }
    assert!(matches!(within(&server, |room| room.since("$0")).0, Err(Error::TooFar { .. })));
}

#[test]
fn answers_that_are_none_are_refused_in_words() {
    for bytes in [b"<html>".to_vec(), b"{}".to_vec(), b"[".to_vec()] {
        let server = server_with_alice();
        server.fails(after_entering(vec![Fault::Says(bytes)]));
        assert!(matches!(within(&server, |room| room.since("$0")).0, Err(Error::Page(_))));
    }
    let server = server_with_alice();
    server.fails(vec![Fault::Says(vec![b' '; 1 << 20]); MAX_ATTEMPTS]);
    assert!(matches!(within(&server, |room| room.members()).0, Err(Error::Down { .. })));
}
