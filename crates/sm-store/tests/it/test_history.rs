//! The history of tests: attempts are there once, for ever, in the order they began.

use sm_model::{
    Sha256,
    test_report::{Attempt, AttemptOutcome, Isolation, TestHost, TestId, TestReport},
};
use sm_store::{TestHistory, test_history::AttemptFilter};

use crate::fleet::at;

fn attempt(number: u32) -> Attempt {
    Attempt {
        test: "boot.uefi".parse().unwrap(),
        scenario: [("platform".to_owned(), "qemu".to_owned())].into(),
        number,
        isolation: Isolation::Suite,
        outcome: if number.is_multiple_of(2) { AttemptOutcome::Pass } else { AttemptOutcome::Fail },
        phase: "boot".into(),
        message: "said so".into(),
        signature: None,
        started: at(1_795_417_200 - i64::from(number)),
        duration_millis: 1,
        load_centi: None,
        logs: Vec::new(),
    }
}

/// A report of so many attempts.
pub(crate) fn report(n_attempts: u32) -> TestReport {
    TestReport {
        format: TestReport::FORMAT,
        subject: Sha256([1; 32]),
        version: "4893.0.0".parse().unwrap(),
        suite: Sha256([2; 32]),
        host: TestHost {
            accelerator: "tcg".into(),
            cpus: 2,
            memory_mib: 4096,
            slowness: None,
            stationmaster: "0.1.0".into(),
        },
        attempts: (1..=n_attempts).map(attempt).collect(),
    }
}

fn history() -> (tempfile::TempDir, TestHistory) {
    let dir = tempfile::tempdir().unwrap();
    let history = TestHistory::open(&dir.path().join("a.db")).unwrap();
    (dir, history)
}

#[test]
fn a_longer_report_adds_only_what_is_new_in_it() {
    let (_dir, mut history) = history();
    assert_eq!([2, 2, 5, 5].map(|n| history.record(&report(n)).unwrap()), [2, 0, 3, 0]);
    let all = history.attempts(AttemptFilter::default()).unwrap();
    assert_eq!(all.iter().map(|one| one.attempt.number).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
}

#[test]
fn the_same_attempt_told_from_another_machine_counts_once() {
    let (_dir, mut history) = history();
    history.record(&report(1)).unwrap();
    let mut other = report(1);
    other.host.accelerator = "kvm".into();
    assert_eq!(history.record(&other).unwrap(), 0);
    assert_eq!(history.attempts(AttemptFilter::default()).unwrap()[0].host.accelerator, "tcg");
}

#[test]
fn attempts_of_another_suite_or_release_are_others() {
    let (_dir, mut history) = history();
    history.record(&report(1)).unwrap();
    let suite = TestReport { suite: Sha256([3; 32]), ..report(1) };
    let subject = TestReport { subject: Sha256([3; 32]), ..report(1) };
    assert_eq!([suite, subject].map(|one| history.record(&one).unwrap()), [1, 1]);
}

#[test]
fn reading_goes_by_test_and_time() {
    let (_dir, mut history) = history();
    history.record(&report(5)).unwrap();
    let n_found = |test: &str, since| {
        let test: TestId = test.parse().unwrap();
        history.attempts(AttemptFilter { test: Some(&test), since }).unwrap().len()
    };
    assert_eq!(n_found("boot.uefi", None), 5);
    assert_eq!(n_found("boot.uefi", Some(at(1_795_417_200 - 2))), 2);
    assert_eq!(n_found("boot", None), 0);
}

#[test]
fn what_was_seen_cannot_be_changed_nor_taken_back() {
    let (dir, mut history) = history();
    history.record(&report(1)).unwrap();
    history.append_quarantine(&"muted").unwrap();
    let foreign = rusqlite::Connection::open(dir.path().join("a.db")).unwrap();
    for sql in [
        "DELETE FROM test_attempt",
        "UPDATE test_attempt SET document = '{}'",
        "DELETE FROM test_quarantine",
        "UPDATE test_quarantine SET document = '{}'",
    ] {
        assert!(foreign.execute_batch(sql).is_err(), "{sql}");
    }
}

#[test]
fn quarantines_are_read_in_the_order_they_were_told() {
    let (_dir, mut history) = history();
    for entry in ["muted", "lifted"] {
        history.append_quarantine(&entry).unwrap();
    }
    assert_eq!(history.quarantines::<String>().unwrap(), ["muted", "lifted"]);
}
