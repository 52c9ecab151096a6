//! Gates and polls of a release, put together from the state: the questions that `gate` and `go` answer.

use std::collections::BTreeMap;

use sm_model::{
    Board, Channel, Date, Timestamp, TrainId,
    statement::{Rule, Verdict, Waiver},
    train::{Move, PlannedRelease},
};

use super::state::{PollState, Release, State, Train};
use crate::{
    gate::{
        self, BoardInputs, Inputs, Report,
        facts::{self, Finding},
    },
    go::{Case, Judgement, judge},
    rules::{
        Rules,
        policy::{Context, MoveKind},
    },
    soak,
};

/// What a gate says about a release. `None` when there is no such release.
pub fn gate(
    state: &State,
    train: TrainId,
    channel: Channel,
    context: Context,
    now: Timestamp,
) -> Option<Report> {
    let (train, release) = state.release(train, channel)?;
    let boards: BTreeMap<Board, BoardInputs> =
        release.boards.iter().map(|(board, state)| (*board, state.inputs.clone())).collect();
    let subject = Subject {
        plan: &release.plan,
        boards: &boards,
        facts: facts(state, release, now),
        waivers: state.standing_waivers().map(|waiver| &waiver.asked.statement).collect(),
        subject_day: subject_day(train, release),
        now,
    };
    Some(subject.ask(context, &state.rules))
}

/// A release as gates see it, from the state or from an exported decision.
pub(crate) struct Subject<'a> {
    pub(crate) plan: &'a PlannedRelease,
    pub(crate) boards: &'a BTreeMap<Board, BoardInputs>,
    pub(crate) facts: BTreeMap<String, Finding>,
    pub(crate) waivers: Vec<&'a Waiver>,
    pub(crate) subject_day: Date,
    pub(crate) now: Timestamp,
}

impl Subject<'_> {
    /// Asks a gate. The gate for votes asks what promotion asks for as well when a branch comes up.
    pub(crate) fn ask(&self, context: Context, rules: &Rules) -> Report {
        let inputs = Inputs {
            channel: self.plan.channel,
            wanted: Some(self.plan.wanted),
            previous: self.plan.previous,
            boards: self.boards,
            facts: self.facts.clone(),
            waivers: self.waivers.clone(),
            quarantines: &rules.quarantines,
            policy: &rules.policy,
            subject_day: self.subject_day,
            now: self.now,
        };
        let mut report = gate::check(context, &inputs);
        if context == Context::Go && MoveKind::of(self.plan.wanted) == MoveKind::Promote {
            let promotion = gate::check(Context::Promote, &inputs);
            report.open &= promotion.open;
            report.policies.extend(promotion.policies);
            report.items.extend(promotion.items);
        }
        report
    }
}

/// What keeps the gate for votes closed, in words.
pub(crate) fn closing(report: &Report) -> Vec<String> {
    report.closing().map(|item| format!("{}: {}", item.name(), item.because)).collect()
}

/// The day whose rules hold: that of the candidate, or of the train while there is none.
fn subject_day(train: &Train, release: &Release) -> Date {
    let composed = release.boards.values().map(|board| board.composed).max();
    Date::of(composed.unwrap_or(train.opened))
}

/// Facts about a release as a whole: what was recorded, and what follows from the state.
fn facts(state: &State, release: &Release, now: Timestamp) -> BTreeMap<String, Finding> {
    let recorded = release
        .facts
        .iter()
        .map(|(name, fact)| (name.clone(), Finding::Value { value: fact.value, items: fact.items.clone() }));
    let mut facts: BTreeMap<String, Finding> = recorded.collect();
    let mut set = |name: &str, finding: Option<Finding>| {
        // What follows from the state is never what somebody recorded.
        facts.remove(name);
        facts.extend(finding.map(|finding| (name.to_owned(), finding)));
    };
    let notes = release.notes.as_ref();
    set(facts::NOTES_ACCEPTED, Some(Finding::number(i64::from(notes.is_some()))));
    set(facts::MISSING_FRAGMENTS, notes.map(|(_, missing)| Finding::count(missing.clone())));
    let blockers = state.open_blockers(release.plan.channel);
    set(facts::OPEN_BLOCKERS, Some(Finding::count(blockers.iter().map(ToString::to_string).collect())));
    set(facts::SOAK_DAYS, soak_days(state, release, now));
    set(facts::COMPONENT_DAYS, component_days(state, release, now));
    facts
}

fn soak_days(state: &State, release: &Release, now: Timestamp) -> Option<Finding> {
    let Move::Promote { major } = release.plan.wanted else {
        return Some(Finding::DoesNotApply { reason: "no branch comes up".to_owned() });
    };
    let since = soak::since(&state.history, release.plan.channel, major)?;
    Some(Finding::number(soak::days(since, now)))
}

fn component_days(state: &State, release: &Release, now: Timestamp) -> Option<Finding> {
    let channel = release.plan.channel;
    if channel.level() == 0 {
        return Some(Finding::DoesNotApply { reason: "there is no channel below alpha".to_owned() });
    }
    let packages = release.boards.values().flat_map(|board| &board.inputs.candidate.packages);
    let packages: soak::Packages = packages.map(|(name, version)| (name.clone(), version.clone())).collect();
    let watched = &state.rules.policy.components;
    if watched.is_empty() && !packages.is_empty() {
        return Some(Finding::DoesNotApply { reason: "no component is watched".to_owned() });
    }
    let soaked = soak::components(&state.history, &state.contents, channel, &packages, watched, now);
    soak::shortest(&soaked)
}

/// The case of a release's newest poll: as it stands, or as it was decided. `None` while there is no poll.
pub fn case(state: &State, train: TrainId, channel: Channel, now: Timestamp) -> Option<Case> {
    let decided = state.release(train, channel).and_then(|(_, release)| release.poll()?.case.as_deref());
    if let Some(case) = decided {
        return Some(case.clone());
    }
    let report = gate(state, train, channel, Context::Go, now)?;
    let (train, release) = state.release(train, channel)?;
    let PollState { poll, ballots, answers, .. } = release.poll()?;
    Some(Case {
        plan: release.plan.clone(),
        subject_day: subject_day(train, release),
        facts: facts(state, release, now),
        poll: poll.clone(),
        ballots: ballots.clone(),
        answers: answers.clone(),
        open_blockers: state.open_blockers(channel),
        lifted: lifted(state, poll, now),
        gate: closing(&report),
    })
}

fn lifted(
    state: &State,
    poll: &sm_model::statement::Poll,
    now: Timestamp,
) -> BTreeMap<Rule, sm_model::ItemId> {
    let standing = state.overrides.iter().filter(|(_, lifted)| lifted.stands());
    let fits = standing.filter(|(_, lifted)| {
        let lifted = &lifted.asked.statement;
        lifted.train == poll.train
            && lifted.channel == poll.channel
            && lifted.evidence == poll.evidence
            && lifted.at <= now
            && now < lifted.expires
    });
    fits.map(|(id, lifted)| (lifted.asked.statement.rule, *id)).collect()
}

/// What the newest poll of a release would come to now.
pub fn judgement(state: &State, train: TrainId, channel: Channel, now: Timestamp) -> Option<Judgement> {
    case(state, train, channel, now).map(|case| judge(&case, now))
}

/// Whether the newest poll is about the evidence as it is.
pub fn is_current(state: &State, train: TrainId, channel: Channel) -> bool {
    let poll = state.release(train, channel).and_then(|(_, release)| release.poll());
    poll.is_some_and(|poll| state.evidence(train, channel) == Some(poll.poll.evidence))
}

/// The decision of the newest poll, if it says Go for the evidence as it is.
pub fn standing_go(
    state: &State,
    train: TrainId,
    channel: Channel,
) -> Option<&sm_model::statement::Decision> {
    let (_, release) = state.release(train, channel)?;
    let decision = &release.poll()?.decision.as_ref()?.statement;
    let current = state.evidence(train, channel) == Some(decision.evidence);
    (current && decision.verdict == Verdict::Go).then_some(decision)
}
