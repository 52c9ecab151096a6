//! The event log: a chain, one writer wins, any past instant can be rebuilt, no change goes unnoticed.

use sm_model::{
    exit,
    release_event::{self, Envelope, TrainEvent},
};
use sm_store::{
    Error, Event, EventLog, Until,
    events::{Head, MAX_BODY_BYTES},
};

use crate::{
    diary::{Diary, Note, note},
    fleet::at,
};

fn texts(diary: &Diary, until: Until) -> Vec<String> {
    let apply = |texts: &mut Vec<String>, entry: &sm_store::Entry<Note>| match &entry.event {
        Note::Opened { train } => texts.push(train.clone()),
        Note::Added { text } => texts.push(text.clone()),
    };
    diary.log.fold(until, Vec::new(), apply).unwrap().0
}

#[test]
fn entries_come_back_in_order_with_their_numbers() {
    let mut diary = Diary::of(&["a", "b"]);
    let head = diary.log.head().unwrap();
    let new =
        diary.log.append(head, at(9), &[Note::Opened { train: "2026-11-23".into() }, note("c")]).unwrap();
    let entries = diary.log.entries::<Note>(1, Until::Newest).unwrap();
    let told: Vec<_> = entries.iter().map(|e| (e.seq, e.recorded.unix_secs(), e.event.kind())).collect();
    let expected = [(2, 2, "note.added"), (3, 9, "train.opened"), (4, 9, "note.added")];
    assert_eq!(told, expected.map(|(seq, secs, kind)| (seq, secs, kind.to_owned())));
    assert_eq!((new.seq, new.digest), (4, entries[2].digest));
    assert_eq!(diary.log.verify().unwrap(), new);
    assert_eq!(EventLog::open(&diary.path).unwrap().head().unwrap(), new);
}

#[test]
fn of_two_who_decided_on_the_same_head_one_is_refused_and_nothing_of_it_is_kept() {
    let mut diary = Diary::of(&["a"]);
    let mut other = EventLog::open(&diary.path).unwrap();
    let seen_by_both = other.head().unwrap();
    let found = diary.append(2, "b");
    let error = other.append(seen_by_both, at(3), &[note("c"), note("d")]).unwrap_err();
    assert!(
        matches!(error, Error::HeadMoved { expected, found: f } if expected == seen_by_both && f == found)
    );
    assert_eq!(error.to_string(), "the log has moved on: it stands at entry 2, expected 1");
    assert!(error.hint().unwrap().contains("again"));
    assert_eq!(texts(&diary, Until::Newest), ["a", "b"]);
}

#[test]
fn a_clock_that_went_back_is_refused() {
    let mut diary = Diary::of(&["a", "b"]);
    let head = diary.log.head().unwrap();
    let error = diary.log.append(head, at(1), &[note("c")]).unwrap_err();
    assert!(matches!(error, Error::ClockWentBack { .. }), "{error:?}");
    assert_eq!(diary.log.append(head, at(2), &[note("c")]).unwrap().seq, 3);
}

#[test]
fn any_past_state_can_be_rebuilt() {
    let diary = Diary::of(&["a", "b", "c"]);
    for (until, n) in [
        (Until::Instant(at(0)), 0),
        (Until::Instant(at(1)), 1),
        (Until::Instant(at(2)), 2),
        (Until::Instant(at(99)), 3),
        (Until::Entry(0), 0),
        (Until::Entry(2), 2),
        (Until::Entry(u64::MAX), 3),
        (Until::Newest, 3),
    ] {
        assert_eq!(texts(&diary, until), ["a", "b", "c"][..n], "{until:?}");
    }
}

#[test]
fn the_database_itself_refuses_to_change_or_fork_the_log() {
    let diary = Diary::of(&["a"]);
    let connection = rusqlite::Connection::open(&diary.path).unwrap();
    for (sql, words) in [
        ("UPDATE event SET body = '{}'", "append-only"),
        ("DELETE FROM event", "append-only"),
        (
            "INSERT INTO event SELECT seq + 2, recorded, kind, body, digest, zeroblob(32) FROM event",
            "follows",
        ),
        (
            "INSERT INTO event SELECT seq + 1, recorded, kind, body, previous, zeroblob(32) FROM event",
            "follows",
        ),
        (
            "INSERT INTO event SELECT seq + 1, recorded - 1, kind, body, digest, zeroblob(32) FROM event",
            "follows",
        ),
    ] {
        let refusal = connection.execute(sql, ()).unwrap_err().to_string();
        assert!(refusal.contains(words), "{sql}: {refusal}");
    }
    assert_eq!(texts(&diary, Until::Newest), ["a"]);
}

#[test]
fn every_change_past_the_store_is_noticed_by_every_reader() {
    for sql in [
        "UPDATE event SET body = replace(body, 'b', 'x') WHERE seq = 2",
        "UPDATE event SET recorded = 1 WHERE seq = 2",
        "UPDATE event SET kind = 'train.opened' WHERE seq = 2",
        "DELETE FROM event WHERE seq = 2",
        "DELETE FROM event WHERE seq = 1",
        "UPDATE event SET digest = zeroblob(32) WHERE seq = 3",
        "UPDATE event SET previous = zeroblob(32) WHERE seq = 3",
        "INSERT INTO event SELECT 4, recorded, kind, body, previous, randomblob(32) FROM event WHERE seq = 3",
    ] {
        let diary = Diary::of(&["a", "b", "c"]);
        diary.tamper(sql);
        for error in
            [diary.log.verify().unwrap_err(), diary.log.entries::<Note>(2, Until::Newest).unwrap_err()]
        {
            assert!(matches!(error, Error::Broken(_)), "{sql}: {error:?}");
            assert_eq!(error.exit_code(), exit::VERIFICATION);
        }
    }
}

#[test]
fn events_of_a_newer_version_are_refused_to_readers_but_stay_in_the_chain() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Future {
        event: String,
    }
    impl Event for Future {
        fn kind(&self) -> String {
            "future.thing".to_owned()
        }
    }
    let mut diary = Diary::of(&["a"]);
    let head = diary.log.head().unwrap();
    let head = diary.log.append(head, at(5), &[Future { event: "future.thing".into() }]).unwrap();
    let error = diary.log.entries::<Note>(0, Until::Newest).unwrap_err();
    assert!(matches!(error, Error::Document { operation: "read", .. }), "{error:?}");
    assert_eq!(diary.log.verify().unwrap(), head);
}

#[test]
fn an_event_that_carries_its_place_must_carry_the_one_it_gets() {
    let mut diary = Diary::of(&["a"]);
    let head = diary.log.head().unwrap();
    let envelope = |seq, secs| Envelope {
        seq,
        at: at(secs),
        by: "alice".parse().unwrap(),
        body: release_event::Event::Train(TrainEvent::Closed { train: "2026-12-02".parse().unwrap() }),
    };
    for misplaced in [envelope(3, 5), envelope(2, 4)] {
        let error = diary.log.append(head, at(5), &[misplaced]).unwrap_err();
        assert!(matches!(error, Error::OtherPlace { seq: 2 }), "{error:?}");
    }
    let mut fresh = Diary::new();
    let events = [envelope(1, 5), envelope(2, 5)];
    fresh.log.append(Head::EMPTY, at(5), &events).unwrap();
    let read = fresh.log.entries::<Envelope>(0, Until::Newest).unwrap();
    assert_eq!(read.into_iter().map(|entry| entry.event).collect::<Vec<_>>(), events);
}

#[test]
fn what_would_make_the_log_unreadable_does_not_get_in() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Badly;
    impl Event for Badly {
        fn kind(&self) -> String {
            "two\nlines".to_owned()
        }
    }
    let mut diary = Diary::new();
    assert!(matches!(diary.log.append(Head::EMPTY, at(1), &[Badly]).unwrap_err(), Error::Broken(_)));
    let endless = note("a".repeat(MAX_BODY_BYTES));
    let error = diary.log.append(Head::EMPTY, at(1), &[note("fits"), endless]).unwrap_err();
    assert!(matches!(error, Error::EntryTooLong { max_bytes: MAX_BODY_BYTES, .. }), "{error:?}");
    assert_eq!(diary.log.head().unwrap(), Head::EMPTY);
}
