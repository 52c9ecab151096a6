//! What people said with weight: ballots, waivers, overrides, decisions. Each is signed over its canonical bytes.

use serde::{Deserialize, Serialize};

use crate::{
    Channel, Handle, ItemId, Role, Sha256, Timestamp, TrainId, Version, test_report::Scenario, train::Urgency,
};

/// The SSHSIG namespace of everything signed here: a signature made for another purpose never counts.
pub const NAMESPACE: &str = "stationmaster";

/// A statement, and how it is known who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed<T> {
    /// What was said.
    pub statement: T,
    /// How it is known who said it.
    pub proof: Proof,
}

/// How it is known who made a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Proof {
    /// An OpenSSH signature (SSHSIG, armored) over the statement's canonical bytes, in [`NAMESPACE`].
    Ssh {
        /// The armored signature.
        signature: String,
    },
    /// A message in a chat room, sent by an account that the maintainers file maps to the person: weaker than a signature.
    Room {
        /// The room.
        room: String,
        /// The message's id.
        event_id: String,
        /// Digest of what its sender said, in canonical bytes; these are kept beside the log.
        raw: Sha256,
    },
    /// The word of whoever ran the command. Counts where no proof is asked for.
    Word,
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Publish it.
    Go,
    /// Do not.
    NoGo,
    /// Took part, and leaves it to others.
    Abstain,
}

impl Choice {
    /// The word that people see.
    pub const fn word(self) -> &'static str {
        match self {
            Choice::Go => "Go",
            Choice::NoGo => "No-Go",
            Choice::Abstain => "abstains",
        }
    }
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ballot {
    /// Format of this document: [`Ballot::FORMAT`].
    pub format: u32,
    /// The train.
    pub train: TrainId,
    /// The channel.
    pub channel: Channel,
    /// The version.
    pub version: Version,
    /// Digest of the evidence bundle that the vote is cast on.
    pub evidence: Sha256,
    /// Who votes.
    pub voter: Handle,
    /// What for.
    pub choice: Choice,
    /// Why; a No-Go must say.
    pub reason: String,
    /// Blockers that a No-Go stands on.
    pub blockers: Vec<ItemId>,
    /// When.
    pub at: Timestamp,
}

impl Ballot {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// Who may vote with weight, as it was when votes were opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voter {
    /// Who.
    pub handle: Handle,
    /// For which roles they can speak.
    pub roles: Vec<Role>,
    /// Whether they count for the quorum.
    pub active: bool,
    /// Their public keys, in OpenSSH's form.
    pub keys: Vec<String>,
}

/// The question whether one release of one channel may be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The train.
    pub train: TrainId,
    /// The channel.
    pub channel: Channel,
    /// The version.
    pub version: Version,
    /// Digest of the evidence bundle.
    pub evidence: Sha256,
    /// When votes were opened.
    pub opened: Timestamp,
    /// When they may be closed at the earliest.
    pub closes: Timestamp,
    /// Whether the train is expedited.
    pub urgency: Urgency,
    /// Who may vote with weight.
    pub voters: Vec<Voter>,
}

/// What a waiver lifts: one requirement under one scenario, for one manifest, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Format of this document: [`Waiver::FORMAT`].
    pub format: u32,
    /// Its number.
    pub id: ItemId,
    /// Digest of the one manifest it holds for.
    pub manifest: Sha256,
    /// The requirement, by its name in the policy.
    pub requirement: String,
    /// The one scenario it holds for.
    pub scenario: Scenario,
    /// Why.
    pub reason: String,
    /// Who asks for it.
    pub by: Handle,
    /// When.
    pub at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Waiver {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// A rule of go/no-go that an override can lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The votes are open for a minimum time.
    OpenTime,
    /// More than half of the active voters say Go.
    Quorum,
    /// Build, test and security each say Go.
    RoleCover,
    /// A No-Go vetoes.
    Veto,
    /// An advisory No-Go is answered.
    Objections,
}

impl Rule {
    /// The word that people see and type.
    pub const fn word(self) -> &'static str {
        match self {
            Rule::OpenTime => "open-time",
            Rule::Quorum => "quorum",
            Rule::RoleCover => "role-cover",
            Rule::Veto => "veto",
            Rule::Objections => "objections",
        }
    }
}

/// Two people lift one rule of one decision, and everybody can see it for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Format of this document: [`Override::FORMAT`].
    pub format: u32,
    /// Its number.
    pub id: ItemId,
    /// The train.
    pub train: TrainId,
    /// The channel.
    pub channel: Channel,
    /// Digest of the evidence bundle that it holds for.
    pub evidence: Sha256,
    /// The rule.
    pub rule: Rule,
    /// Why.
    pub reason: String,
    /// Who asks for it.
    pub by: Handle,
    /// When.
    pub at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Override {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// A second person stands behind a waiver or an override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seconding {
    /// Number of the waiver or override.
    pub id: ItemId,
    /// Digest over the canonical bytes of its statement.
    pub statement: Sha256,
    /// Who seconds it.
    pub by: Handle,
    /// When.
    pub at: Timestamp,
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may be published.
    Go,
    /// It must not.
    NoGo,
    /// Too few have spoken.
    NoDecision,
}

impl Verdict {
    /// The word that people see.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Go => "Go",
            Verdict::NoGo => "No-Go",
            Verdict::NoDecision => "no decision",
        }
    }
}

/// What came of a poll. Whoever closes it signs; anybody can compute it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Format of this document: [`Decision::FORMAT`].
    pub format: u32,
    /// The train.
    pub train: TrainId,
    /// The channel.
    pub channel: Channel,
    /// The version.
    pub version: Version,
    /// Digest of the evidence bundle.
    pub evidence: Sha256,
    /// Digest over the canonical bytes of the case: the poll and everything else that the decision rests on.
    pub case: Sha256,
    /// Digests over the canonical bytes of every signed ballot, in the order they were cast.
    pub ballots: Vec<Sha256>,
    /// Numbers of the overrides it rests on.
    pub overrides: Vec<ItemId>,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it is not a Go; empty when it is.
    pub reasons: Vec<String>,
    /// Who closed the poll.
    pub by: Handle,
    /// When.
    pub at: Timestamp,
    /// Until when a Go is good.
    pub until: Timestamp,
}

impl Decision {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}
