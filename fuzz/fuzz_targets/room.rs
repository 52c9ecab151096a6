//! Pages of a chat room's timeline, and what of them is a vote.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use sm_model::{
    Channel, Sha256,
    statement::{Choice, Poll},
    train::Urgency,
};
use sm_release::{
    room::{Page, Question, RoomEvent, tally},
    rules::Maintainers,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(page) = Page::parse(bytes) else { return };
    for event in &page.events {
        // What is kept of an event reads back as the same event.
        let again = RoomEvent::parse(&event.raw).expect("what is kept is an event");
        assert_eq!((&again.id, &again.sender, &again.raw), (&event.id, &event.sender, &event.raw));
    }
    let members: BTreeSet<_> = page.events.iter().map(|event| event.sender.clone()).collect();
    let (room, me) = ("!room:x".parse().expect("a room"), "@bot:x".parse().expect("an account"));
    let time = "2026-12-02T10:00:00Z".parse().expect("a time");
    let poll = Poll {
        train: "2026-12-02".parse().expect("a train"),
        channel: Channel::Alpha,
        version: "4902.0.0".parse().expect("a version"),
        evidence: Sha256([1; 32]),
        opened: time,
        closes: time,
        urgency: Urgency::Normal,
        voters: vec![],
    };
    let question = Question {
        poll: &poll,
        room: &room,
        post: "$post",
        me: &me,
        maintainers: &Maintainers::default(),
        members: &members,
    };
    for vote in tally(&question, &page.events).votes {
        assert!(!vote.binding, "nobody is a maintainer here");
        assert!(vote.choice != Choice::NoGo || !vote.reason.is_empty());
    }
});
