//! Databases of every schema ever released open, keep what they hold, and can be written on. Others are refused.

use std::path::{Path, PathBuf};

use sm_model::{exit, fleet::InstanceStatus};
use sm_store::{
    Error, EventLog, Store, TestHistory, Until, Visit, test_history::AttemptFilter, views::LogFilter,
};

use crate::{
    diary::{Note, note},
    fleet::{Fleet, at, host, id},
};

/// `tests/data/schema-N.sql`: the dump of a small fleet as Stationmaster with schema N left it.
fn samples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut samples: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    samples.sort();
    samples
}

fn newest_schema() -> i64 {
    Fleet::new().number("PRAGMA user_version")
}

#[test]
fn there_is_a_sample_of_every_schema() {
    let names: Vec<_> =
        samples().iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (1..=newest_schema()).map(|n| format!("schema-{n}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn every_older_database_opens_and_keeps_its_fleet() {
    for sample in samples() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet.db");
        let dump = std::fs::read_to_string(&sample).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(&dump).unwrap();

        let mut store = Store::open(&path).unwrap();
        let views = Store::views(&path).unwrap();
        let instance = views.instance(&id("0123456789abcdef0123456789abcdef")).unwrap().unwrap().instance;
        assert_eq!(instance.status, InstanceStatus::FellBack, "{}", sample.display());
        assert_eq!(instance.fell_back_from, [crate::fleet::version("4901.2.0")]);
        assert_eq!(views.log(&LogFilter { limit: 100, ..LogFilter::default() }).unwrap().len(), 6);

        let mut log = EventLog::open(&path).unwrap();
        let n_events = if sample.ends_with("schema-1.sql") { 0 } else { 3 };
        let head = log.verify().unwrap();
        assert_eq!(head.seq, n_events, "{}", sample.display());
        assert_eq!(log.entries::<Note>(0, Until::Newest).unwrap().len() as u64, n_events);
        log.append(head, at(1_785_000_600), &[note("and on")]).unwrap();

        let mut history = TestHistory::open(&path).unwrap();
        let n_attempts = usize::from(!sample.ends_with("schema-1.sql") && !sample.ends_with("schema-2.sql"));
        assert_eq!(history.attempts(AttemptFilter::default()).unwrap().len(), n_attempts);
        assert_eq!(history.record(&crate::test_history::report(2)).unwrap(), 2);

        store.rebuild().unwrap();
        assert_eq!(views.instance(&instance.machine_id).unwrap().unwrap().instance, instance);
        store
            .transaction(|ledger| Visit::open(ledger, &id("new"), host("4900.2.0"), at(1))?.close())
            .unwrap();
    }
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let fleet = Fleet::new();
    rusqlite::Connection::open(&fleet.path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let error = Store::open(&fleet.path).unwrap_err();
    assert!(matches!(error, Error::TooNew { found: 999, .. }), "{error:?}");
    assert_eq!(error.exit_code(), exit::INVALID_INPUT);
    assert_eq!(fleet.number("PRAGMA user_version"), 999);
}

#[test]
fn a_file_that_is_no_database_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "not a database, but long enough to be looked at").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(error.exit_code(), exit::STORAGE);
    assert!(error.hint().unwrap().contains("--db"));
}
