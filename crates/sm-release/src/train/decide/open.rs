//! Opening a train: its day, its people, and a version for every channel.

use sm_model::{
    Channel, Date, Handle, Released, Role, Timestamp, TrainId,
    release_event::{Event, TrainEvent},
    train::{Move, PlannedRelease, Team, Urgency},
};

use super::{Checks, Refusal, Refusals, State, days, require_reason, ticked};
use crate::{
    lts, soak,
    version::{newest, next_version},
};

/// What a train is to be.
pub(super) struct Wish {
    pub(super) day: Date,
    pub(super) urgency: Urgency,
    pub(super) coordinator: Handle,
    pub(super) team: Team,
    pub(super) wanted: Vec<(Channel, Option<Move>)>,
}

pub(super) fn open(state: &State, wish: Wish, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    let today = Date::of(now);
    let mut checks = Checks::default();
    checks.require(
        wish.day >= today,
        "past",
        || format!("{} is over", wish.day),
        "a day that is still to come",
    );
    checks.extend(days::closed(state, wish.day));
    checks.require(
        !wish.wanted.is_empty(),
        "no-channel",
        || "the train carries nothing".to_owned(),
        "naming channels",
    );
    if let Urgency::Expedited { reason } = &wish.urgency {
        require_reason(&mut checks, reason, 1);
    }
    let releases = plan(state, &wish, now, &mut checks);
    let train = name(state, wish.day);
    let mut team = wish.team;
    team.insert(Role::Coordinator, wish.coordinator);
    let mut events = vec![ticked(train, "P1", None, format!("train {train}"))];
    events.push(ticked(train, "P8", None, format!("{} is a {} and open", wish.day, days::weekday(wish.day))));
    for planned in &releases {
        events.extend(of_release(train, planned));
    }
    let opened = TrainEvent::Opened { train, day: wish.day, urgency: wish.urgency, team, releases };
    events.insert(0, Event::Train(opened));
    checks.into_result(events)
}

fn of_release(train: TrainId, planned: &PlannedRelease) -> [Event; 2] {
    let channel = Some(planned.channel);
    let against = planned
        .previous
        .map_or("the first release".to_owned(), |previous| format!("compared with {previous}"));
    [
        ticked(train, "B1", channel, format!("{}: {}", planned.version, planned.why.join("; "))),
        ticked(train, "B7", channel, against),
    ]
}

/// The name of the next train of a day.
fn name(state: &State, day: Date) -> TrainId {
    let numbers = state.trains.keys().filter(|id| id.day == day).map(|id| id.number);
    TrainId { day, number: numbers.max().unwrap_or(0).saturating_add(1) }
}

fn plan(state: &State, wish: &Wish, now: Timestamp, checks: &mut Checks) -> Vec<PlannedRelease> {
    let mut planned: Vec<PlannedRelease> = Vec::new();
    for (channel, wanted) in &wish.wanted {
        checks.require(
            !planned.iter().any(|release| release.channel == *channel),
            "channel-twice",
            || format!("{channel} is named twice"),
            "naming it once",
        );
        checks.extend(busy(state, *channel));
        checks.extend(unsupported(state, *channel, wish.day));
        match propose(state, *channel, *wanted, now) {
            Ok(release) => planned.push(release),
            Err(refusal) => checks.push(refusal),
        }
    }
    planned
}

/// A channel is on one train at a time: otherwise two releases would be compared with the same one before them.
fn busy(state: &State, channel: Channel) -> Option<Refusal> {
    let running = state.running();
    let carries = |train: &&&super::Train| {
        train.going().any(|(other, r)| other == channel && r.phase != super::Phase::Published)
    };
    let train = running.iter().find(carries)?;
    let why = format!("{channel} is on train {} already", train.id);
    Some(Refusal::new(
        "channel-busy",
        why,
        "publishing it there, or taking it off: `stationmaster release cancel`",
    ))
}

fn unsupported(state: &State, channel: Channel, day: Date) -> Option<Refusal> {
    let streams = lts::streams(&state.history);
    let stream = streams.iter().find(|stream| stream.channel == channel && !stream.is_supported(day))?;
    let why = format!("{channel} is supported until {}", stream.supported_until);
    Some(Refusal::new("unsupported", why, "the next long-term stream"))
}

/// The next release of a channel: what was asked for, or what the rules say.
///
/// # Errors
/// Why there is none.
pub fn propose(
    state: &State,
    channel: Channel,
    wanted: Option<Move>,
    now: Timestamp,
) -> Result<PlannedRelease, Refusal> {
    let taken = state.taken();
    let wanted = wanted.unwrap_or_else(|| usual(state, &taken, channel, now));
    let epoch = state.rules.days.epoch.start();
    let refused = |error: crate::version::VersionRefusal| {
        Refusal::new(
            "no-version",
            format!("{channel}: {error}"),
            "another move: CHANNEL=new, =patch or =promote:MAJOR",
        )
    };
    let proposal = next_version(&taken, channel, wanted, epoch, now).map_err(refused)?;
    // What was never published is nothing to compare with.
    let published = proposal.previous.filter(|version| state.history.iter().any(|r| r.version == *version));
    let previous = published.or_else(|| newest(&state.history, channel));
    Ok(PlannedRelease { channel, version: proposal.version, previous, wanted, why: proposal.why })
}

/// What a channel usually gets: alpha a new branch; the others the newest branch that may come up, or else a fix.
fn usual(state: &State, taken: &[Released], channel: Channel, now: Timestamp) -> Move {
    if channel == Channel::Alpha {
        return Move::NewBranch;
    }
    let has_release = newest(taken, channel).is_some();
    let is_stream = matches!(channel, Channel::Lts(_));
    let watched = &state.rules.policy.components;
    let up = soak::promotable(&state.history, &state.contents, channel, watched, now);
    match up.iter().find(|branch| branch.days >= crate::soak::usual_days(channel)) {
        // A stream stays on its branch for its whole life.
        Some(branch) if !(is_stream && has_release) => Move::Promote { major: branch.major },
        _ => Move::Patch,
    }
}
