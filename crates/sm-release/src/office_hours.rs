//! Office hours: when the next ones are, and what is talked about. Everything on the agenda is on record already.

use std::{fmt, fmt::Write as _, str::FromStr};

use serde::Serialize;
use sm_model::{
    Date, Timestamp,
    request::{Cost, RequestOutcome},
    time::Weekday,
};

use crate::{
    notes::{prose::markdown_text, review::Review},
    requests::{Request, Requests, Tally, missing_for_acceptance},
    train::{State, state::Phase},
};

/// Muted tests that end within so many days are on the agenda.
pub const MUTED_DAYS: i64 = 30;

const DAY_MINUTES: i64 = 24 * 60;

/// When office hours are: `second tuesday 15:30`, in UTC, once a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfficeHours {
    week: Week,
    weekday: Weekday,
    minutes: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Week {
    /// From 0.
    Nth(i64),
    Last,
}

/// A text that names no time of a month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no time of a month: expected for example `second tuesday 15:30` or `last monday 9:00`", .0.escape_debug())]
pub struct InvalidOfficeHours(String);

const WEEKS: [(&str, Week); 5] = [
    ("first", Week::Nth(0)),
    ("second", Week::Nth(1)),
    ("third", Week::Nth(2)),
    ("fourth", Week::Nth(3)),
    ("last", Week::Last),
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl Default for OfficeHours {
    fn default() -> Self {
        OfficeHours { week: Week::Nth(1), weekday: Weekday::Tuesday, minutes: 15 * 60 + 30 }
    }
}

impl FromStr for OfficeHours {
    type Err = InvalidOfficeHours;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidOfficeHours(text.chars().take(60).collect()))
    }
}

fn parse(text: &str) -> Option<OfficeHours> {
    let mut words = text.split_ascii_whitespace();
    let word = words.next()?.to_ascii_lowercase();
    let week = WEEKS.iter().find(|(name, _)| *name == word)?.1;
    let word = words.next()?.to_ascii_lowercase();
    let weekday = WEEKDAYS.iter().find(|(name, _)| *name == word)?.1;
    let (hours, minutes) = words.next()?.split_once(':')?;
    let number = |digits: &str, below: i64| {
        let is_plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| is_plain && *number < below)
    };
    let minutes = number(hours, 24)? * 60 + number(minutes, 60).filter(|_| minutes.len() == 2)?;
    words.next().is_none().then_some(OfficeHours { week, weekday, minutes })
}

impl OfficeHours {
    /// The first ones that begin after an instant.
    pub fn next_after(self, now: Timestamp) -> Timestamp {
        let (first, _) = month_of(Date::of(now));
        let this_month = self.in_month(first);
        if this_month > now {
            return this_month;
        }
        // Day 32 lies in the next month, whichever month this is.
        self.in_month(month_of(first.plus_days(31)).0)
    }

    /// Those before: what happened since then is new.
    pub fn last_before(self, next: Timestamp) -> Timestamp {
        let (first, _) = month_of(Date::of(next));
        self.in_month(month_of(first.plus_days(-1)).0)
    }

    fn in_month(self, first: Date) -> Timestamp {
        let (_, n_days) = month_of(first);
        let offset = |day: Date| {
            i64::from(
                (self.weekday.to_monday_zero_offset() - day.weekday().to_monday_zero_offset()).rem_euclid(7),
            )
        };
        let day = match self.week {
            Week::Nth(n) => first.plus_days(offset(first) + 7 * n),
            Week::Last => {
                let last_week = first.plus_days(n_days - 7);
                last_week.plus_days(offset(last_week))
            }
        };
        let secs = day.start().unix_secs() + self.minutes.rem_euclid(DAY_MINUTES) * 60;
        Timestamp::from_unix_secs(secs).unwrap_or(day.start())
    }
}

/// The first day of a month, and how many days it has.
fn month_of(day: Date) -> (Date, i64) {
    let (_, _, number) = day.year_month_day();
    let first = day.plus_days(1 - i64::from(number));
    let after = first.plus_days(31);
    let (_, _, beyond) = after.year_month_day();
    (first, after.plus_days(1 - i64::from(beyond)).days_since(first))
}

/// What is talked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agenda {
    /// When.
    pub at: Timestamp,
    /// Requests that are to be decided.
    pub requests: Vec<RequestItem>,
    /// Releases on their way.
    pub releases: Vec<String>,
    /// Blockers that are open.
    pub blockers: Vec<String>,
    /// Muted tests that end soon.
    pub muted: Vec<String>,
    /// Remarks on release notes that nobody has answered.
    pub remarks: Vec<String>,
    /// What was decided since the last office hours.
    pub decided: Vec<String>,
}

/// A request that is to be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestItem {
    /// Its number.
    pub id: u64,
    /// The packages.
    pub packages: String,
    /// Who asks.
    pub by: String,
    /// What for.
    pub purpose: String,
    /// What they cost, in one line; `None` when nobody measured.
    pub cost: Option<String>,
    /// The votes.
    #[serde(flatten)]
    pub tally: Tally,
    /// What it lacks to be taken in.
    pub lacks: Vec<String>,
}

/// The agenda of the next office hours after `now`.
pub fn agenda(
    state: &State,
    requests: &Requests,
    review: &Review,
    hours: OfficeHours,
    now: Timestamp,
) -> Agenda {
    let at = hours.next_after(now);
    let last = hours.last_before(at);
    Agenda {
        at,
        requests: requests.open().map(|request| request_item(request, state)).collect(),
        releases: releases(state),
        blockers: blockers(state),
        muted: muted(state, at),
        remarks: review
            .open()
            .map(|remark| format!("{} on {}, by {}", remark.id, remark.fragment, remark.by))
            .collect(),
        decided: requests.iter().filter_map(|request| decided(request, last)).collect(),
    }
}

fn names(request: &Request) -> String {
    let names: Vec<&str> = request.asked.packages.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

fn request_item(request: &Request, state: &State) -> RequestItem {
    let maintainers = &state.rules.maintainers;
    RequestItem {
        id: request.id,
        packages: names(request),
        by: request.by.to_string(),
        purpose: request.asked.purpose.clone(),
        cost: request.costs.last().map(cost_line),
        tally: request.tally(maintainers),
        lacks: missing_for_acceptance(request, maintainers).into_iter().map(|refusal| refusal.why).collect(),
    }
}

/// What packages cost, in one line.
pub fn cost_line(cost: &Cost) -> String {
    let counted = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    format!(
        "{} on the disk, {} to download; {}, {}, {}, {}",
        megabytes(cost.usr.grown_bytes()),
        megabytes(cost.payload.grown_bytes()),
        counted(cost.packages.len(), "package", "packages"),
        counted(cost.setuid.len(), "set-user-ID file", "set-user-ID files"),
        counted(cost.units.len(), "unit", "units"),
        counted(cost.listeners.len(), "listening socket", "listening sockets"),
    )
}

/// `+1.5 MB`: millions of bytes, to one decimal, rounded away from zero so that nothing is told as nothing.
fn megabytes(bytes: i64) -> String {
    let tenths = bytes.unsigned_abs().div_ceil(100_000);
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}.{} MB", tenths / 10, tenths % 10)
}

fn releases(state: &State) -> Vec<String> {
    let running =
        state.trains.values().filter(|train| matches!(train.phase, Phase::Running | Phase::Publishing));
    running
        .flat_map(|train| {
            train
                .releases
                .iter()
                .map(move |(channel, release)| format!("{channel} {} on {}", release.plan.version, train.day))
        })
        .collect()
}

fn blockers(state: &State) -> Vec<String> {
    let open = state.blockers.iter().filter(|(_, blocker)| blocker.closed.is_none());
    open.map(|(id, blocker)| format!("{id} {}", blocker.title)).collect()
}

fn muted(state: &State, at: Timestamp) -> Vec<String> {
    let ends_soon = |expires: Timestamp| expires.secs_since(at) < MUTED_DAYS * DAY_MINUTES * 60;
    let muted = state.rules.quarantines.iter().filter(|quarantine| ends_soon(quarantine.expires));
    muted
        .map(|quarantine| {
            let until = Date::of(quarantine.expires);
            format!("{} until {until}, {}: {}", quarantine.test, quarantine.owner, quarantine.issue)
        })
        .collect()
}

fn decided(request: &Request, since: Timestamp) -> Option<String> {
    let decided = request.decision.as_ref().filter(|decided| decided.at >= since)?;
    let what = match &decided.outcome {
        RequestOutcome::Accepted => "taken in".to_owned(),
        RequestOutcome::Experimental { review } => format!("taken into alpha until {review}"),
        RequestOutcome::Alternative => "there is a better way".to_owned(),
        RequestOutcome::Declined => "not taken in".to_owned(),
        RequestOutcome::Deferred { until } => format!("put off until {until}"),
    };
    Some(format!("{} {}: {what}: {}", request.id, names(request), decided.reason))
}

impl Agenda {
    /// As Markdown, for an issue or a page.
    pub fn to_markdown(&self) -> String {
        self.render(&Style { heading: "## ", item: "- ", below: "  - ", escape: markdown_text, title: "# " })
    }

    fn render(&self, style: &Style) -> String {
        let mut out = format!("{}Office hours, {}\n", style.title, self.at);
        let requests: Vec<String> = self.requests.iter().map(|item| item.text(style)).collect();
        section(&mut out, style, "Package requests", &requests, true);
        for (heading, lines) in [
            ("Releases on their way", &self.releases),
            ("Blockers", &self.blockers),
            ("Muted tests that end soon", &self.muted),
            ("Remarks on release notes", &self.remarks),
            ("Decided since the last time", &self.decided),
        ] {
            section(&mut out, style, heading, lines, false);
        }
        out
    }
}

impl fmt::Display for Agenda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
        let style = Style { heading: "", item: "  - ", below: "    ", escape: plain, title: "" };
        f.write_str(self.render(&style).trim_end())
    }
}

struct Style {
    title: &'static str,
    heading: &'static str,
    item: &'static str,
    /// What belongs to the item above.
    below: &'static str,
    escape: fn(&str) -> String,
}

/// Lines that are escaped already are left as they are.
fn section(out: &mut String, style: &Style, heading: &str, lines: &[String], is_escaped: bool) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n{}{heading}", style.heading);
    if !style.heading.is_empty() {
        out.push('\n');
    }
    if lines.is_empty() {
        let _ = writeln!(out, "{}nothing", style.item);
    }
    for line in lines {
        let line = if is_escaped { line.clone() } else { (style.escape)(line) };
        let _ = writeln!(out, "{}{line}", style.item);
    }
}

impl RequestItem {
    fn text(&self, style: &Style) -> String {
        let (escape, indent) = (style.escape, format!("\n{}", style.below));
        let RequestItem { id, tally, .. } = self;
        let (packages, by, purpose) = (escape(&self.packages), escape(&self.by), escape(&self.purpose));
        let mut text = format!("{id} {packages}, asked by {by}: {purpose}");
        let cost = self.cost.as_deref().unwrap_or("not measured yet");
        // Writing to a String cannot fail.
        let _ = write!(text, "{indent}{}", escape(cost));
        let _ = write!(
            text,
            "{indent}maintainers: {} for, {} against; others: {} for, {} against",
            tally.n_for, tally.n_against, tally.n_others_for, tally.n_others_against
        );
        for lack in &self.lacks {
            let _ = write!(text, "{indent}lacks: {}", escape(lack));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::tests::{Log, asked, cost, maintainers};
    use proptest::prelude::*;
    use sm_model::request::RequestChoice;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_office_hours_are_found_over_months_and_years() {
        for (rule, now, next) in [
            ("second tuesday 15:30", "2026-11-01T00:00:00Z", "2026-11-10T15:30:00Z"),
            ("second tuesday 15:30", "2026-11-10T15:29:59Z", "2026-11-10T15:30:00Z"),
            ("second tuesday 15:30", "2026-11-10T15:30:00Z", "2026-12-08T15:30:00Z"),
            ("second tuesday 15:30", "2026-12-31T00:00:00Z", "2027-01-12T15:30:00Z"),
            ("last monday 9:00", "2027-02-01T00:00:00Z", "2027-02-22T09:00:00Z"),
            ("last monday 9:00", "2026-11-23T05:00:00Z", "2026-11-30T09:00:00Z"),
            ("first sunday 00:00", "2026-11-01T00:00:00Z", "2026-12-06T00:00:00Z"),
        ] {
            assert_eq!(
                rule.parse::<OfficeHours>().unwrap().next_after(at(now)),
                at(next),
                "{rule} after {now}"
            );
        }
        for text in [
            "",
            "second",
            "fifth tuesday 15:30",
            "second tuesday",
            "second tuesday 24:00",
            "second tuesday 15:3",
            "second tuesday 15:30 x",
            "second tuesday +1:30",
        ] {
            assert!(text.parse::<OfficeHours>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn next_office_hours_lie_ahead_within_two_months_on_their_weekday(secs in 0..4_000_000_000_i64, week in 0..5_usize, weekday in 0..7_usize, minutes in 0..1440_i64) {
            let hours = OfficeHours { week: WEEKS[week].1, weekday: WEEKDAYS[weekday].1, minutes };
            let now = Timestamp::from_unix_secs(secs).unwrap();
            let next = hours.next_after(now);
            prop_assert!(next > now && next.secs_since(now) < 62 * 86_400);
            prop_assert_eq!(Date::of(next).weekday(), WEEKDAYS[weekday].1);
            let last = hours.last_before(next);
            prop_assert!(last <= now && hours.next_after(last) == next);
        }
    }

    #[test]
    fn sizes_are_told_in_tenths_of_megabytes_and_nothing_is_told_as_nothing() {
        assert_eq!(
            [0, 1, -1, 1_500_000, 1_500_001].map(megabytes),
            ["+0.0 MB", "+0.1 MB", "-0.1 MB", "+1.5 MB", "+1.6 MB"]
        );
    }

    fn state() -> State {
        let mut state = State::default();
        state.rules.maintainers = maintainers();
        state
    }

    #[test]
    fn the_agenda_is_pinned() {
        let mut log = Log::new();
        log.push("alice", log.requests().measure(1, cost()).unwrap());
        log.vote("alice", RequestChoice::For, "");
        log.vote("frank", RequestChoice::Against, "too large");
        let now = at("2026-11-23T00:00:00Z");
        let agenda = agenda(&state(), &log.requests(), &Review::default(), OfficeHours::default(), now);
        assert_eq!(
            agenda.to_string(),
            "Office hours, 2026-12-08T15:30:00Z\n\nPackage requests\n  \
             - 1 jq, asked by erin: Read what containers say.\n    \
             +1.5 MB on the disk, +1.5 MB to download; 2 packages, 0 set-user-ID files, 0 units, 0 listening sockets\n    \
             maintainers: 1 for, 0 against; others: 0 for, 1 against\n    \
             lacks: 1 maintainers are for it, expected 3 at least\n\n\
             Releases on their way\n  - nothing\n\nBlockers\n  - nothing\n\n\
             Muted tests that end soon\n  - nothing\n\nRemarks on release notes\n  - nothing\n\n\
             Decided since the last time\n  - nothing"
        );
    }

    #[test]
    fn what_people_write_is_escaped() {
        let mut log = Log { events: Vec::new() };
        let hostile =
            sm_model::request::PackageRequest { purpose: "<script> [x](y) # z".to_owned(), ..asked() };
        log.push("erin", log.requests().file(hostile).unwrap());
        let now = at("2026-11-23T00:00:00Z");
        let agenda = agenda(&state(), &log.requests(), &Review::default(), OfficeHours::default(), now);
        assert!(agenda.to_markdown().contains("\\<script\\> \\[x\\](y) # z"), "{}", agenda.to_markdown());
    }
}
