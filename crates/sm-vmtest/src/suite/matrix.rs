//! A report for people: one line a test, in 80 columns, and below it what keeps the release back.

use std::fmt::{self, Write as _};

use serde::Serialize;
use sm_model::test_report::{Attempt, TestReport};
use sm_release::verdict::{Tally, Verdict};

use super::{
    catalog::{Gate, Test},
    report::tallies,
};

/// Columns of a terminal.
const WIDTH: usize = 80;

/// Whether a required test of what does not exist yet keeps a release back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// It does: nobody looked.
    Counts,
    /// Only what could be carried out counts.
    IsAllowed,
}

/// One test of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The test's name.
    pub test: &'static str,
    /// What it needs.
    pub class: super::catalog::Class,
    /// What its failure means.
    pub gate: Gate,
    /// What its attempts add up to.
    pub verdict: Verdict,
    /// The attempts, counted.
    pub tally: Tally,
    /// What the attempt said that explains the verdict.
    pub message: String,
    /// How long that attempt took.
    pub duration_millis: u64,
}

/// Verdicts over a report, for some tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// Version of the release.
    pub version: String,
    /// Identity of release and suite, shortened.
    pub subject: String,
    /// The tests, in order.
    pub lines: Vec<Line>,
    /// Names of required tests that keep the release back.
    pub kept_back_by: Vec<&'static str>,
}

impl Matrix {
    /// What the report says about these tests. A test without an attempt is missing, which is not good.
    pub fn of(report: &TestReport, tests: &[&'static Test], not_yet: NotYet) -> Self {
        let tallies = tallies(report);
        let lines: Vec<Line> = tests
            .iter()
            .map(|test| {
                let tally = tallies.get(&test.id()).cloned().unwrap_or_default();
                let shown = explaining(report, test, tally.verdict());
                Line {
                    test: test.name,
                    class: test.class,
                    gate: test.gate,
                    verdict: tally.verdict(),
                    tally,
                    message: shown
                        .map_or_else(|| "it was not run".to_owned(), |attempt| attempt.message.clone()),
                    duration_millis: shown.map_or(0, |attempt| attempt.duration_millis),
                }
            })
            .collect();
        let keeps_back = |line: &&Line| {
            let allowed = line.verdict == Verdict::NotYet && not_yet == NotYet::IsAllowed;
            line.gate != Gate::Informing && line.verdict != Verdict::Passed && !allowed
        };
        Matrix {
            version: report.version.to_string(),
            subject: format!("{:.12}, suite {:.12}", report.subject.to_string(), report.suite.to_string()),
            kept_back_by: lines.iter().filter(keeps_back).map(|line| line.test).collect(),
            lines,
        }
    }

    /// Whether nothing keeps the release back.
    pub fn is_good(&self) -> bool {
        self.kept_back_by.is_empty()
    }
}

/// The newest attempt that is of the verdict's kind: a failure explains `flaky`, a later pass does not.
fn explaining<'a>(report: &'a TestReport, test: &Test, verdict: Verdict) -> Option<&'a Attempt> {
    let id = test.id();
    let own = || report.attempts.iter().rev().filter(|attempt| attempt.test == id);
    let alone = |attempt: &&Attempt| match (verdict, Tally::of([*attempt]).verdict()) {
        (Verdict::Flaky, one) => one == Verdict::Failed,
        (verdict, one) => one == verdict,
    };
    own().find(alone).or_else(|| own().next())
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (release {})", self.version, self.subject)?;
        writeln!(f, "{:<28}  {:<7}  {:<12}  {:<7}  {:>8}", "TEST", "CLASS", "GATE", "VERDICT", "SECONDS")?;
        for line in &self.lines {
            let seconds = format!("{}.{}", line.duration_millis / 1000, line.duration_millis % 1000 / 100);
            let (class, gate, word) = (line.class, line.gate, line.verdict.word());
            writeln!(f, "{:<28}  {class:<7}  {gate:<12}  {word:<7}  {seconds:>8}", line.test)?;
            if line.verdict != Verdict::Passed {
                writeln!(f, "    {}", shortened(&line.message, WIDTH - 4))?;
            }
        }
        let n_passed = self.lines.iter().filter(|line| line.verdict == Verdict::Passed).count();
        write!(f, "{n_passed} of {} passed", self.lines.len())?;
        match self.kept_back_by.len() {
            0 => f.write_str("; nothing keeps the release back"),
            n => write!(f, "; the release is kept back by {n}"),
        }
    }
}

fn shortened(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max_chars - 1).collect();
    // Writing to a String cannot fail.
    let _ = short.write_char('…');
    short
}

#[cfg(test)]
pub(super) mod tests {
    use sm_model::{
        Sha256,
        test_report::{AttemptOutcome, Isolation, TestHost},
    };

    use super::*;
    use crate::suite::catalog;

    /// A report of one attempt each at these tests.
    pub(in crate::suite) fn report(outcomes: &[(&str, AttemptOutcome, &str)]) -> TestReport {
        let attempt = |(test, outcome, message): &(&str, AttemptOutcome, &str)| Attempt {
            test: test.parse().unwrap(),
            scenario: [].into(),
            number: 1,
            isolation: Isolation::Suite,
            outcome: outcome.clone(),
            phase: "assert".into(),
            message: (*message).to_owned(),
            signature: None,
            started: "2026-11-23T07:00:00Z".parse().unwrap(),
            duration_millis: 1234,
            logs: Vec::new(),
        };
        TestReport {
            format: 1,
            subject: Sha256([0xab; 32]),
            version: "4893.0.0".parse().unwrap(),
            suite: Sha256([0xcd; 32]),
            host: TestHost {
                accelerator: "none".into(),
                cpus: 2,
                memory_mib: 1,
                stationmaster: "0.1.0".into(),
            },
            attempts: outcomes.iter().map(attempt).collect(),
        }
    }

    /// Tests of each kind, and one outcome of each kind.
    pub(in crate::suite) fn some() -> (TestReport, Vec<&'static Test>) {
        let reason = || "nothing is there".to_owned();
        let report = report(&[
            ("image.layout", AttemptOutcome::Pass, "5 partitions"),
            ("image.os-release", AttemptOutcome::Fail, "`ID` is <\"other\">"),
            ("image.size-budget", AttemptOutcome::Fail, "too large"),
            ("image.cve-known", AttemptOutcome::NotYet { reason: reason() }, "nothing is there"),
            ("image.reproducible", AttemptOutcome::Skip { reason: reason() }, "no twin"),
            ("image.perms", AttemptOutcome::Error { class: "host-disk".into() }, "cannot read"),
        ]);
        let names = ["layout", "os-release", "perms", "reproducible", "size-budget", "cve-known"];
        let tests = names.iter().flat_map(|name| {
            catalog::ALL.iter().filter(move |test| test.name.strip_prefix("image.") == Some(name))
        });
        (report, tests.collect())
    }

    #[test]
    fn the_matrix_is_written_as_people_know_it() {
        let (report, tests) = some();
        let text = Matrix::of(&report, &tests, NotYet::Counts).to_string();
        assert_eq!(
            text,
            "4893.0.0 (release abababababab, suite cdcdcdcdcdcd)\n\
             TEST                          CLASS    GATE          VERDICT   SECONDS\n\
             image.layout                  offline  never waived  passed        1.2\n\
             image.os-release              offline  blocking      failed        1.2\n    `ID` is <\"other\">\n\
             image.perms                   offline  blocking      errored       1.2\n    cannot read\n\
             image.reproducible            offline  blocking      skipped       1.2\n    no twin\n\
             image.size-budget             offline  informing     failed        1.2\n    too large\n\
             image.cve-known               offline  blocking      not yet       1.2\n    nothing is there\n\
             1 of 6 passed; the release is kept back by 4"
        );
    }

    #[test]
    fn every_line_fits_80_columns() {
        let long = "word ".repeat(100);
        let report = report(&[("journal.persist-and-limits", AttemptOutcome::Fail, &long)]);
        let tests: Vec<_> = catalog::choose(&[], None).collect();
        for line in Matrix::of(&report, &tests, NotYet::Counts).to_string().lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn only_a_pass_of_every_required_test_is_good() {
        let (report, tests) = some();
        let of = |not_yet| Matrix::of(&report, &tests, not_yet).kept_back_by;
        let real = ["image.os-release", "image.perms", "image.reproducible"];
        assert_eq!(of(NotYet::IsAllowed), real);
        assert_eq!(of(NotYet::Counts)[3], "image.cve-known");
        assert!(Matrix::of(&report, &tests[..1], NotYet::Counts).is_good());
    }

    #[test]
    fn a_test_that_was_not_run_is_missing() {
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let matrix = Matrix::of(&report(&[]), &tests, NotYet::IsAllowed);
        assert_eq!((matrix.lines[0].verdict, matrix.is_good()), (Verdict::Missing, false));
    }

    #[test]
    fn a_later_pass_does_not_hide_what_failed() {
        let report = report(&[
            ("image.layout", AttemptOutcome::Fail, "torn"),
            ("image.layout", AttemptOutcome::Pass, "fine"),
        ]);
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let line = Matrix::of(&report, &tests, NotYet::Counts).lines.remove(0);
        assert_eq!((line.verdict, line.message.as_str()), (Verdict::Flaky, "torn"));
    }
}
