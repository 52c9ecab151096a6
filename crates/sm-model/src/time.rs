//! Instants in whole seconds since 1970-01-01T00:00:00Z. Reading the clock is not done here.

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
}
