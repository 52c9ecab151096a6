//! Attempts: every test on its own, on all cores, whatever becomes of the others.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    time::Instant,
};

use rayon::prelude::*;
use sm_host::clock::Clock;
use sm_model::{
    FileName,
    test_report::{Attempt, AttemptOutcome, Isolation, Scenario},
};
use sm_release::signature::failure_signature;

use super::{
    catalog::{Means, Test},
    facts::Facts,
    finding::{Findings, Looked, Stop},
};

/// Longest message kept in the report; the log has everything.
const MAX_MESSAGE_CHARS: usize = 300;
/// What every test of facts is doing when it ends.
const PHASE: &str = "assert";

/// One attempt with what it left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The attempt, its logs not yet among it.
    pub attempt: Attempt,
    /// Everything it saw, for the log.
    pub log: String,
    /// What its machines left behind.
    pub evidence: Vec<Evidence>,
}

/// A log of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What it is: `a.console.txt`.
    pub name: FileName,
    /// What it says.
    pub text: String,
}

/// Tries each test of facts once. A test that panics or meets trouble is an error, and the next one is not touched by it.
/// Tests that need machines are [`crew`](super::crew)'s.
pub fn run(tests: &[&'static Test], facts: &Facts, clock: &dyn Clock) -> Vec<Tried> {
    tests
        .par_iter()
        .filter_map(|test| {
            let look: &(dyn Fn() -> Looked + Sync) = match &test.means {
                Means::Look(look) => &|| look(facts),
                Means::NotYet(_) => &|| Ok(Findings::default()),
                _ => return None,
            };
            Some(attempt(test, clock, Scenario::new(), || PHASE.to_owned(), look))
        })
        .collect()
}

/// Notes of each test of what does not exist yet that nobody carried it out; others are left out. Needs no facts.
pub fn not_yet(tests: &[&'static Test], clock: &dyn Clock) -> Vec<Tried> {
    let absent = tests.iter().filter(|test| matches!(test.means, Means::NotYet(_)));
    let noted = absent
        .map(|test| attempt(test, clock, Scenario::new(), || PHASE.to_owned(), || Ok(Findings::default())));
    noted.collect()
}

/// One attempt: `look` does the work, `phase` tells how far it came. A test of what does not exist yet is not carried out.
pub(super) fn attempt(
    test: &Test,
    clock: &dyn Clock,
    scenario: Scenario,
    phase: impl FnOnce() -> String,
    look: impl FnOnce() -> Looked,
) -> Tried {
    let (started, begin) = (clock.now(), Instant::now());
    let (outcome, message, log) = match test.means {
        Means::NotYet(reason) => told(AttemptOutcome::NotYet { reason: reason.to_owned() }, reason),
        _ => match panic::catch_unwind(AssertUnwindSafe(look)) {
            Ok(looked) => judged(looked),
            Err(cause) => {
                told(AttemptOutcome::Error { class: "panic".to_owned() }, &panic_text(cause.as_ref()))
            }
        },
    };
    let has_failed = matches!(outcome, AttemptOutcome::Fail | AttemptOutcome::Timeout);
    let (id, phase) = (test.id(), phase());
    let attempt = Attempt {
        signature: has_failed.then(|| failure_signature(&id, &phase, &message, &[])),
        test: id,
        scenario,
        number: 1,
        isolation: Isolation::Suite,
        outcome,
        phase,
        message,
        started,
        duration_millis: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
        load_centi: fs::read_to_string("/proc/loadavg").ok().as_deref().and_then(load_centi),
        logs: Vec::new(),
    };
    Tried { attempt, log, evidence: Vec::new() }
}

/// Outcome, message and log of a test that came to its end or said why not.
fn judged(looked: Looked) -> (AttemptOutcome, String, String) {
    match looked {
        Ok(findings) => {
            let outcome =
                if findings.problems.is_empty() { AttemptOutcome::Pass } else { AttemptOutcome::Fail };
            (outcome, message_of(&findings), log_of(&findings))
        }
        Err(Stop::Broken(what)) => told(AttemptOutcome::Fail, &what),
        Err(Stop::Trouble { class, message }) => {
            told(AttemptOutcome::Error { class: class.to_owned() }, &message)
        }
        Err(Stop::Late(what)) => told(AttemptOutcome::Timeout, &what),
        Err(Stop::Cancelled) => told(AttemptOutcome::Cancelled, "the run was ended"),
        Err(Stop::Skip(reason)) => told(AttemptOutcome::Skip { reason: reason.clone() }, &reason),
    }
}

/// The first number of `/proc/loadavg` (proc_loadavg(5)), in hundredths.
fn load_centi(loadavg: &str) -> Option<u32> {
    let (whole, hundredths) = loadavg.split_whitespace().next()?.split_once('.')?;
    let hundredths: u32 = hundredths.get(..2)?.parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths)
}

fn told(outcome: AttemptOutcome, text: &str) -> (AttemptOutcome, String, String) {
    (outcome, one_line(text), format!("{text}\n"))
}

fn message_of(findings: &Findings) -> String {
    match &findings.problems[..] {
        [] => one_line(&findings.seen),
        [only] => one_line(only),
        [first, rest @ ..] => format!("{} (and {} more)", one_line(first), rest.len()),
    }
}

fn log_of(findings: &Findings) -> String {
    let head = [format!("looked at {}; {} problems", findings.seen, findings.problems.len())];
    head.iter().chain(&findings.problems).chain(&findings.notes).map(|line| format!("{line}\n")).collect()
}

fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MAX_MESSAGE_CHARS).collect()
}

fn panic_text(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned());
    format!("the test panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sm_host::clock::SystemClock;

    use super::*;
    use crate::suite::{
        catalog::{self, Class, Gate},
        machine::Limit,
        room::Needs,
        sample,
    };

    fn outcomes(tests: &[&'static Test], facts: &Facts) -> Vec<(String, AttemptOutcome)> {
        let tried = run(tests, facts, &SystemClock);
        tried.into_iter().map(|tried| (tried.attempt.test.to_string(), tried.attempt.outcome)).collect()
    }

    #[test]
    fn the_sample_passes_every_test_that_exists() {
        let tests: Vec<_> = catalog::choose(&[], None).collect();
        let tests: Vec<_> =
            tests.into_iter().filter(|t| matches!(t.means, Means::Look(_) | Means::NotYet(_))).collect();
        for (test, (name, outcome)) in tests.iter().zip(outcomes(&tests, &sample::facts())) {
            assert_eq!(test.name, name);
            match test.means {
                Means::Look(_) => assert_eq!(outcome, AttemptOutcome::Pass, "{name}"),
                Means::NotYet(reason) => {
                    assert_eq!(outcome, AttemptOutcome::NotYet { reason: reason.into() })
                }
                _ => unreachable!("{name} was not asked for"),
            }
        }
    }

    #[test]
    fn trouble_is_never_a_pass_nor_a_failure_of_the_image() {
        let tests: Vec<_> = catalog::choose(&[Class::Offline], None).collect();
        for (name, outcome) in outcomes(&tests, &sample::nothing()) {
            let expected = matches!(outcome, AttemptOutcome::Error { .. } | AttemptOutcome::NotYet { .. });
            assert!(expected, "{name}: {outcome:?}");
        }
    }

    #[test]
    fn a_fact_that_cannot_be_had_stops_only_the_tests_that_need_it() {
        let mut facts = sample::facts();
        facts.disk = Err(Stop::Trouble { class: "host-disk", message: "gone".into() });
        let tests: Vec<_> = catalog::choose(&[Class::Offline], None).collect();
        let errors = outcomes(&tests, &facts)
            .into_iter()
            .filter(|(_, outcome)| matches!(outcome, AttemptOutcome::Error { .. }));
        assert_eq!(errors.map(|(name, _)| name).collect::<Vec<_>>(), ["image.layout"]);
    }

    static PANICS: Test = Test {
        name: "x.panics",
        class: Class::Offline,
        gate: Gate::Blocking,
        asserts: "nothing",
        means: Means::Look(|_| panic!("on purpose")),
        limit: Limit::Here(Duration::from_secs(1)),
        needs: Needs::ONE,
    };
    static BROKEN: Test = Test {
        name: "x.broken",
        means: Means::Look(|_| {
            let problems = ["pid 41 is wrong\n", "second"].map(str::to_owned);
            Ok(Findings::with("two things", problems))
        }),
        ..PANICS
    };

    #[test]
    fn the_load_of_the_last_minute_is_the_first_number() {
        assert_eq!(load_centi("29.31 26.72 16.68 5/530 6581\n"), Some(2931));
        assert_eq!(load_centi("0.05 0.01 0.00 1/1 1\n"), Some(5));
        assert_eq!(["", "1", "1.x"].map(load_centi), [None; 3]);
        assert!(run(&[&BROKEN], &sample::facts(), &SystemClock)[0].attempt.load_centi.is_some());
    }

    #[test]
    fn a_panic_is_an_error_and_the_next_test_runs() {
        let tried = run(&[&PANICS, &BROKEN], &sample::facts(), &SystemClock);
        assert_eq!(tried[0].attempt.outcome, AttemptOutcome::Error { class: "panic".into() });
        assert_eq!(tried[0].attempt.message, "the test panicked: on purpose");
        assert_eq!(tried[1].attempt.outcome, AttemptOutcome::Fail);
        assert_eq!(tried[1].attempt.message, "pid 41 is wrong  (and 1 more)");
        assert_eq!(tried[1].log, "looked at two things; 2 problems\npid 41 is wrong\n\nsecond\n");
        assert!(tried[1].attempt.signature.is_some() && tried[0].attempt.signature.is_none());
    }
}
