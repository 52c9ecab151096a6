//! What a server answers to a host that asks for updates: an offer, or why there is none.
//!
//! It never offers a downgrade, and never offers a version again to a host on which it failed: old update_engine clients would
//! install and fall back for ever.

use std::fmt;

use sm_model::{Board, Version};

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
            NoUpdate::FellBack => f.write_str("the host tried the target and fell back"),
        }
    }
}

/// Decides what to answer.
pub fn answer<'t>(instance: &Instance, target: &'t Target) -> Answer<'t> {
    match refusal(instance, target) {
        Some(reason) => Answer::NoUpdate(reason),
        None => Answer::Offer(&target.release),
    }
}

fn refusal(instance: &Instance, target: &Target) -> Option<NoUpdate> {
    let offered = target.release.version;
    let Some(running) = instance.version else { return Some(NoUpdate::UnknownVersion) };
    if instance.board != Some(target.board) {
        return Some(NoUpdate::OtherBoard);
    }
    if running == offered {
        return Some(NoUpdate::UpToDate);
    }
    if running > offered {
        return Some(NoUpdate::Newer);
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
        }
    }

    fn instance(version: Version) -> Instance {
        Instance { version: Some(version), board: Some(Board(Arch::Amd64)), fell_back_from: Vec::new() }
    }

    fn version(major: u32) -> Version {
        Version { major, level: 0, patch: 0 }
    }

    proptest! {
        #[test]
        fn only_what_is_newer_is_offered(runs in 0..9u32, offered in 0..9u32) {
            let is_offered = refusal(&instance(version(runs)), &target(version(offered))).is_none();
            prop_assert_eq!(is_offered, offered > runs);
        }
    }

    #[test]
    fn an_older_host_of_the_board_gets_the_target() {
        let target = target(version(2));
        let answer = answer(&instance(version(1)), &target);
        assert_eq!(answer, Answer::Offer(&target.release));
    }

    #[test]
    fn hosts_that_cannot_be_compared_or_are_of_another_board_get_nothing() {
        let target = target(version(2));
        let host = instance(version(1));
        for board in [None, Some(Board(Arch::Arm64))] {
            assert_eq!(refusal(&Instance { board, ..host.clone() }, &target), Some(NoUpdate::OtherBoard));
        }
        assert_eq!(refusal(&Instance { version: None, ..host }, &target), Some(NoUpdate::UnknownVersion));
    }

    #[test]
    fn a_host_that_fell_back_is_not_offered_the_same_version_again() {
        let mut host = instance(version(1));
        host.fell_back_from = vec![version(2)];
        assert_eq!(refusal(&host, &target(version(2))), Some(NoUpdate::FellBack));
        assert_eq!(refusal(&host, &target(version(3))), None);
    }
}
