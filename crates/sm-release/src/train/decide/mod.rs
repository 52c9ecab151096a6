//! Whether somebody gets what they ask for: the events that it comes to, or every reason why not.

mod days;
mod evidence;
mod exception;
mod open;
mod publish;
mod steps;
mod vote;

pub(crate) use days::weekday;
pub use open::propose;
pub(crate) use steps::{unsettled, waiting_for};

use sm_model::{
    Channel, Handle, StepId, Timestamp, TrainId,
    release_event::{Event, StepResult, TrainEvent},
};

use super::{
    command::{Command, Which},
    refusal::{Checks, Refusal, Refusals},
    state::{Phase, Release, State, Train},
};

/// Judges a wish of somebody at an instant.
///
/// # Errors
/// Every reason why it is not granted.
pub fn decide(state: &State, by: &Handle, command: Command, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    if let Some(last) = state.last_at.filter(|last| now < *last) {
        let why = format!("the clock says {now}, but the last event was recorded at {last}");
        return Err(Refusal::new("clock-went-back", why, "setting this machine's clock").into());
    }
    match command {
        Command::Adopt { file, text } => days::adopt(state, file, text),
        Command::ImportHistory { releases } => days::import(state, releases),
        Command::Freeze { from, until, reason } => days::freeze(state, from, until, reason),
        Command::Thaw { from, reason } => days::thaw(state, from, reason),
        Command::Move { channel, from, to, reason } => days::put(state, channel, from, to, reason),
        Command::AskExpedite { day, reason } => days::ask(state, day, reason, now),
        Command::GrantExpedite { day } => days::grant(state, by, day, now),
        Command::Open { day, urgency, coordinator, team, wanted } => {
            open::open(state, open::Wish { day, urgency, coordinator, team, wanted }, now)
        }
        Command::BeginStep { train, step, channel } => steps::begin(state, train, step, channel),
        Command::EndStep { train, step, channel, result } => {
            steps::end(state, steps::Place { train, step, channel }, result)
        }
        Command::Slip { train, to, reason } => steps::slip(state, train, to, reason, now),
        Command::Drop { which, reason } => steps::drop_release(state, which, reason),
        Command::Cancel { train, reason } => steps::cancel(state, train, reason),
        Command::Close { train } => steps::close(state, train),
        Command::Record(event) => evidence::record(state, event, now),
        Command::OpenPoll(which) => vote::open(state, which, now),
        Command::Cast(ballot) => vote::cast(state, by, ballot, now),
        Command::Announce { which, room, event_id } => vote::announce(state, which, room, event_id),
        Command::Answer { which, voter, answer } => vote::answer(state, by, which, voter, answer),
        Command::Decide(decision) => vote::close(state, decision, now),
        Command::AskWaiver(waiver) => exception::ask_waiver(state, waiver, now),
        Command::AskOverride(lifted) => exception::ask_override(state, lifted, now),
        Command::Second(seconding) => exception::second(state, seconding, now),
        Command::Withdraw { id, reason } => exception::withdraw(state, id, reason),
        Command::OpenBlocker { title, channels, issue } => {
            exception::open_blocker(state, by, title, channels, issue)
        }
        Command::CloseBlocker { id, resolution, reason } => {
            exception::close_blocker(state, by, id, resolution, reason)
        }
        Command::Acknowledge(which) => publish::acknowledge(state, by, which),
        Command::BeginPublish(which) => publish::begin(state, which, now),
        Command::EndPublish(which) => publish::end(state, which, now),
    }
}

/// The running train of that name.
fn train_of(state: &State, id: TrainId) -> Result<&Train, Refusals> {
    let train = state.trains.get(&id).ok_or_else(|| {
        let why = format!("there is no train {id}");
        Refusals::from(Refusal::new("no-train", why, "a name from `stationmaster status`"))
    })?;
    match &train.phase {
        Phase::Running => Ok(train),
        Phase::Stopped { reason } => {
            let why = format!("train {id} was cancelled: {reason}");
            Err(Refusal::new("train-stopped", why, "opening another train").into())
        }
        _ => {
            Err(Refusal::new("train-closed", format!("train {id} is closed"), "opening another train").into())
        }
    }
}

/// A release that is on its way, with its train.
fn release_of(state: &State, which: Which) -> Result<(&Train, &Release), Refusals> {
    let Which { train: id, channel } = which;
    let train = train_of(state, id)?;
    let release = train.releases.get(&channel).ok_or_else(|| {
        let why = format!("train {id} carries no release of {channel}");
        Refusals::from(Refusal::new("no-release", why, "naming a channel that it carries"))
    })?;
    match &release.phase {
        Phase::Running | Phase::Publishing => Ok((train, release)),
        Phase::Stopped { reason } => {
            let why = format!("{channel} left train {id}: {reason}");
            Err(Refusal::new("release-stopped", why, "the next train").into())
        }
        _ => {
            let why = format!("{channel} {} is published", release.plan.version);
            Err(Refusal::new("published", why, "the next release").into())
        }
    }
}

/// The event by which the system ticks a step off.
fn ticked(train: TrainId, id: &'static str, channel: Option<Channel>, evidence: impl Into<String>) -> Event {
    let step: StepId = id.parse().expect("ids in the code are step ids");
    let result = StepResult::Done { evidence: evidence.into() };
    Event::Train(TrainEvent::StepEnded { train, step, channel, result })
}

/// A reason that people must give.
fn require_reason(checks: &mut Checks, reason: &str, min_chars: usize) {
    let given = reason.trim().chars().count();
    checks.require(
        given >= min_chars,
        "no-reason",
        || match min_chars {
            1 => "there is no reason given".to_owned(),
            _ => format!("the reason has {given} characters, {min_chars} are expected"),
        },
        "a reason that others understand later",
    );
}
