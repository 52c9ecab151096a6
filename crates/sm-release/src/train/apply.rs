//! How one event changes what is known. Total: an event that makes no sense here changes nothing, so that every log can be
//! replayed to its end and replicas that saw the same events agree.

use sm_model::{
    Channel, Released, Sha256, TrainId,
    evidence::Candidate,
    release_event::{
        BlockerEvent, CalendarEvent, Envelope, Event, EvidenceEvent, ExceptionEvent, RulesEvent, TrainEvent,
        VoteEvent,
    },
};

use super::{
    question,
    state::{Blocker, BoardState, Exception, Phase, PollState, Release, State, StepState, Train},
};
use crate::{
    calendar::{Expedite, Freeze, Moved},
    gate::BoardInputs,
    steps,
};

/// The state after all events.
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> State {
    let mut state = State::default();
    events.into_iter().for_each(|event| apply(&mut state, event));
    state
}

/// Takes one event into the state.
pub fn apply(state: &mut State, event: &Envelope) {
    state.seq = event.seq;
    state.last_at = Some(event.at);
    match &event.body {
        Event::Rules(body) => rules(state, body),
        Event::Calendar(body) => calendar(state, event, body),
        Event::Train(body) => train(state, event, body),
        Event::Evidence(body) => evidence(state, event, body),
        Event::Vote(body) => vote(state, body),
        Event::Exception(body) => exception(state, body),
        Event::Blocker(body) => blocker(state, event, body),
        // Threads on fragments and requests for packages are folded on their own; no gate asks for them.
        Event::Notes(_) | Event::Request(_) => {}
    }
}

fn rules(state: &mut State, body: &RulesEvent) {
    match body {
        // Only texts without mistakes are ever recorded; another program's mistakes change nothing here.
        RulesEvent::Adopted { file, text } => drop(state.rules.adopt(*file, text)),
        RulesEvent::HistoryImported { releases } => state.history.extend(releases),
    }
}

fn calendar(state: &mut State, event: &Envelope, body: &CalendarEvent) {
    let by = event.by.to_string();
    match body.clone() {
        CalendarEvent::Frozen { from, until, reason } => {
            state.thawed.remove(&from);
            state.days.freezes.push(Freeze { from, until, reason });
        }
        CalendarEvent::Thawed { from, .. } => drop(state.thawed.insert(from)),
        CalendarEvent::Moved { channel, from, to, reason } => {
            state.days.moves.entry(channel).or_default().push(Moved { from, to, reason, by });
        }
        CalendarEvent::ExpediteAsked { day, reason } => {
            state.asked_expedites.push(Expedite { day, reason, by });
        }
        CalendarEvent::ExpediteGranted { day } => {
            let asked = state.asked_expedites.iter().position(|expedite| expedite.day == day);
            state.days.expedites.extend(asked.map(|idx| state.asked_expedites.remove(idx)));
        }
    }
}

fn train(state: &mut State, event: &Envelope, body: &TrainEvent) {
    match body {
        TrainEvent::Opened { train: id, day, urgency, team, releases } => {
            let releases = releases.iter().map(|plan| (plan.channel, Release::new(plan.clone()))).collect();
            let train = Train {
                id: *id,
                opened: event.at,
                day: *day,
                urgency: urgency.clone(),
                team: team.clone(),
                phase: Phase::Running,
                releases,
                steps: [].into(),
                slips: vec![],
            };
            state.trains.entry(*id).or_insert(train);
        }
        TrainEvent::Published { train, channel, .. } => publish(state, event, *train, *channel),
        TrainEvent::PublishBegun { train, channel, .. } => {
            with(state, *train, *channel, |release| release.phase = Phase::Publishing);
        }
        TrainEvent::PointOfNoReturn { train, channel, evidence } => {
            with(state, *train, *channel, |release| {
                release.acknowledged.insert(event.by.clone(), *evidence);
            });
        }
        TrainEvent::Dropped { train, channel, reason } => {
            let reason = reason.clone();
            with(state, *train, *channel, |release| release.phase = Phase::Stopped { reason });
        }
        TrainEvent::StepBegun { .. } | TrainEvent::StepEnded { .. } => step(state, event, body),
        TrainEvent::Slipped { .. } | TrainEvent::Cancelled { .. } | TrainEvent::Closed { .. } => {
            whole_train(state, body);
        }
    }
}

fn whole_train(state: &mut State, body: &TrainEvent) {
    match body {
        TrainEvent::Slipped { train, to, reason } => {
            if let Some(train) = state.trains.get_mut(train) {
                train.slips.push((train.day, reason.clone()));
                train.day = *to;
            }
        }
        TrainEvent::Cancelled { train, reason } => {
            if let Some(train) = state.trains.get_mut(train) {
                let stopped = Phase::Stopped { reason: reason.clone() };
                let running = train.releases.values_mut().filter(|release| release.phase == Phase::Running);
                running.for_each(|release| release.phase = stopped.clone());
                train.phase = stopped;
            }
        }
        TrainEvent::Closed { train } => {
            state.trains.entry(*train).and_modify(|train| train.phase = Phase::Closed);
        }
        _ => {}
    }
}

fn step(state: &mut State, event: &Envelope, body: &TrainEvent) {
    let (train, step, channel, new) = match body {
        TrainEvent::StepBegun { train, step, channel } => {
            (train, step, channel, StepState::Begun { by: event.by.clone() })
        }
        TrainEvent::StepEnded { train, step, channel, result } => {
            (train, step, channel, StepState::Ended { by: event.by.clone(), result: result.clone() })
        }
        _ => return,
    };
    let Some(train) = state.trains.get_mut(train) else { return };
    let steps = match channel {
        None => Some(&mut train.steps),
        Some(channel) => train.releases.get_mut(channel).map(|release| &mut release.steps),
    };
    if let Some(steps) = steps {
        steps.insert(*step, new);
    }
}

fn publish(state: &mut State, event: &Envelope, train: TrainId, channel: Channel) {
    let Some(release) = state.trains.get_mut(&train).and_then(|train| train.releases.get_mut(&channel))
    else {
        return;
    };
    release.phase = Phase::Published;
    let version = release.plan.version;
    let packages = release.boards.values().flat_map(|board| &board.inputs.candidate.packages);
    let packages = packages.map(|(name, version)| (name.clone(), version.clone())).collect();
    state.contents.insert(version, packages);
    state.history.push(Released { date: event.at, channel, version });
}

fn with(state: &mut State, train: TrainId, channel: Channel, change: impl FnOnce(&mut Release)) {
    if let Some(release) = state.trains.get_mut(&train).and_then(|train| train.releases.get_mut(&channel)) {
        change(release);
    }
}

fn evidence(state: &mut State, event: &Envelope, body: &EvidenceEvent) {
    match body {
        EvidenceEvent::Composed { train, channel, board, candidate } => {
            with(state, *train, *channel, |release| {
                release.forget_candidate();
                release.boards.insert(*board, BoardState::new(event, candidate));
            });
        }
        EvidenceEvent::Tested { train, channel, board, subject, report, results } => {
            with(state, *train, *channel, |release| {
                if let Some(board) = release.boards.get_mut(board).filter(|board| board.is_about(*subject)) {
                    board.reports.push(*report);
                    board.inputs.results.extend(results.iter().cloned());
                }
            });
        }
        EvidenceEvent::Compared { train, channel, board, subject, diff } => {
            with(state, *train, *channel, |release| {
                if let Some(board) = release.boards.get_mut(board).filter(|board| board.is_about(*subject)) {
                    board.inputs.diff = Some(diff.clone());
                }
            });
        }
        EvidenceEvent::NotesAccepted { train, channel, notes, missing_fragments } => {
            let accepted = (*notes, missing_fragments.clone());
            with(state, *train, *channel, |release| release.notes = Some(accepted));
        }
        EvidenceEvent::Found { train, channel, fact, value, items, source } => {
            let found = sm_model::evidence::Fact {
                value: *value,
                items: items.clone(),
                source: source.clone(),
                at: event.at,
            };
            with(state, *train, *channel, |release| drop(release.facts.insert(fact.clone(), found)));
        }
    }
}

impl Release {
    fn new(plan: sm_model::train::PlannedRelease) -> Release {
        Release {
            plan,
            phase: Phase::Running,
            boards: [].into(),
            notes: None,
            facts: [].into(),
            polls: vec![],
            acknowledged: [].into(),
            steps: [].into(),
        }
    }

    /// A new candidate undoes what was about the one before. Polls stay for the record: their evidence is another one.
    fn forget_candidate(&mut self) {
        self.notes = None;
        self.facts.clear();
        self.acknowledged.clear();
        self.steps.retain(|step, _| steps::kind(*step).is_none_or(|kind| !kind.per_candidate));
    }
}

impl BoardState {
    fn new(event: &Envelope, candidate: &Candidate) -> BoardState {
        let inputs = BoardInputs { candidate: candidate.clone(), results: vec![], diff: None };
        BoardState { composed: event.at, inputs, reports: vec![] }
    }

    fn is_about(&self, subject: Sha256) -> bool {
        self.inputs.candidate.manifest == subject
    }
}

fn vote(state: &mut State, body: &VoteEvent) {
    match body {
        VoteEvent::Opened { poll } => {
            let opened = PollState::opened(poll.clone());
            with(state, poll.train, poll.channel, |release| release.polls.push(opened));
        }
        VoteEvent::Cast { ballot } => {
            let (train, channel) = (ballot.statement.train, ballot.statement.channel);
            in_poll(state, train, channel, |poll| poll.ballots.push(ballot.clone()));
        }
        VoteEvent::Announced { train, channel, room, event_id, .. } => {
            let post = (room.clone(), event_id.clone());
            in_poll(state, *train, *channel, |poll| poll.announced = Some(post));
        }
        VoteEvent::ObjectionAnswered { train, channel, voter, answer } => {
            in_poll(state, *train, *channel, |poll| {
                poll.answers.insert(voter.clone(), answer.clone());
            });
        }
        VoteEvent::Decided { decision } => {
            let (train, channel) = (decision.statement.train, decision.statement.channel);
            let case = question::case(state, train, channel, decision.statement.at).map(Box::new);
            in_poll(state, train, channel, |poll| {
                poll.decision = Some(decision.clone());
                poll.case = case;
            });
        }
    }
}

fn in_poll(state: &mut State, train: TrainId, channel: Channel, change: impl FnOnce(&mut PollState)) {
    with(state, train, channel, |release| {
        if let Some(poll) = release.polls.last_mut() {
            change(poll);
        }
    });
}

fn exception(state: &mut State, body: &ExceptionEvent) {
    match body {
        ExceptionEvent::WaiverAsked { waiver } => {
            let id = waiver.statement.id;
            state.n_items = state.n_items.max(id.0);
            let asked = Exception { asked: waiver.clone(), seconded: None, withdrawn: None };
            state.waivers.entry(id).or_insert(asked);
        }
        ExceptionEvent::OverrideAsked { lifted } => {
            let id = lifted.statement.id;
            state.n_items = state.n_items.max(id.0);
            let asked = Exception { asked: lifted.clone(), seconded: None, withdrawn: None };
            state.overrides.entry(id).or_insert(asked);
        }
        ExceptionEvent::Seconded { seconding } => {
            let id = seconding.statement.id;
            state.waivers.entry(id).and_modify(|waiver| waiver.seconded = Some(seconding.clone()));
            state.overrides.entry(id).and_modify(|lifted| lifted.seconded = Some(seconding.clone()));
        }
        ExceptionEvent::Withdrawn { id, reason } => {
            state.waivers.entry(*id).and_modify(|waiver| waiver.withdrawn = Some(reason.clone()));
            state.overrides.entry(*id).and_modify(|lifted| lifted.withdrawn = Some(reason.clone()));
        }
    }
}

fn blocker(state: &mut State, event: &Envelope, body: &BlockerEvent) {
    match body {
        BlockerEvent::Opened { id, title, channels, issue } => {
            state.n_items = state.n_items.max(id.0);
            let blocker = Blocker {
                title: title.clone(),
                channels: channels.clone(),
                issue: issue.clone(),
                by: event.by.clone(),
                closed: None,
            };
            state.blockers.entry(*id).or_insert(blocker);
        }
        BlockerEvent::Closed { id, resolution, reason } => {
            let closed = Some((*resolution, reason.clone()));
            state.blockers.entry(*id).and_modify(|blocker| blocker.closed = closed);
        }
    }
}
