//! A release on which people vote in a room: posted, recorded, decided, exported and verified.

use std::collections::BTreeMap;

use serde_json::json;
use sm_model::{
    Channel, Sha256,
    evidence::RuleFile,
    release_event::{Event, VoteEvent},
    statement::{Choice, Proof, Signed, Verdict},
};
use sm_release::{
    bundle::{DecisionBundle, export, verify},
    proof::digest_bytes,
    room::{RoomEvent, post},
    train::{
        Command,
        command::Which,
        draft::{self, Say},
    },
};

use crate::world::{POLICY, World, handle};

const ROOM: &str = "!room:x";

fn policy() -> String {
    format!("[go.alpha]\nproof = \"room\"\n{POLICY}")
}

fn maintainers() -> String {
    let sections: Vec<String> =
        crate::world::maintainers().split_inclusive("[[maintainer]]\n").map(str::to_owned).collect();
    let names = ["alice", "bob", "carol", "dan"];
    let mut text = sections[0].clone();
    for (section, name) in sections[1..].iter().zip(names) {
        let (own, next) = section
            .split_once("[[maintainer]]")
            .map_or((section.as_str(), ""), |(own, _)| (own, "[[maintainer]]\n"));
        text.push_str(&format!("{own}accounts = \"@{name}:x\"\n{next}"));
    }
    text
}

fn asked() -> (World, Which) {
    let mut world = World::new("08:00");
    world.adopt(RuleFile::Policy, &policy());
    world.adopt(RuleFile::Maintainers, &maintainers());
    let train = world.open("2026-12-02", &[(Channel::Alpha, None)]).unwrap();
    let which = Which { train, channel: Channel::Alpha };
    world.ready_for_votes(which, 1);
    world.say("dan", Command::OpenPoll(which)).unwrap();
    (world, which)
}

/// What `name` says in the room, as it is kept.
fn said(name: &str, text: &str) -> RoomEvent {
    let event = json!({ "event_id": format!("${name}"), "room_id": ROOM, "sender": format!("@{name}:x"),
        "type": "m.room.message", "content": { "msgtype": "m.text", "body": text } });
    RoomEvent::parse(&event.to_string()).unwrap()
}

fn cast(
    world: &mut World,
    which: Which,
    event: &RoomEvent,
    choice: Choice,
) -> Result<Vec<Event>, Vec<&'static str>> {
    let voter = handle(event.sender.as_str().trim_start_matches('@').trim_end_matches(":x"));
    let say = Say { voter, choice, reason: String::new(), blockers: vec![] };
    let statement = draft::ballot(&world.state, which.train, which.channel, say, world.now).unwrap();
    let proof = Proof::Room { room: ROOM.to_owned(), event_id: event.id.clone(), raw: event.digest() };
    world.say("dan", Command::Cast(Signed { statement, proof })).map_err(|refusals| refusals.codes())
}

/// Three people say Go in the room, and dan decides.
fn decided() -> DecisionBundle {
    let (mut world, which) = asked();
    let messages: Vec<RoomEvent> = ["alice", "bob", "carol"].map(|name| said(name, "!go 4600.0.0")).to_vec();
    let version = world.state.release(which.train, which.channel).unwrap().1.plan.version;
    let messages: Vec<RoomEvent> = messages
        .iter()
        .map(|event| RoomEvent::parse(&event.raw.replace("4600.0.0", &version.to_string())).unwrap())
        .collect();
    for message in &messages {
        cast(&mut world, which, message, Choice::Go).unwrap();
    }
    world.wait(4 * 60 * 60);
    world.close(which, "dan").unwrap();
    let texts: BTreeMap<Sha256, String> =
        messages.iter().map(|event| (event.digest(), event.raw.clone())).collect();
    let rules = [(RuleFile::Policy, policy()), (RuleFile::Maintainers, maintainers())].into();
    export(&world.state, which.train, which.channel, &rules, |digest| texts.get(digest).cloned()).unwrap()
}

#[test]
fn votes_from_a_room_decide_where_the_policy_says_so_and_are_verified_by_their_messages() {
    let bundle = decided();
    assert_eq!((bundle.decision.statement.verdict, bundle.documents.len()), (Verdict::Go, 3));
    let verification = verify(&bundle, None);
    assert!(verification.holds(), "{verification}");
    let trusted = verification.trusted.join("\n");
    assert!(trusted.contains("the chat servers, for votes of alice"), "{trusted}");
}

#[test]
fn a_message_that_says_something_else_than_the_vote_on_record_is_noticed() {
    let mut bundle = decided();
    let (digest, text) = bundle.documents.iter().next().map(|(d, t)| (*d, t.clone())).unwrap();
    bundle.documents.insert(digest, text.replace("!go", "!no-go"));
    assert!(!verify(&bundle, None).holds());
    // Mending the digest leaves a ballot that the decision does not know.
    let mut mended = decided();
    let forged = text.replace("@alice:x", "@eve:x");
    mended.documents.insert(digest_bytes(forged.as_bytes()), forged.clone());
    let Proof::Room { raw, .. } = &mut mended.case.ballots[0].proof else { panic!("it is from the room") };
    *raw = digest_bytes(forged.as_bytes());
    assert!(!verify(&mended, None).holds());
    // Without the message the vote rests on the word of whoever recorded it, and that is said.
    let mut bare = decided();
    bare.documents.clear();
    let verification = verify(&bare, None);
    assert!(verification.holds() && verification.trusted.iter().any(|t| t.contains("not attached")));
}

#[test]
fn what_happens_after_a_decision_does_not_change_what_it_rests_on() {
    let (mut world, which) = asked();
    for voter in ["alice", "bob", "carol"] {
        world.vote(which, voter, Choice::Go, &[]).unwrap();
    }
    world.wait(4 * 60 * 60);
    world.close(which, "dan").unwrap();
    let title = "for the next one".to_owned();
    world
        .say("dan", Command::OpenBlocker { title, channels: vec![Channel::Alpha], issue: String::new() })
        .unwrap();
    world.wait(30 * 24 * 60 * 60);
    let rules = [(RuleFile::Policy, policy()), (RuleFile::Maintainers, maintainers())].into();
    let bundle = export(&world.state, which.train, which.channel, &rules, |_| None).unwrap();
    assert!(verify(&bundle, None).holds(), "{}", verify(&bundle, None));
    assert!(post::tell(&world.state, which).unwrap().content["body"].as_str().unwrap().contains("3 Go"));
    // What is composed anew is not what was decided on.
    world.compose(which, 2).unwrap();
    assert_eq!(export(&world.state, which.train, which.channel, &rules, |_| None), None);
}

#[test]
fn a_message_never_takes_the_place_of_a_signed_vote() {
    let (mut world, which) = asked();
    world.vote(which, "alice", Choice::Abstain, &[]).unwrap();
    assert_eq!(cast(&mut world, which, &said("alice", "!go"), Choice::Go), Err(vec!["weaker"]));
    cast(&mut world, which, &said("bob", "!go"), Choice::Go).unwrap();
    world.vote(which, "bob", Choice::Abstain, &[]).unwrap();
}

#[test]
fn a_message_is_no_vote_where_votes_are_signed() {
    let (mut world, which) = asked();
    world.adopt(RuleFile::Policy, POLICY);
    world.say("dan", Command::OpenPoll(which)).unwrap();
    assert_eq!(cast(&mut world, which, &said("alice", "!go"), Choice::Go), Err(vec!["not-signed"]));
}

#[test]
fn a_message_is_no_vote_after_closing() {
    let (mut world, which) = asked();
    for voter in ["alice", "bob", "carol"] {
        world.vote(which, voter, Choice::Go, &[]).unwrap();
    }
    world.wait(4 * 60 * 60);
    world.close(which, "dan").unwrap();
    assert_eq!(cast(&mut world, which, &said("dan", "!no-go"), Choice::Go), Err(vec!["late"]));
}

#[test]
fn where_votes_are_asked_for_is_on_record_once() {
    let (mut world, which) = asked();
    let announce = || Command::Announce { which, room: ROOM.to_owned(), event_id: "$post".to_owned() };
    let events = world.say("dan", announce()).unwrap();
    assert!(matches!(&events[0], Event::Vote(VoteEvent::Announced { .. })));
    assert_eq!(world.refused("dan", announce()), ["announced"]);
    let poll = world.state.release(which.train, which.channel).unwrap().1.poll().unwrap();
    assert_eq!(poll.announced, Some((ROOM.to_owned(), "$post".to_owned())));
}

#[test]
fn the_question_tells_the_evidence_the_gate_and_how_to_vote_and_escapes_what_others_wrote() {
    let (mut world, which) = asked();
    let post = post::ask(&world.state, which, world.now).unwrap();
    let body = post.content["body"].as_str().unwrap();
    let version = world.state.release(which.train, which.channel).unwrap().1.plan.version;
    for told in [
        "Go or No-Go? alpha",
        "amd64-usr: 1 packages",
        "2 test results",
        "The gate is open",
        "answer this message with `!go`",
    ] {
        assert!(body.contains(told), "{told}: {body}");
    }
    assert!(body.contains(&format!("`!go {version}`")));
    assert_eq!(post.content["m.mentions"]["user_ids"].as_array().unwrap().len(), 4);
    assert_eq!(post::tell(&world.state, which), None);
    let say = Say {
        voter: handle("zoe"),
        choice: Choice::NoGo,
        reason: "<img src=x>\u{202E}".to_owned(),
        blockers: vec![],
    };
    let statement = draft::ballot(&world.state, which.train, which.channel, say, world.now).unwrap();
    world.say("zoe", Command::Cast(Signed { statement, proof: Proof::Word })).unwrap();
    let answer = Command::Answer { which, voter: handle("zoe"), answer: "seen".to_owned() };
    world.say("alice", answer).unwrap();
    for voter in ["alice", "bob", "carol"] {
        world.vote(which, voter, Choice::Go, &[]).unwrap();
    }
    world.wait(4 * 60 * 60);
    world.close(which, "dan").unwrap();
    let told = post::tell(&world.state, which).unwrap();
    let (body, html) =
        (told.content["body"].as_str().unwrap(), told.content["formatted_body"].as_str().unwrap());
    assert!(
        body.starts_with(&format!("alpha {version}: Go\n")) && body.contains("alice says Go: looked at it"),
        "{body}"
    );
    assert!(html.contains("&lt;img src=x&gt;") && !html.contains('\u{202E}'), "{html}");
}

#[test]
fn where_votes_are_signed_the_question_says_so() {
    let (mut world, which) = asked();
    world.adopt(RuleFile::Policy, POLICY);
    world.say("dan", Command::OpenPoll(which)).unwrap();
    let post = post::ask(&world.state, which, world.now).unwrap();
    assert!(post.content["body"].as_str().unwrap().contains("vote with a signature"));
}
