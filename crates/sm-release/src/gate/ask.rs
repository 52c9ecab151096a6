//! One requirement asked of the evidence: tests by all their attempts, facts by their numbers.

use std::collections::BTreeMap;

use sm_model::{
    Board, Sha256,
    evidence::TestLine,
    test_report::{Scenario, TestId},
};

use super::{
    BoardInputs, Inputs, Item, Status,
    facts::{self, Finding},
    waived, wanted,
};
use crate::{
    quarantine::{self, Subject},
    rules::policy::{Ask, Level, Requirement},
    verdict::{Tally, Verdict},
};

/// What is said of a fact that nobody recorded.
const UNKNOWN: &str = "it is not known";

/// The items of one requirement: one for each board, test and scenario.
pub(super) fn answer(requirement: &Requirement, inputs: &Inputs<'_>) -> Vec<Item> {
    let level = requirement.level;
    match &requirement.ask {
        Ask::Tests { tests, scenarios, n_passes } => {
            let boards = boards_or_nothing(inputs);
            let each = boards.iter().flat_map(|(board, evidence)| {
                tests.iter().flat_map(move |test| {
                    scenarios.iter().map(move |scenario| (*board, *evidence, test, scenario))
                })
            });
            each.map(|(board, evidence, test, scenario)| {
                Question { inputs, level, board, evidence }.test(test, scenario, *n_passes)
            })
            .collect()
        }
        Ask::Fact { fact, .. } if facts::is_about_image(fact) => {
            let boards = boards_or_nothing(inputs);
            let each = boards.into_iter().map(|(board, evidence)| {
                let question = Question { inputs, level, board, evidence };
                let finding = evidence.and_then(|evidence| {
                    facts::of_image(fact, &evidence.candidate, evidence.diff.as_ref(), inputs.previous)
                });
                question.fact(fact, finding, &requirement.ask)
            });
            each.collect()
        }
        Ask::Fact { fact, .. } => {
            let question = Question { inputs, level, board: None, evidence: None };
            vec![question.fact(fact, inputs.facts.get(fact).cloned(), &requirement.ask)]
        }
    }
}

/// Every board; or, when nothing was composed, nothing: so that a requirement is never passed over.
fn boards_or_nothing<'a>(inputs: &Inputs<'a>) -> Vec<(Option<Board>, Option<&'a BoardInputs>)> {
    if inputs.boards.is_empty() {
        return vec![(None, None)];
    }
    inputs.boards.iter().map(|(board, evidence)| (Some(*board), Some(evidence))).collect()
}

/// What is asked about, and with which weight.
struct Question<'a, 'i> {
    inputs: &'a Inputs<'i>,
    level: Level,
    board: Option<Board>,
    evidence: Option<&'i BoardInputs>,
}

impl Question<'_, '_> {
    fn test(&self, test: &TestId, scenario: &Scenario, n_passes: u32) -> Item {
        let tallies =
            self.evidence.map(|evidence| tallies(&evidence.results, test, scenario)).unwrap_or_default();
        let (status, because) = self.judge(test, &tallies, n_passes);
        let lift = match (self.level, tallies.is_empty()) {
            (Level::NeverWaive, true) => "a test run that has this result",
            (Level::NeverWaive, false) => "a candidate that passes: nobody can waive this",
            (_, true) => "a test run that has this result, or a waiver by two people",
            (_, false) => "a candidate that passes, or a waiver by two people",
        };
        self.item(test.as_str(), scenario.clone(), status, because, lift)
    }

    fn judge(&self, test: &TestId, tallies: &BTreeMap<&Scenario, Tally>, n_passes: u32) -> (Status, String) {
        let Some(worst) = tallies.values().map(Tally::verdict).max_by_key(|verdict| badness(*verdict)) else {
            return (Status::Unsatisfied, "there is no result".to_owned());
        };
        let n_passed: u32 = tallies.values().map(|tally| tally.n_passed).sum();
        let because = words(tallies.values(), worst);
        if worst == Verdict::Passed {
            return if n_passed >= n_passes {
                (Status::Satisfied, because)
            } else {
                (Status::Unsatisfied, format!("{because}, {n_passes} passes are asked for"))
            };
        }
        let muted = |(scenario, tally): (&&Scenario, &Tally)| {
            let subject = Subject { test, scenario, channel: self.inputs.channel, now: self.inputs.now };
            tally.verdict() == Verdict::Passed
                || quarantine::is_muted(&subject, tally, self.inputs.quarantines)
        };
        if tallies.iter().all(muted) {
            (Status::Muted, format!("{because}, which is known and muted"))
        } else {
            (Status::Unsatisfied, because)
        }
    }

    fn fact(&self, fact: &str, finding: Option<Finding>, ask: &Ask) -> Item {
        let (status, because) = match finding {
            None => (Status::Unsatisfied, UNKNOWN.to_owned()),
            Some(Finding::DoesNotApply { reason }) => (Status::Satisfied, reason),
            Some(Finding::Value { value, items }) => compare(value, &items, ask),
        };
        let way = if because == UNKNOWN { facts::way_to_know(fact) } else { facts::way_to_fit(fact) };
        let lift = match self.level {
            Level::NeverWaive => format!("{way}: nobody can waive this"),
            _ => format!("{way}, or a waiver by two people"),
        };
        self.item(fact, Scenario::new(), status, because, &lift)
    }

    /// Puts the board into the scenario and looks for a waiver.
    fn item(
        &self,
        requirement: &str,
        mut scenario: Scenario,
        status: Status,
        because: String,
        lift: &str,
    ) -> Item {
        if let Some(board) = self.board {
            scenario.insert("board".to_owned(), board.to_string());
        }
        let waiver = waived(self.inputs, &self.manifests(), requirement, &scenario);
        let status = match (status, waiver, self.level) {
            (Status::Unsatisfied, Some(waiver), Level::Blocking | Level::Informing) => {
                Status::Waived { waiver }
            }
            (status, ..) => status,
        };
        let lift = if status == Status::Unsatisfied { lift.to_owned() } else { String::new() };
        Item { requirement: requirement.to_owned(), scenario, level: self.level, status, because, lift }
    }

    /// The manifests that a waiver may name: the board's, or any where the requirement is about the release as a whole.
    fn manifests(&self) -> Vec<Sha256> {
        let all = self.inputs.boards.values().map(|evidence| evidence.candidate.manifest);
        self.evidence.map_or_else(|| all.collect(), |evidence| vec![evidence.candidate.manifest])
    }
}

/// What the attempts add up to, for every set of circumstances that has all words of `scenario`.
fn tallies<'a>(results: &'a [TestLine], test: &TestId, scenario: &Scenario) -> BTreeMap<&'a Scenario, Tally> {
    let has_all = |line: &Scenario| scenario.iter().all(|(key, value)| line.get(key) == Some(value));
    let mut tallies: BTreeMap<&Scenario, Tally> = BTreeMap::new();
    for line in results.iter().filter(|line| line.test == *test && has_all(&line.scenario)) {
        let tally = tallies.remove(&line.scenario).unwrap_or_default();
        tallies.insert(&line.scenario, tally.with(&line.outcome, line.isolation, line.signature));
    }
    tallies
}

const fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Flaky => 1,
        Verdict::Skipped => 2,
        Verdict::NotYet => 3,
        Verdict::Missing => 4,
        Verdict::Errored => 5,
        Verdict::Failed => 6,
    }
}

fn words<'a>(tallies: impl Iterator<Item = &'a Tally>, worst: Verdict) -> String {
    let counts = tallies.fold((0, 0), |counts, tally| (counts.0 + tally.n_passed, counts.1 + tally.n_failed));
    match (worst, counts) {
        (Verdict::Passed, (1, _)) => "passed".to_owned(),
        (Verdict::Passed, (n, _)) => format!("passed {n} times"),
        (Verdict::Flaky | Verdict::Failed, (n_passed, n_failed)) => {
            format!("{}: {n_failed} of {} attempts failed", worst.word(), n_passed + n_failed)
        }
        _ => worst.word().to_owned(),
    }
}

fn compare(value: i64, items: &[String], ask: &Ask) -> (Status, String) {
    let (min, max) = match ask {
        Ask::Fact { min, max, .. } => (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX)),
        Ask::Tests { .. } => (i64::MIN, i64::MAX),
    };
    let listed = match items {
        [] => String::new(),
        [first] => format!(" ({first})"),
        [first, second] => format!(" ({first}; {second})"),
        [first, second, rest @ ..] => format!(" ({first}; {second}; and {} more)", rest.len()),
    };
    if (min..=max).contains(&value) {
        (Status::Satisfied, format!("{value}{listed}"))
    } else {
        (Status::Unsatisfied, format!("{value}{listed}, expected that it {}", wanted(ask)))
    }
}
