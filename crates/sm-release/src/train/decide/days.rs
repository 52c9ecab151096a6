//! Rules and days.

use sm_model::{
    Channel, Date, Handle, Released, Timestamp,
    evidence::RuleFile,
    release_event::{CalendarEvent, Event, RulesEvent},
};

use super::{Checks, Refusal, Refusals, State, require_reason};
use crate::calendar::Closed;

pub(super) fn adopt(state: &State, file: RuleFile, text: String) -> Result<Vec<Event>, Refusals> {
    if state.rules.has(file, &text) {
        return Ok(vec![]);
    }
    match state.rules.clone().adopt(file, &text) {
        Ok(()) => Ok(vec![Event::Rules(RulesEvent::Adopted { file, text })]),
        Err(problems) => {
            let name = file.file_name();
            let told = problems.iter().map(|problem| {
                Refusal::new("invalid-rules", format!("{name}:{problem}"), format!("mending `{name}`"))
            });
            Err(Refusals(told.collect()))
        }
    }
}

pub(super) fn import(state: &State, releases: Vec<Released>) -> Result<Vec<Event>, Refusals> {
    let taken = state.taken();
    let new: Vec<Released> =
        releases.into_iter().filter(|released| !state.history.contains(released)).collect();
    let mut checks = Checks::default();
    for released in &new {
        let clash = taken.iter().find(|other| other.version == released.version);
        checks.require(
            clash.is_none(),
            "version-taken",
            || format!("{} is known already, and differently", released.version),
            "leaving it out: a version is used once, ever",
        );
    }
    let event = Event::Rules(RulesEvent::HistoryImported { releases: new.clone() });
    checks.into_result(if new.is_empty() { vec![] } else { vec![event] })
}

pub(super) fn freeze(state: &State, from: Date, until: Date, reason: String) -> Result<Vec<Event>, Refusals> {
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    checks.require(
        from <= until,
        "ends-before-it-begins",
        || format!("the freeze ends on {until}, before it begins on {from}"),
        "giving the days in order",
    );
    let same = state.calendar().freezes.into_iter().find(|freeze| freeze.from == from);
    checks.require(
        same.is_none(),
        "frozen-already",
        || format!("a freeze begins on {from} already"),
        "thawing it first: `stationmaster cal thaw`",
    );
    checks.into_result(vec![Event::Calendar(CalendarEvent::Frozen { from, until, reason })])
}

pub(super) fn thaw(state: &State, from: Date, reason: String) -> Result<Vec<Event>, Refusals> {
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    checks.require(
        state.calendar().freezes.iter().any(|freeze| freeze.from == from),
        "no-freeze",
        || format!("no freeze begins on {from}"),
        "the first day of a freeze from `stationmaster cal show`",
    );
    checks.into_result(vec![Event::Calendar(CalendarEvent::Thawed { from, reason })])
}

pub(super) fn put(
    state: &State,
    channel: Channel,
    from: Date,
    to: Date,
    reason: String,
) -> Result<Vec<Event>, Refusals> {
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    checks.extend(closed(state, to));
    let calendar = state.calendar();
    let last = calendar.moves.get(&channel).into_iter().flatten().rfind(|moved| moved.from == from);
    let is_so = last.is_some_and(|moved| moved.to == to && moved.reason == reason);
    let moved = Event::Calendar(CalendarEvent::Moved { channel, from, to, reason });
    checks.into_result(if is_so { vec![] } else { vec![moved] })
}

/// Why nothing is published on a day.
pub(super) fn closed(state: &State, day: Date) -> Vec<Refusal> {
    let reasons = state.calendar().check(day).err().unwrap_or_default();
    let told = reasons.into_iter().map(|reason| {
        let (code, why) = match reason {
            Closed::Weekend => (
                "weekend",
                format!("{day} is a {}: nothing is published from Friday to Sunday", weekday(day)),
            ),
            Closed::Freeze { until, reason } => {
                ("freeze", format!("{day} lies in a freeze until {until}: {reason}"))
            }
        };
        Refusal::new(
            code,
            why,
            "another day, or two people expediting this one: `stationmaster cal expedite`",
        )
    });
    told.collect()
}

/// `Friday`.
pub(crate) fn weekday(day: Date) -> &'static str {
    use sm_model::time::Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    match day.weekday() {
        Monday => "Monday",
        Tuesday => "Tuesday",
        Wednesday => "Wednesday",
        Thursday => "Thursday",
        Friday => "Friday",
        Saturday => "Saturday",
        Sunday => "Sunday",
    }
}

pub(super) fn ask(state: &State, day: Date, reason: String, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    checks.require(day >= Date::of(now), "past", || format!("{day} is over"), "a day that is still to come");
    checks.require(
        !closed(state, day).is_empty(),
        "open-already",
        || format!("releases can be published on {day} anyhow"),
        "nothing: go on",
    );
    checks.require(
        !state.asked_expedites.iter().any(|expedite| expedite.day == day),
        "asked-already",
        || format!("an expedite for {day} waits for a second person"),
        "a second person: `stationmaster cal expedite DAY --grant`",
    );
    checks.into_result(vec![Event::Calendar(CalendarEvent::ExpediteAsked { day, reason })])
}

pub(super) fn grant(state: &State, by: &Handle, day: Date, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    let asked = state.asked_expedites.iter().find(|expedite| expedite.day == day);
    let mut checks = Checks::default();
    checks.require(
        asked.is_some(),
        "not-asked",
        || format!("nobody has asked for an expedite for {day}"),
        "asking for it first: `stationmaster cal expedite DAY --reason WHY`",
    );
    checks.require(
        asked.is_none_or(|asked| asked.by != by.as_str()),
        "same-person",
        || format!("{by} asked for it"),
        "a second person",
    );
    checks.require(
        state.rules.maintainers.get(by).is_some(),
        "no-maintainer",
        || format!("{by} is not in `maintainers.toml`"),
        "a maintainer",
    );
    checks.require(day >= Date::of(now), "past", || format!("{day} is over"), "a day that is still to come");
    checks.into_result(vec![Event::Calendar(CalendarEvent::ExpediteGranted { day })])
}
