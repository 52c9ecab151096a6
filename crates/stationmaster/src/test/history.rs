//! `stationmaster test history TEST`: how often a test failed, by scenario and by version, in the suite and alone, always with an
//! interval.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;
use sm_host::clock::{Clock, SystemClock};
use sm_model::{
    Date, Sha256, Timestamp, Version,
    test_report::{AttemptOutcome, FailureSignature, Isolation, TestId},
};
use sm_release::flake::{FailureRate, is_mass_failure, sparkline};
use sm_store::test_history::{AttemptFilter, Observed};
use sm_vmtest::suite::catalog;

use super::{NoTest, Store};
use crate::context::{Context, Outcome};

/// Newest results that the sparkline shows.
const N_SPARKS: usize = 60;

const EXAMPLES: &str = "\
Example:
  stationmaster test history boot.uefi --days 30

Each character is an attempt, oldest first: `▁` passed, `█` failed, `·` could
not be carried out. A rate is the median of what the attempts leave possible
(Jeffreys' posterior), with its 95 % interval: few runs say little. What could
not be carried out says nothing about the test. Attempts in the suite and
attempts alone have rates of their own: a failure is run again alone, and a
test that only fails among others would look better by that. Runs in which
more than half of the tests failed are left out.";

/// Which test, and since when.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The test.
    test: TestId,
    /// How far to look back.
    #[arg(long, value_name = "N", default_value_t = 90)]
    days: u16,
    #[command(flatten)]
    store: Store,
}

/// What a test was seen to do.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct History {
    test: TestId,
    scenarios: Vec<Course>,
    versions: Vec<Share>,
    failures: Vec<Failure>,
    /// Attempts that count for no rate: more than half of the tests failed in their runs.
    n_left_out: usize,
}

/// The results in one scenario.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Course {
    /// `platform=qemu`; empty where it makes no difference.
    scenario: String,
    isolation: Isolation,
    results: String,
    rate: FailureRate,
}

/// The results at one version.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Share {
    version: String,
    isolation: Isolation,
    rate: FailureRate,
    last: Timestamp,
}

/// One kind of failure.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Failure {
    signature: Option<FailureSignature>,
    n_times: usize,
    first_version: String,
    last: Timestamp,
    message: String,
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let history = args.store.read()?;
    let all = history.attempts(AttemptFilter { test: None, since: Some(days_ago(args.days)) })?;
    let history = History::of(&args.test, &all);
    if history.scenarios.is_empty() && !may_exist(&args.test) {
        return Err(NoTest(args.test.to_string()).into());
    }
    ctx.data(&history)?;
    Ok(Outcome::Done)
}

/// Whether there may be a test of that name: the catalog has it, or it is made of what runs find.
fn may_exist(test: &TestId) -> bool {
    let name = test.as_str();
    catalog::ALL.iter().any(|test| test.name == name)
        || ["console.", "dirt.", "ext.", "boot.base"].iter().any(|kind| name.starts_with(kind))
}

/// The start of the day that many days before today.
pub(super) fn days_ago(n_days: u16) -> Timestamp {
    Date::of(SystemClock.now()).plus_days(-i64::from(n_days)).start()
}

/// Groups in order of their keys; within each the order stays.
fn grouped<K: Ord>(observed: &[Observed], key: impl Fn(&Observed) -> K) -> BTreeMap<K, Vec<&Observed>> {
    let mut groups: BTreeMap<K, Vec<&Observed>> = BTreeMap::new();
    for one in observed {
        groups.entry(key(one)).or_default().push(one);
    }
    groups
}

/// One round of a suite at one image: attempts that share what goes wrong with everything.
type Round = (Sha256, Sha256, u32);

fn round(one: &Observed) -> Round {
    (one.subject, one.suite, one.attempt.number)
}

/// Rounds in which so many tests failed that it was not them.
fn mass_failures(all: &[Observed]) -> BTreeSet<Round> {
    let mut rounds: BTreeMap<Round, BTreeMap<&TestId, bool>> = BTreeMap::new();
    // What consoles said, and dirt, are results about tests, not tests.
    let is_test = |one: &&Observed| {
        let name = one.attempt.test.as_str();
        one.attempt.isolation == Isolation::Suite
            && is_result(&one.attempt.outcome)
            && !name.starts_with("dirt.")
            && (!name.starts_with("console.") || name == "console.rules")
    };
    for one in all.iter().filter(is_test) {
        *rounds.entry(round(one)).or_default().entry(&one.attempt.test).or_default() |= has_failed(one);
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let is_mass = |(_, tests): &(Round, BTreeMap<&TestId, bool>)| {
        let n_failed = tests.values().filter(|has_failed| **has_failed).count();
        is_mass_failure(count(n_failed), count(tests.len()))
    };
    rounds.into_iter().filter(is_mass).map(|(round, _)| round).collect()
}

impl History {
    /// What `test` was seen to do, among everything that was seen.
    fn of(test: &TestId, all: &[Observed]) -> Self {
        let own = all.iter().filter(|one| one.attempt.test == *test);
        let own: Vec<Observed> = own
            .filter(|one| !matches!(one.attempt.outcome, AttemptOutcome::NotYet { .. }))
            .cloned()
            .collect();
        let mass = mass_failures(all);
        let is_left_out =
            |one: &&Observed| one.attempt.isolation == Isolation::Suite && mass.contains(&round(one));
        let rate = |observed: &[&Observed]| {
            FailureRate::of(observed.iter().filter(|one| !is_left_out(one)).map(|one| &one.attempt))
        };
        let scenario = |one: &Observed| {
            let pairs = one.attempt.scenario.iter().map(|(key, value)| format!("{key}={value}"));
            (pairs.collect::<Vec<_>>().join(" "), one.attempt.isolation)
        };
        let course = |((scenario, isolation), own): ((String, Isolation), Vec<&Observed>)| {
            let newest = &own[own.len().saturating_sub(N_SPARKS)..];
            let results = sparkline(newest.iter().map(|one| &one.attempt));
            Course { scenario, isolation, results, rate: rate(&own) }
        };
        let share =
            |((Reverse(version), isolation), own): ((Reverse<Version>, Isolation), Vec<&Observed>)| Share {
                version: version.to_string(),
                isolation,
                rate: rate(&own),
                last: latest(&own),
            };
        let failed: Vec<Observed> = own.iter().filter(|one| has_failed(one)).cloned().collect();
        let mut failures: Vec<Failure> =
            grouped(&failed, |one| one.attempt.signature).into_iter().map(Failure::of).collect();
        failures.sort_by_key(|failure| Reverse(failure.n_times));
        History {
            test: test.clone(),
            scenarios: grouped(&own, scenario).into_iter().map(course).collect(),
            versions: grouped(&own, |one| (Reverse(one.version), one.attempt.isolation))
                .into_iter()
                .map(share)
                .collect(),
            failures,
            n_left_out: own.iter().filter(is_left_out).count(),
        }
    }
}

impl Failure {
    fn of((signature, own): (Option<FailureSignature>, Vec<&Observed>)) -> Self {
        Failure {
            signature,
            n_times: own.len(),
            first_version: own
                .iter()
                .map(|one| one.version)
                .min()
                .map_or_else(String::new, |v| v.to_string()),
            last: latest(&own),
            message: own.last().map_or_else(String::new, |one| one.attempt.message.clone()),
        }
    }
}

fn latest(observed: &[&Observed]) -> Timestamp {
    observed.iter().map(|one| one.attempt.started).max().unwrap_or(Timestamp::UNIX_EPOCH)
}

fn has_failed(one: &Observed) -> bool {
    matches!(one.attempt.outcome, AttemptOutcome::Fail | AttemptOutcome::Timeout)
}

/// Whether an attempt says something about its test.
pub(super) const fn is_result(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::Pass | AttemptOutcome::Fail | AttemptOutcome::Timeout)
}

const fn how(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Suite => "suite",
        Isolation::Isolated => "alone",
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.test)?;
        if self.scenarios.is_empty() {
            return f.write_str("\n  never run in this time");
        }
        for Course { scenario, isolation, results, rate } in &self.scenarios {
            write!(f, "\n  {}", format!("{} {scenario}", how(*isolation)).trim_end())?;
            write!(f, "\n  {results}\n  {rate}")?;
        }
        if self.n_left_out > 0 {
            write!(f, "\n  {} attempts count for no rate: most tests failed in their runs", self.n_left_out)?;
        }
        write!(f, "\n\n{:<12} {:<6} {:<44} LAST", "VERSION", "HOW", "RATE, 95 % INTERVAL")?;
        for share in &self.versions {
            let (how, rate, last) = (how(share.isolation), share.rate.to_string(), Date::of(share.last));
            write!(f, "\n{:<12} {how:<6} {rate:<44} {last}", share.version)?;
        }
        if !self.failures.is_empty() {
            write!(f, "\n\n{:<13} {:>5}  {:<12} {:<11} MESSAGE", "FAILURE", "TIMES", "SINCE", "LAST")?;
        }
        for failure in &self.failures {
            let signature = failure.signature.map_or_else(|| "unknown".to_owned(), |one| one.to_string());
            let (n, since) = (failure.n_times, &failure.first_version);
            let last = Date::of(failure.last).to_string();
            write!(f, "\n{signature:<13} {n:>5}  {since:<12} {last:<11} {}", failure.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use sm_model::{
        Sha256,
        test_report::{Attempt, Isolation, TestHost},
    };

    use super::*;

    /// An attempt at one version, with its message.
    pub(in crate::test) fn seen(version: &str, outcome: AttemptOutcome, message: &str) -> Observed {
        let has_failed = outcome == AttemptOutcome::Fail;
        Observed {
            subject: Sha256([1; 32]),
            version: version.parse().unwrap(),
            suite: Sha256([2; 32]),
            host: TestHost {
                accelerator: "tcg".into(),
                cpus: 2,
                memory_mib: 1,
                slowness: None,
                stationmaster: "0".into(),
            },
            attempt: Attempt {
                test: "boot.uefi".parse().unwrap(),
                scenario: [("platform".to_owned(), "qemu".to_owned())].into(),
                number: 1,
                isolation: Isolation::Suite,
                outcome,
                phase: "boot".into(),
                message: message.into(),
                signature: has_failed.then_some(FailureSignature(Sha256([9; 32]))),
                started: "2026-11-23T07:00:00Z".parse().unwrap(),
                duration_millis: 1,
                load_centi: None,
                logs: Vec::new(),
            },
        }
    }

    #[test]
    fn the_history_shows_course_rates_and_failures() {
        let error = AttemptOutcome::Error { class: "host-memory".into() };
        let mut observed = [
            seen("4892.0.0", AttemptOutcome::Pass, ""),
            seen("4893.0.0", AttemptOutcome::Fail, "late"),
            seen("4893.0.0", error, ""),
            seen("4893.0.0", AttemptOutcome::Pass, ""),
            seen("4893.0.0", AttemptOutcome::Pass, ""),
        ];
        observed[4].attempt.isolation = Isolation::Isolated;
        let text = History::of(&"boot.uefi".parse().unwrap(), &observed).to_string();
        assert_eq!(
            text,
            "boot.uefi\n  suite platform=qemu\n  ▁█·▁\n  1 of 3 failed, 35.3 % (3.9 to 82.3 %)\n  \
             alone platform=qemu\n  ▁\n  0 of 1 failed, 16.3 % (0.0 to 85.3 %)\n\n\
             VERSION      HOW    RATE, 95 % INTERVAL                          LAST\n\
             4893.0.0     suite  1 of 2 failed, 50.0 % (6.1 to 93.9 %)        2026-11-23\n\
             4893.0.0     alone  0 of 1 failed, 16.3 % (0.0 to 85.3 %)        2026-11-23\n\
             4892.0.0     suite  0 of 1 failed, 16.3 % (0.0 to 85.3 %)        2026-11-23\n\n\
             FAILURE       TIMES  SINCE        LAST        MESSAGE\n\
             090909090909      1  4893.0.0     2026-11-23  late"
        );
    }

    #[test]
    fn runs_in_which_most_tests_failed_count_for_no_rate() {
        let round = |number: u32, outcome: &AttemptOutcome| {
            let named = |test: &str| {
                let mut one = seen("4893.0.0", outcome.clone(), "no network");
                (one.attempt.number, one.attempt.test) = (number, test.parse().unwrap());
                one
            };
            ["boot.uefi", "net.a", "net.b", "net.c", "net.d"].map(named)
        };
        let all = [round(1, &AttemptOutcome::Pass), round(2, &AttemptOutcome::Fail)].concat();
        let history = History::of(&"boot.uefi".parse().unwrap(), &all);
        assert_eq!((history.n_left_out, history.scenarios[0].rate.n_runs), (1, 1));
        assert_eq!(history.failures[0].n_times, 1, "the failure itself stays visible");
        // A run of one test is no sign of anything but that test.
        let alone = History::of(&"boot.uefi".parse().unwrap(), &all[5..6]);
        assert_eq!((alone.n_left_out, alone.scenarios[0].rate.n_failed), (0, 1));
    }

    #[test]
    fn re_runs_of_failures_do_not_change_the_rate_in_the_suite() {
        let mut all = vec![seen("4893.0.0", AttemptOutcome::Fail, ""); 6];
        all.extend(vec![seen("4893.0.0", AttemptOutcome::Pass, ""); 14]);
        let rate = |all: &[Observed]| {
            let history = History::of(&"boot.uefi".parse().unwrap(), all);
            history.scenarios.into_iter().find(|one| one.isolation == Isolation::Suite).unwrap().rate
        };
        let before = rate(&all);
        for _ in 0..12 {
            let mut again = seen("4893.0.0", AttemptOutcome::Pass, "");
            again.attempt.isolation = Isolation::Isolated;
            all.push(again);
        }
        assert_eq!(rate(&all), before);
        assert!(before.low_bp < 3000 && 3000 < before.high_bp, "{before}");
    }

    #[test]
    fn a_name_that_was_misspelt_is_no_test_that_nobody_ran() {
        let may = |test: &str| may_exist(&test.parse().unwrap());
        assert!(may("boot.uefi") && may("console.segfault") && may("ext.net.dns"));
        assert!(!may("boot.uefl"));
    }

    #[test]
    fn a_test_that_nobody_ran_says_so() {
        let text = History::of(&"boot.uefi".parse().unwrap(), &[]).to_string();
        assert_eq!(text, "boot.uefi\n  never run in this time");
    }
}
