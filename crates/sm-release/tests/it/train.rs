//! A release train from its opening to its publishing, and every way in which it does not get there.

use sm_model::{
    Channel, Sha256,
    release_event::{Event, EvidenceEvent, Resolution, StepResult, TrainEvent},
    statement::{Choice, Override, Proof, Rule, Signed, Verdict},
    test_report::AttemptOutcome,
};
use sm_release::train::{
    Command,
    command::Which,
    draft::{self, Lift, Plea, Say},
    replay,
    state::Phase,
};

use crate::world::{World, board, handle, key};

const PASS: AttemptOutcome = AttemptOutcome::Pass;
const FAIL: AttemptOutcome = AttemptOutcome::Fail;

fn opened() -> (World, Which) {
    let mut world = World::new("08:00");
    let train = world.open("2026-12-02", &[(Channel::Alpha, None)]).unwrap();
    (world, Which { train, channel: Channel::Alpha })
}

fn voting() -> (World, Which) {
    let (mut world, which) = opened();
    world.ready_for_votes(which, 1);
    world.say("dan", Command::OpenPoll(which)).unwrap();
    (world, which)
}

fn decided() -> (World, Which) {
    let (mut world, which) = opened();
    world.ready_for_votes(which, 1);
    world.go(which);
    (world, which)
}

#[test]
fn a_train_arrives() {
    let (mut world, which) = decided();
    world.ready_to_publish(which);
    world.say("dan", Command::BeginPublish(which)).unwrap();
    // Interrupted and begun again: nothing happens twice.
    assert_eq!(world.say("dan", Command::BeginPublish(which)).unwrap(), []);
    world.say("dan", Command::EndPublish(which)).unwrap();
    assert_eq!(world.refused("dan", Command::EndPublish(which)), ["published"]);
    assert_eq!(world.state.history[0].version.to_string(), "4902.0.0");
    assert_eq!(replay(&world.log), world.state);
}

#[test]
fn publishing_too_early_is_refused_for_every_reason_at_once() {
    let mut world = World::new("08:00");
    let train = world.open("2026-12-03", &[(Channel::Alpha, None)]).unwrap();
    let which = Which { train, channel: Channel::Alpha };
    world.ready_for_votes(which, 1);
    world.test(which, 1, &[("update.apply", FAIL)]).unwrap();
    let codes = world.refused("dan", Command::BeginPublish(which));
    for code in ["no-go", "gate", "too-early", "not-acknowledged", "steps-before"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
}

#[test]
fn a_go_is_good_for_72_hours_and_not_on_fridays() {
    let (mut world, which) = decided();
    world.ready_to_publish(which);
    world.at("2026-12-04T08:00:00Z");
    assert_eq!(world.refused("dan", Command::BeginPublish(which)), ["weekend"]);
    world.at("2026-12-07T08:00:00Z");
    assert_eq!(world.refused("dan", Command::BeginPublish(which)), ["go-expired"]);
}

#[test]
fn an_expedite_by_two_people_opens_a_friday() {
    let (mut world, which) = decided();
    world.ready_to_publish(which);
    let friday = "2026-12-04".parse().unwrap();
    let ask = Command::AskExpedite { day: friday, reason: "exploited".to_owned() };
    world.say("dan", ask).unwrap();
    assert_eq!(world.refused("dan", Command::GrantExpedite { day: friday }), ["same-person"]);
    assert_eq!(world.refused("zoe", Command::GrantExpedite { day: friday }), ["no-maintainer"]);
    world.say("alice", Command::GrantExpedite { day: friday }).unwrap();
    world.at("2026-12-04T08:00:00Z");
    world.say("dan", Command::BeginPublish(which)).unwrap();
}

#[test]
fn a_new_candidate_makes_votes_and_acknowledgements_worth_nothing() {
    let (mut world, which) = decided();
    world.ready_to_publish(which);
    world.ready_for_votes(which, 2);
    let codes = world.refused("dan", Command::BeginPublish(which));
    assert!(codes.contains(&"no-go") && codes.contains(&"not-acknowledged"), "{codes:?}");
    world.say("dan", Command::OpenPoll(which)).unwrap();
    assert!(world.drafted(which, "dan").ballots.is_empty());
}

#[test]
fn another_report_makes_votes_stale() {
    let (mut world, which) = voting();
    world.vote(which, "alice", Choice::Go, &[]).unwrap();
    world.test(which, 1, &[("boot.uefi", PASS)]).unwrap();
    let say = Say { voter: handle("bob"), choice: Choice::Go, reason: String::new(), blockers: vec![] };
    let ballot = draft::ballot(&world.state, which.train, which.channel, say, world.now).unwrap();
    assert_eq!(world.refused("bob", Command::Cast(key("bob").sign(ballot).unwrap())), ["stale-evidence"]);
    world.wait(4 * 60 * 60);
    let decision = key("dan").sign(world.drafted(which, "dan")).unwrap();
    assert!(world.refused("dan", Command::Decide(decision)).contains(&"stale-evidence"));
}

#[test]
fn votes_by_the_wrong_people_and_in_the_wrong_way_are_refused() {
    let (mut world, which) = voting();
    let ballot = |world: &World, voter: &str| {
        let say = Say { voter: handle(voter), choice: Choice::Go, reason: String::new(), blockers: vec![] };
        draft::ballot(&world.state, which.train, which.channel, say, world.now).unwrap()
    };
    let (alices, zoes) = (ballot(&world, "alice"), ballot(&world, "zoe"));
    let unsigned = |statement| Signed { statement, proof: Proof::Word };
    assert_eq!(world.refused("alice", Command::Cast(unsigned(alices.clone()))), ["not-signed"]);
    let forged = key("bob").sign(alices.clone()).unwrap();
    assert_eq!(world.refused("alice", Command::Cast(forged)), ["bad-signature"]);
    let signed = key("alice").sign(alices.clone()).unwrap();
    let changed = Signed {
        statement: sm_model::statement::Ballot { choice: Choice::Abstain, ..alices },
        ..signed.clone()
    };
    assert_eq!(world.refused("alice", Command::Cast(changed)), ["bad-signature"]);
    assert_eq!(world.refused("zoe", Command::Cast(key("zoe").sign(zoes.clone()).unwrap())), ["unknown-key"]);
    assert_eq!(world.refused("yan", Command::Cast(unsigned(zoes.clone()))), ["somebody-else"]);
    world.say("zoe", Command::Cast(unsigned(zoes))).unwrap();
    world.say("alice", Command::Cast(signed.clone())).unwrap();
    assert_eq!(world.refused("alice", Command::Cast(signed.clone())), ["voted-already"]);
    world.wait(3600);
    assert!(world.refused("alice", Command::Cast(signed)).contains(&"not-fresh"));
}

#[test]
fn late_votes_are_refused() {
    let (mut world, which) = decided();
    let say = Say { voter: handle("dan"), choice: Choice::Go, reason: String::new(), blockers: vec![] };
    let ballot = draft::ballot(&world.state, which.train, which.channel, say, world.now).unwrap();
    assert_eq!(world.refused("dan", Command::Cast(key("dan").sign(ballot).unwrap())), ["late"]);
}

#[test]
fn a_no_go_names_a_blocker_and_vetoes_until_it_is_closed() {
    let (mut world, which) = voting();
    for voter in ["alice", "bob", "carol"] {
        world.vote(which, voter, Choice::Go, &[]).unwrap();
    }
    let refused = world.vote(which, "dan", Choice::NoGo, &[]).unwrap_err();
    assert_eq!(refused.codes(), ["no-blocker"]);
    let open = Command::OpenBlocker {
        title: "resolver loses its configuration".to_owned(),
        channels: vec![Channel::Alpha],
        issue: String::new(),
    };
    world.say("dan", open).unwrap();
    let blocker = *world.state.blockers.keys().next().unwrap();
    world.vote(which, "dan", Choice::NoGo, &[blocker]).unwrap();
    world.wait(4 * 60 * 60);
    assert_eq!(world.drafted(which, "dan").verdict, Verdict::NoGo);
    // dan coordinates the train, but opened the blocker.
    let close =
        Command::CloseBlocker { id: blocker, resolution: Resolution::Rejected, reason: "works".to_owned() };
    world.say("dan", close).unwrap();
    assert_eq!(world.drafted(which, "dan").verdict, Verdict::Go);
}

#[test]
fn a_coordinator_does_not_talk_blockers_away() {
    let (mut world, _) = voting();
    let open = Command::OpenBlocker {
        title: "no network".to_owned(),
        channels: vec![Channel::Alpha],
        issue: String::new(),
    };
    world.say("carol", open).unwrap();
    let id = *world.state.blockers.keys().next().unwrap();
    let close = |resolution| Command::CloseBlocker { id, resolution, reason: "it is fine".to_owned() };
    assert_eq!(world.refused("dan", close(Resolution::Rejected)), ["own-train"]);
    assert_eq!(world.refused("dan", close(Resolution::Deferred)), ["own-train"]);
    assert_eq!(world.refused("zoe", close(Resolution::Fixed)), ["no-maintainer"]);
    world.say("bob", close(Resolution::Deferred)).unwrap();
}

#[test]
fn a_poll_without_a_quorum_stays_open_and_says_what_is_missing() {
    let (mut world, which) = voting();
    world.vote(which, "alice", Choice::Go, &[]).unwrap();
    let refusals = world.close(which, "dan").unwrap_err();
    assert_eq!(refusals.codes(), ["open-time", "quorum", "role-cover", "role-cover"]);
    assert!(refusals.to_string().contains("nobody of security says Go"), "{refusals}");
}

#[test]
fn a_decision_says_what_the_votes_come_to_and_nothing_else() {
    let (mut world, which) = voting();
    for voter in ["alice", "bob"] {
        world.vote(which, voter, Choice::Go, &[]).unwrap();
    }
    world.wait(4 * 60 * 60);
    let mut decision = world.drafted(which, "dan");
    decision.verdict = Verdict::Go;
    let codes = world.refused("dan", Command::Decide(key("dan").sign(decision).unwrap()));
    assert_eq!(codes, ["other-decision"]);
}

fn plea(by: &str) -> Plea {
    Plea {
        requirement: "boot.uefi".to_owned(),
        scenario: [].into(),
        reason: "known on this host".to_owned(),
        by: handle(by),
        expires: "2026-12-05T00:00:00Z".parse().unwrap(),
    }
}

#[test]
fn a_waiver_needs_two_people_and_holds_for_one_manifest() {
    let (mut world, which) = opened();
    world.compose(which, 1).unwrap();
    world.test(which, 1, &[("boot.uefi", FAIL), ("update.apply", PASS)]).unwrap();
    let waiver = draft::waiver(&world.state, which.train, which.channel, plea("bob"), world.now).unwrap();
    assert_eq!(waiver.scenario["board"], board().to_string());
    let id = waiver.id;
    world.say("bob", Command::AskWaiver(key("bob").sign(waiver).unwrap())).unwrap();
    let before = world.state.evidence(which.train, which.channel);
    let second = |world: &World, by: &str| {
        let statement = draft::seconding(&world.state, id, handle(by), world.now).unwrap();
        Command::Second(key(by).sign(statement).unwrap())
    };
    let bobs = second(&world, "bob");
    assert_eq!(world.refused("bob", bobs), ["same-person"]);
    let carols = second(&world, "carol");
    world.say("carol", carols).unwrap();
    assert_ne!(world.state.evidence(which.train, which.channel), before, "a waiver is part of the evidence");
    world.compare(which, 1).unwrap();
    world.notes(which).unwrap();
    world.go(which);
    // The same failure in another candidate is not waived.
    world.compose(which, 2).unwrap();
    world.test(which, 2, &[("boot.uefi", FAIL), ("update.apply", PASS)]).unwrap();
    let context = sm_release::rules::policy::Context::Go;
    let report =
        sm_release::train::question::gate(&world.state, which.train, which.channel, context, world.now);
    assert!(!report.unwrap().open);
}

#[test]
fn an_override_needs_a_long_reason_two_people_and_stays_visible() {
    let (mut world, which) = voting();
    for voter in ["alice", "bob"] {
        world.vote(which, voter, Choice::Go, &[]).unwrap();
    }
    world.wait(4 * 60 * 60);
    let ask = |world: &World, rule, reason: &str| {
        let expires = "2026-12-05T00:00:00Z".parse().unwrap();
        let lift = Lift { rule, reason: reason.to_owned(), by: handle("dan"), expires };
        let lifted: Override =
            draft::lift(&world.state, which.train, which.channel, lift, world.now).unwrap();
        Command::AskOverride(key("dan").sign(lifted).unwrap())
    };
    let short = ask(&world, Rule::Quorum, "carol is ill");
    assert_eq!(world.refused("dan", short), ["no-reason"]);
    let reason = "carol is ill and nobody else of security can be reached before the embargo ends";
    for rule in [Rule::Quorum, Rule::RoleCover] {
        let asked = ask(&world, rule, reason);
        world.say("dan", asked).unwrap();
        let id = *world.state.overrides.keys().last().unwrap();
        let statement = draft::seconding(&world.state, id, handle("alice"), world.now).unwrap();
        world.say("alice", Command::Second(key("alice").sign(statement).unwrap())).unwrap();
    }
    world.close(which, "dan").unwrap();
    let decision =
        world.state.release(which.train, which.channel).unwrap().1.poll().unwrap().decision.clone();
    let decision = decision.unwrap().statement;
    assert_eq!((decision.verdict, decision.overrides.len()), (Verdict::Go, 2));
}

#[test]
fn evidence_is_bound_to_the_candidate() {
    let (mut world, which) = opened();
    assert_eq!(world.test(which, 1, &[]).unwrap_err().codes(), ["no-candidate"]);
    world.compose(which, 1).unwrap();
    assert_eq!(world.test(which, 2, &[]).unwrap_err().codes(), ["other-candidate"]);
    let Which { train, channel } = which;
    let found = |fact: &str| {
        Command::Record(EvidenceEvent::Found {
            train,
            channel,
            fact: fact.to_owned(),
            value: 0,
            items: vec![],
            source: "hand".to_owned(),
        })
    };
    assert_eq!(world.refused("dan", found("blockers.open")), ["computed"]);
    assert_eq!(world.refused("dan", found("image.new-setuid")), ["computed"]);
    world.say("dan", found("keys.days-left")).unwrap();
    let mut candidate = world.candidate(which, 3);
    candidate.version = "1.0.0".parse().unwrap();
    let composed = EvidenceEvent::Composed { train, channel, board: board(), candidate };
    assert_eq!(world.refused("dan", Command::Record(composed)), ["other-version"]);
}

#[test]
fn steps_have_an_order_and_automatic_ones_are_not_ticked_by_hand() {
    let (mut world, which) = opened();
    let end = |step: &str, channel, evidence: &str| Command::EndStep {
        train: which.train,
        step: step.parse().unwrap(),
        channel,
        result: StepResult::Done { evidence: evidence.to_owned() },
    };
    assert_eq!(world.refused("dan", end("B5", Some(Channel::Alpha), "seen")), ["automatic"]);
    assert_eq!(world.refused("dan", end("T2", Some(Channel::Alpha), "seen")), ["steps-before"]);
    assert_eq!(world.refused("dan", end("P2", Some(Channel::Alpha), "seen")), ["wrong-place"]);
    assert_eq!(world.refused("dan", end("T2", None, "seen")), ["wrong-place"]);
    assert_eq!(world.refused("dan", end("P2", None, " ")), ["no-evidence"]);
    assert_eq!(world.refused("dan", end("Z9", None, "seen")), ["no-step"]);
    world.say("dan", end("P2", None, "seen")).unwrap();
}

#[test]
fn a_train_slips_three_times_at_most_and_never_to_a_closed_day() {
    let (mut world, which) = opened();
    let slip = |to: Option<&str>| Command::Slip {
        train: which.train,
        to: to.map(|day| day.parse().unwrap()),
        reason: "a flaky mirror".to_owned(),
    };
    assert_eq!(world.refused("dan", slip(Some("2026-12-04"))), ["weekend"]);
    assert_eq!(world.refused("dan", slip(Some("2026-12-01"))), ["no-slip"]);
    for day in ["2026-12-03", "2026-12-07", "2026-12-08"] {
        world.say("dan", slip(None)).unwrap();
        assert_eq!(world.state.trains[&which.train].day.to_string(), day);
        assert_eq!(
            world.say("dan", slip(None)).unwrap(),
            [],
            "said again before that day it is no other slip"
        );
        world.now = format!("{day}T20:00:00Z").parse().unwrap();
    }
    assert_eq!(world.refused("dan", slip(None)), ["slipped-too-often"]);
}

#[test]
fn versions_of_cancelled_trains_are_free_until_something_was_composed() {
    let (mut world, which) = opened();
    let version =
        |world: &World| world.state.trains.values().last().unwrap().releases[&Channel::Alpha].plan.version;
    let first = version(&world);
    assert_eq!(
        world.open("2026-12-03", &[(Channel::Alpha, None)]).unwrap_err().codes(),
        ["channel-busy", "no-version"]
    );
    let cancel = |train| Command::Cancel { train, reason: "nothing in it".to_owned() };
    world.say("dan", cancel(which.train)).unwrap();
    let train = world.open("2026-12-02", &[(Channel::Alpha, None)]).unwrap();
    assert_eq!((train.to_string().as_str(), version(&world)), ("2026-12-02.2", first));
    world.compose(Which { train, ..which }, 1).unwrap();
    world.say("dan", cancel(train)).unwrap();
    let refusals = world.open("2026-12-02", &[(Channel::Alpha, None)]).unwrap_err();
    assert!(refusals.to_string().contains("alpha has branch 4902 already"), "{refusals}");
}

#[test]
fn a_clock_that_goes_back_is_noticed() {
    let (mut world, which) = opened();
    world.at("2026-12-02T07:59:59Z");
    assert_eq!(world.refused("dan", Command::Close { train: which.train }), ["clock-went-back"]);
}

#[test]
fn rules_with_mistakes_are_refused_whole() {
    let (mut world, _) = opened();
    let text = "[[policy]]\nid = 5\ncontext = \"lunch\"\n".to_owned();
    let refusals =
        world.say("dan", Command::Adopt { file: sm_model::evidence::RuleFile::Policy, text }).unwrap_err();
    assert!(refusals.0.len() >= 4, "{refusals}");
    assert!(refusals.to_string().contains("policy.toml:3:11: unknown context `lunch`"), "{refusals}");
}

#[test]
fn a_train_closes_when_everything_is_done_or_does_not_apply() {
    let (mut world, which) = decided();
    world.ready_to_publish(which);
    world.say("dan", Command::BeginPublish(which)).unwrap();
    world.say("dan", Command::EndPublish(which)).unwrap();
    let open = world.say("dan", Command::Close { train: which.train }).unwrap_err();
    assert!(open.codes().iter().all(|code| *code == "step-open"), "{open}");
    for kind in &sm_release::steps::TABLE {
        let channel = (kind.scope == sm_release::steps::Scope::Channel).then_some(Channel::Alpha);
        let settled =
            world.state.trains[&which.train].step(kind.step(), channel).is_some_and(|s| s.is_settled());
        if !settled {
            let result = StepResult::NotApplicable { reason: "a test".to_owned() };
            let (train, step) = (which.train, kind.step());
            world.say("dan", Command::EndStep { train, step, channel, result }).unwrap();
        }
    }
    let closed = world.say("dan", Command::Close { train: which.train }).unwrap();
    assert!(matches!(closed[0], Event::Train(TrainEvent::Closed { .. })));
    assert_eq!(world.state.trains[&which.train].phase, Phase::Closed);
}

#[test]
fn history_is_imported_once_and_versions_are_used_once() {
    let mut world = World::new("08:00");
    let released = |version: &str| sm_model::Released {
        date: "2026-11-01T00:00:00Z".parse().unwrap(),
        channel: Channel::Alpha,
        version: version.parse().unwrap(),
    };
    let import = |releases| Command::ImportHistory { releases };
    world.say("dan", import(vec![released("4870.0.0")])).unwrap();
    assert_eq!(world.say("dan", import(vec![released("4870.0.0")])).unwrap(), []);
    let other = sm_model::Released { date: world.now, ..released("4870.0.0") };
    assert_eq!(world.refused("dan", import(vec![other])), ["version-taken"]);
    let train = world.open("2026-12-02", &[(Channel::Alpha, None)]).unwrap();
    let plan = &world.state.trains[&train].releases[&Channel::Alpha].plan;
    assert_eq!(plan.previous.unwrap().to_string(), "4870.0.0");
    assert_ne!(world.state.evidence(train, Channel::Alpha), Some(Sha256([0; 32])));
}
