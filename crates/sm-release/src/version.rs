//! Which version comes next, and why: `MAJOR.LEVEL.PATCH` is arithmetic over history and date, never typed by hand.
//!
//! MAJOR counts days from the epoch to the day a branch is cut; LEVEL is the channel's; PATCH is 0 when a MAJOR enters a LEVEL, then
//! rises by one. Within a channel versions rise, and no version is used twice.

use std::fmt;

use serde::{Deserialize, Serialize};
use sm_model::{Channel, Timestamp, Version};
pub use sm_model::{Released, train::Move};

/// A version, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The version.
    pub version: Version,
    /// The release that differences are told against: the newest of the channel, or for a branch that is new in it the newest
    /// of that branch in the channel below.
    pub previous: Option<Version>,
    /// The steps of the arithmetic, in words.
    pub why: Vec<String>,
}

/// Why there is no next version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionRefusal {
    /// Branches are cut into alpha only.
    BranchesEnterAlpha(Channel),
    /// The date lies before the epoch.
    BeforeEpoch,
    /// Alpha has this MAJOR, or a newer one, already.
    BranchExists(u32),
    /// The channel below has no release of that branch.
    NotBelow(u32),
    /// The channel has that branch, or a newer one, already.
    NotNewer(u32),
    /// The channel has no release that a fix could follow.
    NothingToPatch(Channel),
}

impl fmt::Display for VersionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BranchesEnterAlpha(channel) => write!(f, "a branch is cut into alpha, not into {channel}"),
            Self::BeforeEpoch => f.write_str("the date lies before the epoch that versions count from"),
            Self::BranchExists(major) => {
                write!(f, "alpha has branch {major} already: cut the next one on a later day")
            }
            Self::NotBelow(major) => {
                write!(f, "branch {major} was not released in the channel below: release it there first")
            }
            Self::NotNewer(major) => {
                write!(f, "the channel has branch {major} or a newer one already: patch it instead")
            }
            Self::NothingToPatch(channel) => {
                write!(f, "{channel} has no release yet: promote a branch into it first")
            }
        }
    }
}

impl std::error::Error for VersionRefusal {}

/// The next version of a channel.
///
/// # Errors
/// A refusal that says why there is none.
pub fn next_version(
    history: &[Released],
    channel: Channel,
    wanted: Move,
    epoch: Timestamp,
    now: Timestamp,
) -> Result<Proposal, VersionRefusal> {
    match wanted {
        Move::NewBranch => new_branch(history, channel, epoch, now),
        Move::Promote { major } => promote(history, channel, major),
        Move::Patch => patch(history, channel),
    }
}

fn new_branch(
    history: &[Released],
    channel: Channel,
    epoch: Timestamp,
    now: Timestamp,
) -> Result<Proposal, VersionRefusal> {
    const DAY_SECS: i64 = 24 * 60 * 60;
    if channel != Channel::Alpha {
        return Err(VersionRefusal::BranchesEnterAlpha(channel));
    }
    let days = now.secs_since(epoch).div_euclid(DAY_SECS);
    let major = u32::try_from(days).map_err(|_| VersionRefusal::BeforeEpoch)?;
    let newest = newest(history, channel);
    if newest.is_some_and(|newest| newest.major >= major) {
        return Err(VersionRefusal::BranchExists(major));
    }
    let why = vec![format!("{days} days lie between the epoch and today"), "alpha is level 0".to_owned()];
    Ok(Proposal { version: Version { major, level: 0, patch: 0 }, previous: newest, why })
}

fn promote(history: &[Released], channel: Channel, major: u32) -> Result<Proposal, VersionRefusal> {
    let below = history
        .iter()
        .map(|released| released.version)
        .filter(|v| v.major == major && v.level + 1 == channel.level())
        .max();
    let below = below.ok_or(VersionRefusal::NotBelow(major))?;
    if newest(history, channel).is_some_and(|newest| newest.major >= major) {
        return Err(VersionRefusal::NotNewer(major));
    }
    let version = Version { major, level: channel.level(), patch: 0 };
    let why = vec![
        format!("{below} is the newest of branch {major} in the channel below"),
        entered(channel, major),
    ];
    Ok(Proposal { version, previous: Some(below), why })
}

fn entered(channel: Channel, major: u32) -> String {
    format!("branch {major} is new in {channel}, which is level {}: PATCH starts at 0", channel.level())
}

fn patch(history: &[Released], channel: Channel) -> Result<Proposal, VersionRefusal> {
    let newest = newest(history, channel).ok_or(VersionRefusal::NothingToPatch(channel))?;
    let version = Version { patch: newest.patch + 1, ..newest };
    let why = vec![format!("{newest} is the newest in {channel}: PATCH rises by one")];
    Ok(Proposal { version, previous: Some(newest), why })
}

/// The newest version of a channel. Streams of different years are different channels.
pub fn newest(history: &[Released], channel: Channel) -> Option<Version> {
    history.iter().filter(|released| released.channel == channel).map(|released| released.version).max()
}

/// Which move made a release out of the history before it, or how the rules and the release differ.
///
/// # Errors
/// The difference.
pub fn explain(before: &[Released], released: &Released) -> Result<Move, Difference> {
    let Released { channel, version, .. } = *released;
    if version.level != channel.level() {
        return Err(Difference::LevelOfAnotherChannel);
    }
    if before.iter().any(|earlier| earlier.version == version) {
        return Err(Difference::UsedTwice);
    }
    match newest(before, channel) {
        Some(newest) if version < newest => Err(Difference::Falls { newest }),
        Some(newest) if version.major == newest.major => patched(newest, version),
        _ => entered_channel(before, version),
    }
}

fn patched(newest: Version, version: Version) -> Result<Move, Difference> {
    if version.patch == newest.patch + 1 { Ok(Move::Patch) } else { Err(Difference::PatchGap { newest }) }
}

fn entered_channel(before: &[Released], version: Version) -> Result<Move, Difference> {
    let was_below =
        before.iter().any(|r| r.version.major == version.major && r.version.level + 1 == version.level);
    match (version.patch, version.level) {
        (1.., _) => Err(Difference::EntersAbovePatchZero),
        (0, 0) => Ok(Move::NewBranch),
        _ if was_below => Ok(Move::Promote { major: version.major }),
        _ => Err(Difference::NeverBelow),
    }
}

/// How a release of the past differs from the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// LEVEL does not say the channel.
    LevelOfAnotherChannel,
    /// The version was used before.
    UsedTwice,
    /// It is lower than the channel's newest.
    Falls {
        /// The channel's newest at the time.
        newest: Version,
    },
    /// PATCH does not rise by one.
    PatchGap {
        /// The channel's newest at the time.
        newest: Version,
    },
    /// The branch entered the channel with a PATCH above 0.
    EntersAbovePatchZero,
    /// The branch was never in the channel below.
    NeverBelow,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::LevelOfAnotherChannel => f.write_str("LEVEL is that of another channel"),
            Difference::UsedTwice => f.write_str("the version was used before"),
            Difference::Falls { newest } => write!(f, "the channel had {newest} already"),
            Difference::PatchGap { newest } => {
                write!(
                    f,
                    "PATCH does not rise by one after {newest}: a version between them was never public"
                )
            }
            Difference::EntersAbovePatchZero => f.write_str(
                "the branch enters the channel with a PATCH above 0: earlier ones were never public",
            ),
            Difference::NeverBelow => f.write_str("the branch was never in the channel below"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn epoch() -> Timestamp {
        "2013-07-01T00:00:00Z".parse().unwrap()
    }

    fn day(n: i64) -> Timestamp {
        Timestamp::from_unix_secs(epoch().unix_secs() + n * 86_400).unwrap()
    }

    fn released(text: &str, channel: Channel) -> Released {
        Released { date: day(5000), channel, version: text.parse().unwrap() }
    }

    fn next(history: &[Released], channel: Channel, wanted: Move) -> Result<String, String> {
        let proposal = next_version(history, channel, wanted, epoch(), day(4893));
        proposal
            .map(|p| {
                format!("{} after {}", p.version, p.previous.map_or("nothing".to_owned(), |v| v.to_string()))
            })
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_branch_goes_up_level_by_level() {
        let mut history = vec![released("4890.0.0", Channel::Alpha)];
        assert_eq!(next(&history, Channel::Alpha, Move::NewBranch).unwrap(), "4893.0.0 after 4890.0.0");
        assert_eq!(
            next(&history, Channel::Beta, Move::Promote { major: 4890 }).unwrap(),
            "4890.1.0 after 4890.0.0"
        );
        history.push(released("4890.1.0", Channel::Beta));
        assert_eq!(next(&history, Channel::Beta, Move::Patch).unwrap(), "4890.1.1 after 4890.1.0");
        assert_eq!(
            next(&history, Channel::Beta, Move::Promote { major: 4890 }).unwrap_err(),
            "the channel has branch 4890 or a newer one already: patch it instead"
        );
    }

    #[test]
    fn refusals_say_what_to_do() {
        assert!(
            next(&[], Channel::Stable, Move::Patch).unwrap_err().starts_with("stable has no release yet")
        );
        assert!(
            next(&[], Channel::Beta, Move::NewBranch).unwrap_err().starts_with("a branch is cut into alpha")
        );
        assert!(
            next(&[], Channel::Beta, Move::Promote { major: 1 })
                .unwrap_err()
                .contains("release it there first")
        );
        let today = [released("4893.0.0", Channel::Alpha)];
        assert!(next(&today, Channel::Alpha, Move::NewBranch).unwrap_err().contains("on a later day"));
    }

    #[test]
    fn streams_of_different_years_do_not_disturb_each_other() {
        let history = [released("4081.3.2", Channel::Lts(2024)), released("4593.3.0", Channel::Lts(2026))];
        assert_eq!(next(&history, Channel::Lts(2024), Move::Patch).unwrap(), "4081.3.3 after 4081.3.2");
    }

    fn moves() -> impl Strategy<Value = Vec<(usize, u8, i64)>> {
        prop::collection::vec((0..4_usize, 0..3_u8, 0..3_i64), 1..60)
    }

    proptest! {
        #[test]
        fn whatever_is_released_versions_are_unique_rise_and_explain_themselves(moves in moves()) {
            let channels = [Channel::Alpha, Channel::Beta, Channel::Stable, Channel::Lts(2026)];
            let (mut history, mut today) = (Vec::<Released>::new(), 4000);
            for (channel, kind, days) in moves {
                today += days;
                let channel = channels[channel];
                let major = history.last().map_or(0, |released| released.version.major);
                let wanted = [Move::NewBranch, Move::Promote { major }, Move::Patch][usize::from(kind)];
                let Ok(proposal) = next_version(&history, channel, wanted, epoch(), day(today)) else { continue };
                let released = Released { date: day(today), channel, version: proposal.version };
                prop_assert!(newest(&history, channel).is_none_or(|newest| newest < released.version));
                prop_assert_eq!(explain(&history, &released), Ok(wanted));
                history.push(released);
            }
        }
    }
}
