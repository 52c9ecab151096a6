//! When releases are due, and when nothing is published: cadence, closed days, freezes, moves and expedites, all of them data.
//!
//! Nothing is published from Friday to Sunday or in a freeze, unless somebody expedited that very day, and then on the record.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sm_model::{Channel, Date, time::Weekday};

/// Target cadence of every channel, in days.
pub const CADENCE_DAYS: i64 = 14;

/// A span of days in which nothing is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// First day.
    pub from: Date,
    /// Last day.
    pub until: Date,
    /// Why: a holiday, a conference, an incident.
    pub reason: String,
}

/// One release that was put to another day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Day that the cadence gave.
    pub from: Date,
    /// Day it is on instead.
    pub to: Date,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
}

/// Leave to publish on one day that is otherwise closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expedite {
    /// The day.
    pub day: Date,
    /// Why it cannot wait.
    pub reason: String,
    /// By whom.
    pub by: String,
}

/// Everything that people have decided about days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    /// Spans without publishing.
    pub freezes: Vec<Freeze>,
    /// Releases put to another day, by channel.
    pub moves: BTreeMap<Channel, Vec<Moved>>,
    /// Closed days that are open all the same.
    pub expedites: Vec<Expedite>,
    /// Days between releases, where a channel differs from [`CADENCE_DAYS`].
    pub cadence_days: BTreeMap<Channel, i64>,
}

/// Why nothing is published on a day, and what would lift it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// Friday, Saturday or Sunday: nobody is there when it breaks.
    Weekend,
    /// A freeze.
    Freeze {
        /// Its last day.
        until: Date,
        /// Its reason.
        reason: String,
    },
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::Weekend => {
                f.write_str("nothing is published from Friday to Sunday; an expedite for this day lifts that")
            }
            Closed::Freeze { until, reason } => {
                write!(f, "there is a freeze until {until} ({reason}); an expedite for this day lifts that")
            }
        }
    }
}

/// A day on which a release of a channel is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The day.
    pub day: Date,
    /// Day that the cadence alone would give.
    pub target: Date,
    /// Why the two differ, and what else is due on the day; empty where there is nothing to tell.
    pub because: Vec<String>,
}

/// A due day, and who put it there.
struct Placed {
    due: Due,
    mover: Mover,
}

#[derive(PartialEq, Eq)]
enum Mover {
    /// The cadence, and what is closed.
    Calendar,
    /// Somebody who said why.
    Person,
}

impl Calendar {
    /// Whether releases may be published on a day.
    ///
    /// # Errors
    /// Every reason why not.
    pub fn check(&self, day: Date) -> Result<(), Vec<Closed>> {
        if self.expedites.iter().any(|expedite| expedite.day == day) {
            return Ok(());
        }
        let reasons = self.closed(day);
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn closed(&self, day: Date) -> Vec<Closed> {
        let weekend = matches!(day.weekday(), Weekday::Friday | Weekday::Saturday | Weekday::Sunday);
        let freezes = self.freezes.iter().filter(|freeze| freeze.from <= day && day <= freeze.until);
        let freezes =
            freezes.map(|freeze| Closed::Freeze { until: freeze.until, reason: freeze.reason.clone() });
        weekend.then_some(Closed::Weekend).into_iter().chain(freezes).collect()
    }

    /// The next `n` days on which a channel's releases are due after its last one, fewer where a freeze has no end. A due day
    /// that is closed slips to the next open one; the cadence goes on from the target, so that one slip does not move all that
    /// follow. What slips to less than half a cadence before the next one is released with that, unless somebody moved it there.
    pub fn due(&self, channel: Channel, last: Date, n: usize) -> Vec<Due> {
        let cadence = self.cadence_days.get(&channel).copied().unwrap_or(CADENCE_DAYS).max(1);
        let mut kept: Vec<Placed> = Vec::new();
        // The last one that is wanted stands when the one after it is known.
        let places = (1..).map_while(|k| self.place(channel, last.plus_days(cadence * k)));
        for mut next in places {
            let is_close = |before: &mut Placed| 2 * next.due.day.days_since(before.due.day) < cadence;
            if let Some(before) = kept.pop_if(|before| before.mover == Mover::Calendar && is_close(before)) {
                let with_it = format!("what was due on {} goes with it", before.due.target);
                let because = [vec![with_it], before.due.because, next.due.because];
                next.due.because = because.concat();
            }
            kept.push(next);
            if kept.len() > n {
                break;
            }
        }
        kept.into_iter().take(n).map(|placed| placed.due).collect()
    }

    fn place(&self, channel: Channel, target: Date) -> Option<Placed> {
        let moved = self.moves.get(&channel).into_iter().flatten().rfind(|moved| moved.from == target);
        let mut because: Vec<String> =
            moved.map(|moved| format!("moved by {}: {}", moved.by, moved.reason)).into_iter().collect();
        let wanted = moved.map_or(target, |moved| moved.to);
        let day = self.next_open(wanted)?;
        if day != wanted {
            because.extend(self.closed(wanted).iter().map(|closed| format!("{wanted}: {closed}")));
        }
        let mover = if moved.is_some() { Mover::Person } else { Mover::Calendar };
        Some(Placed { due: Due { day, target, because }, mover })
    }

    /// The first open day from `day` on, within two years: a longer freeze is no plan.
    pub fn next_open(&self, day: Date) -> Option<Date> {
        (0..730).map(|n| day.plus_days(n)).find(|day| self.check(*day).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn winter() -> Calendar {
        let freeze = Freeze {
            from: day("2026-12-21"),
            until: day("2027-01-03"),
            reason: "winter holidays".to_owned(),
        };
        Calendar { freezes: vec![freeze], ..Calendar::default() }
    }

    fn dates(due: &[Due]) -> Vec<String> {
        due.iter().map(|due| due.day.to_string()).collect()
    }

    #[test]
    fn wednesdays_stay_wednesdays() {
        let due = Calendar::default().due(Channel::Beta, day("2026-11-18"), 3);
        assert_eq!(dates(&due), ["2026-12-02", "2026-12-16", "2026-12-30"]);
        assert!(due.iter().all(|due| due.because.is_empty()));
    }

    #[test]
    fn a_freeze_moves_one_release_and_not_those_after_it() {
        let due = winter().due(Channel::Beta, day("2026-12-16"), 2);
        assert_eq!(dates(&due), ["2027-01-04", "2027-01-13"]);
        assert_eq!(due[0].target, day("2026-12-30"));
        assert!(due[0].because[0].contains("winter holidays"), "{:?}", due[0].because);
    }

    #[test]
    fn what_slips_to_right_before_the_next_release_goes_with_it() {
        let due = winter().due(Channel::Beta, day("2026-12-09"), 2);
        assert_eq!(dates(&due), ["2027-01-06", "2027-01-20"]);
        assert_eq!(due[0].because[0], "what was due on 2026-12-23 goes with it");
        assert!(due[0].because[1].contains("winter holidays"), "{:?}", due[0].because);
        assert!(due[1].because.is_empty());
    }

    #[test]
    fn a_release_that_somebody_moves_to_right_before_the_next_stays_there() {
        let moved = Moved {
            from: day("2026-12-23"),
            to: day("2027-01-04"),
            reason: "kernel".to_owned(),
            by: "alice".to_owned(),
        };
        let calendar = Calendar { moves: [(Channel::Beta, vec![moved])].into(), ..winter() };
        assert_eq!(dates(&calendar.due(Channel::Beta, day("2026-12-09"), 2)), ["2027-01-04", "2027-01-06"]);
    }

    #[test]
    fn a_move_is_followed_and_explained() {
        let moved = Moved {
            from: day("2026-12-02"),
            to: day("2026-12-03"),
            reason: "venue".to_owned(),
            by: "alice".to_owned(),
        };
        let calendar = Calendar { moves: [(Channel::Beta, vec![moved])].into(), ..Calendar::default() };
        let due = calendar.due(Channel::Beta, day("2026-11-18"), 1);
        assert_eq!(
            (dates(&due), due[0].because[0].as_str()),
            (vec!["2026-12-03".to_owned()], "moved by alice: venue")
        );
        assert_eq!(dates(&calendar.due(Channel::Alpha, day("2026-11-18"), 1)), ["2026-12-02"]);
    }

    #[test]
    fn an_expedite_opens_one_day_only() {
        let mut calendar = winter();
        let christmas = day("2026-12-25");
        assert_eq!(calendar.check(christmas).unwrap_err().len(), 2);
        calendar.expedites.push(Expedite {
            day: christmas,
            reason: "exploited".to_owned(),
            by: "bob".to_owned(),
        });
        assert!(calendar.check(christmas).is_ok());
        assert!(calendar.check(christmas.plus_days(1)).is_err());
    }

    proptest! {
        #[test]
        fn due_days_lie_half_a_cadence_apart_and_there_are_as_many_as_asked_for(
            start in 0..1000_i64,
            cadence in 1..40_i64,
            freezes in proptest::collection::vec((0..1000_i64, 0..60_i64), 0..4),
            n in 0..20_usize,
        ) {
            let zero = day("2024-01-01");
            let freeze = |(from, length)| Freeze {
                from: zero.plus_days(from),
                until: zero.plus_days(from + length),
                reason: "r".to_owned(),
            };
            let calendar = Calendar {
                freezes: freezes.into_iter().map(freeze).collect(),
                cadence_days: [(Channel::Stable, cadence)].into(),
                ..Calendar::default()
            };
            let last = zero.plus_days(start);
            let due = calendar.due(Channel::Stable, last, n);
            prop_assert_eq!(due.len(), n);
            for pair in due.windows(2) {
                let gap = pair[1].day.days_since(pair[0].day);
                prop_assert!(gap > 0 && 2 * gap >= cadence, "{pair:?}");
            }
            prop_assert_eq!(&calendar.due(Channel::Stable, last, n + 1)[..n], due);
        }

        #[test]
        fn the_calendar_never_proposes_a_closed_day(start in 0..4000_i64, from in 0..4000_i64, length in 0..60_i64) {
            let zero = day("2024-01-01");
            let freeze = Freeze { from: zero.plus_days(from), until: zero.plus_days(from + length), reason: "r".to_owned() };
            let calendar = Calendar { freezes: vec![freeze.clone()], ..Calendar::default() };
            for due in calendar.due(Channel::Stable, zero.plus_days(start), 20) {
                prop_assert!(!matches!(due.day.weekday(), Weekday::Friday | Weekday::Saturday | Weekday::Sunday));
                prop_assert!(due.day < freeze.from || freeze.until < due.day);
                prop_assert!(due.day >= due.target);
            }
        }
    }
}
