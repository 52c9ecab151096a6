//! What holds whatever people and programs ask for, in any order: random wishes against the state machine.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sm_model::{
    Channel, Date, Released,
    release_event::{Envelope, Event, EvidenceEvent, TrainEvent, VoteEvent},
    statement::Choice,
    test_report::AttemptOutcome,
    time::Weekday,
    train::Move,
};
use sm_release::{
    gate::Status,
    rules::policy::{Context, Level},
    train::{Command, State, apply, command::Which, draft, question, replay},
};

use crate::world::{World, handle, key};

/// One wish, in numbers small enough to meet each other.
#[derive(Debug, Clone)]
enum Wish {
    Open(u8, u8),
    Compose(u8),
    Test(u8, bool, bool),
    Compare(u8),
    Notes,
    Poll,
    Vote(u8, u8),
    Decide,
    Steps,
    Acknowledge(u8),
    Begin,
    End,
    Slip,
    Cancel,
    Drop,
    Wait(u8),
    Blocker,
    Waive,
    Expedite(u8),
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let wish = prop_oneof![
        (0..3_u8, 0..3_u8).prop_map(|(channel, what)| Wish::Open(channel, what)),
        (1..4_u8).prop_map(Wish::Compose),
        (1..4_u8, any::<bool>(), prop::bool::weighted(0.8)).prop_map(|(n, a, b)| Wish::Test(n, a, b)),
        (1..4_u8).prop_map(Wish::Compare),
        Just(Wish::Notes),
        Just(Wish::Poll),
        (0..4_u8, 0..4_u8).prop_map(|(voter, choice)| Wish::Vote(voter, choice)),
        Just(Wish::Decide),
        Just(Wish::Steps),
        (0..4_u8).prop_map(Wish::Acknowledge),
        Just(Wish::Begin),
        Just(Wish::End),
        Just(Wish::Slip),
        Just(Wish::Cancel),
        Just(Wish::Drop),
        (0..40_u8).prop_map(Wish::Wait),
        Just(Wish::Blocker),
        Just(Wish::Waive),
        (0..5_u8).prop_map(Wish::Expedite),
    ];
    prop::collection::vec(wish, 0..60)
}

/// A whole good release, from its opening to its end.
fn undisturbed() -> Vec<Wish> {
    vec![
        Wish::Open(0, 0),
        Wish::Compose(1),
        Wish::Test(1, true, true),
        Wish::Compare(1),
        Wish::Notes,
        Wish::Poll,
        Wish::Vote(0, 0),
        Wish::Vote(1, 0),
        Wish::Vote(2, 0),
        Wish::Wait(4),
        Wish::Decide,
        Wish::Steps,
        Wish::Acknowledge(0),
        Wish::Acknowledge(3),
        Wish::Begin,
        Wish::End,
    ]
}

/// A whole good release with disturbances between its wishes, so that publishing is reached often.
fn disturbed() -> impl Strategy<Value = Vec<Wish>> {
    let plan = undisturbed();
    (wishes(), prop::collection::vec(0..17_usize, 60)).prop_map(move |(extra, places)| {
        let mut all = plan.clone();
        for (wish, place) in extra.into_iter().take(4).zip(places) {
            all.insert(place.min(all.len()), wish);
        }
        all
    })
}

const VOTERS: [&str; 4] = ["alice", "bob", "carol", "dan"];
const CHANNELS: [Channel; 3] = [Channel::Alpha, Channel::Beta, Channel::Lts(2026)];

fn newest(world: &World) -> Option<Which> {
    let train = world.state.trains.values().next_back()?;
    Some(Which { train: train.id, channel: *train.releases.keys().next()? })
}

fn do_one(world: &mut World, wish: &Wish) {
    if let Wish::Wait(hours) = wish {
        return world.wait(i64::from(*hours) * 3600);
    }
    if let Wish::Open(channel, what) = wish {
        let channel = CHANNELS[usize::from(*channel)];
        let major = world.state.history.last().map_or(0, |released| released.version.major);
        let wanted =
            [Some(Move::NewBranch), Some(Move::Patch), Some(Move::Promote { major })][usize::from(*what)];
        let wanted = if channel == Channel::Alpha { None } else { wanted };
        let _ = world.open(&Date::of(world.now).to_string(), &[(channel, wanted)]);
        return;
    }
    let Some(which) = newest(world) else { return };
    let Which { train, channel } = which;
    match wish {
        Wish::Compose(n) => drop(world.compose(which, *n)),
        Wish::Test(n, boot, update) => {
            let outcome = |ok: bool| if ok { AttemptOutcome::Pass } else { AttemptOutcome::Fail };
            let results = [("boot.uefi", outcome(*boot)), ("update.apply", outcome(*update))];
            drop(world.test(which, *n, &results));
        }
        Wish::Compare(n) => drop(world.compare(which, *n)),
        Wish::Notes => drop(world.notes(which)),
        Wish::Poll => drop(world.say("dan", Command::OpenPoll(which))),
        Wish::Vote(voter, choice) => {
            let choice = [Choice::Go, Choice::Go, Choice::NoGo, Choice::Abstain][usize::from(*choice)];
            let blockers = world.state.open_blockers(channel);
            drop(world.vote(which, VOTERS[usize::from(*voter)], choice, &blockers));
        }
        Wish::Decide => drop(world.close(which, "dan")),
        Wish::Steps => {
            for (step, of_channel) in
                [("P4", false), ("T2", true), ("N2", true), ("N3", true), ("R2", true), ("R3", true)]
            {
                let result =
                    sm_model::release_event::StepResult::NotApplicable { reason: "a test".to_owned() };
                let channel = of_channel.then_some(channel);
                drop(
                    world
                        .say("dan", Command::EndStep { train, step: step.parse().unwrap(), channel, result }),
                );
            }
        }
        Wish::Acknowledge(who) => drop(world.say(VOTERS[usize::from(*who)], Command::Acknowledge(which))),
        Wish::Begin => drop(world.say("dan", Command::BeginPublish(which))),
        Wish::End => drop(world.say("dan", Command::EndPublish(which))),
        Wish::Slip => drop(world.say("dan", Command::Slip { train, to: None, reason: "r".to_owned() })),
        Wish::Cancel => drop(world.say("dan", Command::Cancel { train, reason: "r".to_owned() })),
        Wish::Drop => drop(world.say("dan", Command::Drop { which, reason: "r".to_owned() })),
        Wish::Blocker => {
            let (title, channels, issue) = ("b".to_owned(), vec![channel], String::new());
            drop(world.say("carol", Command::OpenBlocker { title, channels, issue }));
        }
        Wish::Waive => waive(world, which),
        Wish::Expedite(days) => {
            let day = Date::of(world.now).plus_days(i64::from(*days));
            drop(world.say("dan", Command::AskExpedite { day, reason: "r".to_owned() }));
            drop(world.say("alice", Command::GrantExpedite { day }));
        }
        Wish::Open(..) | Wish::Wait(_) => {}
    }
}

/// Waives everything that can be named, the tests that nobody may waive included.
fn waive(world: &mut World, which: Which) {
    for requirement in ["boot.uefi", "update.apply"] {
        let expires = sm_model::Timestamp::from_unix_secs(world.now.unix_secs() + 86_400).unwrap();
        let plea = draft::Plea {
            requirement: requirement.to_owned(),
            scenario: [].into(),
            reason: "r".to_owned(),
            by: handle("bob"),
            expires,
        };
        let Ok(waiver) = draft::waiver(&world.state, which.train, which.channel, plea, world.now) else {
            continue;
        };
        let id = waiver.id;
        if world.say("bob", Command::AskWaiver(key("bob").sign(waiver).unwrap())).is_ok() {
            let statement = draft::seconding(&world.state, id, handle("carol"), world.now).unwrap();
            world.say("carol", Command::Second(key("carol").sign(statement).unwrap())).unwrap();
        }
    }
}

fn played(wishes: &[Wish]) -> World {
    let mut world = World::new("08:00");
    wishes.iter().for_each(|wish| do_one(&mut world, wish));
    world
}

/// The state just before an event, and the event.
fn walk(log: &[Envelope], mut look: impl FnMut(&State, &Envelope)) {
    let mut state = State::default();
    for event in log {
        look(&state, event);
        apply(&mut state, event);
    }
}

fn check_publishing(log: &[Envelope]) -> u32 {
    let mut n_published = 0;
    walk(log, |state, event| {
        let (train, channel) = match &event.body {
            Event::Train(TrainEvent::PublishBegun { train, channel, .. }) => (*train, *channel),
            Event::Train(TrainEvent::Published { train, channel, .. }) => (*train, *channel),
            _ => return,
        };
        n_published += 1;
        for context in [Context::Go, Context::Publish] {
            let report = question::gate(state, train, channel, context, event.at).unwrap();
            let unmet = report.items.iter().filter(|item| item.level == Level::NeverWaive);
            assert!(unmet.clone().count() > 0, "the policy asks for something");
            for item in unmet {
                assert_eq!(item.status, Status::Satisfied, "{}", item.name());
            }
            assert!(report.open);
        }
        let day = Date::of(event.at);
        let weekend = matches!(day.weekday(), Weekday::Friday | Weekday::Saturday | Weekday::Sunday);
        let expedited = state.days.expedites.iter().any(|expedite| expedite.day == day);
        assert!(!weekend || expedited, "published on {day}");
        let decision = question::standing_go(state, train, channel).expect("a Go for this very evidence");
        assert!(event.at < decision.until);
    });
    n_published
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_published_with_something_unmet_that_nobody_may_waive(wishes in disturbed()) {
        check_publishing(&played(&wishes).log);
    }

    #[test]
    fn random_wishes_never_publish_what_must_not_be(wishes in wishes()) {
        check_publishing(&played(&wishes).log);
    }

    #[test]
    fn a_vote_never_survives_a_change_of_what_it_was_cast_on(wishes in disturbed()) {
        walk(&played(&wishes).log, |state, event| {
            let Event::Vote(VoteEvent::Decided { decision }) = &event.body else { return };
            let decision = &decision.statement;
            let evidence = state.evidence(decision.train, decision.channel).unwrap();
            assert_eq!(decision.evidence, evidence);
            let (_, release) = state.release(decision.train, decision.channel).unwrap();
            for ballot in &release.poll().unwrap().ballots {
                assert_eq!(ballot.statement.evidence, evidence);
            }
        });
    }

    #[test]
    fn a_failure_that_was_recorded_is_never_forgotten(wishes in disturbed()) {
        walk(&played(&wishes).log, |state, event| {
            let Event::Evidence(EvidenceEvent::Tested { train, channel, board, .. }) = &event.body else { return };
            let before = state.release(*train, *channel).unwrap().1.boards[board].inputs.results.clone();
            let mut after = state.clone();
            apply(&mut after, event);
            let after = &after.release(*train, *channel).unwrap().1.boards[board].inputs.results;
            assert!(after.starts_with(&before));
        });
    }

    #[test]
    fn versions_are_unique_and_rise_in_every_channel(wishes in disturbed(), more in disturbed()) {
        let mut world = played(&wishes);
        world.wait(3 * 86_400);
        more.iter().for_each(|wish| do_one(&mut world, wish));
        let mut newest: BTreeMap<Channel, Released> = BTreeMap::new();
        let mut seen = Vec::new();
        for released in &world.state.history {
            prop_assert!(!seen.contains(&released.version));
            seen.push(released.version);
            if let Some(before) = newest.insert(released.channel, *released) {
                prop_assert!(before.version < released.version);
            }
        }
    }

    #[test]
    fn replicas_that_saw_the_same_events_agree(wishes in disturbed(), cut: prop::sample::Index) {
        let world = played(&wishes);
        prop_assert_eq!(&replay(&world.log), &world.state);
        let cut = cut.index(world.log.len());
        let mut resumed = replay(&world.log[..cut]);
        world.log[cut..].iter().for_each(|event| apply(&mut resumed, event));
        prop_assert_eq!(&resumed, &world.state);
        let texts: Vec<String> =
            world.log.iter().map(|event| sm_model::canonical::to_text(event).unwrap()).collect();
        let read: Vec<Envelope> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        prop_assert_eq!(&replay(&read), &world.state);
    }

    #[test]
    fn foreign_events_in_any_order_change_nothing_but_what_they_name(wishes in disturbed(), skip: prop::sample::Index) {
        let world = played(&wishes);
        let skip = skip.index(world.log.len());
        let mut log = world.log.clone();
        log.remove(skip);
        // A log with a hole is replayed to its end; whether it is whole is for the hash chain to say.
        prop_assert_eq!(replay(&log).seq, log.last().map_or(0, |last| last.seq));
    }
}

/// The undisturbed plan is published: otherwise the properties above would hold for want of anything to look at.
#[test]
fn the_plan_behind_the_properties_is_published() {
    let world = played(&undisturbed());
    assert_eq!(check_publishing(&world.log), 2);
    assert_eq!(world.state.history.len(), 1);
}
