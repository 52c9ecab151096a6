//! OS versions: `MAJOR.LEVEL.PATCH`.
//!
//! MAJOR counts days from the recipe's epoch to the day the branch is cut, LEVEL tells the channel (0 alpha, 1 beta,
//! 2 stable, 3 lts), PATCH counts from 0 each time a MAJOR enters a level. The arithmetic of *next* versions is not here.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// An OS version. Orders as hosts compare it: by MAJOR, then LEVEL, then PATCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Days from the epoch to the branch date.
    pub major: u32,
    /// 0 alpha, 1 beta, 2 stable, 3 lts.
    pub level: u8,
    /// Releases of this MAJOR at this LEVEL before this one.
    pub patch: u32,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version: expected MAJOR.LEVEL.PATCH with LEVEL 0 to 3, for example `4900.0.1`")]
pub struct InvalidVersion(String);

impl Version {
    /// The highest LEVEL in use.
    pub const MAX_LEVEL: u8 = 3;
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.level, self.patch)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidVersion(text.chars().take(64).collect()))
    }
}

fn parse(text: &str) -> Option<Version> {
    let mut fields = text.split('.').map(canonical_number);
    let version =
        Version { major: fields.next()??, level: fields.next()??.try_into().ok()?, patch: fields.next()?? };
    (fields.next().is_none() && version.level <= Version::MAX_LEVEL).then_some(version)
}

/// A decimal number without sign or leading zeros, so that every version has exactly one spelling.
fn canonical_number(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

serde_as_text!(Version);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_version_has_one_spelling(major: u32, level in 0..=3u8, patch: u32) {
            let version = Version { major, level, patch };
            prop_assert_eq!(version.to_string().parse(), Ok(version));
        }

        #[test]
        fn whatever_parses_prints_as_it_was(text in "[0-9.+-]{0,12}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }
    }

    #[test]
    fn order_is_numeric() {
        let [a, b]: [Version; 2] = ["999.3.9", "4900.0.0"].map(|text| text.parse().unwrap());
        assert!(a < b);
    }
}
