//! The checklist: every step between an idea of a release and its last announcement, who owns it, what has to be done before,
//! and whether the system does it. The union of what five projects tick off by hand.

use serde::Serialize;
use sm_model::{Role, StepId};

/// Who does a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The system, with evidence. Nobody ticks it by hand.
    Automatic,
    /// A person, with the system's help.
    Assisted,
    /// A person's judgement.
    Human,
}

/// Whether a train has a step once, or for each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Once.
    Train,
    /// For each channel.
    Channel,
}

/// A step as it is for every train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StepKind {
    /// `B5`.
    pub id: &'static str,
    /// What is done.
    pub title: &'static str,
    /// Who owns it.
    pub owner: Role,
    /// Who does it.
    pub how: How,
    /// How often a train has it.
    pub scope: Scope,
    /// Steps that come before it.
    pub after: &'static [&'static str],
    /// Whether it is about one candidate, so that a new one undoes it.
    pub per_candidate: bool,
}

impl StepKind {
    /// Its name as an identity.
    pub fn step(&self) -> StepId {
        self.id.parse().expect("ids of the table are step ids")
    }
}

use How::{Assisted, Automatic, Human};
use Role::{Build, Communication, Coordinator, Notes, Publish, Security, Test};
use Scope::{Channel, Train};

/// A row about the train or channel whatever is composed.
const fn row(
    id: &'static str,
    owner: Role,
    how: How,
    scope: Scope,
    after: &'static [&'static str],
    title: &'static str,
) -> StepKind {
    StepKind { id, title, owner, how, scope, after, per_candidate: false }
}

/// A row about one candidate of one channel.
const fn of_candidate(
    id: &'static str,
    owner: Role,
    how: How,
    after: &'static [&'static str],
    title: &'static str,
) -> StepKind {
    StepKind { id, title, owner, how, scope: Channel, after, per_candidate: true }
}

/// The checklist, section by section.
pub const TABLE: [StepKind; 49] = [
    row("P1", Coordinator, Automatic, Train, &[], "the train is on record, with coordinator and team"),
    row("P2", Coordinator, Assisted, Train, &["P1"], "access, keys, quotas and disk of the team checked"),
    row("P3", Coordinator, Assisted, Train, &["P1"], "content decided: planned items in or out"),
    row("P4", Coordinator, Assisted, Train, &["P1"], "blockers reviewed: fixed or deferred"),
    row("P5", Security, Assisted, Channel, &["P1"], "kernel, CA certificates and fixes are in"),
    row("P6", Test, Assisted, Train, &["P1"], "last nightly green or explained, not older than 36 h"),
    row("P7", Coordinator, Assisted, Train, &["P3"], "content is locked, exceptions on record"),
    row("P8", Coordinator, Automatic, Train, &["P1"], "the day is open: weekday, holidays, freezes"),
    row("B1", Build, Automatic, Channel, &["P1"], "version computed and unused"),
    row("B2", Build, Assisted, Channel, &["B1"], "branch cut or brought up"),
    row("B3", Build, Assisted, Channel, &["B1"], "inputs locked"),
    row("B4", Build, Assisted, Train, &["P2"], "whole chain rehearsed without publishing"),
    of_candidate("B5", Build, Automatic, &["B1"], "composed"),
    of_candidate("B6", Build, Assisted, &["B5"], "composed a second time, byte for byte the same"),
    row("B7", Build, Automatic, Channel, &["B1"], "release to compare with and to update from known"),
    of_candidate("B8", Build, Automatic, &["B5"], "bill of materials and manifest made"),
    of_candidate("T1", Test, Automatic, &["B5"], "tested, no required result missing"),
    of_candidate("T2", Test, Assisted, &["T1"], "failures triaged, investigations finished"),
    of_candidate("T3", Test, Assisted, &["T1"], "updates from earlier releases tested"),
    of_candidate("T4", Test, Assisted, &["T1"], "platforms tested"),
    of_candidate("T5", Test, Automatic, &["B5"], "compared with the release before"),
    of_candidate("T6", Security, Assisted, &["B5"], "vulnerabilities fixed, open and new reviewed"),
    of_candidate("T7", Test, Assisted, &["T2"], "waivers written and seconded"),
    of_candidate("N1", Notes, Automatic, &["B5"], "notes accepted"),
    row("N2", Notes, Assisted, Channel, &["N1"], "comments on the notes resolved"),
    row("N3", Notes, Human, Channel, &["N1"], "known issues and required actions are in the notes"),
    row("N4", Communication, Assisted, Train, &["N1"], "announcements rendered and approved"),
    of_candidate("G1", Coordinator, Automatic, &["T1", "T5", "N1"], "votes opened"),
    of_candidate("G2", Coordinator, Automatic, &["G1"], "votes collected, objections answered"),
    of_candidate("G3", Coordinator, Automatic, &["G2"], "decision computed and signed"),
    of_candidate("R1", Publish, Automatic, &["G3"], "point of no return acknowledged by two people"),
    of_candidate("R2", Publish, Assisted, &["B5"], "payload signed, signature verified elsewhere"),
    of_candidate("R3", Publish, Assisted, &["B5"], "staged under final names, verified, booted"),
    of_candidate(
        "R4",
        Publish,
        Automatic,
        &["P4", "P8", "B5", "B8", "T2", "N2", "N3", "G3", "R1", "R2", "R3"],
        "published, every byte read back",
    ),
    of_candidate("R5", Publish, Automatic, &["R4"], "channel points to it"),
    row("R6", Publish, Assisted, Channel, &["R4"], "release and tag in the forge"),
    row("R7", Publish, Assisted, Channel, &["R4"], "site, feeds and calendar updated"),
    row(
        "R8",
        Publish,
        Assisted,
        Channel,
        &["R4", "R7", "N2", "G3"],
        "offered by the update server, slowly at first",
    ),
    row("R9", Publish, Assisted, Channel, &["R8"], "updates from every live version lead to it"),
    row("R10", Publish, Assisted, Channel, &["R8"], "first hosts updated and healthy"),
    row("M1", Publish, Assisted, Channel, &["R4"], "marketplaces have it"),
    row("M2", Publish, Assisted, Channel, &["R4"], "what builds on it has it"),
    row("C1", Communication, Assisted, Train, &["N4", "R8"], "announced"),
    row("C2", Security, Assisted, Channel, &["R4"], "advisories published"),
    row("C3", Security, Human, Train, &["R4"], "partners told"),
    row("O1", Coordinator, Assisted, Train, &["R8"], "rollout watched, halt armed, on-call named"),
    row("O2", Publish, Assisted, Train, &["R10"], "rollout finished"),
    row("O3", Coordinator, Human, Train, &["R4"], "looked back: times, flakes, waivers, open questions"),
    row(
        "O4",
        Coordinator,
        Assisted,
        Train,
        &["O3"],
        "next train opened, old artifacts gone, support ends updated",
    ),
];

/// The step of that name.
pub fn kind(step: StepId) -> Option<&'static StepKind> {
    let name = step.to_string();
    TABLE.iter().find(|kind| kind.id == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_step_has_its_own_name_and_comes_after_earlier_rows_only() {
        let mut earlier = BTreeSet::new();
        for kind in &TABLE {
            assert_eq!(kind.step().to_string(), kind.id);
            for after in kind.after {
                assert!(earlier.contains(after), "{} comes after {after}, which is no earlier row", kind.id);
            }
            assert!(earlier.insert(kind.id), "{} is there twice", kind.id);
        }
    }

    /// What must have happened before anything is public, whatever else the table says.
    #[test]
    fn publishing_comes_after_decision_and_acknowledgement() {
        let mut before: BTreeSet<&str> = ["R4"].into();
        for kind in TABLE.iter().rev() {
            if before.contains(kind.id) {
                before.extend(kind.after);
            }
        }
        for id in ["P1", "P8", "B1", "B5", "T1", "T5", "N1", "G1", "G3", "R1", "R2", "R3"] {
            assert!(before.contains(id), "{id}");
        }
    }
}
