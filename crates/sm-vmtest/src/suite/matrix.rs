//! A report as a matrix: a line for each test and scenario with its verdict, and what keeps the release back. How it looks to
//! people is [`table`](super::table)'s.

use std::collections::BTreeSet;

use serde::Serialize;
use sm_model::{
    Channel, Timestamp,
    test_report::{Attempt, Scenario, TestHost, TestId, TestReport},
};
use sm_release::{
    quarantine::{self, Quarantine},
    verdict::{Tally, Verdict},
};

use super::catalog::{self, Class, Gate, Test};

/// Whether a required test of what does not exist yet keeps a release back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// It does: nobody looked.
    Counts,
    /// Only what could be carried out counts.
    IsAllowed,
}

/// One test, in one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The test's name.
    pub test: TestId,
    /// Under which circumstances.
    pub scenario: Scenario,
    /// What it needs.
    pub class: Class,
    /// What its failure means.
    pub gate: Gate,
    /// What its attempts add up to.
    pub verdict: Verdict,
    /// Whether it keeps the release back.
    pub keeps_back: bool,
    /// Whether its failures are known and muted, for a time.
    pub is_muted: bool,
    /// The attempts, counted.
    pub tally: Tally,
    /// What the attempt said that explains the verdict.
    pub message: String,
    /// How long that attempt took.
    pub duration_millis: u64,
}

/// By what a matrix is read: it changes what keeps a release back, never a verdict.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What becomes of tests of what does not exist yet.
    pub not_yet: NotYet,
    /// Known failures that are muted.
    pub quarantines: &'a [Quarantine],
    /// The channel that the release is for: no other channel's quarantines hold.
    pub channel: Channel,
    /// The instant.
    pub now: Timestamp,
}

impl Rules<'_> {
    /// Never what nobody may waive, and never a missing result.
    fn mutes(&self, line: &Line) -> bool {
        let (test, scenario) = (&line.test, &line.scenario);
        let subject = quarantine::Subject { test, scenario, channel: self.channel, now: self.now };
        line.gate != Gate::NeverWaive && quarantine::is_muted(&subject, &line.tally, self.quarantines)
    }
}

/// Verdicts over a report, for some tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// Version of the release.
    pub version: String,
    /// Digest of its manifest.
    pub subject: String,
    /// Digest of the suite.
    pub suite: String,
    /// The machine that ran the tests last.
    pub host: TestHost,
    /// The tests, in order.
    pub lines: Vec<Line>,
}

impl Matrix {
    /// What the report says about these tests, and about those of its own that the suite does not know by name: what a console
    /// said, and tests from outside. A test without an attempt is missing, which is not good.
    pub fn of(report: &TestReport, tests: &[&'static Test], rules: &Rules<'_>) -> Self {
        let mut lines: Vec<Line> =
            tests.iter().flat_map(|test| lines_of(report, &test.id(), test.class, test.gate)).collect();
        if tests.iter().any(|test| test.class != Class::Offline) {
            let others = unlisted(report, tests);
            lines.extend(others.iter().flat_map(|test| lines_of(report, test, Class::Boot, Gate::Blocking)));
        }
        for line in &mut lines {
            let is_allowed = line.verdict == Verdict::NotYet && rules.not_yet == NotYet::IsAllowed;
            line.is_muted = rules.mutes(line);
            line.keeps_back = line.gate != Gate::Informing
                && line.verdict != Verdict::Passed
                && !is_allowed
                && !line.is_muted;
        }
        Matrix {
            version: report.version.to_string(),
            subject: report.subject.to_string(),
            suite: report.suite.to_string(),
            host: report.host.clone(),
            lines,
        }
    }

    /// Lines that keep the release back.
    pub fn keeping_back(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.keeps_back)
    }

    /// Whether nothing keeps the release back.
    pub fn is_good(&self) -> bool {
        self.keeping_back().next().is_none()
    }
}

/// Tests of the report that neither the catalog nor `tests` name.
fn unlisted(report: &TestReport, tests: &[&'static Test]) -> BTreeSet<TestId> {
    let known: BTreeSet<&str> =
        catalog::ALL.iter().chain(tests.iter().copied()).map(|test| test.name).collect();
    let seen = report.attempts.iter().map(|attempt| &attempt.test);
    seen.filter(|test| !known.contains(test.as_str())).cloned().collect()
}

/// A line for each scenario of a test; one without, where it was never tried.
fn lines_of(report: &TestReport, test: &TestId, class: Class, gate: Gate) -> Vec<Line> {
    let own: Vec<&Attempt> = report.attempts.iter().filter(|attempt| attempt.test == *test).collect();
    let mut scenarios: BTreeSet<Scenario> = own.iter().map(|attempt| attempt.scenario.clone()).collect();
    if scenarios.is_empty() {
        scenarios.insert(Scenario::new());
    }
    let line = |scenario: Scenario| {
        let attempts = || own.iter().copied().filter(|attempt| attempt.scenario == scenario);
        let tally = Tally::of(attempts());
        let shown = explaining(attempts().rev(), tally.verdict());
        let message = shown.map_or_else(|| "it was not run".to_owned(), |attempt| attempt.message.clone());
        Line {
            test: test.clone(),
            class,
            gate,
            verdict: tally.verdict(),
            keeps_back: false,
            is_muted: false,
            tally,
            message,
            duration_millis: shown.map_or(0, |attempt| attempt.duration_millis),
            scenario: scenario.clone(),
        }
    };
    scenarios.into_iter().map(line).collect()
}

/// The newest attempt that is of the verdict's kind: a failure explains `flaky`, a later pass does not.
fn explaining<'a>(
    newest_first: impl Iterator<Item = &'a Attempt> + Clone,
    verdict: Verdict,
) -> Option<&'a Attempt> {
    let alone = |attempt: &&Attempt| match (verdict, Tally::of([*attempt]).verdict()) {
        (Verdict::Flaky, one) => one == Verdict::Failed,
        (verdict, one) => one == verdict,
    };
    newest_first.clone().find(alone).or_else(|| newest_first.clone().next())
}

#[cfg(test)]
pub(super) mod tests {
    use sm_model::{
        Sha256,
        test_report::{AttemptOutcome, FailureSignature, Isolation, TestHost},
    };

    use super::*;
    use crate::suite::catalog;

    /// What does not exist yet counts; nothing is muted.
    pub(in crate::suite) const COUNTS: Rules<'_> = Rules {
        not_yet: NotYet::Counts,
        quarantines: &[],
        channel: Channel::Alpha,
        now: Timestamp::UNIX_EPOCH,
    };
    const ALLOWED: Rules<'_> = Rules { not_yet: NotYet::IsAllowed, ..COUNTS };

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
            load_centi: None,
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
                slowness: None,
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
    fn only_a_pass_of_every_required_test_is_good() {
        let (report, tests) = some();
        let of = |rules| {
            let matrix = Matrix::of(&report, &tests, rules);
            matrix.keeping_back().map(|line| line.test.to_string()).collect::<Vec<_>>()
        };
        let real = ["image.os-release", "image.perms", "image.reproducible"];
        assert_eq!(of(&ALLOWED), real);
        assert_eq!(of(&COUNTS)[3], "image.cve-known");
        assert!(Matrix::of(&report, &tests[..1], &COUNTS).is_good());
    }

    #[test]
    fn a_test_that_was_not_run_is_missing() {
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let matrix = Matrix::of(&report(&[]), &tests, &ALLOWED);
        assert_eq!((matrix.lines[0].verdict, matrix.is_good()), (Verdict::Missing, false));
    }

    #[test]
    fn a_later_pass_does_not_hide_what_failed() {
        let report = report(&[
            ("image.layout", AttemptOutcome::Fail, "torn"),
            ("image.layout", AttemptOutcome::Pass, "fine"),
        ]);
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let line = Matrix::of(&report, &tests, &COUNTS).lines.remove(0);
        assert_eq!((line.verdict, line.message.as_str()), (Verdict::Flaky, "torn"));
    }

    #[test]
    fn scenarios_have_a_verdict_each() {
        let mut report = report(&[
            ("image.layout", AttemptOutcome::Pass, "fine"),
            ("image.layout", AttemptOutcome::Fail, "torn"),
        ]);
        report.attempts[1].scenario = [("firmware".to_owned(), "bios".to_owned())].into();
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let verdicts = Matrix::of(&report, &tests, &COUNTS).lines.into_iter().map(|line| line.verdict);
        assert_eq!(verdicts.collect::<Vec<_>>(), [Verdict::Passed, Verdict::Failed]);
    }

    #[test]
    fn what_a_console_said_keeps_a_release_back_though_no_list_names_it() {
        let report = report(&[("console.kernel-panic", AttemptOutcome::Fail, "Kernel panic")]);
        let of = |class| {
            let tests: Vec<_> = catalog::choose(&[class], None).collect();
            let matrix = Matrix::of(&report, &tests, &ALLOWED);
            matrix.keeping_back().any(|line| line.test.as_str() == "console.kernel-panic")
        };
        assert!(of(Class::Boot) && !of(Class::Offline));
    }

    #[test]
    fn a_known_failure_is_muted_unless_nobody_may_waive_it() {
        let signature = FailureSignature(Sha256([7; 32]));
        let keeping_back = |test: &str| {
            let mut report = report(&[(test, AttemptOutcome::Fail, "torn")]);
            report.attempts[0].signature = Some(signature);
            let quarantine = Quarantine {
                test: test.parse().unwrap(),
                scenario: Scenario::new(),
                signature,
                channel: Channel::Alpha,
                opened: "2026-11-20T00:00:00Z".parse().unwrap(),
                expires: "2026-11-27T00:00:00Z".parse().unwrap(),
                n_extensions: 0,
                owner: "bob".into(),
                approved_by: "carol".into(),
                issue: "#1".into(),
            };
            let quarantines = [quarantine];
            let rules = |now: &str| Rules { now: now.parse().unwrap(), quarantines: &quarantines, ..COUNTS };
            let tests: Vec<_> = catalog::choose(&[], Some(test)).collect();
            ["2026-11-23T00:00:00Z", "2026-11-27T00:00:00Z"]
                .map(|now| Matrix::of(&report, &tests, &rules(now)).keeping_back().count())
        };
        assert_eq!(keeping_back("image.perms"), [0, 1]);
        assert_eq!(keeping_back("image.layout"), [1, 1]);
    }
}
