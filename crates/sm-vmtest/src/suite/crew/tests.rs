//! Whatever a machine or a test does, the attempt ends with a verdict and its log, no machine is left, and the next test passes.

use std::{sync::atomic::AtomicBool, time::Duration};

use sm_host::clock::SystemClock;

use super::*;
use crate::suite::{
    audit::audit,
    bench::{Base as Copied, Stage},
    pretence::{Guest, Pretence},
    release::{Others, Release},
    report,
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
static IGNORES_SIGTERM: Test = cloned(
    "x.ignores-sigterm",
    Means::Clone(|_, machine| {
        machine.ask("trap '' TERM HUP INT; while :; do sleep 1000; done").map(Findings::of)
    }),
);
static FLOODS: Test = Test {
    limit: Limit::Here(Duration::from_secs(5)),
    ..cloned("x.floods", Means::Clone(|_, machine| machine.ask("yes 0123456789").map(Findings::of)))
};
static ENDS_ITS_SHELL: Test =
    cloned("x.ends-its-shell", Means::Clone(|_, machine| machine.ask("kill -9 $PPID").map(Findings::of)));
static SAYS_MUCH: Test = Test {
    limit: Limit::Here(Duration::from_secs(60)),
    ..cloned(
        "x.says-much",
        Means::Clone(|bench, machine| {
            let said = machine.ask("head -c 12000000 /dev/zero | tr '\\0' x")?;
            bench.note(&said);
            Ok(Findings::with("much", [said]))
        }),
    )
};
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
fn a_test_that_ignores_signals_floods_its_answer_or_ends_its_shell_does_not_touch_the_next() {
    let tried = tried(&[&IGNORES_SIGTERM, &FLOODS, &ENDS_ITS_SHELL, &GOOD], &[], PLENTY);
    for test in ["x.ignores-sigterm", "x.floods"] {
        assert_eq!(outcome(&tried, test).0, &AttemptOutcome::Timeout, "{:?}", outcome(&tried, test));
    }
    let flood = tried.iter().find(|one| one.attempt.test.as_str() == "x.floods").unwrap();
    assert!(flood.log.contains("0123456789") && flood.log.len() < 1 << 20, "{} bytes", flood.log.len());
    let (ended, message) = outcome(&tried, "x.ends-its-shell");
    assert_eq!(ended, &AttemptOutcome::Fail, "{message}");
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
}

#[test]
fn of_a_test_that_says_much_the_report_stays_small_and_the_log_is_bounded() {
    let tried = tried(&[&SAYS_MUCH], &[], PLENTY);
    let (failed, message) = outcome(&tried, "x.says-much");
    assert_eq!(failed, &AttemptOutcome::Fail);
    assert!(message.len() < 1000, "{} bytes", message.len());
    let folder = tempfile::tempdir().unwrap();
    let (report, path) = report::add(folder.path(), &sample::subject(), tried).unwrap();
    let bounds = report.attempts.iter().flat_map(|attempt| &attempt.logs).map(|log| log.size_bytes).max();
    assert!(bounds.is_some_and(|n_bytes| n_bytes <= 8 << 20), "{bounds:?}");
    assert!(path.metadata().unwrap().len() < 1 << 20);
    assert_eq!(audit(&path, &report, None).problems, [""; 0]);
}

#[test]
fn qemu_that_is_killed_is_never_the_images_fault_and_the_next_machine_is_another() {
    let tried = tried(&[&BOOTS, &GOOD], &[("x.boots", Guest::Killed)], PLENTY);
    let (error, message) = outcome(&tried, "x.boots");
    assert_eq!(error, &AttemptOutcome::Error { class: "qemu-crash".into() }, "{message}");
    assert!(message.contains("signal: 9"), "{message}");
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
}

#[test]
fn logs_that_are_no_text_are_kept_and_touch_nobody() {
    let tried = tried(&[&BOOTS, &GOOD], &[("x.boots", Guest::Garbled)], PLENTY);
    assert_eq!(outcome(&tried, "x.boots").0, &AttemptOutcome::Pass, "{:?}", outcome(&tried, "x.boots"));
    let boots = tried.iter().find(|one| one.attempt.test.as_str() == "x.boots").unwrap();
    assert!(boots.evidence.iter().all(|log| log.text.contains('\u{fffd}')), "both logs are there");
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
}

#[test]
fn a_disk_that_a_test_filled_is_not_in_the_way_of_the_next() {
    let seen = std::sync::Mutex::new(Vec::new());
    static FILLS: Test = cloned(
        "x.fills",
        Means::Clone(|bench, _| {
            let large = bench.dir().join("copy/disk.qcow2");
            std::fs::File::create(&large).and_then(|file| file.set_len(1 << 40)).unwrap();
            Ok(Findings::of(large.display().to_string()))
        }),
    );
    let note = |one: &Tried, _: &AtomicBool| {
        let name = &one.attempt.message;
        let filled = one.attempt.test.as_str() == "x.fills";
        seen.lock().unwrap().extend(filled.then(|| std::path::PathBuf::from(name)));
        let left = seen.lock().unwrap().iter().filter(|path| path.exists()).count();
        assert!(filled || left == 0, "the disk is still there when {} ends", one.attempt.test);
    };
    let tried = run_until(&[&FILLS, &GOOD], &[], PLENTY, note);
    assert_eq!(seen.lock().unwrap().len(), 1, "{tried:?}");
    assert_eq!(outcome(&tried, "x.good").0, &AttemptOutcome::Pass);
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
