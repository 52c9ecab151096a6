//! From the text of `policy.toml` to a policy, with every mistake told at once.

use std::{collections::BTreeSet, str::FromStr};

use sm_model::{
    Channel, Date,
    test_report::{Scenario, TestId},
};

use super::{
    policy::{Ask, Channels, Gate, Level, Policy, Requirement, VotingText},
    text::{At, Problem, Reader, Section},
};
use crate::proof::Strength;

/// Scenarios of one requirement at most: stops lists that multiply.
const MAX_SCENARIOS: usize = 256;

pub(super) fn parse(text: &str) -> Result<Policy, Vec<Problem>> {
    Reader::read(text, |root, reader| {
        let tests = suite(root, reader);
        let mut policy = Policy { tests, components: components(root, reader), ..Policy::default() };
        voting(root, &mut policy, reader);
        let mut ids = BTreeSet::new();
        for mut section in root.tables("policy", reader) {
            if let Some(gate) = gate(&mut section, &policy.tests, reader) {
                if !ids.insert(gate.id.clone()) {
                    reader.note(section.offset(), format!("policy `{}` is there twice", gate.id));
                }
                policy.gates.push(gate);
            }
            section.finish(reader);
        }
        policy
    })
}

fn suite(root: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Vec<TestId> {
    let Some(mut section) = root.table("suite", reader) else { return Vec::new() };
    let tests = section.list::<TestId>("tests", reader);
    let mut seen = BTreeSet::new();
    for at in &tests {
        if !seen.insert(&at.value) {
            reader.note(at.offset, format!("test `{}` is listed twice", at.value));
        }
    }
    section.finish(reader);
    tests.into_iter().map(|at| at.value).collect()
}

fn components(root: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Vec<String> {
    let Some(mut section) = root.table("soak", reader) else { return Vec::new() };
    let names = section.list::<String>("components", reader).into_iter().map(|at| at.value).collect();
    section.finish(reader);
    names
}

fn voting(root: &mut Section<'_, '_>, policy: &mut Policy, reader: &mut Reader<'_>) {
    for (name, mut section) in root.named("go", reader) {
        let open_minutes = section.integer("open-minutes", reader);
        if let Some(at) = open_minutes.as_ref().filter(|at| at.value < 0) {
            reader.note(at.offset, "votes cannot be open for less than 0 minutes");
        }
        let proof = section.parsed::<ProofWord>("proof", reader).map(|at| at.value.0);
        let written = VotingText { open_minutes: open_minutes.map(|at| at.value), proof };
        section.finish(reader);
        match (name.as_str(), name.parse::<Channel>()) {
            ("lts", _) => policy.lts_voting = written,
            (_, Ok(channel)) => drop(policy.voting.insert(channel, written)),
            (_, Err(error)) => reader.note(section.offset(), error.to_string()),
        }
    }
}

struct ProofWord(Strength);

impl FromStr for ProofWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "signature" => Ok(ProofWord(Strength::Signature)),
            "room" => Ok(ProofWord(Strength::Room)),
            _ => Err(format!(
                "unknown proof `{}`: expected `signature` or `room` (a message in the chat room suffices)",
                text.escape_debug()
            )),
        }
    }
}

fn gate(section: &mut Section<'_, '_>, tests: &[TestId], reader: &mut Reader<'_>) -> Option<Gate> {
    let id = section.required::<String>("id", reader);
    let context = section.required("context", reader);
    let channels: Vec<Channels> = section.list("channels", reader).into_iter().map(|at| at.value).collect();
    if channels.is_empty() {
        reader.note(section.offset(), "`channels` is missing: name one or more, or `all`");
    }
    let [since, until] = ["valid-since", "valid-until"].map(|key| section.date(key, reader));
    if let (Some(since), Some(until)) = (&since, &until)
        && until.value < since.value
    {
        reader.note(until.offset, "the policy ends before it begins");
    }
    let mut requirements = Vec::new();
    let sections = section.tables("require", reader);
    if sections.is_empty() {
        reader.note(section.offset(), "the policy requires nothing: add `[[policy.require]]`");
    }
    for mut section in sections {
        requirements.extend(requirement(&mut section, tests, reader));
        section.finish(reader);
    }
    Some(Gate {
        id: id?.value,
        context: context?.value,
        channels,
        valid_since: since.map_or_else(always, |at| at.value),
        valid_until: until.map(|at| at.value),
        requirements,
    })
}

/// The day before all releases: the epoch that versions count from.
fn always() -> Date {
    "2013-07-01".parse().expect("the literal is a date")
}

fn requirement(
    section: &mut Section<'_, '_>,
    tests: &[TestId],
    reader: &mut Reader<'_>,
) -> Option<Requirement> {
    let level = section.required::<Level>("level", reader);
    let moves = section.list("moves", reader).into_iter().map(|at| at.value).collect();
    let patterns = section.list::<String>("tests", reader);
    let fact = section.parsed::<String>("fact", reader);
    let scenarios = scenarios(section, reader);
    let passes = section.integer("passes", reader);
    let [min, max] = ["min", "max"].map(|key| section.integer(key, reader).map(|at| at.value));
    let ask = match (fact, patterns.is_empty()) {
        (Some(fact), true) => fact_ask(fact, min, max, section.offset(), reader)?,
        (None, false) => Ask::Tests {
            tests: expand(&patterns, tests, reader),
            scenarios,
            n_passes: n_passes(passes, reader),
        },
        _ => {
            reader.note(section.offset(), "a requirement has either `tests` or a `fact`");
            return None;
        }
    };
    Some(Requirement { ask, level: level?.value, moves })
}

fn fact_ask(
    fact: At<String>,
    min: Option<i64>,
    max: Option<i64>,
    offset: usize,
    reader: &mut Reader<'_>,
) -> Option<Ask> {
    if !crate::gate::facts::is_fact_name(&fact.value) {
        reader.note(
            fact.offset,
            format!(
                "`{}` is not the name of a fact: expected dotted words of a-z, 0-9 and `-`",
                fact.value.escape_debug()
            ),
        );
    }
    match (min, max) {
        (None, None) => {
            reader.note(offset, format!("`{}` has no bound: give `min`, `max` or both", fact.value));
            None
        }
        (Some(min), Some(max)) if max < min => {
            reader.note(offset, format!("`{}` can never lie between {min} and {max}", fact.value));
            None
        }
        _ => Some(Ask::Fact { fact: fact.value, min, max }),
    }
}

fn n_passes(written: Option<At<i64>>, reader: &mut Reader<'_>) -> u32 {
    let Some(at) = written else { return 1 };
    u32::try_from(at.value).ok().filter(|n| *n >= 1).unwrap_or_else(|| {
        reader.note(at.offset, format!("`passes` is {}, expected 1 or more", at.value));
        1
    })
}

/// The tests that patterns stand for, each once.
fn expand(patterns: &[At<String>], tests: &[TestId], reader: &mut Reader<'_>) -> Vec<TestId> {
    let mut found = BTreeSet::new();
    for pattern in patterns {
        let before = found.len();
        let matching = tests.iter().filter(|test| matches(&pattern.value, test.as_str()));
        let n_matching = matching.map(|test| found.insert(test.clone())).count();
        if n_matching == 0 && found.len() == before {
            reader.note(
                pattern.offset,
                format!(
                    "`{}` stands for no test of `[suite]`: list the test there",
                    pattern.value.escape_debug()
                ),
            );
        }
    }
    found.into_iter().collect()
}

/// Whether a pattern (a name, or the beginning of one and `*`) stands for a name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Every combination of the values of `scenario`.
fn scenarios(section: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Vec<Scenario> {
    let mut all = vec![Scenario::new()];
    for (key, values) in section.free("scenario", reader) {
        if values.is_empty() || all.len() * values.len() > MAX_SCENARIOS {
            reader.note(section.offset(), format!("`scenario.{key}` has no value, or far too many"));
            continue;
        }
        let with = |scenario: &Scenario, value: &String| {
            let mut scenario = scenario.clone();
            scenario.insert(key.clone(), value.clone());
            scenario
        };
        all = all.iter().flat_map(|scenario| values.iter().map(|value| with(scenario, value))).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::policy::{Context, MoveKind};
    use sm_model::train::Urgency;

    const GOOD: &str = r#"
[suite]
tests = ["boot.uefi", "boot.bios", "update.apply"]

[soak]
components = ["linux-image-*", "systemd"]

[go.alpha]
open-minutes = 60
proof = "room"

[[policy]]
id = "go-stable"
context = "go"
channels = ["stable", "lts"]
valid-since = 2026-01-01

[[policy.require]]
tests = "boot.*"
scenario = { arch = ["amd64", "arm64"], accel = "tcg" }
level = "never-waive"
passes = 3

[[policy.require]]
fact = "image.new-setuid"
max = 0
level = "blocking"
moves = ["promote"]
"#;

    #[test]
    fn a_policy_says_what_it_says() {
        let policy = parse(GOOD).unwrap();
        let gate = &policy.gates[0];
        let Ask::Tests { tests, scenarios, n_passes } = &gate.requirements[0].ask else { panic!("tests") };
        let names: Vec<_> = tests.iter().map(TestId::as_str).collect();
        assert_eq!((names, scenarios.len(), *n_passes), (vec!["boot.bios", "boot.uefi"], 2, 3));
        assert_eq!(gate.requirements[1].moves, [MoveKind::Promote]);
        let day = |text: &str| text.parse().unwrap();
        assert!(gate.applies(Context::Go, Channel::Lts(2026), day("2026-01-01")));
        assert!(!gate.applies(Context::Go, Channel::Stable, day("2025-12-31")));
        assert!(!gate.applies(Context::Publish, Channel::Stable, day("2026-01-01")));
    }

    #[test]
    fn votes_are_open_for_as_long_as_the_channel_asks_for() {
        let policy = parse(GOOD).unwrap();
        let expedited = Urgency::Expedited { reason: "exploited".to_owned() };
        let open = |channel, urgency: &Urgency| policy.voting(channel, urgency).open_minutes;
        assert_eq!(open(Channel::Alpha, &Urgency::Normal), 60);
        assert_eq!(open(Channel::Beta, &Urgency::Normal), 180);
        assert_eq!(open(Channel::Stable, &Urgency::Normal), 1440);
        assert_eq!(open(Channel::Lts(2026), &Urgency::Normal), 1440);
        assert_eq!(open(Channel::Stable, &expedited), 30);
        assert_eq!(policy.voting(Channel::Alpha, &Urgency::Normal).proof, Strength::Room);
        assert_eq!(policy.voting(Channel::Beta, &Urgency::Normal).proof, Strength::Signature);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = r#"
[suite]
tests = ["boot.uefi", "Boot", "boot.uefi"]
[go.gamma]
proof = "trust"
[[policy]]
id = "a"
context = "lunch"
channels = []
valid-since = 2026-02-30
[[policy]]
id = "a"
context = "go"
channels = "stable"
valid-since = 2026-02-01
valid-until = 2026-01-01
[[policy.require]]
tests = "update.*"
level = "maybe"
passes = 0
[[policy.require]]
fact = "image size"
max = 1
min = 2
level = "blocking"
[[policy.require]]
level = "blocking"
waivable = true
"#;
        let problems: Vec<String> = parse(text).unwrap_err().iter().map(ToString::to_string).collect();
        let parts = [
            (3, "`Boot` is not a test name"),
            (3, "`boot.uefi` is listed twice"),
            (4, "unknown channel `gamma`"),
            (5, "unknown proof `trust`"),
            (6, "requires nothing"),
            (6, "`channels` is missing"),
            (8, "unknown context `lunch`"),
            (16, "ends before it begins"),
            (18, "stands for no test"),
            (19, "unknown level `maybe`"),
            (20, "`passes` is 0"),
            (22, "`image size` is not the name of a fact"),
            (21, "can never lie between 2 and 1"),
            (26, "either `tests` or a `fact`"),
            (28, "unknown key `waivable`"),
        ];
        for (line, part) in parts {
            let told = problems.iter().any(|p| p.starts_with(&format!("{line}:")) && p.contains(part));
            assert!(told, "line {line}: {part} in {problems:#?}");
        }
        assert!(problems.iter().any(|p| p.starts_with("10:")), "{problems:#?}");
    }
}
