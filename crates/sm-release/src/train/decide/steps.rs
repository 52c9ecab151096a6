//! Steps, and where a train goes: on another day, without a channel, nowhere.

use sm_model::{
    Channel, Date, StepId, Timestamp, TrainId,
    release_event::{Event, StepResult, TrainEvent},
};

use super::{
    Checks, Phase, Refusal, Refusals, State, Train, Which, days, release_of, require_reason, train_of,
};
use crate::{
    steps::{self, How, Scope, StepKind},
    train::state::StepState,
};

/// Slips of one train at most.
pub(crate) const MAX_SLIPS: usize = 3;

/// Which step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) train: TrainId,
    pub(super) step: StepId,
    pub(super) channel: Option<Channel>,
}

fn kind_of(step: StepId) -> Result<&'static StepKind, Refusals> {
    steps::kind(step).ok_or_else(|| {
        Refusal::new("no-step", format!("there is no step {step}"), "a step from `stationmaster status`")
            .into()
    })
}

/// Whether a step is named for the right thing: a train, or a channel of it.
fn check_place(state: &State, place: Place, kind: &StepKind) -> Result<(), Refusals> {
    let Place { train, step, channel } = place;
    match (kind.scope, channel) {
        (Scope::Train, None) => train_of(state, train).map(drop),
        (Scope::Channel, Some(channel)) => match release_of(state, Which { train, channel }) {
            // After publishing, the rest of the list goes on.
            Err(refusals) if refusals.codes() == ["published"] => Ok(()),
            other => other.map(drop),
        },
        (Scope::Train, Some(_)) => {
            let why = format!("step {step} is one of the whole train");
            Err(Refusal::new("wrong-place", why, "leaving out the channel").into())
        }
        (Scope::Channel, None) => {
            let why = format!("step {step} is one of each channel");
            Err(Refusal::new("wrong-place", why, "naming the channel with `--channel`").into())
        }
    }
}

/// Steps that come before one and are not settled. A train's step waits for that of every channel, and a channel's for its own.
pub(crate) fn waiting_for(train: &Train, kind: &StepKind, channel: Option<Channel>) -> Vec<String> {
    let mut open = Vec::new();
    for id in kind.after {
        let Some(before) = steps::TABLE.iter().find(|other| other.id == *id) else { continue };
        let settled = |channel| train.step(before.step(), channel).is_some_and(StepState::is_settled);
        let channels: Vec<Channel> = train.going().map(|(channel, _)| channel).collect();
        match (before.scope, channel) {
            (Scope::Train, _) if !settled(None) => open.push((*id).to_owned()),
            (Scope::Channel, Some(channel)) if !settled(Some(channel)) => open.push((*id).to_owned()),
            (Scope::Channel, None) => {
                let late = channels.into_iter().filter(|channel| !settled(Some(*channel)));
                open.extend(late.map(|channel| format!("{id} {channel}")));
            }
            _ => {}
        }
    }
    open
}

fn require_earlier(checks: &mut Checks, train: &Train, kind: &StepKind, channel: Option<Channel>) {
    let open = waiting_for(train, kind, channel);
    checks.require(
        open.is_empty(),
        "steps-before",
        || format!("{} comes after {}", kind.id, open.join(", ")),
        "doing these first, or saying why one does not apply: `stationmaster release step na`",
    );
}

pub(super) fn begin(
    state: &State,
    train: TrainId,
    step: StepId,
    channel: Option<Channel>,
) -> Result<Vec<Event>, Refusals> {
    let kind = kind_of(step)?;
    check_place(state, Place { train, step, channel }, kind)?;
    let mut checks = Checks::default();
    require_earlier(&mut checks, train_of(state, train)?, kind, channel);
    checks.into_result(vec![Event::Train(TrainEvent::StepBegun { train, step, channel })])
}

pub(super) fn end(state: &State, place: Place, result: StepResult) -> Result<Vec<Event>, Refusals> {
    let kind = kind_of(place.step)?;
    check_place(state, place, kind)?;
    let train = train_of(state, place.train)?;
    let mut checks = Checks::default();
    match &result {
        StepResult::Done { evidence } => {
            automatic(&mut checks, kind);
            require_earlier(&mut checks, train, kind, place.channel);
            checks.require(
                !evidence.trim().is_empty(),
                "no-evidence",
                || format!("nothing shows that {} is done", kind.id),
                "saying what does: `--evidence`",
            );
        }
        StepResult::NotApplicable { reason } => {
            automatic(&mut checks, kind);
            require_reason(&mut checks, reason, 1);
        }
        StepResult::Failed { reason } => require_reason(&mut checks, reason, 1),
    }
    let Place { step, channel, .. } = place;
    let is_so =
        matches!(train.step(step, channel), Some(StepState::Ended { result: known, .. }) if *known == result);
    let ended = TrainEvent::StepEnded { train: train.id, step, channel, result };
    checks.into_result(if is_so { vec![] } else { vec![Event::Train(ended)] })
}

/// What the system does, and checks, nobody ticks off by hand.
fn automatic(checks: &mut Checks, kind: &StepKind) {
    checks.require(
        kind.how != How::Automatic,
        "automatic",
        || format!("{} ({}) is done by the system", kind.id, kind.title),
        format!("letting the system do it: {}", automation(kind)),
    );
}

/// The verb by which the system does an automatic step.
pub(super) fn automation(kind: &StepKind) -> &'static str {
    match kind.id {
        "G1" => "`stationmaster go open`",
        "G2" | "G3" => "`stationmaster go close`",
        "N1" => "`stationmaster notes accept`",
        "R1" => "`stationmaster release acknowledge`, by two people",
        "R4" | "R5" => "`stationmaster release publish`",
        _ => "`stationmaster release run`",
    }
}

pub(super) fn slip(
    state: &State,
    id: TrainId,
    to: Option<Date>,
    reason: String,
    now: Timestamp,
) -> Result<Vec<Event>, Refusals> {
    let train = train_of(state, id)?;
    let is_so = train.slips.last().is_some_and(|(_, known)| *known == reason)
        && to.map_or(Date::of(now) < train.day, |to| to == train.day);
    if is_so {
        return Ok(vec![]);
    }
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    checks.require(
        train.slips.len() < MAX_SLIPS,
        "slipped-too-often",
        || format!("train {id} has slipped {MAX_SLIPS} times"),
        "cancelling it: what it carries goes with the next train",
    );
    let earliest = Date::of(now).plus_days(1).max(train.day.plus_days(1));
    let to = to.or_else(|| state.calendar().next_open(earliest)).unwrap_or(earliest);
    checks.require(to > train.day, "no-slip", || format!("{to} is not after {}", train.day), "a later day");
    checks.extend(days::closed(state, to));
    checks.into_result(vec![Event::Train(TrainEvent::Slipped { train: id, to, reason })])
}

fn require_not_begun(checks: &mut Checks, publishing: bool) {
    checks.require(
        !publishing,
        "publishing",
        || "publishing has begun: it is finished, not undone".to_owned(),
        "finishing it: `stationmaster release publish`",
    );
}

pub(super) fn drop_release(state: &State, which: Which, reason: String) -> Result<Vec<Event>, Refusals> {
    let (_, release) = release_of(state, which)?;
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    require_not_begun(&mut checks, release.phase == Phase::Publishing);
    let Which { train, channel } = which;
    checks.into_result(vec![Event::Train(TrainEvent::Dropped { train, channel, reason })])
}

pub(super) fn cancel(state: &State, id: TrainId, reason: String) -> Result<Vec<Event>, Refusals> {
    let train = train_of(state, id)?;
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    require_not_begun(&mut checks, train.releases.values().any(|release| release.phase == Phase::Publishing));
    checks.require(
        !train.releases.values().any(|release| release.phase == Phase::Published),
        "published",
        || format!("train {id} has published something"),
        "taking off the channels that are not: `stationmaster release cancel --channel`",
    );
    checks.into_result(vec![Event::Train(TrainEvent::Cancelled { train: id, reason })])
}

pub(super) fn close(state: &State, id: TrainId) -> Result<Vec<Event>, Refusals> {
    let train = train_of(state, id)?;
    let mut checks = Checks::default();
    for (channel, release) in train.going() {
        checks.require(
            release.phase == Phase::Published,
            "not-published",
            || format!("{channel} {} is not published", release.plan.version),
            "publishing it, or taking it off the train",
        );
    }
    for (kind, channel) in unsettled(train) {
        let place = channel.map_or_else(String::new, |channel| format!(" of {channel}"));
        checks.push(Refusal::new(
            "step-open",
            format!("{}{place} is open: {}", kind.id, kind.title),
            "doing it, or saying why it does not apply",
        ));
    }
    checks.into_result(vec![Event::Train(TrainEvent::Closed { train: id })])
}

/// Steps that are not settled, in the order of the list.
pub(crate) fn unsettled(train: &Train) -> Vec<(&'static StepKind, Option<Channel>)> {
    let mut open = Vec::new();
    for kind in &steps::TABLE {
        let channels: Vec<Option<Channel>> = match kind.scope {
            Scope::Train => vec![None],
            Scope::Channel => train.going().map(|(channel, _)| Some(channel)).collect(),
        };
        let late = channels
            .into_iter()
            .filter(|channel| !train.step(kind.step(), *channel).is_some_and(StepState::is_settled));
        open.extend(late.map(|channel| (kind, channel)));
    }
    open
}
