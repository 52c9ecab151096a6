//! A train as people follow it: one line for each release, the checklist, and what is next.

use std::fmt;

use serde::Serialize;
use sm_model::{
    Channel, Date, Handle, ItemId, Role, Timestamp, TrainId, Version,
    release_event::StepResult,
    statement::{Choice, Override, Seconding, Signed, Verdict, Waiver},
    train::Urgency,
};

use crate::{
    gate,
    steps::{How, Scope, StepKind, TABLE},
    train::{
        Release, State, Train,
        decide::{unsettled, waiting_for},
        question,
        state::{Phase, StepState},
    },
};

/// A train.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrainStatus {
    /// Its name.
    pub train: TrainId,
    /// The day it goes.
    pub day: Date,
    /// Who leads it.
    pub coordinator: Option<Handle>,
    /// Whether it keeps to the cadence.
    #[serde(flatten)]
    pub urgency: Urgency,
    /// Where it is.
    #[serde(flatten)]
    pub phase: Phase,
    /// Days it was to go before, and why it did not.
    pub slips: Vec<(Date, String)>,
    /// Its releases.
    pub releases: Vec<ReleaseStatus>,
    /// Waivers and overrides for them that were not taken back, with their numbers, in words.
    pub exceptions: Vec<(ItemId, String)>,
    /// Blockers that hold them up.
    pub blockers: Vec<(ItemId, String)>,
    /// The whole checklist.
    pub steps: Vec<StepStatus>,
}

/// A release of a train.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseStatus {
    /// Where it goes.
    pub channel: Channel,
    /// What it is called.
    pub version: Version,
    /// How it came about, in words.
    pub about: String,
    /// Where it is, in words.
    pub stands: String,
}

/// A step of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepStatus {
    /// The step.
    #[serde(flatten)]
    pub kind: &'static StepKind,
    /// The channel, for steps that each channel has.
    pub channel: Option<Channel>,
    /// Who owns it on this train.
    pub who: String,
    /// `todo`, `waiting`, `begun`, `done`, `n/a`, `failed`.
    pub word: &'static str,
    /// What shows it, or why not, or what it waits for.
    pub detail: String,
}

impl TrainStatus {
    /// A train as it stands at an instant.
    pub fn of(state: &State, train: &Train, now: Timestamp) -> TrainStatus {
        TrainStatus {
            train: train.id,
            day: train.day,
            coordinator: train.team.get(&Role::Coordinator).cloned(),
            urgency: train.urgency.clone(),
            phase: train.phase.clone(),
            slips: train.slips.clone(),
            releases: train.releases.values().map(|release| about(state, train, release, now)).collect(),
            exceptions: exceptions(state, train, now),
            blockers: blockers(state, train),
            steps: steps(train),
        }
    }

    /// Steps that could be done now, those of the way to publishing first.
    pub fn next(&self) -> impl Iterator<Item = &StepStatus> {
        self.steps.iter().filter(|step| matches!(step.word, "todo" | "begun" | "failed"))
    }

    /// How many steps are settled, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        let settled = self.steps.iter().filter(|step| matches!(step.word, "done" | "n/a"));
        (settled.count(), self.steps.len())
    }
}

fn about(state: &State, train: &Train, release: &Release, now: Timestamp) -> ReleaseStatus {
    let plan = &release.plan;
    let against = plan.previous.map_or("the first".to_owned(), |previous| format!("after {previous}"));
    ReleaseStatus {
        channel: plan.channel,
        version: plan.version,
        about: format!("{}, {against}", plan.wanted),
        stands: stands(state, train, release, now),
    }
}

fn exceptions(state: &State, train: &Train, now: Timestamp) -> Vec<(ItemId, String)> {
    let is_ours =
        |manifest| train.releases.values().any(|release| release.manifests().any(|own| own == manifest));
    let waivers = state.waivers.iter().filter(|(_, waiver)| is_ours(waiver.asked.statement.manifest));
    let waivers = waivers.filter(|(_, waiver)| waiver.withdrawn.is_none()).map(|(id, waiver)| {
        let Waiver { requirement, scenario, by, expires, .. } = &waiver.asked.statement;
        let what = format!("waiver of {}", gate::named(requirement, scenario));
        (*id, exception(&what, by, waiver.seconded.as_ref(), *expires, now))
    });
    let overrides = state.overrides.iter().filter(|(_, lifted)| lifted.asked.statement.train == train.id);
    let overrides = overrides.filter(|(_, lifted)| lifted.withdrawn.is_none()).map(|(id, lifted)| {
        let Override { rule, channel, by, expires, .. } = &lifted.asked.statement;
        let what = format!("override of {} for {channel}", rule.word());
        (*id, exception(&what, by, lifted.seconded.as_ref(), *expires, now))
    });
    let mut all: Vec<_> = waivers.chain(overrides).collect();
    all.sort();
    all
}

fn exception(
    what: &str,
    by: &Handle,
    seconded: Option<&Signed<Seconding>>,
    expires: Timestamp,
    now: Timestamp,
) -> String {
    match seconded {
        _ if expires <= now => format!("{what} by {by}: ended at {expires}"),
        None => format!("{what} by {by}: waits for a second person"),
        Some(second) => format!("{what} by {by} and {}: until {expires}", second.statement.by),
    }
}

fn blockers(state: &State, train: &Train) -> Vec<(ItemId, String)> {
    let open = state.blockers.iter().filter(|(_, blocker)| blocker.closed.is_none());
    let ours =
        open.filter(|(_, blocker)| train.going().any(|(channel, _)| blocker.channels.contains(&channel)));
    ours.map(|(id, blocker)| (*id, blocker.title.clone())).collect()
}

/// Where a release is, in words.
fn stands(state: &State, train: &Train, release: &Release, now: Timestamp) -> String {
    match &release.phase {
        Phase::Published => return "published".to_owned(),
        Phase::Publishing => return "publishing has begun".to_owned(),
        Phase::Stopped { reason } => return format!("does not go: {reason}"),
        Phase::Running | Phase::Closed => {}
    }
    let channel = release.plan.channel;
    let Some(poll) = release.poll() else { return before_votes(release) };
    if !question::is_current(state, train.id, channel) {
        return format!("{}; earlier votes are void", before_votes(release));
    }
    match poll.decision.as_ref().map(|decision| &decision.statement) {
        Some(decision) if decision.verdict == Verdict::Go && now < decision.until => {
            format!("Go, good until {}", decision.until)
        }
        Some(decision) if decision.verdict == Verdict::Go => format!("Go expired at {}", decision.until),
        Some(decision) => decision.verdict.word().to_owned(),
        None => question::judgement(state, train.id, channel, now).map_or_else(String::new, |judgement| {
            let [go, no_go] = [Choice::Go, Choice::NoGo].map(|choice| judgement.n_binding(choice));
            format!("votes are open: {go} Go, {no_go} No-Go of {}", judgement.n_active)
        }),
    }
}

fn before_votes(release: &Release) -> String {
    let boards = release.boards.values();
    let (n, n_tested) = (release.boards.len(), boards.filter(|board| !board.reports.is_empty()).count());
    match (n, n_tested) {
        (0, _) => "nothing is composed".to_owned(),
        (n, tested) if tested < n => "composed".to_owned(),
        _ if release.notes.is_none() => "composed and tested".to_owned(),
        _ => "composed, tested, notes accepted".to_owned(),
    }
}

fn steps(train: &Train) -> Vec<StepStatus> {
    let open = unsettled(train);
    let mut steps = Vec::new();
    for kind in &TABLE {
        let channels: Vec<Option<Channel>> = match kind.scope {
            Scope::Train => vec![None],
            Scope::Channel => train.going().map(|(channel, _)| Some(channel)).collect(),
        };
        for channel in channels {
            let is_open = open.iter().any(|(other, of)| other.id == kind.id && *of == channel);
            let waiting = if is_open { waiting_for(train, kind, channel) } else { vec![] };
            let (word, detail) = words(train.step(kind.step(), channel), &waiting);
            steps.push(StepStatus { kind, channel, who: who(train, kind), word, detail });
        }
    }
    steps
}

fn who(train: &Train, kind: &StepKind) -> String {
    if kind.how == How::Automatic {
        return "system".to_owned();
    }
    train.team.get(&kind.owner).map_or_else(|| kind.owner.to_string(), ToString::to_string)
}

fn words(state: Option<&StepState>, waiting: &[String]) -> (&'static str, String) {
    match state {
        None if waiting.is_empty() => ("todo", String::new()),
        None => ("waiting", format!("after {}", waiting.join(", "))),
        Some(StepState::Begun { by }) => ("begun", format!("by {by}")),
        Some(StepState::Ended { result, .. }) => match result {
            StepResult::Done { evidence } => ("done", evidence.clone()),
            StepResult::NotApplicable { reason } => ("n/a", reason.clone()),
            StepResult::Failed { reason } => ("failed", reason.clone()),
        },
    }
}

impl fmt::Display for StepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.channel.map_or_else(String::new, |channel| format!(" {channel}"));
        write!(f, "{:7} {:3}{place} {}", self.word, self.kind.id, self.kind.title)?;
        if self.detail.is_empty() { write!(f, " ({})", self.who) } else { write!(f, ": {}", self.detail) }
    }
}

impl fmt::Display for TrainStatus {
    /// The head and the releases; the checklist is shown apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "train {} goes on {}", self.train, self.day)?;
        if let Urgency::Expedited { reason } = &self.urgency {
            write!(f, ", expedited ({reason})")?;
        }
        if let Some(coordinator) = &self.coordinator {
            write!(f, ", led by {coordinator}")?;
        }
        let (settled, all) = self.progress();
        match &self.phase {
            Phase::Stopped { reason } => write!(f, ": cancelled, {reason}")?,
            Phase::Closed => f.write_str(": closed")?,
            _ => write!(f, ": {settled} of {all} steps")?,
        }
        for (day, reason) in &self.slips {
            write!(f, "\n  slipped from {day}: {reason}")?;
        }
        for release in &self.releases {
            let ReleaseStatus { channel, version, about, stands } = release;
            write!(
                f,
                "\n  {channel:8} {version:10} {stands} [{about}]",
                channel = channel.to_string(),
                version = version.to_string()
            )?;
        }
        self.exceptions.iter().try_for_each(|(id, what)| write!(f, "\n  {id} {what}"))?;
        self.blockers.iter().try_for_each(|(id, title)| write!(f, "\n  blocker {id}: {title}"))
    }
}
