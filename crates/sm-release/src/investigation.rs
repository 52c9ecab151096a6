//! Whether the image, the test or the surroundings are to blame: the candidate and the previous release, each under the current
//! suite and under the last good one.

use serde::{Deserialize, Serialize};

use crate::verdict::{Tally, Verdict};

/// Attempts each of the four combinations gets.
pub const RUNS_EACH: u32 = 3;

/// The evidence of the four combinations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FourWays {
    /// Candidate image, current suite.
    pub candidate_current: Tally,
    /// Candidate image, last good suite.
    pub candidate_last_good: Tally,
    /// Previous image, current suite.
    pub previous_current: Tally,
    /// Previous image, last good suite.
    pub previous_last_good: Tally,
}

/// What the four add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// The image broke it: a blocker.
    ProductRegression,
    /// The suite broke it: no matter of this release.
    SuiteRegression,
    /// It fails whatever is tested with whatever: host, network or tools.
    Surroundings,
    /// It fails now and then, and did so before.
    OldFlake,
    /// It fails now and then, and did not before: a race came in.
    NewFlake,
    /// It did not fail again; the signature stays on record.
    NotReproduced,
    /// The evidence does not fit one reading, or is not complete.
    Unclear,
}

impl Reading {
    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Reading::ProductRegression => "open a blocker and bisect the package differences",
            Reading::SuiteRegression => "mend the suite; the release is not held up by it",
            Reading::Surroundings => "check the host, then run again",
            Reading::OldFlake => "give the flake an owner; it is not new in this release",
            Reading::NewFlake => "treat it as a blocker until the race is understood",
            Reading::NotReproduced => "leave the signature open and watch its count",
            Reading::Unclear => "look at the logs: the four runs do not agree on one cause",
        }
    }
}

impl FourWays {
    /// Reads the table.
    pub fn reading(&self) -> Reading {
        use Verdict::{Failed as F, Flaky as M, Passed as P};
        let verdicts = [
            &self.candidate_current,
            &self.candidate_last_good,
            &self.previous_current,
            &self.previous_last_good,
        ];
        match verdicts.map(Tally::verdict) {
            [F, F, P, P] => Reading::ProductRegression,
            [F, P, F, P] => Reading::SuiteRegression,
            [F, F, F, F] => Reading::Surroundings,
            [P, P, _, _] => Reading::NotReproduced,
            [M, _, M, _] => Reading::OldFlake,
            [M, _, P, _] => Reading::NewFlake,
            _ => Reading::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(pattern: &str) -> Reading {
        let tallies: Vec<Tally> = pattern.chars().map(tally).collect();
        let [a, b, c, d] = tallies.try_into().unwrap();
        FourWays { candidate_current: a, candidate_last_good: b, previous_current: c, previous_last_good: d }
            .reading()
    }

    fn tally(letter: char) -> Tally {
        let (n_passed, n_failed) = match letter {
            'P' => (RUNS_EACH, 0),
            'F' => (0, RUNS_EACH),
            'M' => (1, RUNS_EACH - 1),
            _ => (0, 0),
        };
        Tally { n_passed, n_failed, ..Tally::default() }
    }

    #[test]
    fn each_pattern_has_its_reading() {
        for (pattern, expected) in [
            ("FFPP", Reading::ProductRegression),
            ("FPFP", Reading::SuiteRegression),
            ("FFFF", Reading::Surroundings),
            ("MMMM", Reading::OldFlake),
            ("MPMP", Reading::OldFlake),
            ("MMPP", Reading::NewFlake),
            ("PPPP", Reading::NotReproduced),
            ("F-PP", Reading::Unclear),
            ("FPPF", Reading::Unclear),
        ] {
            assert_eq!(reading(pattern), expected, "{pattern}");
        }
    }
}
