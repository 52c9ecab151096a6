//! Rooms in which people vote, and rooms in which somebody tries what must not work.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sm_model::{
    Handle, ItemId, Sha256,
    statement::{Ballot, Choice, Poll, Proof, Signed},
};

use super::{
    account::{Account, RoomId},
    due::{self, Dues, MAX_ADVICE, check, due},
    event::{MAX_PAGE_BYTES, MAX_PAGE_EVENTS, Page, RoomEvent, What},
    post::{Kind, Post},
    tally::{Question, Tally, guest, tally},
};
use crate::{
    proof::{Strength, digest_of},
    rules::Maintainers,
    train::state::PollState,
};

const ROOM: &str = "!room:x";
const POST: &str = "$post";
const BOT: &str = "@bot:x";

fn account(text: &str) -> Account {
    text.parse().unwrap()
}

fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

fn maintainers() -> Maintainers {
    let text = "[[maintainer]]\nhandle = \"alice\"\naccounts = [\"@alice:x\", \"@alice:home\"]\n\
                [[maintainer]]\nhandle = \"bob\"\naccounts = \"@bob:x\"\n\
                [[maintainer]]\nhandle = \"zed\"\naccounts = \"@zed:x\"\n";
    Maintainers::parse(text).unwrap()
}

/// A poll that was opened before Zed became a maintainer.
fn poll() -> PollState {
    PollState::opened(Poll::sample([handle("alice"), handle("bob")]))
}

fn event(id: &str, sender: &str, kind: &str, content: Value) -> Value {
    json!({ "event_id": id, "sender": sender, "type": kind, "room_id": ROOM, "content": content,
            "origin_server_ts": 1_796_205_600_000_i64, "unsigned": { "age": 5 } })
}

fn message(id: &str, sender: &str, text: &str) -> Value {
    event(id, sender, "m.room.message", json!({ "msgtype": "m.text", "body": text }))
}

fn answer(id: &str, sender: &str, text: &str) -> Value {
    let relation = json!({ "m.in_reply_to": { "event_id": POST } });
    event(
        id,
        sender,
        "m.room.message",
        json!({ "msgtype": "m.text", "body": text, "m.relates_to": relation }),
    )
}

fn reaction(id: &str, sender: &str, key: &str, to: &str) -> Value {
    let relation = json!({ "rel_type": "m.annotation", "key": key, "event_id": to });
    event(id, sender, "m.reaction", json!({ "m.relates_to": relation }))
}

fn edit(id: &str, sender: &str, of: &str, text: &str) -> Value {
    let relation = json!({ "rel_type": "m.replace", "event_id": of });
    let new = json!({ "msgtype": "m.text", "body": text });
    let content = json!({ "msgtype": "m.text", "body": format!("* {text}"), "m.new_content": new, "m.relates_to": relation });
    event(id, sender, "m.room.message", content)
}

/// An event whose content the server removed because `by` asked for it.
fn removed(id: &str, sender: &str, by: &str) -> Value {
    let mut gone = event(id, sender, "m.room.message", json!({}));
    gone["unsigned"]["redacted_because"] =
        event(&format!("{id}-gone"), by, "m.room.redaction", json!({ "redacts": id }));
    gone
}

fn read(events: &[Value]) -> Vec<RoomEvent> {
    Page::parse(json!({ "chunk": events }).to_string().as_bytes()).unwrap().events
}

fn counted_with(poll: &PollState, members: &[&str], events: &[Value]) -> Tally {
    let (room, me, maintainers): (RoomId, _, _) = (ROOM.parse().unwrap(), account(BOT), maintainers());
    let members: BTreeSet<Account> = members.iter().map(|member| account(member)).collect();
    let question = Question {
        poll: &poll.poll,
        room: &room,
        post: POST,
        me: &me,
        maintainers: &maintainers,
        members: &members,
    };
    tally(&question, &read(events))
}

const EVERYBODY: [&str; 8] =
    [BOT, "@alice:x", "@alice:home", "@bob:x", "@zed:x", "@eve:x", "@mod:x", "@alice:evil"];

fn counted(events: &[Value]) -> Tally {
    counted_with(&poll(), &EVERYBODY, events)
}

/// `name choice` of every vote with weight.
fn binding(tally: &Tally) -> Vec<String> {
    let votes = tally.votes.iter().filter(|vote| vote.binding);
    votes.map(|vote| format!("{} {}", vote.voter, vote.choice.word())).collect()
}

fn owed(poll: &PollState, events: &[Value]) -> Dues {
    let tally = counted_with(poll, &EVERYBODY, events);
    due(poll, &ROOM.parse().unwrap(), &tally, Strength::Room, &[ItemId(7)])
}

/// Records what is due, as the verbs do.
fn record(poll: &mut PollState, events: &[Value]) -> Vec<String> {
    let dues = owed(poll, events);
    let mut told = Vec::new();
    for due in dues.votes {
        told.push(format!("{} {}", due.voter, due.choice.word()));
        poll.ballots.push(ballot(&poll.poll, &due.voter, due.choice, &due.reason, due.proof));
    }
    told
}

fn ballot(poll: &Poll, voter: &Handle, choice: Choice, reason: &str, proof: Proof) -> Signed<Ballot> {
    let statement = Ballot {
        format: Ballot::FORMAT,
        train: poll.train,
        channel: poll.channel,
        version: poll.version,
        evidence: poll.evidence,
        voter: voter.clone(),
        choice,
        reason: reason.to_owned(),
        blockers: vec![],
        at: poll.opened,
    };
    Signed { statement, proof }
}

#[test]
fn reactions_answers_threads_and_commands_with_a_version_are_votes() {
    let thread =
        json!({ "rel_type": "m.thread", "event_id": POST, "m.in_reply_to": { "event_id": "$other" } });
    let thread = json!({ "msgtype": "m.text", "body": "!no-go DNS is lost", "m.relates_to": thread });
    let tally =
        counted(&[reaction("$1", "@alice:x", "👍🏽", POST), event("$2", "@bob:x", "m.room.message", thread)]);
    assert_eq!(binding(&tally), ["alice Go", "bob No-Go"]);
    assert_eq!(tally.votes[1].reason, "DNS is lost");
    for vote in [answer("$1", "@alice:x", "> quoted\n\n!go"), message("$1", "@alice:x", "!go 4902.0.0")] {
        assert_eq!(binding(&counted(&[vote])), ["alice Go"]);
    }
}

#[test]
fn what_is_about_another_post_or_release_is_no_vote_here() {
    let tally = counted(&[
        reaction("$1", "@alice:x", "👍", "$other"),
        message("$2", "@alice:x", "!go 4903.0.0"),
        answer("$3", "@bob:x", "!go 4903.0.0"),
    ]);
    assert_eq!(tally, Tally::default());
    let loose = counted(&[message("$1", "@alice:x", "!go")]);
    assert_eq!((loose.votes.len(), loose.remarks.len()), (0, 1), "{loose:?}");
}

#[test]
fn the_last_word_counts_in_the_servers_order_whatever_the_time_says() {
    let mut late = answer("$1", "@alice:x", "!go");
    late["origin_server_ts"] = json!(9_000_000_000_000_i64);
    let tally = counted(&[late, answer("$2", "@alice:x", "!no-go it breaks")]);
    assert_eq!(binding(&tally), ["alice No-Go"]);
}

#[test]
fn a_thumb_down_or_a_no_go_without_a_reason_is_told_and_not_counted() {
    for vote in [reaction("$1", "@alice:x", "👎", POST), answer("$1", "@alice:x", "!no-go")] {
        let tally = counted(&[vote]);
        assert!(tally.votes.is_empty());
        assert!(tally.remarks[0].contains("alice (@alice:x): not counted: a No-Go says why"), "{tally:?}");
    }
}

#[test]
fn what_is_said_clearly_afterwards_needs_no_remark() {
    let unclear = answer("$1", "@alice:x", "!go if it works");
    assert_eq!(counted(&[unclear.clone(), answer("$2", "@alice:x", "!go")]).remarks, [""; 0]);
    assert_eq!(counted(&[answer("$2", "@alice:x", "!go"), unclear]).remarks.len(), 1);
}

#[test]
fn votes_from_before_the_question_are_not_votes_on_it() {
    let post = event(POST, BOT, "m.room.message", json!({ "msgtype": "m.notice", "body": "?" }));
    let tally = counted(&[message("$1", "@alice:x", "!go 4902.0.0"), post, answer("$2", "@bob:x", "!go")]);
    assert_eq!(binding(&tally), ["bob Go"]);
}

#[test]
fn two_accounts_of_one_maintainer_have_one_vote() {
    let tally = counted(&[answer("$1", "@alice:x", "!no-go x"), answer("$2", "@alice:home", "!go")]);
    assert_eq!(binding(&tally), ["alice Go"]);
}

#[test]
fn accounts_that_only_look_like_a_maintainer_give_advice() {
    // Same name on another server, the same letters in capitals, a name as it is shown: none of them is `@alice:x`.
    let mut shown = answer("$2", "@eve:x", "!go");
    shown["content"]["displayname"] = json!("alice");
    let member =
        event("$3", "@eve:x", "m.room.member", json!({ "membership": "join", "displayname": "@alice:x" }));
    let tally = counted(&[answer("$1", "@alice:evil", "!go"), member, shown]);
    assert_eq!(binding(&tally), [""; 0]);
    let advice: Vec<_> = tally.votes.iter().map(|vote| (vote.voter.clone(), vote.reason.as_str())).collect();
    assert_eq!(
        advice,
        [(guest(&account("@alice:evil")), "@alice:evil"), (guest(&account("@eve:x")), "@eve:x")]
    );
    assert_ne!(guest(&account("@alice:x")), guest(&account("@Alice:x")));
    // Cyrillic letters are in no account.
    assert!(read(&[answer("$1", "@аlice:x", "!go")]).is_empty());
}

#[test]
fn who_was_no_voter_when_votes_were_opened_gives_advice() {
    let tally = counted(&[answer("$1", "@zed:x", "!go")]);
    assert_eq!((binding(&tally).len(), tally.votes.len()), (0, 1));
}

#[test]
fn what_a_bridge_says_for_somebody_has_no_weight() {
    assert!(Maintainers::parse("[[maintainer]]\nhandle = \"bob\"\naccounts = \"@_irc_bob:x\"\n").is_err());
    let tally = counted_with(&poll(), &["@_irc_bob:x"], &[answer("$1", "@_irc_bob:x", "!go")]);
    assert_eq!((binding(&tally).len(), tally.votes.len()), (0, 1));
}

#[test]
fn who_is_not_in_the_room_has_no_vote_there() {
    let tally =
        counted_with(&poll(), &["@bob:x"], &[answer("$1", "@alice:x", "!go"), answer("$2", "@eve:x", "!go")]);
    assert!(tally.votes.is_empty());
    assert_eq!(tally.remarks, ["alice (@alice:x): not counted: no longer in the room"]);
}

#[test]
fn pages_that_are_given_again_count_once() {
    let no_go = answer("$1", "@alice:x", "!no-go x");
    let tally = counted(&[no_go.clone(), answer("$2", "@alice:x", "!go"), no_go]);
    assert_eq!(binding(&tally), ["alice Go"]);
}

#[test]
fn events_of_another_room_are_left_out() {
    let mut other = answer("$1", "@alice:x", "!go");
    other["room_id"] = json!("!other:x");
    assert_eq!(counted(&[other]), Tally::default());
}

#[test]
fn programs_and_our_own_posts_do_not_vote() {
    let mut notice = answer("$1", "@alice:x", "!go");
    notice["content"]["msgtype"] = json!("m.notice");
    assert_eq!(counted(&[notice, answer("$2", BOT, "!go")]), Tally::default());
    let mut state = answer("$3", "@alice:x", "!go");
    state["state_key"] = json!("");
    assert_eq!(counted(&[state]), Tally::default());
}

#[test]
fn an_encrypted_message_of_a_maintainer_is_told() {
    let hidden = |sender| event("$1", sender, "m.room.encrypted", json!({ "ciphertext": "…" }));
    assert_eq!(counted(&[hidden("@alice:x")]).remarks.len(), 1);
    assert_eq!(counted(&[hidden("@eve:x")]), Tally::default());
}

#[test]
fn an_edited_vote_is_none_and_the_one_before_it_counts_again() {
    let (up, no_go) = (reaction("$1", "@alice:x", "👍", POST), answer("$2", "@alice:x", "!no-go x"));
    let tally = counted(&[up.clone(), no_go.clone(), edit("$3", "@alice:x", "$2", "!go")]);
    assert_eq!(binding(&tally), ["alice Go"]);
    let only = counted(&[no_go.clone(), edit("$3", "@alice:x", "$2", "!go")]);
    assert!(only.votes.is_empty() && only.gone["$2"].taken_back().is_some());
    // Nobody edits what somebody else said.
    assert_eq!(binding(&counted(&[no_go, edit("$3", "@mod:x", "$2", "!go")])), ["alice No-Go"]);
}

#[test]
fn a_vote_is_recorded_once_however_often_the_room_is_read() {
    let mut poll = poll();
    let events = [answer("$1", "@alice:x", "!go"), answer("$2", "@eve:x", "!no-go slow")];
    let eve = guest(&account("@eve:x"));
    assert_eq!(record(&mut poll, &events), ["alice Go".to_owned(), format!("{eve} No-Go")]);
    assert_eq!(owed(&poll, &events), Dues::default());
    let changed = [&events[..], &[answer("$3", "@alice:x", "!no-go found something")]].concat();
    assert_eq!(record(&mut poll, &changed), ["alice No-Go"]);
    assert_eq!(owed(&poll, &changed), Dues::default());
}

#[test]
fn saying_the_same_again_is_nothing_new_unless_its_blockers_are_closed() {
    let mut poll = poll();
    let once = vec![answer("$1", "@alice:x", "!go"), answer("$2", "@bob:x", "!no-go #7 x")];
    assert_eq!(record(&mut poll, &once).len(), 2);
    poll.ballots[1].statement.blockers = vec![ItemId(7)];
    let again = [once, vec![answer("$3", "@alice:x", "!go"), answer("$4", "@bob:x", "!no-go x")]].concat();
    assert_eq!(owed(&poll, &again), Dues::default());
    let tally = counted(&again);
    let closed = due(&poll, &ROOM.parse().unwrap(), &tally, Strength::Room, &[]);
    assert_eq!(closed.votes.iter().map(|due| due.voter.as_str()).collect::<Vec<_>>(), ["bob"]);
}

#[test]
fn who_takes_a_vote_back_abstains_once() {
    for gone in [
        vec![removed("$1", "@alice:x", "@alice:x")],
        vec![answer("$1", "@alice:x", "!go"), edit("$2", "@alice:x", "$1", "hm")],
    ] {
        let mut poll = poll();
        record(&mut poll, &[answer("$1", "@alice:x", "!go")]);
        assert_eq!(record(&mut poll, &gone), ["alice abstains"]);
        assert_eq!(owed(&poll, &gone), Dues::default());
    }
}

#[test]
fn nobody_lifts_a_veto_by_removing_it_from_the_room() {
    let mut poll = poll();
    record(&mut poll, &[answer("$1", "@alice:x", "!no-go x")]);
    let by_moderator = owed(&poll, &[removed("$1", "@alice:x", "@mod:x")]);
    assert!(by_moderator.votes.is_empty());
    assert_eq!(
        by_moderator.remarks,
        ["@mod:x removed the vote of alice from the room; it stands as recorded"]
    );
    let mut unexplained = removed("$1", "@alice:x", "@alice:x");
    unexplained["unsigned"] = json!({ "redacted_by": "$x" });
    let hidden = owed(&poll, &[]);
    for dues in [owed(&poll, &[unexplained]), hidden] {
        assert!(dues.votes.is_empty() && dues.remarks[0].ends_with("it stands as recorded"), "{dues:?}");
    }
}

#[test]
fn a_signed_vote_is_not_replaced_by_a_message() {
    let mut poll = poll();
    let signed = Proof::Ssh { signature: "…".to_owned() };
    poll.ballots.push(ballot(&poll.poll, &handle("alice"), Choice::NoGo, "x", signed));
    let dues = owed(&poll, &[answer("$1", "@alice:x", "!go")]);
    assert!(dues.votes.is_empty());
    assert_eq!(dues.remarks, ["alice says Go in the room; the signed vote stands"]);
}

#[test]
fn where_votes_are_signed_a_message_is_told_and_not_recorded() {
    let poll = poll();
    let tally = counted(&[answer("$1", "@alice:x", "!no-go x"), answer("$2", "@eve:x", "!no-go y")]);
    let dues = due(&poll, &ROOM.parse().unwrap(), &tally, Strength::Signature, &[]);
    assert_eq!(dues.remarks, ["alice says No-Go in the room; here a vote counts when it is signed"]);
    assert_eq!(dues.votes.iter().map(|due| due.binding).collect::<Vec<_>>(), [false]);
}

#[test]
fn a_no_go_keeps_the_open_blockers_that_it_names_and_loses_none_to_a_slip() {
    let dues =
        owed(&poll(), &[answer("$1", "@alice:x", "!no-go #7 #8 x"), answer("$2", "@bob:x", "!no-go #9 y")]);
    let named: Vec<_> = dues.votes.iter().map(|due| due.blockers.as_slice()).collect();
    assert_eq!(named, [&[ItemId(7)][..], &[]]);
    assert_eq!(dues.votes[1].link, "https://matrix.to/#/!room:x/$2");
}

#[test]
fn a_crowd_of_accounts_made_for_the_day_does_not_fill_the_log() {
    let mut poll = poll();
    let names: Vec<String> = (0..MAX_ADVICE + 5).map(|n| format!("@eve{n}:x")).collect();
    let events: Vec<Value> = names.iter().map(|name| answer(&format!("${name}"), name, "!no-go x")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let tally = counted_with(&poll, &members, &events);
    let dues = due(&poll, &ROOM.parse().unwrap(), &tally, Strength::Room, &[]);
    assert_eq!((dues.votes.len(), dues.remarks.len()), (MAX_ADVICE, 1));
    for due in dues.votes {
        poll.ballots.push(ballot(&poll.poll, &due.voter, due.choice, &due.reason, due.proof));
    }
    assert!(due(&poll, &ROOM.parse().unwrap(), &tally, Strength::Room, &[]).votes.is_empty());
}

/// Ballots with the messages that they rest on.
fn recorded() -> Vec<(Signed<Ballot>, String)> {
    let mut poll = poll();
    let events = [
        answer("$1", "@alice:x", "!no-go 4902.0.0 x"),
        reaction("$2", "@bob:x", "👍", POST),
        answer("$3", "@eve:x", "!go"),
    ];
    let mut raws: Vec<String> = owed(&poll, &events).votes.into_iter().map(|due| due.raw).collect();
    record(&mut poll, &events);
    let gone = [
        removed("$1", "@alice:x", "@alice:x"),
        reaction("$2", "@bob:x", "👍", POST),
        answer("$3", "@eve:x", "!go"),
    ];
    raws.extend(owed(&poll, &gone).votes.into_iter().map(|due| due.raw));
    record(&mut poll, &gone);
    poll.ballots.into_iter().zip(raws).collect()
}

#[test]
fn a_recorded_vote_is_what_its_message_says() {
    let recorded = recorded();
    assert_eq!(recorded.len(), 4);
    for (ballot, raw) in &recorded {
        assert_eq!(check(ballot, raw, &maintainers()), Ok(()), "{ballot:?}");
        assert!(due::message_of(ballot).is_some());
    }
}

#[test]
fn a_recorded_vote_that_its_message_does_not_bear_out_is_noticed() {
    for (ballot, raw) in recorded() {
        let mut forged: Vec<Signed<Ballot>> = Vec::new();
        let mut forge = |change: &dyn Fn(&mut Signed<Ballot>)| {
            let mut other = ballot.clone();
            change(&mut other);
            forged.push(other);
        };
        forge(&|b| b.statement.voter = handle("zed"));
        forge(&|b| {
            b.statement.choice = if b.statement.choice == Choice::Go { Choice::NoGo } else { Choice::Go }
        });
        forge(&|b| b.proof = Proof::Word);
        for change in 0..3 {
            forge(&|b| {
                let Proof::Room { room, event_id, raw } = &mut b.proof else { panic!("it is from a room") };
                match change {
                    0 => "!other:x".clone_into(room),
                    1 => "$9".clone_into(event_id),
                    _ => *raw = Sha256([0; 32]),
                }
            });
        }
        for other in forged {
            assert!(check(&other, &raw, &maintainers()).is_err(), "{other:?}");
        }
        assert!(
            check(&ballot, &raw.replace("!no-go", "!go"), &maintainers()).is_err() || !raw.contains("!no-go")
        );
    }
}

#[test]
fn what_a_server_adds_for_the_reader_is_not_part_of_what_was_said() {
    let once = answer("$1", "@alice:x", "!go");
    let mut again = once.clone();
    again["unsigned"] = json!({ "age": 99, "m.relations": {} });
    again["age"] = json!(99);
    again["user_id"] = json!("@alice:x");
    assert_eq!(read(&[once])[0].raw, read(&[again])[0].raw);
}

#[test]
fn hostile_pages_are_refused_or_come_to_nothing() {
    let many = json!({ "chunk": vec![json!({}); MAX_PAGE_EVENTS + 1] }).to_string();
    let deep = format!("{{\"chunk\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let spaces = " ".repeat(MAX_PAGE_BYTES + 1);
    let refused =
        ["", "[]", "{}", "{\"chunk\":{}}", "{\"chunk\":[],\"end\":5}", "{\"chunk\":[", &many, &deep, &spaces];
    for page in refused {
        assert!(Page::parse(page.as_bytes()).is_err(), "{}", &page[..page.len().min(40)]);
    }
    let long = "x".repeat(70_000);
    let nothing = [
        json!(null),
        json!({}),
        json!({ "event_id": "x", "sender": "@alice:x" }),
        json!({ "event_id": "$1", "sender": "alice" }),
        json!({ "event_id": "$1", "sender": "@alice:x", "room_id": 5 }),
        answer("$1", "@alice:x", &long),
    ];
    assert!(read(&nothing).is_empty());
    let odd = [
        json!({ "event_id": "$1", "sender": "@alice:x" }),
        event("$2", "@alice:x", "m.room.message", json!([])),
        event(
            "$3",
            "@alice:x",
            "m.room.message",
            json!({ "msgtype": "m.text", "body": 5, "m.relates_to": [] }),
        ),
        event("$4", "@alice:x", "m.reaction", json!({ "m.relates_to": { "rel_type": "m.annotation" } })),
    ];
    assert_eq!(read(&odd).len(), odd.len());
    assert_eq!(counted(&odd), Tally { gone: counted(&odd).gone, ..Tally::default() });
}

#[test]
fn a_post_is_found_again_by_its_mark_and_only_if_it_is_ours() {
    let post = Post { kind: Kind::Question, about: digest_of(&"poll"), content: json!({}) };
    let mark = |id: &str, sender: &str, about: &Sha256| {
        let content = json!({ "msgtype": "m.notice", "body": "?", Kind::Question.key(): about.to_string() });
        event(id, sender, "m.room.message", content)
    };
    let events = read(&[
        mark("$1", "@eve:x", &post.about),
        mark("$2", BOT, &Sha256([9; 32])),
        mark("$3", BOT, &post.about),
    ]);
    assert_eq!(post.find(&account(BOT), &events).unwrap().id, "$3");
    assert_eq!(post.find(&account(BOT), &events[..2]), None);
    assert!(matches!(&events[0].what, What::Notice { marks } if marks.len() == 1));
    assert_eq!(post.transaction(), Post { content: json!(5), ..post.clone() }.transaction());
    assert_ne!(post.transaction(), Post { kind: Kind::Result, ..post }.transaction());
}
