//! What a server answers to a host that asks for updates: an offer, or why there is none.
//!
//! One rule for server and simulator. It never offers a downgrade unless the target says so, and never offers a version again
//! to a host on which it failed: old update_engine clients would install and fall back for ever.

use std::fmt;

use sm_model::{Board, Timestamp, Version};

use crate::omaha::OfferedRelease;

/// What the server knows about the host that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The version it runs; `None` when what it sent is no version.
    pub version: Option<Version>,
    /// Its board; `None` when it named none that we know.
    pub board: Option<Board>,
    /// Versions that it booted and fell back from, as it reported.
    pub fell_back_from: Vec<Version>,
}

/// The release that a group is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is offered.
    pub release: OfferedRelease,
    /// The board it is for.
    pub board: Board,
    /// Not offered before this instant.
    pub not_before: Option<Timestamp>,
    /// Whether hosts that run something newer are to go back to it.
    pub downgrade: Downgrade,
}

/// Whether a target is for hosts that run something newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Downgrade {
    /// They keep what they run.
    #[default]
    Never,
    /// They go back.
    Offered,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'t> {
    /// Install this.
    Offer(&'t OfferedRelease),
    /// Nothing to do.
    NoUpdate(NoUpdate),
}

/// Why there is no offer. On the wire all of these are `noupdate`; the words are for logs and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUpdate {
    /// It runs the target.
    UpToDate,
    /// It runs something newer than the target.
    Newer,
    /// What it runs cannot be compared.
    UnknownVersion,
    /// The target is for another board, or the host named none.
    OtherBoard,
    /// It is too early.
    NotYet(Timestamp),
    /// It tried the target and fell back.
    FellBack,
}

impl fmt::Display for NoUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoUpdate::UpToDate => f.write_str("the host runs the target"),
            NoUpdate::Newer => f.write_str("the host runs something newer than the target"),
            NoUpdate::UnknownVersion => f.write_str("the host's version cannot be compared"),
            NoUpdate::OtherBoard => f.write_str("the target is for another board"),
            NoUpdate::NotYet(when) => write!(f, "the target is not offered before {when}"),
            NoUpdate::FellBack => f.write_str("the host tried the target and fell back"),
        }
    }
}

/// Decides what to answer.
pub fn answer<'t>(instance: &Instance, target: &'t Target, now: Timestamp) -> Answer<'t> {
    match refusal(instance, target, now) {
        Some(reason) => Answer::NoUpdate(reason),
        None => Answer::Offer(&target.release),
    }
}

fn refusal(instance: &Instance, target: &Target, now: Timestamp) -> Option<NoUpdate> {
    let offered = target.release.version;
    let Some(running) = instance.version else { return Some(NoUpdate::UnknownVersion) };
    if instance.board != Some(target.board) {
        return Some(NoUpdate::OtherBoard);
    }
    if running == offered {
        return Some(NoUpdate::UpToDate);
    }
    if running > offered && target.downgrade == Downgrade::Never {
        return Some(NoUpdate::Newer);
    }
    if let Some(when) = target.not_before.filter(|&when| now < when) {
        return Some(NoUpdate::NotYet(when));
    }
    instance.fell_back_from.contains(&offered).then_some(NoUpdate::FellBack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::omaha::OfferedPackage;
    use proptest::prelude::*;
    use sm_model::{Arch, Sha256};

    fn target(version: Version) -> Target {
        let payload = OfferedPackage {
            name: "boxcar_production_update.gz".parse().unwrap(),
            size_bytes: 1,
            sha256: Sha256([0; 32]),
        };
        let urls = vec!["http://h/".parse().unwrap()];
        Target {
            release: OfferedRelease { version, urls, payload, extras: Vec::new() },
            board: Board(Arch::Amd64),
            not_before: None,
            downgrade: Downgrade::Never,
        }
    }

    fn instance(version: Version) -> Instance {
        Instance { version: Some(version), board: Some(Board(Arch::Amd64)), fell_back_from: Vec::new() }
    }

    fn version(major: u32) -> Version {
        Version { major, level: 0, patch: 0 }
    }

    const NOW: &str = "2026-11-23T00:00:00Z";

    fn refused(instance: &Instance, target: &Target) -> Option<NoUpdate> {
        refusal(instance, target, NOW.parse().unwrap())
    }

    proptest! {
        #[test]
        fn only_what_is_newer_is_offered_unless_going_back_is_asked_for(runs in 0..9u32, offered in 0..9u32, back: bool) {
            let mut target = target(version(offered));
            if back {
                target.downgrade = Downgrade::Offered;
            }
            let is_offered = refused(&instance(version(runs)), &target).is_none();
            prop_assert_eq!(is_offered, offered > runs || back && offered < runs);
        }
    }

    #[test]
    fn an_older_host_of_the_board_gets_the_target() {
        let target = target(version(2));
        let answer = answer(&instance(version(1)), &target, NOW.parse().unwrap());
        assert_eq!(answer, Answer::Offer(&target.release));
    }

    #[test]
    fn hosts_that_cannot_be_compared_or_are_of_another_board_get_nothing() {
        let target = target(version(2));
        let host = instance(version(1));
        for board in [None, Some(Board(Arch::Arm64))] {
            assert_eq!(refused(&Instance { board, ..host.clone() }, &target), Some(NoUpdate::OtherBoard));
        }
        assert_eq!(refused(&Instance { version: None, ..host }, &target), Some(NoUpdate::UnknownVersion));
    }

    #[test]
    fn a_target_is_not_offered_before_its_time() {
        let mut target = target(version(2));
        target.not_before = Some("2026-11-23T00:00:01Z".parse().unwrap());
        assert!(matches!(refused(&instance(version(1)), &target), Some(NoUpdate::NotYet(_))));
        target.not_before = Some(NOW.parse().unwrap());
        assert_eq!(refused(&instance(version(1)), &target), None);
    }

    #[test]
    fn a_host_that_fell_back_is_not_offered_the_same_version_again() {
        let mut host = instance(version(1));
        host.fell_back_from = vec![version(2)];
        assert_eq!(refused(&host, &target(version(2))), Some(NoUpdate::FellBack));
        assert_eq!(refused(&host, &target(version(3))), None);
    }
}
