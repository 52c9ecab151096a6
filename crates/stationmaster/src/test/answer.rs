//! The answer of a run, in three words: good, not good, or could not be judged. What nobody looked at is never good.

use std::{
    fmt,
    io::{self, IsTerminal},
    path::PathBuf,
};

use serde::Serialize;
use sm_release::verdict::Verdict;
use sm_vmtest::suite::{
    matrix::Matrix,
    table::{self, Paint},
};

use crate::context::Outcome;

/// What a release turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
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
        match (matrix.is_good(), matrix.keeping_back().any(|line| failed(line.verdict))) {
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
pub(crate) struct Judged {
    #[serde(flatten)]
    pub(super) matrix: Matrix,
    /// The report with every attempt.
    #[serde(serialize_with = "crate::context::path")]
    pub(crate) report: PathBuf,
    /// What it adds up to.
    pub(crate) answer: Answer,
}

impl Judged {
    pub(super) fn new(matrix: Matrix, report: PathBuf) -> Self {
        Judged { answer: Answer::of(&matrix), matrix, report }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", table::text(&self.matrix, paint()))?;
        writeln!(f, "Report: {}", self.report.display())?;
        write!(f, "Answer: {}", self.answer)
    }
}

/// Colours on a terminal, unless its owner wants none (<https://no-color.org>).
fn paint() -> Paint {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !is_unwanted { Paint::Colour } else { Paint::Plain }
}
