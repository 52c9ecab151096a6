//! An exported decision is verified without anything else, and whatever is changed in it is noticed.

use serde_json::Value;
use sm_model::{
    Channel,
    evidence::RuleFile,
    statement::{Choice, Proof, Signed, Verdict},
    test_report::AttemptOutcome,
};
use sm_release::{
    bundle::{DecisionBundle, export, verify},
    rules::Maintainers,
    train::{
        Command,
        command::Which,
        draft::{self, Lift, Plea, Say},
    },
};

use crate::world::{POLICY, World, handle, key, maintainers};

fn rules() -> std::collections::BTreeMap<RuleFile, String> {
    [(RuleFile::Policy, POLICY.to_owned()), (RuleFile::Maintainers, maintainers())].into()
}

/// A Go with everything that a decision can rest on: a waiver, overrides, advice, an answer, a recorded fact.
fn decided() -> DecisionBundle {
    let mut world = World::new("08:00");
    let train = world.open("2026-12-02", &[(Channel::Alpha, None)]).unwrap();
    let which = Which { train, channel: Channel::Alpha };
    world.compose(which, 1).unwrap();
    let results = [("boot.uefi", AttemptOutcome::Fail), ("update.apply", AttemptOutcome::Pass)];
    world.test(which, 1, &results).unwrap();
    world.compare(which, 1).unwrap();
    world.notes(which).unwrap();
    let found = sm_model::release_event::EvidenceEvent::Found {
        train,
        channel: Channel::Alpha,
        fact: "keys.days-left".to_owned(),
        value: 90,
        items: vec!["payload key".to_owned()],
        source: "keys".to_owned(),
    };
    world.say("dan", Command::Record(found)).unwrap();
    waive(&mut world, which);
    world.say("dan", Command::OpenPoll(which)).unwrap();
    for voter in ["alice", "bob"] {
        world.vote(which, voter, Choice::Go, &[]).unwrap();
    }
    advise(&mut world, which);
    world.wait(4 * 60 * 60);
    for rule in [sm_model::statement::Rule::Quorum, sm_model::statement::Rule::RoleCover] {
        lift(&mut world, which, rule);
    }
    world.close(which, "dan").unwrap();
    export(&world.state, which.train, which.channel, &rules(), |_| None).unwrap()
}

fn waive(world: &mut World, which: Which) {
    let plea = Plea {
        requirement: "boot.uefi".to_owned(),
        scenario: [].into(),
        reason: "firmware of this host".to_owned(),
        by: handle("bob"),
        expires: "2026-12-05T00:00:00Z".parse().unwrap(),
    };
    let waiver = draft::waiver(&world.state, which.train, which.channel, plea, world.now).unwrap();
    let id = waiver.id;
    world.say("bob", Command::AskWaiver(key("bob").sign(waiver).unwrap())).unwrap();
    second(world, id, "carol");
}

fn second(world: &mut World, id: sm_model::ItemId, by: &str) {
    let statement = draft::seconding(&world.state, id, handle(by), world.now).unwrap();
    world.say(by, Command::Second(key(by).sign(statement).unwrap())).unwrap();
}

fn advise(world: &mut World, which: Which) {
    let say = Say {
        voter: handle("zoe"),
        choice: Choice::NoGo,
        reason: "slow on my machine".to_owned(),
        blockers: vec![],
    };
    let ballot = draft::ballot(&world.state, which.train, which.channel, say, world.now).unwrap();
    world.say("zoe", Command::Cast(Signed { statement: ballot, proof: Proof::Word })).unwrap();
    let answer = "it is in the notes".to_owned();
    world.say("alice", Command::Answer { which, voter: handle("zoe"), answer }).unwrap();
}

fn lift(world: &mut World, which: Which, rule: sm_model::statement::Rule) {
    let reason = "carol cannot be reached and the fix has to be out before the embargo ends";
    let expires = "2026-12-05T00:00:00Z".parse().unwrap();
    let lift = Lift { rule, reason: reason.to_owned(), by: handle("dan"), expires };
    let lifted = draft::lift(&world.state, which.train, which.channel, lift, world.now).unwrap();
    let id = lifted.id;
    world.say("dan", Command::AskOverride(key("dan").sign(lifted).unwrap())).unwrap();
    second(world, id, "alice");
}

fn verified(bundle: &Value) -> bool {
    let known = Maintainers::parse(&maintainers()).unwrap();
    let text = serde_json::to_string_pretty(bundle).unwrap();
    DecisionBundle::parse(text.as_bytes()).is_ok_and(|bundle| verify(&bundle, Some(&known)).holds())
}

#[test]
fn a_decision_holds_and_says_what_was_checked() {
    let bundle = decided();
    assert_eq!(bundle.decision.statement.verdict, Verdict::Go);
    let verification = verify(&bundle, None);
    assert!(verification.holds(), "{verification}");
    let text = verification.to_string();
    for line in [
        "ok     voters: 4, as in the file",
        "ok     waiver #1 of boot.uefi: two signatures",
        "ok     override #2 of quorum: two signatures",
        "ok     ballot: zoe No-Go, advice without weight",
        "ok     decision: Go (2 Go, 0 No-Go of 4 active voters; advice: 0 Go, 1 No-Go)",
        "ok     decision: signed by dan",
        "trust  that `maintainers.toml`",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    assert!(verified(&serde_json::to_value(&bundle).unwrap()));
}

/// Every place in a document, with the way to it.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            places(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(idx, value)| places(value, &format!("{path}/{idx}"), found));
        }
        _ => {}
    }
    found.push(path.to_owned());
}

/// Changes a value into another one of its kind, so that it is not noticed for its form alone.
fn tampered(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(flag) => vec![Value::Bool(!flag)],
        Value::Number(number) => vec![Value::from(number.as_i64().unwrap() + 1)],
        Value::String(text) => vec![Value::from(format!("{text}x")), Value::from(other_text(text))],
        Value::Null => vec![Value::from("x")],
        Value::Array(items) => {
            let mut fewer = items.clone();
            let mut twice = items.clone();
            let (first, last) = (items.first().cloned(), fewer.pop());
            twice.extend(first);
            if last.is_none() { vec![] } else { vec![fewer.into(), twice.into()] }
        }
        Value::Object(map) => map
            .keys()
            .map(|key| {
                let mut without = map.clone();
                without.remove(key);
                Value::Object(without)
            })
            .collect(),
    }
}

/// A text of the same form: another digest, date, name or word.
fn other_text(text: &str) -> String {
    match text {
        "go" => "abstain".to_owned(),
        "no-go" => "go".to_owned(),
        "pass" => "fail".to_owned(),
        "fail" => "pass".to_owned(),
        "alice" => "carol".to_owned(),
        "bob" => "alice".to_owned(),
        "dan" => "bob".to_owned(),
        _ => {
            let swap = |c: char| match c {
                '0' => '1',
                '1'..='9' => '0',
                'a'..='e' => 'f',
                'f' => 'a',
                other => other,
            };
            let mut chars: Vec<char> = text.chars().collect();
            if let Some(last) = chars.iter_mut().rev().find(|c| c.is_ascii_alphanumeric()) {
                *last = swap(*last);
            }
            chars.into_iter().collect()
        }
    }
}

#[test]
fn whatever_is_changed_anywhere_in_a_bundle_is_noticed() {
    let original = serde_json::to_value(decided()).unwrap();
    let mut all = Vec::new();
    places(&original, "", &mut all);
    let (mut n_tampered, mut unnoticed) = (0, Vec::new());
    for path in &all {
        for changed in tampered(original.pointer(path).unwrap()) {
            let mut bundle = original.clone();
            *bundle.pointer_mut(path).unwrap() = changed;
            if bundle == original {
                continue;
            }
            n_tampered += 1;
            if verified(&bundle) {
                unnoticed.push(path.clone());
            }
        }
    }
    assert!(n_tampered > 400, "{n_tampered}");
    assert_eq!(unnoticed, Vec::<String>::new(), "of {n_tampered}");
}

/// Somebody who changes a bundle and mends every digest still lacks the keys.
#[test]
fn mending_the_digests_after_a_change_does_not_help() {
    let mut bundle = decided();
    let board = bundle.boards.values_mut().next().unwrap();
    board.results[0].outcome = AttemptOutcome::Pass;
    let results = sm_release::proof::digest_of(&board.results);
    bundle.evidence.boards.values_mut().next().unwrap().results = results;
    let evidence = sm_release::proof::digest_of(&bundle.evidence);
    bundle.case.poll.evidence = evidence;
    bundle.decision.statement.evidence = evidence;
    for ballot in &mut bundle.case.ballots {
        ballot.statement.evidence = evidence;
    }
    bundle.decision.statement.ballots =
        bundle.case.ballots.iter().map(sm_release::proof::digest_of).collect();
    bundle.decision.statement.case = sm_release::proof::digest_of(&bundle.case);
    let verification = verify(&bundle, None);
    let wrong: Vec<&str> = verification
        .checks
        .iter()
        .filter(|check| check.wrong.is_some())
        .map(|check| check.what.as_str())
        .collect();
    for what in ["ballot: alice Go", "ballot: bob Go", "decision: signed by dan"] {
        assert!(wrong.contains(&what), "{what} in {wrong:?}");
    }
}

#[test]
fn other_maintainers_with_keys_of_their_own_are_noticed_by_whoever_has_the_file() {
    let bundle = decided();
    let others = maintainers().replace("\"alice\"", "\"alice2\"");
    let known = Maintainers::parse(&others).unwrap();
    assert!(!verify(&bundle, Some(&known)).holds());
}

#[test]
fn attached_documents_must_say_what_the_evidence_says() {
    let mut bundle = decided();
    let stranger = "not named by anything".to_owned();
    bundle.documents.insert(sm_release::proof::digest_bytes(stranger.as_bytes()), stranger);
    let verification = verify(&bundle, None);
    assert!(verification.to_string().contains("neither the evidence nor a vote names it"), "{verification}");
    let manifest = bundle.evidence.boards.values().next().unwrap().manifest;
    bundle.documents = [(manifest, "{}".to_owned())].into();
    let verification = verify(&bundle, None);
    assert!(verification.to_string().contains("it was changed"), "{verification}");
}
