//! How often a test fails: a share with an interval, because few runs say little. Never a bare percentage.

use std::fmt;

use serde::{Deserialize, Serialize};
use sm_model::test_report::{Attempt, AttemptOutcome};

use crate::jeffreys::posterior;

/// How often a test fails, as its attempts tell: the median of the posterior and its 95 % interval, in basis points (1 bp = 0.01 %).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRate {
    /// Attempts with a result.
    pub n_runs: u32,
    /// Of these, failures and time-outs.
    pub n_failed: u32,
    /// The rate that is as likely too high as too low.
    pub median_bp: u16,
    /// Lower end of the interval.
    pub low_bp: u16,
    /// Upper end of the interval.
    pub high_bp: u16,
}

impl FailureRate {
    /// From counts, by Jeffreys' interval, which stays honest for few runs and for none that failed.
    pub fn from_counts(n_failed: u32, n_runs: u32) -> FailureRate {
        let n_failed = n_failed.min(n_runs);
        let posterior = posterior(n_failed, n_runs);
        FailureRate {
            n_runs,
            n_failed,
            median_bp: basis_points(posterior.median),
            low_bp: basis_points(posterior.low),
            high_bp: basis_points(posterior.high),
        }
    }

    /// From attempts: errors, skips and cancelled ones say nothing about the test and do not count.
    pub fn of<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> FailureRate {
        let mut counts = (0, 0);
        for attempt in attempts {
            match attempt.outcome {
                AttemptOutcome::Pass => counts.1 += 1,
                AttemptOutcome::Fail | AttemptOutcome::Timeout => counts = (counts.0 + 1, counts.1 + 1),
                _ => {}
            }
        }
        FailureRate::from_counts(counts.0, counts.1)
    }
}

/// Tests with a result that a run has at least, before it can be one in which everything failed.
const MIN_MASS: u32 = 5;

/// Whether so many tests of one run failed that the failures tell about the image, the host or the network, and nothing about each
/// test: more than half. Rates leave such runs out.
pub const fn is_mass_failure(n_failed: u32, n_tests: u32) -> bool {
    n_tests >= MIN_MASS && n_failed > n_tests / 2
}

fn basis_points(share: f64) -> u16 {
    // In range: shares are within 0 and 1.
    (share * 10_000.0).round() as u16
}

/// `1 of 20 failed, 5.8 % (0.5 to 21.1 %)`.
impl fmt::Display for FailureRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.n_runs == 0 {
            return f.write_str("never run");
        }
        let [median, low, high] = [self.median_bp, self.low_bp, self.high_bp].map(percent);
        write!(f, "{} of {} failed, {median} % ({low} to {high} %)", self.n_failed, self.n_runs)
    }
}

/// Basis points as a percentage with one decimal, rounded half up.
fn percent(bp: u16) -> String {
    let tenths = (bp + 5) / 10;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Chance to see at least one failure in `n_runs` of a test that fails at this rate: how much a row of passes is worth.
pub fn detection_power_bp(n_runs: u32, rate_bp: u16) -> u16 {
    let passes = 1.0 - f64::from(rate_bp.min(10_000)) / 10_000.0;
    // Beyond so many runs nothing changes within a basis point.
    basis_points(1.0 - passes.powi(n_runs.min(1_000_000) as i32))
}

/// The course of results, oldest first, in one character each: `▁` passed, `█` failed, `·` could not be carried out.
pub fn sparkline<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> String {
    let mark = |attempt: &Attempt| match attempt.outcome {
        AttemptOutcome::Pass => '▁',
        AttemptOutcome::Fail | AttemptOutcome::Timeout => '█',
        _ => '·',
    };
    attempts.into_iter().map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_runs_give_wide_intervals() {
        assert_eq!(FailureRate::from_counts(1, 20).to_string(), "1 of 20 failed, 5.8 % (0.5 to 21.1 %)");
        assert_eq!(FailureRate::from_counts(3, 100).to_string(), "3 of 100 failed, 3.2 % (0.9 to 7.8 %)");
        assert_eq!(FailureRate::from_counts(0, 0).to_string(), "never run");
    }

    #[test]
    fn a_row_of_passes_is_worth_what_it_could_have_shown() {
        // 20 runs show a flake of 5 % with 64 %, 50 runs with 92 %; 100 runs one of 1 % with 63 %.
        assert_eq!(
            [(20, 500), (50, 500), (100, 100)].map(|(n, bp)| detection_power_bp(n, bp)),
            [6415, 9231, 6340]
        );
        assert_eq!([(0, 500), (7, 0), (1, 10_000)].map(|(n, bp)| detection_power_bp(n, bp)), [0, 0, 10_000]);
    }

    #[test]
    fn no_failures_do_not_prove_that_there_are_none() {
        let rate = FailureRate::from_counts(0, 50);
        assert!(rate.low_bp == 0 && rate.high_bp >= 450, "{rate}");
    }

    #[test]
    fn a_run_in_which_most_tests_failed_says_nothing_about_one() {
        assert!(is_mass_failure(21, 40) && is_mass_failure(3, 5));
        assert!(!is_mass_failure(20, 40) && !is_mass_failure(1, 1) && !is_mass_failure(4, 4));
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_observed_share(n_runs in 1..5000_u32, failed in 0.0..=1.0_f64) {
            let n_failed = (f64::from(n_runs) * failed) as u32;
            let rate = FailureRate::from_counts(n_failed, n_runs);
            let observed_bp = u16::try_from(u64::from(n_failed) * 10_000 / u64::from(n_runs)).unwrap();
            prop_assert!(rate.low_bp <= observed_bp + 1 && observed_bp <= rate.high_bp, "{rate:?} {observed_bp}");
        }

        #[test]
        fn more_of_the_same_evidence_narrows_the_interval(n_failed in 0..50_u32, n_passed in 1..50_u32) {
            let once = FailureRate::from_counts(n_failed, n_failed + n_passed);
            let tenfold = FailureRate::from_counts(10 * n_failed, 10 * (n_failed + n_passed));
            prop_assert!(tenfold.high_bp - tenfold.low_bp < once.high_bp - once.low_bp);
        }
    }
}
