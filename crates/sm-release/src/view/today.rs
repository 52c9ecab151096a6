//! The day at a glance: whether it is open, which trains are on their way, what is due, what holds things up.

use std::fmt;

use serde::Serialize;
use sm_model::{Channel, Date, ItemId, Released, Timestamp};

use super::status::TrainStatus;
use crate::{
    calendar::Due,
    lts,
    train::{State, decide::weekday},
};

/// The day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Today {
    /// Which.
    pub day: Date,
    /// Why nothing is published; empty on an open day.
    pub closed: Vec<String>,
    /// Trains on their way.
    pub trains: Vec<TrainStatus>,
    /// When the next release of each channel is due, for channels that are on no train.
    pub due: Vec<(Channel, Due)>,
    /// Blockers that are open.
    pub blockers: Vec<(ItemId, String)>,
    /// Long-term streams whose end is near or past.
    pub endings: Vec<String>,
}

impl Today {
    /// The day of an instant.
    pub fn of(state: &State, now: Timestamp) -> Today {
        let day = Date::of(now);
        let running = state.running();
        let trains: Vec<TrainStatus> =
            running.iter().map(|train| TrainStatus::of(state, train, now)).collect();
        let open = state.blockers.iter().filter(|(_, blocker)| blocker.closed.is_none());
        Today {
            day,
            closed: reasons(state, day),
            due: due(state, day),
            trains,
            blockers: open.map(|(id, blocker)| (*id, blocker.title.clone())).collect(),
            endings: endings(state, day),
        }
    }
}

fn reasons(state: &State, day: Date) -> Vec<String> {
    let closed = state.calendar().check(day).err().unwrap_or_default();
    closed.iter().map(ToString::to_string).collect()
}

/// Channels that had a release and get more: all but long-term streams whose support has ended.
pub fn channels(state: &State, day: Date) -> Vec<Channel> {
    let streams = lts::streams(&state.history);
    let ended: Vec<Channel> =
        streams.iter().filter(|stream| !stream.is_supported(day)).map(|stream| stream.channel).collect();
    let mut channels: Vec<Channel> = state.history.iter().map(|released| released.channel).collect();
    channels.sort();
    channels.dedup();
    channels.retain(|channel| !ended.contains(channel));
    channels
}

/// When the next release of every channel that gets one, and is on no train, is due.
pub fn due(state: &State, day: Date) -> Vec<(Channel, Due)> {
    let calendar = state.calendar();
    let on_train: Vec<Channel> =
        state.running().iter().flat_map(|train| train.going()).map(|(channel, _)| channel).collect();
    let free = channels(state, day).into_iter().filter(|channel| !on_train.contains(channel));
    let next = free.filter_map(|channel| {
        let last = last_day(&state.history, channel)?;
        Some((channel, calendar.due(channel, last, 1).into_iter().next()?))
    });
    next.collect()
}

/// The day of a channel's last release.
pub fn last_day(history: &[Released], channel: Channel) -> Option<Date> {
    let dates = history.iter().filter(|released| released.channel == channel).map(|released| released.date);
    dates.max().map(Date::of)
}

/// Streams that end within the time in which that is announced, or ended within a month.
fn endings(state: &State, day: Date) -> Vec<String> {
    let near = |stream: &&lts::Stream| {
        let [first, ..] = stream.notices();
        first <= day && day <= stream.supported_until.plus_days(30)
    };
    let streams = lts::streams(&state.history);
    let near = streams.iter().filter(near);
    near.map(|stream| format!("{} is supported until {}", stream.channel, stream.supported_until)).collect()
}

impl fmt::Display for Today {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: ", weekday(self.day), self.day)?;
        if self.closed.is_empty() {
            f.write_str("releases can be published")?;
        } else {
            f.write_str(&self.closed.join("; "))?;
        }
        for train in &self.trains {
            write!(f, "\n{train}")?;
            let next: Vec<_> = train.next().take(4).collect();
            next.iter().try_for_each(|step| write!(f, "\n    {step}"))?;
        }
        for (channel, due) in &self.due {
            write!(f, "\n{channel} is due on {}", due.day)?;
            if due.day < self.day {
                write!(f, ", {} days ago", self.day.days_since(due.day))?;
            }
        }
        for (id, title) in &self.blockers {
            write!(f, "\nblocker {id}: {title}")?;
        }
        self.endings.iter().try_for_each(|ending| write!(f, "\n{ending}"))
    }
}
