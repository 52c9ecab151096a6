//! Whatever a machine or a test does, the attempt ends with a verdict and its log, no machine is left, and the next test passes.

use std::{sync::atomic::AtomicBool, time::Duration};

use sm_host::clock::SystemClock;

use super::*;
use crate::suite::{
    bench::{Base as Copied, Stage},
    pretence::{Guest, Pretence},
    release::{Others, Release},
    room::Room,
    sample,
};

const fn cloned(name: &'static str, means: Means) -> Test {
    Test {
        name,
        class: Class::Clone,
        gate: Gate::Blocking,
        asserts: "nothing",
        means,
        limit: Limit::Here(Duration::from_secs(2)),
        needs: Needs::ONE,
    }
}

static GOOD: Test = cloned(
    "x.good",
    Means::Clone(|_, machine| {
        let said = machine.ask("echo fine")?;
        Ok(Findings::with("an echo", (said != "fine").then_some(said)))
    }),
);
static NEVER_ENDS: Test =
    cloned("x.never-ends", Means::Clone(|_, machine| machine.ask("echo half; sleep 1000").map(Findings::of)));
static PANICS: Test = cloned("x.panics", Means::Clone(|_, _| panic!("on purpose")));
static FORKS: Test = cloned(
    "x.forks",
    Means::Clone(|_, machine| machine.ask("sleep 1000 & sleep 1000 & echo two").map(Findings::of)),
);
static REFUSED: Test =
    cloned("x.refused", Means::Clone(|_, machine| machine.ask("exit 3").map(Findings::of)));
static LOUD: Test = Test {
    limit: Limit::Here(Duration::from_secs(60)),
    ..cloned("x.loud", Means::Clone(|_, machine| machine.ask("true").map(Findings::of)))
};
static BOOTS: Test = Test {
    class: Class::Boot,
    means: Means::Boot(|bench| bench.boot("a").map(|_| Findings::of("a boot"))),
    ..cloned("x.boots", Means::Rules)
};

/// What came of tests at machines of which some are bad, one after the other.
fn tried(tests: &[&'static Test], bad: &[(&'static str, Guest)], memory_mib: u32) -> Vec<Tried> {
    run_until(tests, bad, memory_mib, |_, _| ())
}

fn run_until(
    tests: &[&'static Test],
    bad: &[(&'static str, Guest)],
    memory_mib: u32,
    ended: impl Fn(&Tried, &AtomicBool) + Sync,
) -> Vec<Tried> {
    let dir = tempfile::tempdir().unwrap();
    let pretence = Pretence::new(dir.path(), bad);
    std::fs::write(dir.path().join("image.img"), "").unwrap();
    let cancelled = AtomicBool::new(false);
    let stage = Stage {
        host: VmHost::pretended(&pretence, pretence.programs()),
        release: Release::new(sample::bootable("image.img"), dir.path()),
        others: Others::default(),
        lists: sample::lists(),
        signing_key: None,
        start_endpoint: None,
        room: Room::new(memory_mib, 1),
        dir: dir.path().join("machines"),
        base: Copied::default(),
    };
    let ended = |one: &Tried| ended(one, &cancelled);
    let order =
        Order { clock: &SystemClock, isolation: Isolation::Suite, cancelled: &cancelled, ended: &ended };
    let tried = run(tests, &stage, &order);
    assert_eq!(pretence.left(), [0; 0], "machines are left");
    tried
}

fn outcome<'a>(tried: &'a [Tried], test: &str) -> (&'a AttemptOutcome, &'a str) {
    let found = tried.iter().find(|one| one.attempt.test.as_str() == test);
    let attempt = &found.unwrap_or_else(|| panic!("no attempt at {test}")).attempt;
    (&attempt.outcome, &attempt.message)
}

const PLENTY: u32 = 64 << 10;

#[test]
fn a_copy_of_a_good_machine_passes() {
    let tried = tried(&[&GOOD, &BOOTS], &[], PLENTY);
    for test in ["boot.base", "x.good", "x.boots"] {
        assert_eq!(outcome(&tried, test).0, &AttemptOutcome::Pass, "{tried:?}");
    }
}

#[test]
fn a_test_that_never_ends_forks_fails_or_panics_does_not_touch_the_next() {
    let tried = tried(&[&NEVER_ENDS, &FORKS, &REFUSED, &PANICS, &GOOD], &[], PLENTY);
    let (late, message) = outcome(&tried, "x.never-ends");
    assert_eq!(late, &AttemptOutcome::Timeout, "{message}");
    assert!(message.contains("half") || message.contains("did not happen"), "{message}");
    assert_eq!(outcome(&tried, "x.forks").0, &AttemptOutcome::Pass);
    assert_eq!(outcome(&tried, "x.refused").0, &AttemptOutcome::Fail);
    assert_eq!(outcome(&tried, "x.panics").0, &AttemptOutcome::Error { class: "panic".into() });
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
}

#[test]
fn a_machine_that_says_nothing_is_late_and_the_next_one_is_another() {
    let tried = tried(&[&BOOTS, &GOOD], &[("x.boots", Guest::Silent)], PLENTY);
    let (late, message) = outcome(&tried, "x.boots");
    assert_eq!(late, &AttemptOutcome::Timeout);
    assert!(message.contains("Linux version"), "the console's last words are told: {message}");
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
}

#[test]
fn emergency_mode_fails_at_once_with_the_console_for_all_who_wanted_a_copy() {
    let tried = tried(&[&GOOD, &FORKS, &BOOTS], &[("boot.base", Guest::Emergency)], PLENTY);
    for test in ["boot.base", "x.good", "x.forks"] {
        let (failed, message) = outcome(&tried, test);
        assert_eq!(failed, &AttemptOutcome::Fail);
        assert!(message.contains("emergency mode"), "{message}");
    }
    let good = tried.iter().find(|one| one.attempt.test.as_str() == "x.good").unwrap();
    assert!(good.evidence.iter().any(|log| log.text.contains("emergency mode")));
    assert_eq!(outcome(&tried, "console.emergency-mode").0, &AttemptOutcome::Fail);
    assert_eq!(outcome(&tried, "x.boots").0, &AttemptOutcome::Pass);
}

#[test]
fn a_console_that_is_flooded_ends_its_own_test() {
    let bad = [("x.loud", Guest::Loud)];
    let tried = tried(&[&LOUD, &GOOD], &bad, PLENTY);
    let (failed, message) = outcome(&tried, "x.loud");
    assert_eq!(failed, &AttemptOutcome::Fail);
    assert!(message.contains("more than 256 MiB"), "{message}");
    let kept = tried.iter().flat_map(|one| &one.evidence).map(|log| log.text.len()).max();
    assert!(kept.is_some_and(|n_bytes| n_bytes < 8 << 20), "{kept:?} bytes are kept");
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
}

#[test]
fn too_little_memory_is_never_the_images_fault() {
    let class = AttemptOutcome::Error { class: "host-memory".into() };
    let none = tried(&[&BOOTS], &[], 100);
    let (error, message) = outcome(&none, "x.boots");
    assert_eq!(error, &class);
    assert!(message.contains("100 MiB are available"), "{message}");
    let short = tried(&[&BOOTS, &GOOD], &[("x.boots", Guest::NoMemory)], PLENTY);
    assert_eq!(outcome(&short, "x.boots").0, &class);
    assert_eq!(outcome(&short, "x.good").0, &AttemptOutcome::Pass);
}

#[test]
fn a_run_that_is_ended_tries_nothing_more_and_says_so() {
    let end = |one: &Tried, cancelled: &AtomicBool| {
        cancelled.fetch_or(one.attempt.test.as_str() == "x.good", Ordering::Relaxed);
    };
    let tried = run_until(&[&GOOD, &NEVER_ENDS, &FORKS], &[], PLENTY, end);
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
    for test in ["x.never-ends", "x.forks"] {
        assert_eq!(outcome(&tried, test).0, &AttemptOutcome::Cancelled);
    }
}
