//! Instants in whole seconds since 1970-01-01T00:00:00Z, and days of the calendar, both in UTC. Reading the clock is not done here.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// An instant, in seconds of Unix time. Prints and parses as RFC 3339 in UTC (`2026-11-23T05:26:00Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text or number that is no instant between the years -9999 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: expected RFC 3339, for example `2026-11-23T05:26:00Z`")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Timestamp = Timestamp(0);

    /// From seconds of Unix time.
    ///
    /// # Errors
    /// When the instant lies outside the years -9999 to 9999.
    pub fn from_unix_secs(secs: i64) -> Result<Self, InvalidTimestamp> {
        jiff::Timestamp::from_second(secs)
            .map(|_| Timestamp(secs))
            .map_err(|_| InvalidTimestamp(secs.to_string()))
    }

    /// Seconds of Unix time.
    pub const fn unix_secs(self) -> i64 {
        self.0
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn secs_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|instant| Timestamp(instant.as_second()))
            .map_err(|_| InvalidTimestamp(text.chars().take(64).collect()))
    }
}

serde_as_text!(Timestamp);

/// A day of the Gregorian calendar, in UTC. Prints and parses as `2026-11-23`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(jiff::civil::Date);

/// A text that is no day between the years -9999 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date: expected YEAR-MONTH-DAY, for example `2026-11-23`")]
pub struct InvalidDate(String);

pub use jiff::civil::Weekday;

impl Date {
    /// The day on which an instant lies, in UTC.
    pub fn of(instant: Timestamp) -> Date {
        let start = jiff::civil::date(1970, 1, 1);
        Date(start).plus_days(instant.unix_secs().div_euclid(Date::SECS))
    }

    const SECS: i64 = 24 * 60 * 60;

    /// The first instant of the day.
    pub fn start(self) -> Timestamp {
        Timestamp(self.days_since(Date(jiff::civil::date(1970, 1, 1))) * Date::SECS)
    }

    /// The day so many days later; the first or last day there is when that lies beyond it.
    #[must_use]
    pub fn plus_days(self, n_days: i64) -> Date {
        Date(self.0.saturating_add(jiff::Span::new().days(n_days.clamp(-3_000_000, 3_000_000))))
    }

    /// Days from `earlier` to `self`; negative when `earlier` is later.
    pub fn days_since(self, earlier: Date) -> i64 {
        i64::from((self.0 - earlier.0).get_days())
    }

    /// Day of the week.
    pub fn weekday(self) -> Weekday {
        self.0.weekday()
    }

    /// Year, month (1 to 12) and day (1 to 31).
    pub fn year_month_day(self) -> (i16, i8, i8) {
        (self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Date {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Date).map_err(|_| InvalidDate(text.chars().take(32).collect()))
    }
}

serde_as_text!(Date);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339_and_reads_back() {
        let instant = Timestamp::from_unix_secs(1_372_636_800).unwrap();
        assert_eq!(instant.to_string(), "2013-07-01T00:00:00Z");
        assert_eq!("2013-07-01T00:00:00Z".parse(), Ok(instant));
    }

    #[test]
    fn instants_out_of_range_are_refused() {
        assert!(Timestamp::from_unix_secs(i64::MAX).is_err());
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn days_count_over_months_and_leap_years() {
        let [a, b]: [Date; 2] = ["2024-02-28", "2024-03-01"].map(|text| text.parse().unwrap());
        assert_eq!(b.days_since(a), 2);
        assert_eq!(a.plus_days(2), b);
        assert_eq!(b.weekday(), Weekday::Friday);
    }

    #[test]
    fn a_day_starts_at_midnight_and_holds_its_instants() {
        let day: Date = "2026-11-23".parse().unwrap();
        assert_eq!(day.start().to_string(), "2026-11-23T00:00:00Z");
        assert_eq!(Date::of("2026-11-23T23:59:59Z".parse().unwrap()), day);
        assert_eq!(Date::of("1969-12-31T23:00:00Z".parse().unwrap()).to_string(), "1969-12-31");
    }
}
