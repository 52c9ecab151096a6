//! A release train: one day on which one or more channels get a release, and the steps that lead there.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Channel, Date, Handle, Role, Timestamp, Version, text::serde_as_text};

/// Names a train by the day it was planned for: `2026-12-02`, and `2026-12-02.2` for a second one of that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrainId {
    /// The day it was first planned for. A train that slips keeps its name.
    pub day: Date,
    /// 1 for the first train of that day.
    pub number: u16,
}

/// A text that names no train.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a train: expected the day it is planned for, for example `2026-12-02`", .0.escape_debug())]
pub struct InvalidTrainId(String);

impl fmt::Display for TrainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.day.fmt(f)?;
        if self.number > 1 { write!(f, ".{}", self.number) } else { Ok(()) }
    }
}

impl FromStr for TrainId {
    type Err = InvalidTrainId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (day, number) = text.split_once('.').unwrap_or((text, "1"));
        let parsed = day.parse().ok().zip(number.parse().ok()).map(|(day, number)| TrainId { day, number });
        // One spelling for every train.
        parsed
            .filter(|id| id.number >= 1 && id.to_string() == text)
            .ok_or_else(|| InvalidTrainId(text.chars().take(32).collect()))
    }
}

serde_as_text!(TrainId);

/// A number that a project gives to each blocker, waiver and override, counting all of them together: `#7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub u32);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A text that is no number of a blocker, waiver or override.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a number of a blocker, waiver or override: expected for example `#7`", .0.escape_debug())]
pub struct InvalidItemId(String);

impl FromStr for ItemId {
    type Err = InvalidItemId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        let clean = digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| clean);
        number.map(ItemId).ok_or_else(|| InvalidItemId(text.chars().take(32).collect()))
    }
}

/// A step of the checklist: a letter for its section and a number, `B5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId {
    section: char,
    number: u8,
}

/// A text that names no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a step: expected a letter and a number, for example `B5`", .0.escape_debug())]
pub struct InvalidStepId(String);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.section, self.number)
    }
}

impl FromStr for StepId {
    type Err = InvalidStepId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let section = text.chars().next().filter(char::is_ascii_uppercase);
        let number = text.get(1..).and_then(|digits| digits.parse().ok());
        let step = section.zip(number).map(|(section, number)| StepId { section, number });
        step.filter(|step| step.to_string() == text)
            .ok_or_else(|| InvalidStepId(text.chars().take(16).collect()))
    }
}

serde_as_text!(StepId);

/// Whether a train keeps to the cadence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "urgency", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Urgency {
    /// As planned.
    Normal,
    /// It cannot wait: votes are open for a shorter time.
    Expedited {
        /// Why.
        reason: String,
    },
}

/// What the next release of a channel is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// A branch is cut today; it enters alpha.
    NewBranch,
    /// The branch with this MAJOR comes up from the channel below.
    Promote {
        /// The branch.
        major: u32,
    },
    /// The branch that the channel has gets a fix.
    Patch,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Move::NewBranch => f.write_str("new branch"),
            Move::Promote { major } => write!(f, "promotion of {major}"),
            Move::Patch => f.write_str("patch"),
        }
    }
}

/// One release of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// When it was published.
    pub date: Timestamp,
    /// Where.
    pub channel: Channel,
    /// As what.
    pub version: Version,
}

/// One release that a train carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRelease {
    /// Where it goes.
    pub channel: Channel,
    /// What it is called; computed, never typed.
    pub version: Version,
    /// What it is compared with.
    pub previous: Option<Version>,
    /// How it came about.
    #[serde(rename = "move")]
    pub wanted: Move,
    /// The steps of the arithmetic, in words.
    pub why: Vec<String>,
}

/// Who does what on a train.
pub type Team = BTreeMap<Role, Handle>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trains_steps_and_numbers_have_one_spelling() {
        for text in ["2026-12-02", "2026-12-02.2"] {
            assert_eq!(text.parse::<TrainId>().unwrap().to_string(), text);
        }
        for text in ["", "2026-12-02.1", "2026-12-02.0", "2026-12-02.+2", "2026-13-02", "2026-12-02."] {
            assert!(text.parse::<TrainId>().is_err(), "{text:?}");
        }
        for text in ["B5", "R10"] {
            assert_eq!(text.parse::<StepId>().unwrap().to_string(), text);
        }
        for text in ["", "b5", "B", "B05", "5B", "BB", "B999", "é5"] {
            assert!(text.parse::<StepId>().is_err(), "{text:?}");
        }
        assert_eq!("#7".parse(), Ok(ItemId(7)));
        assert_eq!("7".parse(), Ok(ItemId(7)));
        for text in ["", "#", "#+7", "##7", "x"] {
            assert!(text.parse::<ItemId>().is_err(), "{text:?}");
        }
    }
}
