//! Gates under every kind of evidence: none, bad, muted, waived, taken away.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sm_model::{
    Board, Channel, Handle, ItemId, Sha256,
    evidence::{Candidate, TestLine},
    statement::Waiver,
    test_report::{AttemptOutcome, FailureSignature, Isolation, Scenario},
};

use super::{BoardInputs, Inputs, Report, Status, check, facts::Finding};
use crate::{
    quarantine::Quarantine,
    rules::{Policy, policy::Context},
};

const POLICY: &str = r#"
[suite]
tests = ["boot.uefi", "net.dhcp", "update.apply"]
[[policy]]
id = "go"
context = "go"
channels = "all"
[[policy.require]]
tests = "update.*"
level = "never-waive"
[[policy.require]]
tests = ["boot.uefi", "net.dhcp"]
level = "blocking"
[[policy.require]]
fact = "blockers.open"
max = 0
level = "blocking"
[[policy.require]]
fact = "image.usr-bytes"
max = 1000
level = "informing"
"#;

fn line(test: &str, outcome: AttemptOutcome) -> TestLine {
    let failed = matches!(outcome, AttemptOutcome::Fail);
    TestLine {
        test: test.parse().unwrap(),
        scenario: [("firmware".to_owned(), "uefi".to_owned())].into(),
        isolation: Isolation::Suite,
        outcome,
        signature: failed.then_some(FailureSignature(Sha256([7; 32]))),
    }
}

fn passing() -> Vec<TestLine> {
    ["boot.uefi", "net.dhcp", "update.apply"].map(|test| line(test, AttemptOutcome::Pass)).into()
}

fn world(results: Vec<TestLine>) -> BTreeMap<Board, BoardInputs> {
    let candidate = Candidate {
        manifest: Sha256([1; 32]),
        version: "4893.0.0".parse().unwrap(),
        usr_size_bytes: 900,
        packages: [].into(),
    };
    [("amd64-usr".parse().unwrap(), BoardInputs { candidate, results, diff: None })].into()
}

fn waiver(requirement: &str, board: &str, manifest: u8) -> Waiver {
    Waiver {
        format: Waiver::FORMAT,
        id: ItemId(7),
        manifest: Sha256([manifest; 32]),
        requirement: requirement.to_owned(),
        scenario: [("board".to_owned(), board.to_owned())].into(),
        reason: "known".to_owned(),
        by: "bob".parse::<Handle>().unwrap(),
        at: "2026-12-01T00:00:00Z".parse().unwrap(),
        expires: "2026-12-04T00:00:00Z".parse().unwrap(),
    }
}

struct Case {
    boards: BTreeMap<Board, BoardInputs>,
    waivers: Vec<Waiver>,
    quarantines: Vec<Quarantine>,
    facts: BTreeMap<String, Finding>,
    policy: Policy,
}

impl Case {
    fn of(results: Vec<TestLine>) -> Case {
        Case {
            boards: world(results),
            waivers: vec![],
            quarantines: vec![],
            facts: [("blockers.open".to_owned(), Finding::number(0))].into(),
            policy: Policy::parse(POLICY).unwrap(),
        }
    }

    fn ask(&self, context: Context) -> Report {
        let inputs = Inputs {
            channel: Channel::Alpha,
            wanted: None,
            previous: None,
            boards: &self.boards,
            facts: self.facts.clone(),
            waivers: self.waivers.iter().collect(),
            quarantines: &self.quarantines,
            policy: &self.policy,
            subject_day: "2026-12-01".parse().unwrap(),
            now: "2026-12-02T12:00:00Z".parse().unwrap(),
        };
        check(context, &inputs)
    }

    fn closing(&self) -> Vec<String> {
        self.ask(Context::Go).closing().map(|item| item.requirement.clone()).collect()
    }
}

#[test]
fn a_gate_opens_when_everything_is_shown() {
    let report = Case::of(passing()).ask(Context::Go);
    assert!(report.open, "{report}");
    assert_eq!(report.items.len(), 5);
}

#[test]
fn a_gate_without_a_policy_is_closed() {
    let report = Case::of(passing()).ask(Context::Publish);
    assert!(!report.open);
    assert!(report.to_string().contains("no policy is in force for `publish` on alpha"), "{report}");
}

#[test]
fn a_gate_without_evidence_is_closed_and_says_what_is_missing() {
    let mut case = Case::of(vec![]);
    assert_eq!(case.closing(), ["update.apply", "boot.uefi", "net.dhcp"]);
    case.boards.clear();
    case.facts.clear();
    assert_eq!(case.closing(), ["update.apply", "boot.uefi", "net.dhcp", "blockers.open"]);
}

#[test]
fn skipped_and_errored_results_are_not_results() {
    for outcome in [
        AttemptOutcome::Skip { reason: "r".to_owned() },
        AttemptOutcome::Error { class: "c".to_owned() },
        AttemptOutcome::NotYet { reason: "r".to_owned() },
        AttemptOutcome::Cancelled,
    ] {
        let mut results = passing();
        results[0].outcome = outcome;
        assert_eq!(Case::of(results).closing(), ["boot.uefi"]);
    }
}

#[test]
fn a_waiver_lifts_what_it_names_and_nothing_never_waive() {
    let mut results = passing();
    results[0].outcome = AttemptOutcome::Fail;
    results[2].outcome = AttemptOutcome::Fail;
    let mut case = Case::of(results);
    case.waivers = vec![waiver("boot.uefi", "amd64-usr", 1), waiver("update.apply", "amd64-usr", 1)];
    assert_eq!(case.closing(), ["update.apply"]);
    assert_eq!(case.ask(Context::Go).waivers().collect::<Vec<_>>(), [ItemId(7)]);
}

#[test]
fn a_waiver_that_has_ended_or_not_begun_lifts_nothing() {
    let mut results = passing();
    results[0].outcome = AttemptOutcome::Fail;
    for (at, expires) in
        [("2026-12-01T00:00:00Z", "2026-12-02T12:00:00Z"), ("2026-12-02T13:00:00Z", "2026-12-09T00:00:00Z")]
    {
        let mut case = Case::of(results.clone());
        let waiver = waiver("boot.uefi", "amd64-usr", 1);
        case.waivers = vec![Waiver { at: at.parse().unwrap(), expires: expires.parse().unwrap(), ..waiver }];
        assert_eq!(case.closing(), ["boot.uefi"]);
    }
}

fn quarantine(test: &str) -> Quarantine {
    Quarantine {
        test: test.parse().unwrap(),
        scenario: [("firmware".to_owned(), "uefi".to_owned())].into(),
        signature: FailureSignature(Sha256([7; 32])),
        channel: Channel::Alpha,
        opened: "2026-11-30T00:00:00Z".parse().unwrap(),
        expires: "2026-12-10T00:00:00Z".parse().unwrap(),
        n_extensions: 0,
        owner: "bob".to_owned(),
        approved_by: "carol".to_owned(),
        issue: "#1".to_owned(),
    }
}

#[test]
fn a_known_failure_is_muted_but_too_many_close_the_gate() {
    let mut results = passing();
    results[1] = line("net.dhcp", AttemptOutcome::Fail);
    let mut case = Case::of(results);
    case.quarantines = vec![quarantine("net.dhcp"), quarantine("boot.uefi")];
    let report = case.ask(Context::Go);
    assert!(report.open && report.items.iter().any(|item| item.status == Status::Muted), "{report}");
    case.boards.values_mut().for_each(|board| board.results[0] = line("boot.uefi", AttemptOutcome::Fail));
    assert_eq!(case.closing(), ["quarantine.over-budget"]);
}

#[test]
fn quarantine_does_not_satisfy_what_nobody_may_waive() {
    let mut results = passing();
    results[2] = line("update.apply", AttemptOutcome::Fail);
    let mut case = Case::of(results);
    case.quarantines = vec![quarantine("update.apply")];
    assert_eq!(case.closing(), ["update.apply"]);
}

fn outcomes() -> impl Strategy<Value = AttemptOutcome> {
    prop_oneof![
        3 => Just(AttemptOutcome::Pass),
        1 => Just(AttemptOutcome::Fail),
        1 => Just(AttemptOutcome::Skip { reason: "r".to_owned() }),
        1 => Just(AttemptOutcome::Error { class: "c".to_owned() }),
    ]
}

fn any_results() -> impl Strategy<Value = Vec<TestLine>> {
    let tests = prop::sample::select(vec!["boot.uefi", "net.dhcp", "update.apply", "foreign.test"]);
    prop::collection::vec((tests, outcomes()).prop_map(|(test, outcome)| line(test, outcome)), 0..12)
}

proptest! {
    #[test]
    fn a_gate_never_opens_by_taking_away_what_is_known_about_something(results in any_results(), test in 0..4_usize) {
        let test = ["boot.uefi", "net.dhcp", "update.apply", "foreign.test"][test];
        let without: Vec<TestLine> =
            results.iter().filter(|line| line.test.as_str() != test).cloned().collect();
        let (before, after) = (Case::of(results).ask(Context::Go), Case::of(without).ask(Context::Go));
        prop_assert!(before.open || !after.open, "{before}\n{after}");
    }

    #[test]
    fn a_gate_never_opens_by_taking_away_facts_or_the_candidate(results in any_results(), n_blockers in 0..3_i64) {
        let mut case = Case::of(results);
        case.facts.insert("blockers.open".to_owned(), Finding::number(n_blockers));
        let mut without = Case { facts: BTreeMap::new(), ..case };
        prop_assert!(!without.ask(Context::Go).open);
        without.boards.clear();
        prop_assert!(!without.ask(Context::Go).open);
    }

    #[test]
    fn a_gate_never_opens_by_a_waiver_for_something_else(
        results in any_results(), which in 0..3_usize, what in 0..4_usize, secs in 0..1_000_000_i64,
    ) {
        let case = Case::of(results);
        let before = case.ask(Context::Go);
        let requirement = ["boot.uefi", "net.dhcp", "update.apply"][which];
        let other = match what {
            0 => waiver(requirement, "amd64-usr", 2),
            1 => waiver(requirement, "arm64-usr", 1),
            2 => Waiver { scenario: Scenario::new(), ..waiver(requirement, "amd64-usr", 1) },
            _ => waiver(&format!("{requirement}.x{secs}"), "amd64-usr", 1),
        };
        let after = Case { waivers: vec![other], ..case }.ask(Context::Go);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn a_gate_never_opens_while_something_that_nobody_may_waive_is_not_shown(
        results in any_results(), waived in prop::collection::vec(0..3_usize, 0..3),
    ) {
        let mut case = Case::of(results.clone());
        let names = ["boot.uefi", "net.dhcp", "update.apply"];
        case.waivers = waived.iter().map(|n| waiver(names[*n], "amd64-usr", 1)).collect();
        case.quarantines = vec![quarantine("update.apply")];
        let updates = || results.iter().filter(|line| line.test.as_str() == "update.apply");
        let shown = updates().any(|line| line.outcome == AttemptOutcome::Pass)
            && !updates().any(|line| line.outcome == AttemptOutcome::Fail);
        prop_assert!(shown || !case.ask(Context::Go).open);
    }
}
