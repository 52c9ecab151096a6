//! `stationmaster test history TEST`: how often a test failed, by scenario and by version, always with an interval.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use sm_host::clock::{Clock, SystemClock};
use sm_model::{
    Date, Timestamp,
    test_report::{AttemptOutcome, FailureSignature, TestId},
};
use sm_release::flake::{FailureRate, sparkline};
use sm_store::{
    TestHistory,
    test_history::{AttemptFilter, Observed},
};

use super::Store;
use crate::context::{Context, Outcome};

/// Newest results that the sparkline shows.
const N_SPARKS: usize = 60;

const EXAMPLES: &str = "\
Example:
  stationmaster test history boot.uefi --days 30

Each character is an attempt, oldest first: `▁` passed, `█` failed, `·` could
not be carried out. Rates come with their 95 % interval (Wilson's): few runs
say little. What could not be carried out says nothing about the test.";

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
}

/// The results in one scenario.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Course {
    /// `platform=qemu`; empty where it makes no difference.
    scenario: String,
    results: String,
    rate: FailureRate,
}

/// The results at one version.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Share {
    version: String,
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
    let history = TestHistory::open(&args.store.db)?;
    let observed = history
        .attempts(AttemptFilter { test: Some(&args.test), since: Some(days_ago(args.days)) })?
        .into_iter()
        .filter(|one| !matches!(one.attempt.outcome, AttemptOutcome::NotYet { .. }))
        .collect::<Vec<_>>();
    ctx.data(&History::of(args.test.clone(), &observed))?;
    Ok(Outcome::Done)
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

fn rate(observed: &[&Observed]) -> FailureRate {
    FailureRate::of(observed.iter().map(|one| &one.attempt))
}

impl History {
    fn of(test: TestId, observed: &[Observed]) -> Self {
        let scenario = |one: &Observed| {
            let pairs = one.attempt.scenario.iter().map(|(key, value)| format!("{key}={value}"));
            pairs.collect::<Vec<_>>().join(" ")
        };
        let course = |(scenario, own): (String, Vec<&Observed>)| {
            let newest = &own[own.len().saturating_sub(N_SPARKS)..];
            let results = sparkline(newest.iter().map(|one| &one.attempt));
            Course { scenario, results, rate: rate(&own) }
        };
        let share = |(version, own): (sm_model::Version, Vec<&Observed>)| Share {
            version: version.to_string(),
            rate: rate(&own),
            last: latest(&own),
        };
        let failed: Vec<Observed> = observed.iter().filter(|one| has_failed(one)).cloned().collect();
        let mut failures: Vec<Failure> =
            grouped(&failed, |one| one.attempt.signature).into_iter().map(Failure::of).collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.n_times));
        History {
            test,
            scenarios: grouped(observed, scenario).into_iter().map(course).collect(),
            versions: grouped(observed, |one| one.version).into_iter().rev().map(share).collect(),
            failures,
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

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.test)?;
        if self.scenarios.is_empty() {
            return f.write_str("\n  never run in this time");
        }
        for course in &self.scenarios {
            if !course.scenario.is_empty() {
                write!(f, "\n  {}", course.scenario)?;
            }
            write!(f, "\n  {}\n  {}", course.results, course.rate)?;
        }
        write!(f, "\n\n{:<14} {:<42} LAST", "VERSION", "RATE, 95 % INTERVAL")?;
        for share in &self.versions {
            write!(f, "\n{:<14} {:<42} {}", share.version, share.rate.to_string(), share.last)?;
        }
        if !self.failures.is_empty() {
            write!(f, "\n\n{:<14} {:>5}  {:<12} {:<22} MESSAGE", "FAILURE", "TIMES", "SINCE", "LAST")?;
        }
        for failure in &self.failures {
            let signature = failure.signature.map_or_else(|| "unknown".to_owned(), |one| one.to_string());
            let (n, since) = (failure.n_times, &failure.first_version);
            let last = failure.last.to_string();
            write!(f, "\n{signature:<14} {n:>5}  {since:<12} {last:<22} {}", failure.message)?;
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
            host: TestHost { accelerator: "tcg".into(), cpus: 2, memory_mib: 1, stationmaster: "0".into() },
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
                logs: Vec::new(),
            },
        }
    }

    #[test]
    fn the_history_shows_course_rates_and_failures() {
        let error = AttemptOutcome::Error { class: "host-memory".into() };
        let observed = [
            seen("4892.0.0", AttemptOutcome::Pass, ""),
            seen("4893.0.0", AttemptOutcome::Fail, "late"),
            seen("4893.0.0", error, ""),
            seen("4893.0.0", AttemptOutcome::Pass, ""),
        ];
        let text = History::of("boot.uefi".parse().unwrap(), &observed).to_string();
        assert_eq!(
            text,
            "boot.uefi\n  platform=qemu\n  ▁█·▁\n  1 of 3 failed (6.2 to 79.2 %)\n\n\
             VERSION        RATE, 95 % INTERVAL                        LAST\n\
             4893.0.0       1 of 2 failed (9.5 to 90.6 %)              2026-11-23T07:00:00Z\n\
             4892.0.0       0 of 1 failed (0.0 to 79.4 %)              2026-11-23T07:00:00Z\n\n\
             FAILURE        TIMES  SINCE        LAST                   MESSAGE\n\
             090909090909       1  4893.0.0     2026-11-23T07:00:00Z   late"
        );
    }

    #[test]
    fn a_test_that_nobody_ran_says_so() {
        let text = History::of("boot.uefi".parse().unwrap(), &[]).to_string();
        assert_eq!(text, "boot.uefi\n  never run in this time");
    }
}
