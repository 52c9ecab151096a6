//! What all attempts at one test and scenario add up to: a fold in which order does not matter and nothing is ever forgotten.
//!
//! A re-run adds evidence. It can turn `Passed` into `Flaky` and `Errored` into anything, but nothing turns a failure into
//! `Passed`.

use serde::{Deserialize, Serialize};
use sm_model::test_report::{Attempt, AttemptOutcome, FailureSignature, Isolation};

/// What the attempts add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It passed at least once and never failed.
    Passed,
    /// It passed and it failed.
    Flaky,
    /// It failed and never passed.
    Failed,
    /// It could not be carried out.
    Errored,
    /// It was skipped.
    Skipped,
    /// What it is about does not exist yet.
    NotYet,
    /// There is no attempt that came to an end.
    Missing,
}

impl Verdict {
    /// The word that people see.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Flaky => "flaky",
            Verdict::Failed => "failed",
            Verdict::Errored => "errored",
            Verdict::Skipped => "skipped",
            Verdict::NotYet => "not yet",
            Verdict::Missing => "missing",
        }
    }
}

/// The evidence at one test and scenario, counted. Merging two tallies is adding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Attempts that passed.
    pub n_passed: u32,
    /// Attempts that failed or did not end in their time.
    pub n_failed: u32,
    /// Attempts that could not be carried out.
    pub n_errored: u32,
    /// Attempts that were skipped.
    pub n_skipped: u32,
    /// Attempts at what does not exist yet.
    pub n_not_yet: u32,
    /// Isolated attempts that passed.
    pub n_isolated_passed: u32,
    /// Isolated attempts that failed.
    pub n_isolated_failed: u32,
    /// Signatures of the failures, sorted, each once. Failures without one count as unknown.
    pub signatures: Vec<FailureSignature>,
    /// Failures that have no signature.
    pub n_unsigned: u32,
}

impl Tally {
    /// Counts attempts, which must all be of one subject, suite, test and scenario.
    pub fn of<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Tally {
        attempts.into_iter().fold(Tally::default(), |tally, attempt| tally.and(attempt))
    }

    fn and(self, attempt: &Attempt) -> Tally {
        self.with(&attempt.outcome, attempt.isolation, attempt.signature)
    }

    /// Counts one more attempt.
    #[must_use]
    pub fn with(
        mut self,
        outcome: &AttemptOutcome,
        isolation: Isolation,
        signature: Option<FailureSignature>,
    ) -> Tally {
        match outcome {
            AttemptOutcome::Pass => self.pass(isolation),
            AttemptOutcome::Fail | AttemptOutcome::Timeout => self.fail(isolation, signature),
            AttemptOutcome::Error { .. } => self.n_errored += 1,
            AttemptOutcome::Skip { .. } => self.n_skipped += 1,
            AttemptOutcome::NotYet { .. } => self.n_not_yet += 1,
            AttemptOutcome::Cancelled => {}
        }
        self
    }

    fn pass(&mut self, isolation: Isolation) {
        self.n_passed += 1;
        self.n_isolated_passed += u32::from(isolation == Isolation::Isolated);
    }

    fn fail(&mut self, isolation: Isolation, signature: Option<FailureSignature>) {
        self.n_failed += 1;
        self.n_isolated_failed += u32::from(isolation == Isolation::Isolated);
        match signature {
            None => self.n_unsigned += 1,
            Some(signature) => {
                if let Err(idx) = self.signatures.binary_search(&signature) {
                    self.signatures.insert(idx, signature);
                }
            }
        }
    }

    /// What the evidence adds up to.
    pub const fn verdict(&self) -> Verdict {
        match (self.n_passed, self.n_failed) {
            (0, 0) => self.verdict_without_result(),
            (0, _) => Verdict::Failed,
            (_, 0) => Verdict::Passed,
            (_, _) => Verdict::Flaky,
        }
    }

    const fn verdict_without_result(&self) -> Verdict {
        if self.n_errored > 0 {
            Verdict::Errored
        } else if self.n_not_yet > 0 {
            Verdict::NotYet
        } else if self.n_skipped > 0 {
            Verdict::Skipped
        } else {
            Verdict::Missing
        }
    }

    /// Whether a failure was followed up as policy wants: at least `n_wanted` isolated attempts, all of which passed.
    pub const fn isolated_reruns_passed(&self, n_wanted: u32) -> bool {
        self.n_isolated_failed == 0 && self.n_isolated_passed >= n_wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sm_model::{Sha256, Timestamp};

    fn attempt((outcome, isolated, signature): (u8, bool, u8)) -> Attempt {
        let reason = || "r".to_owned();
        let outcome = match outcome {
            0 => AttemptOutcome::Pass,
            1 => AttemptOutcome::Fail,
            2 => AttemptOutcome::Timeout,
            3 => AttemptOutcome::Error { class: reason() },
            4 => AttemptOutcome::Skip { reason: reason() },
            5 => AttemptOutcome::NotYet { reason: reason() },
            _ => AttemptOutcome::Cancelled,
        };
        Attempt {
            test: "boot.uefi".parse().unwrap(),
            scenario: [].into(),
            number: 1,
            isolation: if isolated { Isolation::Isolated } else { Isolation::Suite },
            outcome,
            phase: "boot".to_owned(),
            message: String::new(),
            signature: (signature > 0).then_some(FailureSignature(Sha256([signature; 32]))),
            started: Timestamp::from_unix_secs(0).unwrap(),
            duration_millis: 1,
            load_centi: None,
            logs: Vec::new(),
        }
    }

    fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
        prop::collection::vec((0..7_u8, any::<bool>(), 0..4_u8).prop_map(attempt), 0..12)
    }

    fn has_failure(attempts: &[Attempt]) -> bool {
        attempts
            .iter()
            .any(|attempt| matches!(attempt.outcome, AttemptOutcome::Fail | AttemptOutcome::Timeout))
    }

    proptest! {
        #[test]
        fn the_order_of_attempts_does_not_matter(attempts in attempts(), seed: u64) {
            let mut shuffled = attempts.clone();
            shuffled.sort_by_key(|attempt| (seed ^ u64::from(attempt.number)).wrapping_mul(attempt.duration_millis + seed));
            shuffled.reverse();
            prop_assert_eq!(Tally::of(&attempts), Tally::of(&shuffled));
        }

        #[test]
        fn no_set_of_reruns_turns_a_failure_into_passed(first in attempts(), more in attempts()) {
            prop_assume!(has_failure(&first));
            let verdict = Tally::of(first.iter().chain(&more)).verdict();
            prop_assert!(matches!(verdict, Verdict::Failed | Verdict::Flaky), "{verdict:?}");
        }

        #[test]
        fn passed_means_a_pass_and_no_failure(attempts in attempts()) {
            let passed = Tally::of(&attempts).verdict() == Verdict::Passed;
            let has_pass = attempts.iter().any(|attempt| attempt.outcome == AttemptOutcome::Pass);
            prop_assert_eq!(passed, has_pass && !has_failure(&attempts));
        }

        #[test]
        fn errors_and_skips_alone_are_never_a_pass(attempts in attempts()) {
            let without: Vec<Attempt> =
                attempts.into_iter().filter(|attempt| attempt.outcome != AttemptOutcome::Pass).collect();
            prop_assert_ne!(Tally::of(&without).verdict(), Verdict::Passed);
        }
    }

    #[test]
    fn nothing_is_missing() {
        assert_eq!(Tally::default().verdict(), Verdict::Missing);
        assert_eq!(Tally::of(&[attempt((6, false, 0))]).verdict(), Verdict::Missing);
    }

    #[test]
    fn isolated_reruns_count_only_when_all_of_them_passed() {
        let failed_once = [(1, false, 1), (0, true, 0), (0, true, 0)].map(attempt);
        assert!(Tally::of(&failed_once).isolated_reruns_passed(2));
        assert!(!Tally::of(&failed_once[..2]).isolated_reruns_passed(2));
        let failed_again = [(1, false, 1), (0, true, 0), (0, true, 0), (2, true, 1)].map(attempt);
        assert!(!Tally::of(&failed_again).isolated_reruns_passed(2));
    }
}
