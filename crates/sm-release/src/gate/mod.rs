//! Gates: whether the evidence shows what the policy asks for, requirement by requirement, with the way out of every no.
//!
//! A missing or skipped result is unsatisfied, never green. A waiver lifts one requirement under one scenario for one manifest
//! and nothing else. Where no policy applies, the gate is closed.

mod ask;
pub mod facts;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sm_model::{
    Board, Channel, Date, ItemId, Sha256, Timestamp, Version,
    evidence::{Candidate, ImageDiff, TestLine},
    statement::Waiver,
    test_report::Scenario,
    train::Move,
};

use crate::{
    quarantine::{Quarantine, over_budget},
    rules::{
        Policy,
        policy::{Ask, Context, Level, MoveKind},
    },
};
use facts::Finding;

/// What is known about one board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardInputs {
    /// What was composed.
    pub candidate: Candidate,
    /// Attempts of every report, in the order they came.
    pub results: Vec<TestLine>,
    /// How it differs from the release before.
    pub diff: Option<ImageDiff>,
}

/// Everything that a gate looks at.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The channel that the release is for.
    pub channel: Channel,
    /// What it is to be there.
    pub wanted: Option<Move>,
    /// The release before it.
    pub previous: Option<Version>,
    /// Evidence of each board.
    pub boards: &'a BTreeMap<Board, BoardInputs>,
    /// Facts about the release as a whole.
    pub facts: BTreeMap<String, Finding>,
    /// Waivers that two people stand behind.
    pub waivers: Vec<&'a Waiver>,
    /// Known failures that are muted.
    pub quarantines: &'a [Quarantine],
    /// The rules.
    pub policy: &'a Policy,
    /// Day on which the subject came to be: the rules of that day hold for it.
    pub subject_day: Date,
    /// The instant of the question.
    pub now: Timestamp,
}

/// How things stand with one requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// The evidence shows it.
    Satisfied,
    /// It failed in a way that is known and muted.
    Muted,
    /// Two people waived it.
    Waived {
        /// The waiver.
        waiver: ItemId,
    },
    /// The evidence does not show it.
    Unsatisfied,
}

/// One requirement under one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The test or fact: what a waiver names.
    pub requirement: String,
    /// Under which circumstances: what a waiver names as well.
    pub scenario: Scenario,
    /// With which weight.
    pub level: Level,
    /// How it stands.
    #[serde(flatten)]
    pub status: Status,
    /// What the evidence says.
    pub because: String,
    /// What would lift it; empty when nothing has to be.
    pub lift: String,
}

impl Item {
    /// Whether it keeps the gate closed.
    pub fn closes(&self) -> bool {
        match (self.level, &self.status) {
            (Level::Informing, _) | (_, Status::Satisfied) => false,
            (Level::NeverWaive, _) => true,
            (Level::Blocking, status) => *status == Status::Unsatisfied,
        }
    }

    /// The requirement with its scenario: `boot.uefi (board amd64-usr, firmware bios)`.
    pub fn name(&self) -> String {
        named(&self.requirement, &self.scenario)
    }
}

/// A requirement with its scenario, for people.
pub fn named(requirement: &str, scenario: &Scenario) -> String {
    if scenario.is_empty() {
        return requirement.to_owned();
    }
    let words: Vec<String> = scenario.iter().map(|(key, value)| format!("{key} {value}")).collect();
    format!("{requirement} ({})", words.join(", "))
}

/// The answer of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which gate.
    pub context: Context,
    /// For which channel.
    pub channel: Channel,
    /// Whether it is open.
    pub open: bool,
    /// Policies that were asked.
    pub policies: Vec<String>,
    /// Every requirement.
    pub items: Vec<Item>,
}

impl Report {
    /// What keeps the gate closed.
    pub fn closing(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.closes())
    }

    /// Waivers that it rests on.
    pub fn waivers(&self) -> impl Iterator<Item = ItemId> {
        self.items.iter().filter_map(|item| match item.status {
            Status::Waived { waiver } => Some(waiver),
            _ => None,
        })
    }
}

/// Asks a gate.
pub fn check(context: Context, inputs: &Inputs<'_>) -> Report {
    let gates: Vec<_> = inputs.policy.gates(context, inputs.channel, inputs.subject_day).collect();
    let policies: Vec<String> = gates.iter().map(|gate| gate.id.clone()).collect();
    let applies = |moves: &[MoveKind]| {
        moves.is_empty() || inputs.wanted.is_none_or(|wanted| moves.contains(&MoveKind::of(wanted)))
    };
    let requirements = gates.iter().flat_map(|gate| &gate.requirements).filter(|r| applies(&r.moves));
    let mut items: Vec<Item> = requirements.flat_map(|r| ask::answer(r, inputs)).collect();
    items.extend(no_policy(context, &policies, inputs.channel));
    items.extend(too_much_is_muted(&items));
    let open = !items.iter().any(Item::closes);
    Report { context, channel: inputs.channel, open, policies, items }
}

fn no_policy(context: Context, policies: &[String], channel: Channel) -> Option<Item> {
    policies.is_empty().then(|| Item {
        requirement: "policy".to_owned(),
        scenario: Scenario::new(),
        level: Level::NeverWaive,
        status: Status::Unsatisfied,
        because: format!("no policy is in force for `{context}` on {channel}"),
        lift: "a policy in `policy.toml` whose context, channels and days fit".to_owned(),
    })
}

/// When too large a share is muted the gate closes by itself: quarantine is for exceptions.
fn too_much_is_muted(items: &[Item]) -> Option<Item> {
    let blocking = items.iter().filter(|item| item.level == Level::Blocking && !item.scenario.is_empty());
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let n_muted = count(items.iter().filter(|item| item.status == Status::Muted).count());
    let n_blocking = count(blocking.count());
    // One muted test never closes a gate by itself: in a short list it would always be too large a share.
    (n_muted > 1 && over_budget(n_muted, n_blocking)).then(|| Item {
        requirement: facts::MUTED_OVER_BUDGET.to_owned(),
        scenario: Scenario::new(),
        level: Level::NeverWaive,
        status: Status::Unsatisfied,
        because: format!(
            "{n_muted} of {n_blocking} blocking results are muted, at most one in twenty may be"
        ),
        lift: "mending the tests, so that quarantines end".to_owned(),
    })
}

/// The waiver that lifts a requirement under a scenario, if there is one for these manifests now.
fn waived(
    inputs: &Inputs<'_>,
    manifests: &[Sha256],
    requirement: &str,
    scenario: &Scenario,
) -> Option<ItemId> {
    let fits = |waiver: &&&Waiver| {
        manifests.contains(&waiver.manifest)
            && waiver.requirement == requirement
            && waiver.scenario == *scenario
            && waiver.at <= inputs.now
            && inputs.now < waiver.expires
    };
    inputs.waivers.iter().find(fits).map(|waiver| waiver.id)
}

/// What a requirement asks for, in words.
pub fn wanted(ask: &Ask) -> String {
    match ask {
        Ask::Tests { n_passes: 1, .. } => "passes".to_owned(),
        Ask::Tests { n_passes, .. } => format!("passes {n_passes} times"),
        Ask::Fact { min: Some(min), max: Some(max), .. } if min == max => format!("is {min}"),
        Ask::Fact { min: Some(min), max: Some(max), .. } => format!("lies between {min} and {max}"),
        Ask::Fact { min: Some(min), .. } => format!("is {min} or more"),
        Ask::Fact { max, .. } => format!("is {} or less", max.unwrap_or(i64::MAX)),
    }
}

impl fmt::Display for Report {
    /// One line per requirement, what closes the gate first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.open { "open" } else { "closed" };
        let policies =
            if self.policies.is_empty() { "no policy".to_owned() } else { self.policies.join(", ") };
        write!(f, "gate {} for {}: {state} ({policies})", self.context, self.channel)?;
        let mut items: Vec<&Item> = self.items.iter().collect();
        items.sort_by_key(|item| (!item.closes(), rank(&item.status)));
        for item in items {
            let mark = match (&item.status, item.closes()) {
                (Status::Satisfied, _) => "ok    ",
                (Status::Muted, false) => "muted ",
                (Status::Waived { .. }, false) => "waived",
                (_, true) => "NO    ",
                (_, false) => "note  ",
            };
            write!(f, "\n  {mark} {}: {} [{}]", item.name(), item.because, item.level.word())?;
            if item.closes() {
                write!(f, "\n         lifted by {}", item.lift)?;
            }
        }
        Ok(())
    }
}

const fn rank(status: &Status) -> u8 {
    match status {
        Status::Unsatisfied => 0,
        Status::Waived { .. } => 1,
        Status::Muted => 2,
        Status::Satisfied => 3,
    }
}
