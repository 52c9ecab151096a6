//! Quarantine: a known failure is muted, for a time, and goes on being run. It matches one failure signature, so that a new
//! failure of the same test still counts; it never stands in for a missing result; and no promotion inherits it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sm_model::{
    Channel, Timestamp,
    test_report::{FailureSignature, Scenario, TestId},
};

use crate::verdict::{Tally, Verdict};

/// Longest term of one quarantine, in days.
pub const MAX_TERM_DAYS: i64 = 14;
/// Longest time from the first opening to the last expiry, in days.
pub const MAX_TOTAL_DAYS: i64 = 60;
/// Extensions at most.
pub const MAX_EXTENSIONS: u8 = 2;
/// Share of a channel's blocking tests that may be muted at most, in basis points.
pub const BUDGET_BP: u32 = 500;
/// Isolated attempts that must have passed before a known flake may be muted.
pub const ISOLATED_RERUNS: u32 = 2;

/// One muted failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Test whose failure is muted.
    pub test: TestId,
    /// Circumstances that must all hold; every one must be named, none is assumed.
    pub scenario: Scenario,
    /// The failure.
    pub signature: FailureSignature,
    /// Channel it holds for. A promotion goes to another channel, and so does not inherit it.
    pub channel: Channel,
    /// When it was first opened.
    pub opened: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// How often it was extended.
    pub n_extensions: u8,
    /// Who mends the test.
    pub owner: String,
    /// Who agreed; never the owner.
    pub approved_by: String,
    /// Where it is worked on.
    pub issue: String,
}

impl fmt::Display for QuarantineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuarantineProblem::EndsBeforeItBegins => f.write_str("it ends before it begins"),
            QuarantineProblem::TermTooLong => write!(f, "a term is longer than {MAX_TERM_DAYS} days"),
            QuarantineProblem::TotalTooLong => write!(f, "all terms are longer than {MAX_TOTAL_DAYS} days"),
            QuarantineProblem::TooManyExtensions => {
                write!(f, "it was extended {MAX_EXTENSIONS} times already")
            }
            QuarantineProblem::OwnApproval => f.write_str("its owner cannot approve it"),
            QuarantineProblem::NoIssue => f.write_str("it names no issue"),
        }
    }
}

/// Why a quarantine is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuarantineProblem {
    /// It ends before it begins.
    EndsBeforeItBegins,
    /// A term is longer than [`MAX_TERM_DAYS`] for each extension and the first.
    TermTooLong,
    /// All terms together are longer than [`MAX_TOTAL_DAYS`].
    TotalTooLong,
    /// It was extended more than [`MAX_EXTENSIONS`] times.
    TooManyExtensions,
    /// Owner and approver are one person.
    OwnApproval,
    /// It names no place where the failure is worked on.
    NoIssue,
}

impl Quarantine {
    /// Every reason why it is not allowed; none when it is.
    pub fn problems(&self) -> Vec<QuarantineProblem> {
        const DAY_SECS: i64 = 24 * 60 * 60;
        let days = self.expires.secs_since(self.opened).div_euclid(DAY_SECS);
        let n_terms = i64::from(self.n_extensions) + 1;
        [
            (self.expires <= self.opened, QuarantineProblem::EndsBeforeItBegins),
            (days > MAX_TERM_DAYS * n_terms, QuarantineProblem::TermTooLong),
            (days > MAX_TOTAL_DAYS, QuarantineProblem::TotalTooLong),
            (self.n_extensions > MAX_EXTENSIONS, QuarantineProblem::TooManyExtensions),
            (self.owner == self.approved_by, QuarantineProblem::OwnApproval),
            (self.issue.trim().is_empty(), QuarantineProblem::NoIssue),
        ]
        .into_iter()
        .filter_map(|(broken, problem)| broken.then_some(problem))
        .collect()
    }

    /// Whether both mute one failure of one test in one scenario, for one channel.
    pub fn is_about_the_same(&self, other: &Quarantine) -> bool {
        let key = |one: &Quarantine| (one.test.clone(), one.scenario.clone(), one.signature, one.channel);
        key(self) == key(other)
    }

    fn mutes(&self, subject: &Subject<'_>, signature: FailureSignature) -> bool {
        self.problems().is_empty()
            && self.test == *subject.test
            && self.scenario == *subject.scenario
            && self.channel == subject.channel
            && self.signature == signature
            && self.opened <= subject.now
            && subject.now < self.expires
    }
}

/// What is told about quarantines, one thing at a time. Nothing told is ever changed; what is in force is a fold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Entry {
    /// A failure is muted; or, where it is already, for another term.
    Muted {
        /// How.
        quarantine: Quarantine,
    },
    /// It is not any more, before its time.
    Lifted {
        /// The quarantine that was in force.
        quarantine: Quarantine,
        /// When.
        at: Timestamp,
        /// By whom.
        by: String,
        /// Why.
        why: String,
    },
}

/// The quarantines that were not lifted, in the order they were opened. Those that have expired are among them: what has
/// expired mutes nothing, and stays visible.
pub fn standing(entries: &[Entry]) -> Vec<Quarantine> {
    let mut standing: Vec<Quarantine> = Vec::new();
    for entry in entries {
        let (Entry::Muted { quarantine } | Entry::Lifted { quarantine, .. }) = entry;
        standing.retain(|one| !one.is_about_the_same(quarantine));
        if let Entry::Muted { quarantine } = entry {
            standing.push(quarantine.clone());
        }
    }
    standing
}

/// What is asked about: one test and scenario, for one channel, at one instant.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The test.
    pub test: &'a TestId,
    /// Its circumstances.
    pub scenario: &'a Scenario,
    /// The channel that the release is for.
    pub channel: Channel,
    /// The instant.
    pub now: Timestamp,
}

/// Whether evidence that is not a clean pass is muted: it must be a *result* (flaky or failed), every failure must be known by
/// its signature and muted, and a flaky one must have passed [`ISOLATED_RERUNS`] times alone.
pub fn is_muted(subject: &Subject<'_>, tally: &Tally, quarantines: &[Quarantine]) -> bool {
    let is_result = match tally.verdict() {
        Verdict::Failed => true,
        Verdict::Flaky => tally.isolated_reruns_passed(ISOLATED_RERUNS),
        _ => false,
    };
    let known = |signature: &FailureSignature| {
        quarantines.iter().any(|quarantine| quarantine.mutes(subject, *signature))
    };
    is_result && tally.n_unsigned == 0 && tally.signatures.iter().all(known)
}

/// Whether so many muted tests are too many for a channel with that many blocking ones: then the channel's gate closes by itself.
pub fn over_budget(n_muted: u32, n_blocking: u32) -> bool {
    u64::from(n_muted) * 10_000 > u64::from(n_blocking) * u64::from(BUDGET_BP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sm_model::Sha256;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_unix_secs(day * DAY).unwrap()
    }

    fn signature(n: u8) -> FailureSignature {
        FailureSignature(Sha256([n; 32]))
    }

    fn quarantine() -> Quarantine {
        Quarantine {
            test: "net.dhcp".parse().unwrap(),
            scenario: [("platform".to_owned(), "qemu".to_owned())].into(),
            signature: signature(1),
            channel: Channel::Alpha,
            opened: at(100),
            expires: at(110),
            n_extensions: 0,
            owner: "bob".to_owned(),
            approved_by: "carol".to_owned(),
            issue: "#12".to_owned(),
        }
    }

    fn muted(change: impl FnOnce(&mut Quarantine), channel: Channel, day: i64, tally: &Tally) -> bool {
        let original = quarantine();
        let mut changed = quarantine();
        change(&mut changed);
        let subject = Subject { test: &original.test, scenario: &original.scenario, channel, now: at(day) };
        is_muted(&subject, tally, &[changed])
    }

    fn failed() -> Tally {
        Tally { n_failed: 1, signatures: vec![signature(1)], ..Tally::default() }
    }

    #[test]
    fn a_known_failure_is_muted_until_it_expires() {
        assert!(muted(|_| {}, Channel::Alpha, 109, &failed()));
        assert!(!muted(|_| {}, Channel::Alpha, 110, &failed()));
        assert!(!muted(|_| {}, Channel::Alpha, 99, &failed()));
    }

    #[test]
    fn a_new_failure_of_the_same_test_still_counts() {
        let two = Tally { n_failed: 2, signatures: vec![signature(1), signature(2)], ..Tally::default() };
        assert!(!muted(|_| {}, Channel::Alpha, 105, &two));
        let unknown = Tally { n_unsigned: 1, ..failed() };
        assert!(!muted(|_| {}, Channel::Alpha, 105, &unknown));
    }

    #[test]
    fn no_promotion_inherits_it() {
        for channel in [Channel::Beta, Channel::Stable, Channel::Lts(2026)] {
            assert!(!muted(|_| {}, channel, 105, &failed()));
        }
    }

    #[test]
    fn another_scenario_is_not_covered() {
        assert!(!muted(|q| q.scenario.clear(), Channel::Alpha, 105, &failed()));
    }

    #[test]
    fn every_problem_is_told() {
        let mut broken = quarantine();
        broken.expires = at(100 + 70);
        broken.n_extensions = 3;
        broken.approved_by = "bob".to_owned();
        broken.issue = " ".to_owned();
        use QuarantineProblem::{NoIssue, OwnApproval, TermTooLong, TooManyExtensions, TotalTooLong};
        assert_eq!(broken.problems(), [TermTooLong, TotalTooLong, TooManyExtensions, OwnApproval, NoIssue]);
        assert!(!muted(|q| *q = broken.clone(), Channel::Alpha, 105, &failed()));
    }

    #[test]
    fn a_flake_is_muted_only_after_it_passed_alone() {
        let flaky = Tally { n_passed: 3, ..failed() };
        assert!(!muted(|_| {}, Channel::Alpha, 105, &flaky));
        let followed_up = Tally { n_isolated_passed: ISOLATED_RERUNS, ..flaky };
        assert!(muted(|_| {}, Channel::Alpha, 105, &followed_up));
    }

    #[test]
    fn another_term_takes_the_place_of_the_first_and_lifting_ends_it() {
        let (first, other) = (quarantine(), Quarantine { signature: signature(9), ..quarantine() });
        let second = Quarantine { n_extensions: 1, expires: at(120), ..quarantine() };
        let muted = |one: &Quarantine| Entry::Muted { quarantine: one.clone() };
        let told = [muted(&first), muted(&other), muted(&second)];
        assert_eq!(standing(&told), [other.clone(), second.clone()]);
        let lifted =
            Entry::Lifted { quarantine: second, at: at(115), by: "bob".into(), why: "mended".into() };
        assert_eq!(standing(&[&told[..], &[lifted]].concat()), [other]);
    }

    #[test]
    fn one_in_twenty_may_be_muted() {
        assert!(!over_budget(2, 40));
        assert!(over_budget(3, 40));
        assert!(over_budget(1, 0));
    }

    proptest! {
        #[test]
        fn a_quarantine_never_stands_in_for_a_result(n_errored in 0..3_u32, n_skipped in 0..3_u32, n_not_yet in 0..3_u32) {
            let without_result = Tally { n_errored, n_skipped, n_not_yet, ..Tally::default() };
            let is_muted = muted(|_| {}, Channel::Alpha, 105, &without_result);
            prop_assert!(!is_muted);
        }
    }
}
