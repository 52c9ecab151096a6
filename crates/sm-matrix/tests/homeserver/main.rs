//! Votes in a room of a real homeserver: what our own fakes cannot know. Built with `--features real-homeserver` only, because it
//! installs Synapse from the Python package index when the cache has none; `cargo xtask test --full` runs it.

mod server;

use std::sync::Mutex;

use serde_json::json;
use sm_host::{
    clock::SystemClock,
    fetch::{Bearer, Fetch, FetchError, Head, HttpFetch, Request, Sink, Timeouts},
};
use sm_matrix::{Client, Error, Room};
use sm_model::{
    Handle, Sha256,
    statement::{Ballot, Poll, Signed},
};
use sm_release::{
    proof::Strength,
    room::{
        Question,
        due::{self, Due, Dues},
        post::{Kind, Post},
        tally,
    },
    rules::Maintainers,
    train::state::PollState,
};

use server::{Person, Server};

const MAINTAINERS: &str = "[[maintainer]]\nhandle = \"alice\"\naccounts = \"@alice:localhost\"\n\
    [[maintainer]]\nhandle = \"bob\"\naccounts = \"@bob:localhost\"\n";

/// HTTP that remembers how often it was told to wait.
struct Watched {
    fetch: HttpFetch,
    n_limited: Mutex<usize>,
}

impl Fetch for Watched {
    fn fetch(&self, request: &Request, sink: &mut dyn Sink) -> Result<Head, FetchError> {
        let result = self.fetch.fetch(request, sink);
        if matches!(result, Err(FetchError::Status { status: 429, .. })) {
            *self.n_limited.lock().unwrap() += 1;
        }
        result
    }
}

fn handle(name: &str) -> Handle {
    name.parse().unwrap()
}

fn poll() -> PollState {
    PollState::opened(Poll::sample([handle("alice"), handle("bob")]))
}

fn post(kind: Kind, n: u8) -> Post {
    let about = Sha256([n; 32]);
    let content = json!({ "msgtype": "m.notice", "body": "Go or No-Go?", kind.key(): about.to_string() });
    Post { kind, about, content }
}

fn in_room<T>(
    server: &Server,
    person: &Person<'_>,
    fetch: &Watched,
    room: &str,
    act: impl FnOnce(&Room<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let client = Client::new(server.address(), Bearer(person.token.clone()), fetch, &SystemClock);
    act(&Room::enter(&client, room.parse().unwrap())?)
}

/// What the room owes the log.
fn owed(room: &Room<'_>, poll: &PollState, post: &str) -> Result<Dues, Error> {
    let reading = room.since(post)?;
    let maintainers = Maintainers::parse(MAINTAINERS).unwrap();
    let question = Question {
        poll: &poll.poll,
        room: room.id(),
        post,
        me: room.me(),
        maintainers: &maintainers,
        members: &reading.members,
    };
    Ok(due::due(poll, room.id(), &tally(&question, &reading.timeline), Strength::Room, &[]))
}

/// Records what is due, and looks whether every ballot is what its message says.
fn record(poll: &mut PollState, dues: &[Due]) -> Vec<String> {
    let maintainers = Maintainers::parse(MAINTAINERS).unwrap();
    let mut told = Vec::new();
    for due in dues {
        let Due { voter, choice, reason, proof, .. } = due.clone();
        let statement = Ballot {
            format: Ballot::FORMAT,
            train: poll.poll.train,
            channel: poll.poll.channel,
            version: poll.poll.version,
            evidence: poll.poll.evidence,
            voter,
            choice,
            reason,
            blockers: vec![],
            at: poll.poll.opened,
        };
        let signed = Signed { statement, proof };
        assert_eq!(due::check(&signed, &due.raw, &maintainers), Ok(()), "{}", due.raw);
        told.push(format!("{} {}", due.voter, due.choice.word()));
        poll.ballots.push(signed);
    }
    told
}

/// `m.relates_to` of an answer in the post's thread, of a reaction, of an edit.
fn answer(text: &str, post: &str) -> serde_json::Value {
    let thread = json!({ "rel_type": "m.thread", "event_id": post, "m.in_reply_to": { "event_id": post } });
    json!({ "msgtype": "m.text", "body": text, "m.relates_to": thread })
}

#[test]
fn votes_in_a_real_room_are_posted_once_read_whole_recorded_and_taken_back() {
    let server = Server::start();
    for name in ["bot", "alice", "bob", "eve"] {
        server.register(name, "--no-admin");
    }
    server.register("admin", "--admin");
    let bot = server.login("bot", "STATIONMASTER");
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| server.login(name, "PHONE"));
    let room = bot.room(&json!([]));
    [&alice, &bob, &eve].iter().for_each(|person| person.join(&room));
    let fetch = Watched { fetch: HttpFetch::new("test", Timeouts::default()), n_limited: Mutex::new(0) };
    let inside =
        |person: &Person<'_>, post: &Post| in_room(&server, person, &fetch, &room, |room| room.post(post));

    // Posted once: again, after logging in again as the same device, and as another one.
    let question = post(Kind::Question, 1);
    let id = inside(&bot, &question).unwrap();
    let again = server.login("bot", "STATIONMASTER");
    let other = server.login("bot", "ANOTHER");
    for person in [&again, &other] {
        assert_eq!(inside(person, &question).unwrap(), id);
    }

    // Everybody votes; a crowd talks in between, over more than one page.
    let mut poll = poll();
    let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": id, "key": "👍️" } });
    let up = alice.send(&room, "m.reaction", "1", &reaction);
    server.login("admin", "A").unlimit("@bob:localhost");
    for n in 0..120 {
        bob.send(
            &room,
            "m.room.message",
            &format!("talk-{n}"),
            &json!({ "msgtype": "m.text", "body": "hm" }),
        );
    }
    let no_go = bob.send(&room, "m.room.message", "2", &answer("!no-go DNS is lost", &id));
    let advice = eve.send(&room, "m.room.message", "3", &answer("!go", &id));
    let read =
        |poll: &PollState| in_room(&server, &again, &fetch, &room, |room| owed(room, poll, &id)).unwrap();
    let dues = read(&poll);
    assert_eq!(dues.remarks, [""; 0]);
    let told = record(&mut poll, &dues.votes);
    assert_eq!(told[..2], ["alice Go", "bob No-Go"]);
    assert!(told[2].starts_with("room-") && told.len() == 3, "{told:?}");
    assert_eq!(read(&poll), Dues::default(), "what is on record is not due again, byte for byte");

    // Alice takes her reaction back, Bob edits, the room's owner removes what Eve said.
    alice.redact(&room, &up, "4");
    let new = json!({ "msgtype": "m.text", "body": "!go" });
    let edit = json!({ "msgtype": "m.text", "body": "* !go", "m.new_content": new,
        "m.relates_to": { "rel_type": "m.replace", "event_id": no_go } });
    bob.send(&room, "m.room.message", "5", &edit);
    again.redact(&room, &advice, "6");
    let dues = read(&poll);
    let mut told = record(&mut poll, &dues.votes);
    told.sort();
    assert_eq!(told, ["alice abstains", "bob abstains"]);
    assert!(dues.remarks[0].starts_with("@bot:localhost removed the vote of room-"), "{:?}", dues.remarks);

    // Who has left has no vote.
    alice.send(&room, "m.room.message", "7", &answer("!go", &id));
    alice.leave(&room);
    assert_eq!(read(&poll).votes, []);
    assert!(read(&poll).remarks.iter().any(|remark| remark.contains("no longer in the room")));

    // The server's limit is kept, and nothing is lost by it.
    for n in 2..14 {
        inside(&again, &post(Kind::Result, n)).unwrap();
    }
    assert!(*fetch.n_limited.lock().unwrap() > 0, "twelve posts are more than the server takes at once");

    // What cannot be read is refused at the door.
    let secret = bot.room(&json!([{ "type": "m.room.encryption", "state_key": "",
        "content": { "algorithm": "m.megolm.v1.aes-sha2" } }]));
    let refused = in_room(&server, &bot, &fetch, &secret, |_| Ok(()));
    assert!(matches!(refused, Err(Error::Encrypted)), "{refused:?}");
    let foreign = in_room(&server, &eve, &fetch, &secret, |_| Ok(()));
    assert!(matches!(foreign, Err(Error::Refused { status: 403, .. })), "{foreign:?}");
    let wrong = server.stranger("wrong");
    let unknown = in_room(&server, &wrong, &fetch, &room, |_| Ok(()));
    assert!(matches!(unknown, Err(Error::Refused { status: 401, .. })), "{unknown:?}");
}
