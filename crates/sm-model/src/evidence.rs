//! What a release is judged by: results, differences and facts, and the bundle that names all of it by digest. Nothing is judged here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Board, Channel, PackageName, PackageVersion, Sha256, Timestamp, TrainId, Version,
    test_report::{AttemptOutcome, FailureSignature, Isolation, Scenario, TestId},
};

/// A composed release of one board, as far as gates look into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Digest of its manifest.
    pub manifest: Sha256,
    /// Its version.
    pub version: Version,
    /// Size of its /usr image, in bytes.
    pub usr_size_bytes: u64,
    /// Its packages.
    pub packages: BTreeMap<PackageName, PackageVersion>,
}

/// One attempt at one test, as far as gates look into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestLine {
    /// Which test.
    pub test: TestId,
    /// Under which circumstances.
    pub scenario: Scenario,
    /// Alone in a fresh machine, or among others.
    pub isolation: Isolation,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What kind of failure it was.
    pub signature: Option<FailureSignature>,
}

/// What happened to a package between two releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageChangeKind {
    /// Only the newer release has it.
    Added,
    /// Only the older release has it.
    Removed,
    /// Its version rose.
    Upgraded,
    /// Its version fell.
    Downgraded,
    /// Its version is the same and its file is not.
    Rebuilt,
}

/// One package that differs between two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageChange {
    /// Which package.
    pub name: PackageName,
    /// What happened to it.
    pub kind: PackageChangeKind,
    /// Version in the older release.
    pub from: Option<PackageVersion>,
    /// Version in the newer release.
    pub to: Option<PackageVersion>,
    /// CVE ids that its changelog names between the two.
    pub fixes: Vec<String>,
}

/// What differs between two releases of one board, as far as gates look into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDiff {
    /// Digest of the whole comparison.
    pub document: Sha256,
    /// The older release.
    pub against: Version,
    /// Size of the older /usr image, in bytes.
    pub old_usr_size_bytes: u64,
    /// Size of the newer one.
    pub new_usr_size_bytes: u64,
    /// Packages that differ.
    pub packages: Vec<PackageChange>,
    /// Files that only the older release has, outside of removed and renamed versions.
    pub deleted_files: Vec<String>,
    /// Files that gained a set-user-ID or set-group-ID bit.
    pub new_setuid: Vec<String>,
    /// Sockets that only the newer release listens on: `tcp/22`; `None` where nobody looked.
    pub new_listeners: Option<Vec<String>>,
}

/// Names what one board of a release is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardEvidence {
    /// Digest of the manifest.
    pub manifest: Sha256,
    /// Digest over the canonical bytes of the [`Candidate`].
    pub candidate: Sha256,
    /// Digests of the test reports, in the order they came.
    pub reports: Vec<Sha256>,
    /// Digest over the canonical bytes of all [`TestLine`]s, in the order they came.
    pub results: Sha256,
    /// Digest over the canonical bytes of the [`ImageDiff`].
    pub diff: Option<Sha256>,
}

/// A file of rules that a project goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleFile {
    /// `policy.toml`: what gates require.
    Policy,
    /// `maintainers.toml`: who votes, with which keys.
    Maintainers,
    /// `calendar.toml`: cadence, freezes, holidays.
    Calendar,
    /// `quarantine.toml`: which known failures are muted.
    Quarantine,
}

impl RuleFile {
    /// Every file.
    pub const ALL: [RuleFile; 4] =
        [RuleFile::Policy, RuleFile::Maintainers, RuleFile::Calendar, RuleFile::Quarantine];

    /// Its name in the folder of rules.
    pub const fn file_name(self) -> &'static str {
        match self {
            RuleFile::Policy => "policy.toml",
            RuleFile::Maintainers => "maintainers.toml",
            RuleFile::Calendar => "calendar.toml",
            RuleFile::Quarantine => "quarantine.toml",
        }
    }
}

/// Everything that a vote is cast on, by digest. The digest of this document's canonical bytes is what ballots name, so that a
/// ballot is worth nothing as soon as anything here changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceBundle {
    /// Format of this document: [`EvidenceBundle::FORMAT`].
    pub format: u32,
    /// The train.
    pub train: TrainId,
    /// The channel.
    pub channel: Channel,
    /// The version.
    pub version: Version,
    /// Evidence of each board.
    pub boards: BTreeMap<Board, BoardEvidence>,
    /// Digest of the accepted notes.
    pub notes: Option<Sha256>,
    /// Digests of the waivers that two people stand behind.
    pub waivers: Vec<Sha256>,
    /// Facts that were recorded, with where they come from.
    pub facts: BTreeMap<String, Fact>,
    /// Digests of the rules: all but the calendar.
    pub rules: BTreeMap<RuleFile, Sha256>,
}

impl EvidenceBundle {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// A number that a gate can ask for, recorded by somebody or something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The number.
    pub value: i64,
    /// What it counts, one by one, where it counts things.
    pub items: Vec<String>,
    /// Where it comes from: a command, a document.
    pub source: String,
    /// When it was found.
    pub at: Timestamp,
}
