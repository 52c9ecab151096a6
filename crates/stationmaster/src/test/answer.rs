//! The answer of a run, in three words: good, not good, or could not be judged. What nobody looked at is never good.

use std::{fmt, path::PathBuf};

use serde::Serialize;
use sm_release::verdict::Verdict;
use sm_vmtest::suite::matrix::Matrix;

use crate::context::Outcome;

/// What a release turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// Every required test passed.
    Good,
    /// A required test failed, always or at times.
    NotGood,
    /// None failed, but some required test has no result.
    NotJudged,
}

impl Answer {
    pub(super) fn of(matrix: &Matrix) -> Self {
        let failed = |verdict| matches!(verdict, Verdict::Failed | Verdict::Flaky);
        let keeping_back = matrix.lines.iter().filter(|line| matrix.kept_back_by.contains(&line.test));
        match (matrix.is_good(), keeping_back.into_iter().any(|line| failed(line.verdict))) {
            (true, _) => Answer::Good,
            (false, true) => Answer::NotGood,
            (false, false) => Answer::NotJudged,
        }
    }

    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Answer::Good => Outcome::Done,
            Answer::NotGood => Outcome::Negative,
            Answer::NotJudged => Outcome::Unjudged,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Good => "good",
            Answer::NotGood => "not good",
            Answer::NotJudged => "could not be judged",
        })
    }
}

/// A matrix and where its evidence lies.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    #[serde(flatten)]
    pub(super) matrix: Matrix,
    /// The report with every attempt.
    pub(super) report: PathBuf,
    /// What it adds up to.
    pub(super) answer: Answer,
}

impl Judged {
    pub(super) fn new(matrix: Matrix, report: PathBuf) -> Self {
        Judged { answer: Answer::of(&matrix), matrix, report }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.matrix)?;
        writeln!(f, "report: {}", self.report.display())?;
        write!(f, "answer: {}", self.answer)
    }
}
