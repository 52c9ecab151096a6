//! `policy.toml`: what a release has to show at each gate, for how long votes are open, and what counts as a vote.
//!
//! A pattern (`boot.*`) stands for tests of the file's own list, never for what happens to be in a report: so taking
//! evidence away can only close a gate.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sm_model::{
    Channel, Date,
    test_report::{Scenario, TestId},
    train::{Move, Urgency},
};

use super::{policy_text, text::Problem};
use crate::proof::Strength;

/// Where in the life of a release a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Context {
    /// A change enters the definition of the OS.
    Merge,
    /// Every night.
    Nightly,
    /// A release was composed and tested.
    Candidate,
    /// Votes are counted.
    Go,
    /// Bytes become public.
    Publish,
    /// A branch comes up from the channel below.
    Promote,
}

impl Context {
    /// Every context, in the order of a release's life.
    pub const ALL: [Context; 6] = [
        Context::Merge,
        Context::Nightly,
        Context::Candidate,
        Context::Go,
        Context::Publish,
        Context::Promote,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Context::Merge => "merge",
            Context::Nightly => "nightly",
            Context::Candidate => "candidate",
            Context::Go => "go",
            Context::Publish => "publish",
            Context::Promote => "promote",
        }
    }
}

/// A text that is none of the words expected in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{}`: expected {expected}", found.escape_debug())]
pub struct UnknownWord {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl UnknownWord {
    fn new(what: &'static str, found: &str, expected: &'static str) -> Self {
        UnknownWord { what, found: found.chars().take(64).collect(), expected }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Context {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "`merge`, `nightly`, `candidate`, `go`, `publish` or `promote`";
        let known = Context::ALL.into_iter().find(|context| context.word() == text);
        known.ok_or_else(|| UnknownWord::new("context", text, expected))
    }
}

/// How much weight a requirement has. Order is weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Shown, and never in the way.
    Informing,
    /// In the way, unless two people waive it.
    Blocking,
    /// In the way, whoever says what.
    NeverWaive,
}

impl Level {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Level::Informing => "informing",
            Level::Blocking => "blocking",
            Level::NeverWaive => "never-waive",
        }
    }
}

impl FromStr for Level {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known =
            [Level::Informing, Level::Blocking, Level::NeverWaive].into_iter().find(|l| l.word() == text);
        known.ok_or_else(|| UnknownWord::new("level", text, "`never-waive`, `blocking` or `informing`"))
    }
}

/// Which channels a policy is for: one, or every long-term stream, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Every channel: `all`.
    All,
    /// Every long-term stream: `lts`.
    EveryLts,
    /// One.
    One(Channel),
}

impl Channels {
    /// Whether a channel is meant.
    pub fn includes(self, channel: Channel) -> bool {
        match self {
            Channels::All => true,
            Channels::EveryLts => matches!(channel, Channel::Lts(_)),
            Channels::One(one) => one == channel,
        }
    }
}

impl FromStr for Channels {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Channels::All),
            "lts" => Ok(Channels::EveryLts),
            _ => text.parse().map(Channels::One).map_err(|_| {
                UnknownWord::new("channel", text, "`alpha`, `beta`, `stable`, `lts`, `lts-YEAR` or `all`")
            }),
        }
    }
}

/// A kind of move, as requirements are limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// A branch is cut.
    NewBranch,
    /// A branch comes up.
    Promote,
    /// A fix.
    Patch,
}

impl MoveKind {
    /// What kind a move is of.
    pub const fn of(wanted: Move) -> MoveKind {
        match wanted {
            Move::NewBranch => MoveKind::NewBranch,
            Move::Promote { .. } => MoveKind::Promote,
            Move::Patch => MoveKind::Patch,
        }
    }
}

impl FromStr for MoveKind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "new-branch" => Ok(MoveKind::NewBranch),
            "promote" => Ok(MoveKind::Promote),
            "patch" => Ok(MoveKind::Patch),
            _ => Err(UnknownWord::new("move", text, "`new-branch`, `promote` or `patch`")),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Tests that must have passed, each under each scenario.
    Tests {
        /// The tests.
        tests: Vec<TestId>,
        /// The scenarios. A result counts for a scenario whose every word it has.
        scenarios: Vec<Scenario>,
        /// Passes at least.
        n_passes: u32,
    },
    /// A number that must lie within bounds.
    Fact {
        /// Its name: `image.new-setuid`.
        fact: String,
        /// At least.
        min: Option<i64>,
        /// At most.
        max: Option<i64>,
    },
}

/// One thing that a gate asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What.
    pub ask: Ask,
    /// With which weight.
    pub level: Level,
    /// For which moves; none listed means for all.
    pub moves: Vec<MoveKind>,
}

/// Requirements of one gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name, which every decision carries.
    pub id: String,
    /// Where it stands.
    pub context: Context,
    /// For which channels.
    pub channels: Vec<Channels>,
    /// First day of subjects it is for.
    pub valid_since: Date,
    /// Last day of subjects it is for.
    pub valid_until: Option<Date>,
    /// What it asks for.
    pub requirements: Vec<Requirement>,
}

impl Gate {
    /// Whether it is for a subject that came to be on a day: changing rules later does not change what was decided before.
    pub fn applies(&self, context: Context, channel: Channel, day: Date) -> bool {
        self.context == context
            && self.channels.iter().any(|channels| channels.includes(channel))
            && self.valid_since <= day
            && self.valid_until.is_none_or(|until| day <= until)
    }
}

/// How votes are taken for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voting {
    /// Minutes that votes are open at least.
    pub open_minutes: i64,
    /// The weakest proof that makes a vote count.
    pub proof: Strength,
}

/// Minutes that votes on an expedited release are open at least.
pub const EXPEDITED_OPEN_MINUTES: i64 = 30;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Tests that patterns stand for.
    pub tests: Vec<TestId>,
    /// Packages that soak by themselves: names, or beginnings of names with `*`.
    pub components: Vec<String>,
    /// The gates.
    pub gates: Vec<Gate>,
    /// Where voting differs from the defaults.
    pub(super) voting: BTreeMap<Channel, VotingText>,
    /// The same for every long-term stream.
    pub(super) lts_voting: VotingText,
}

/// What the file says about voting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct VotingText {
    pub(super) open_minutes: Option<i64>,
    pub(super) proof: Option<Strength>,
}

impl Policy {
    /// Reads the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with lines.
    pub fn parse(text: &str) -> Result<Policy, Vec<Problem>> {
        policy_text::parse(text)
    }

    /// The gates for a subject of a day.
    pub fn gates(&self, context: Context, channel: Channel, day: Date) -> impl Iterator<Item = &Gate> {
        self.gates.iter().filter(move |gate| gate.applies(context, channel, day))
    }

    /// How votes are taken: alpha and beta are open for 3 hours, stable and long-term streams for 24, expedited ones for 30
    /// minutes, and votes are signed, unless the file says otherwise.
    pub fn voting(&self, channel: Channel, urgency: &Urgency) -> Voting {
        let written = match (self.voting.get(&channel), channel) {
            (Some(written), _) => *written,
            (None, Channel::Lts(_)) => self.lts_voting,
            (None, _) => VotingText::default(),
        };
        let default = if channel.level() < 2 { 3 * 60 } else { 24 * 60 };
        let normal = written.open_minutes.unwrap_or(default);
        let open_minutes = match urgency {
            Urgency::Normal => normal,
            Urgency::Expedited { .. } => normal.min(EXPEDITED_OPEN_MINUTES),
        };
        Voting { open_minutes, proof: written.proof.unwrap_or(Strength::Signature) }
    }
}
