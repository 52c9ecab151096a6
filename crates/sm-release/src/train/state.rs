//! What is known about a project's releases: the fold over all events. Only [`super::apply()`] changes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sm_model::{
    Board, Channel, Date, Handle, ItemId, Released, Sha256, StepId, Timestamp, TrainId, Version,
    evidence::{BoardEvidence, EvidenceBundle, Fact, RuleFile},
    release_event::{Resolution, StepResult},
    statement::{Ballot, Decision, Override, Poll, Seconding, Signed, Waiver},
    train::{PlannedRelease, Team, Urgency},
};

use crate::{
    calendar::{Calendar, Expedite, Freeze},
    gate::BoardInputs,
    go::Case,
    proof::digest_of,
    rules::Rules,
    soak::Contents,
};

/// Everything that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Number of the last event.
    pub seq: u64,
    /// When it was recorded.
    pub last_at: Option<Timestamp>,
    /// Rules in force.
    pub rules: Rules,
    /// Decisions about days, apart from the file's.
    pub days: Calendar,
    /// Freezes that were lifted, by their first day.
    pub thawed: BTreeSet<Date>,
    /// Expedites that wait for a second person.
    pub asked_expedites: Vec<Expedite>,
    /// Every release that was published.
    pub history: Vec<Released>,
    /// Packages of releases that were published from here.
    pub contents: Contents,
    /// Every train.
    pub trains: BTreeMap<TrainId, Train>,
    /// Every blocker.
    pub blockers: BTreeMap<ItemId, Blocker>,
    /// Every waiver.
    pub waivers: BTreeMap<ItemId, Exception<Waiver>>,
    /// Every override.
    pub overrides: BTreeMap<ItemId, Exception<Override>>,
    /// How many numbers were given.
    pub n_items: u32,
}

/// Something that keeps releases from being published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// What it is.
    pub title: String,
    /// Channels it holds up.
    pub channels: Vec<Channel>,
    /// Where it is worked on.
    pub issue: String,
    /// Who opened it.
    pub by: Handle,
    /// How it was closed, when it was.
    pub closed: Option<(Resolution, String)>,
}

/// A waiver or an override, and who stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception<T> {
    /// What was asked for.
    pub asked: Signed<T>,
    /// The second person.
    pub seconded: Option<Signed<Seconding>>,
    /// Why it does not count any more.
    pub withdrawn: Option<String>,
}

impl<T> Exception<T> {
    /// Whether two people stand behind it.
    pub fn stands(&self) -> bool {
        self.seconded.is_some() && self.withdrawn.is_none()
    }
}

/// Where a train or one of its releases is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// On its way.
    Running,
    /// Publishing has begun.
    Publishing,
    /// It is public.
    Published,
    /// It does not go.
    Stopped {
        /// Why.
        reason: String,
    },
    /// Nothing is left to do.
    Closed,
}

/// How a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum StepState {
    /// Somebody or something is at it.
    Begun {
        /// Who.
        by: Handle,
    },
    /// It has ended.
    Ended {
        /// Who.
        by: Handle,
        /// How.
        #[serde(flatten)]
        result: StepResult,
    },
}

/// One train.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Train {
    /// Its name.
    pub id: TrainId,
    /// When it was opened.
    pub opened: Timestamp,
    /// The day it is to be published.
    pub day: Date,
    /// Whether it keeps to the cadence.
    pub urgency: Urgency,
    /// Who does what.
    pub team: Team,
    /// Where it is.
    pub phase: Phase,
    /// What it carries.
    pub releases: BTreeMap<Channel, Release>,
    /// Steps that a train has once.
    pub steps: BTreeMap<StepId, StepState>,
    /// Days it was to go, and why it did not.
    pub slips: Vec<(Date, String)>,
}

/// One release of one channel, on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What it is.
    pub plan: PlannedRelease,
    /// Where it is.
    pub phase: Phase,
    /// Evidence of each board.
    pub boards: BTreeMap<Board, BoardState>,
    /// Digest of the accepted notes, and changes that no fragment tells about.
    pub notes: Option<(Sha256, Vec<String>)>,
    /// Numbers that were recorded.
    pub facts: BTreeMap<String, Fact>,
    /// Every poll, oldest first.
    pub polls: Vec<PollState>,
    /// Who acknowledged the point of no return, for which evidence.
    pub acknowledged: BTreeMap<Handle, Sha256>,
    /// Steps that each channel has.
    pub steps: BTreeMap<StepId, StepState>,
}

/// What is known about one board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardState {
    /// When it was composed.
    pub composed: Timestamp,
    /// What gates look at.
    pub inputs: BoardInputs,
    /// Digests of the reports, in the order they came.
    pub reports: Vec<Sha256>,
}

/// One poll and what came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollState {
    /// The question.
    pub poll: Poll,
    /// Ballots, in the order they came.
    pub ballots: Vec<Signed<Ballot>>,
    /// Answers to advisory No-Gos.
    pub answers: BTreeMap<Handle, String>,
    /// The room it was posted to, and the post's id there.
    pub announced: Option<(String, String)>,
    /// What came of it.
    pub decision: Option<Signed<Decision>>,
    /// What it came of: the case as it was then, whatever happens to blockers and clocks later.
    pub case: Option<Box<Case>>,
}

impl PollState {
    /// A poll into which nothing has come.
    pub fn opened(poll: Poll) -> PollState {
        PollState { poll, ballots: vec![], answers: [].into(), announced: None, decision: None, case: None }
    }
}

impl State {
    /// The days that are closed and open: the file's and people's.
    pub fn calendar(&self) -> Calendar {
        let mut calendar = self.days.clone();
        let of_file = self.rules.days.freezes.iter().cloned();
        let standing = |freeze: &Freeze| !self.thawed.contains(&freeze.from);
        calendar.freezes = of_file.chain(calendar.freezes).filter(standing).collect();
        calendar.cadence_days.clone_from(&self.rules.days.cadence_days);
        calendar
    }

    /// Versions that cannot be used again: published, on their way, or burnt because something was composed under them.
    pub fn taken(&self) -> Vec<Released> {
        let planned = self.trains.values().flat_map(|train| {
            let burnt = |release: &&Release| {
                !matches!(release.phase, Phase::Stopped { .. } | Phase::Published)
                    || !release.boards.is_empty()
            };
            train.releases.values().filter(burnt).map(|release| Released {
                date: train.opened,
                channel: release.plan.channel,
                version: release.plan.version,
            })
        });
        let mut taken = self.history.clone();
        let known: BTreeSet<Version> = taken.iter().map(|released| released.version).collect();
        taken.extend(planned.filter(|released| !known.contains(&released.version)));
        taken
    }

    /// Trains on their way, by day.
    pub fn running(&self) -> Vec<&Train> {
        let mut running: Vec<&Train> =
            self.trains.values().filter(|train| matches!(train.phase, Phase::Running)).collect();
        running.sort_by_key(|train| (train.day, train.id));
        running
    }

    /// Numbers of the blockers that hold up a channel.
    pub fn open_blockers(&self, channel: Channel) -> Vec<ItemId> {
        let open = self.blockers.iter().filter(|(_, blocker)| blocker.closed.is_none());
        open.filter(|(_, blocker)| blocker.channels.contains(&channel)).map(|(id, _)| *id).collect()
    }

    /// Waivers that two people stand behind, by number.
    pub fn standing_waivers(&self) -> impl Iterator<Item = &Exception<Waiver>> {
        self.waivers.values().filter(|waiver| waiver.stands())
    }

    /// The train of that name and its release of that channel.
    pub fn release(&self, train: TrainId, channel: Channel) -> Option<(&Train, &Release)> {
        let train = self.trains.get(&train)?;
        train.releases.get(&channel).map(|release| (train, release))
    }

    /// Everything that a vote on a release is cast on, by digest. `None` while nothing is composed.
    pub fn bundle(&self, train: TrainId, channel: Channel) -> Option<EvidenceBundle> {
        let (_, release) = self.release(train, channel)?;
        if release.boards.is_empty() {
            return None;
        }
        let boards = release.boards.iter().map(|(board, state)| (*board, state.evidence()));
        let manifests: Vec<Sha256> = release.manifests().collect();
        let waivers = self.standing_waivers().filter(|w| manifests.contains(&w.asked.statement.manifest));
        let digests = self.rules.digests.iter().filter(|(file, _)| **file != RuleFile::Calendar);
        Some(EvidenceBundle {
            format: EvidenceBundle::FORMAT,
            train,
            channel,
            version: release.plan.version,
            boards: boards.collect(),
            notes: release.notes.as_ref().map(|(notes, _)| *notes),
            waivers: waivers.map(|waiver| digest_of(&waiver.asked.statement)).collect(),
            facts: release.facts.clone(),
            rules: digests.map(|(file, digest)| (*file, *digest)).collect(),
        })
    }

    /// Digest of [`State::bundle`]: what ballots name.
    pub fn evidence(&self, train: TrainId, channel: Channel) -> Option<Sha256> {
        self.bundle(train, channel).as_ref().map(digest_of)
    }
}

impl BoardState {
    fn evidence(&self) -> BoardEvidence {
        BoardEvidence {
            manifest: self.inputs.candidate.manifest,
            candidate: digest_of(&self.inputs.candidate),
            reports: self.reports.clone(),
            results: digest_of(&self.inputs.results),
            diff: self.inputs.diff.as_ref().map(digest_of),
        }
    }
}

impl Train {
    /// Releases that are not stopped, by channel.
    pub fn going(&self) -> impl Iterator<Item = (Channel, &Release)> {
        let going = self.releases.iter().filter(|(_, r)| !matches!(r.phase, Phase::Stopped { .. }));
        going.map(|(channel, release)| (*channel, release))
    }

    /// The step of a train or of one of its channels.
    pub fn step(&self, step: StepId, channel: Option<Channel>) -> Option<&StepState> {
        match channel {
            None => self.steps.get(&step),
            Some(channel) => self.releases.get(&channel)?.steps.get(&step),
        }
    }
}

impl Release {
    /// Digests of the manifests, by board.
    pub fn manifests(&self) -> impl Iterator<Item = Sha256> {
        self.boards.values().map(|board| board.inputs.candidate.manifest)
    }

    /// The poll that was opened last.
    pub fn poll(&self) -> Option<&PollState> {
        self.polls.last()
    }
}

impl StepState {
    /// Whether nothing is left to do.
    pub fn is_settled(&self) -> bool {
        matches!(
            self,
            StepState::Ended { result: StepResult::Done { .. } | StepResult::NotApplicable { .. }, .. }
        )
    }
}
