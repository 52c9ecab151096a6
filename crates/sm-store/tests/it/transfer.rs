//! An export loses nothing, is the same bytes twice, and a changed one is not taken in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use sm_store::{
    Blobs, Error, EventLog, Until,
    transfer::{self, Index},
    verify::verify,
};

use crate::{
    diary::{Diary, Note, note},
    fleet::{Fleet, at, event, version},
};

/// A store with both logs, blobs and a host that fell back.
fn filled(texts: &[String]) -> Fleet {
    let mut fleet = Fleet::new();
    fleet.visit("m1", "4900.2.0", 1, |visit| visit.offer(version("4901.2.0")).unwrap());
    fleet.visit("m1", "4900.2.0", 2, |visit| visit.report(event("m1", 3, 0, Some(44))).unwrap());
    fleet.visit("m2", "4900.2.0", 3, |_| ());
    let mut log = EventLog::open(&fleet.path).unwrap();
    let blobs = Blobs::beside(&fleet.path);
    for text in texts {
        let head = log.append(log.head().unwrap(), at(4), &[note(text.clone())]).unwrap();
        blobs.put(format!("blob of {} {text}", head.seq).as_bytes()).unwrap();
    }
    rusqlite::Connection::open(&fleet.path)
        .unwrap()
        .execute_batch(
            "INSERT INTO test_attempt VALUES (1, zeroblob(32), 'boot.uefi', 5, printf('%064d', 1), printf('%064d', 2), '{}');
             INSERT INTO test_quarantine VALUES (1, '{}'), (2, '{\"a\":1}');",
        )
        .unwrap();
    fleet
}

/// Every file below a folder, with its bytes.
fn files_below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path).into_iter().map(|(below, bytes)| (dir.join(below), bytes)));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

fn relative(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let strip = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(dir).unwrap().to_owned(), bytes);
    files_below(dir).into_iter().map(strip).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_store_that_was_exported_and_imported_is_the_same_store(texts in prop::collection::vec("\\PC{0,40}", 0..6)) {
        let fleet = filled(&texts);
        let dir = fleet.dir.path();
        let [first, second, database] = ["first", "second", "new.db"].map(|name| dir.join(name));

        let index = transfer::export(&fleet.path, &first).unwrap();
        prop_assert_eq!(transfer::import(&first, &database).unwrap(), index.clone());
        let [old, new] = [&fleet.path, &database].map(|path| EventLog::open(path).unwrap());
        prop_assert_eq!(old.head().unwrap(), new.head().unwrap());
        prop_assert_eq!(
            old.entries::<Note>(0, Until::Newest).unwrap(),
            new.entries::<Note>(0, Until::Newest).unwrap()
        );
        prop_assert_eq!(Blobs::beside(&fleet.path).list().unwrap(), Blobs::beside(&database).list().unwrap());
        prop_assert_eq!(verify::<Note>(&database).unwrap(), verify::<Note>(&fleet.path).unwrap());

        prop_assert_eq!(transfer::export(&database, &second).unwrap(), index);
        prop_assert_eq!(relative(&first), relative(&second), "two exports of one state are the same bytes");
    }
}

#[test]
fn the_spelling_of_an_export_is_pinned() {
    let mut diary = Diary::of(&["a\n\"b\""]);
    diary.append(1_785_000_000, "é");
    let to = diary.path.with_extension("export");
    transfer::export(&diary.path, &to).unwrap();
    assert_eq!(
        fs::read_to_string(to.join("event.jsonl")).unwrap(),
        include_str!("../data/event.jsonl"),
        "exports of today must be readable for ever"
    );
    let index: Index = serde_json::from_slice(&fs::read(to.join("index.json")).unwrap()).unwrap();
    assert_eq!((index.n_events, index.files.len()), (2, 5));
}

#[test]
fn an_export_of_today_can_be_imported_for_ever() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/export-2");
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("train.db");
    let index = transfer::import(&sample, &database).unwrap();
    let verified = verify::<Note>(&database).unwrap();
    assert_eq!((verified.head, verified.problems), (Some(index.head), vec![]));
    assert_eq!((verified.n_events, verified.n_reports, verified.n_blobs), (3, 6, 1));
}

#[test]
fn an_export_that_was_changed_anywhere_is_not_taken_in() {
    let fleet = filled(&["a".to_owned(), "b".to_owned()]);
    let export = fleet.dir.path().join("export");
    transfer::export(&fleet.path, &export).unwrap();
    for (path, bytes) in files_below(&export) {
        for changed in [cut(&bytes), flipped(&bytes), [bytes.as_slice(), &bytes].concat(), Vec::new()] {
            fs::write(&path, &changed).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let database = dir.path().join("train.db");
            let imported = transfer::import(&export, &database);
            assert!(imported.is_err(), "{}: {:?}", path.display(), String::from_utf8_lossy(&changed));
            assert_eq!(EventLog::open(&database).unwrap().head().unwrap().seq, 0);
            let left = verify::<Note>(&database).unwrap();
            assert_eq!((left.n_events, left.n_reports), (0, 0), "nothing of it is kept");
        }
        fs::write(&path, &bytes).unwrap();
    }
    transfer::import(&export, &fleet.dir.path().join("again.db")).unwrap();
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// With one letter in the middle that is another.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let idx = (bytes.len() / 2..bytes.len()).find(|idx| bytes[*idx].is_ascii_alphanumeric()).unwrap();
    flipped[idx] = if bytes[idx] == b'1' { b'2' } else { b'1' };
    flipped
}

#[test]
fn a_store_that_holds_something_is_not_imported_into_and_a_folder_that_exists_not_exported_to() {
    let diary = Diary::of(&["a"]);
    let to = diary.path.with_extension("export");
    transfer::export(&diary.path, &to).unwrap();
    assert!(matches!(transfer::import(&to, &diary.path).unwrap_err(), Error::NotEmpty { .. }));
    assert!(matches!(transfer::export(&diary.path, &to).unwrap_err(), Error::Exists { .. }));
}

#[test]
fn an_export_of_a_newer_version_is_refused() {
    let diary = Diary::of(&["a"]);
    let to = diary.path.with_extension("export");
    let index = transfer::export(&diary.path, &to).unwrap();
    let newer = Index { schema: 999, ..index };
    fs::write(to.join("index.json"), serde_json::to_vec(&newer).unwrap()).unwrap();
    let error = transfer::import(&to, &diary.path.with_file_name("new.db")).unwrap_err();
    assert!(matches!(error, Error::TooNew { found: 999, .. }), "{error:?}");
}

#[test]
fn a_broken_store_is_not_exported_and_everything_that_is_wrong_is_told() {
    let fleet = filled(&["a".to_owned(), "b".to_owned()]);
    let blobs = Blobs::beside(&fleet.path);
    fs::write(blobs.path(&blobs.list().unwrap()[0]), "x").unwrap();
    let connection = rusqlite::Connection::open(&fleet.path).unwrap();
    connection
        .execute_batch(
            "DROP TRIGGER event_is_never_changed; UPDATE event SET body = '{}' WHERE seq = 1;
             UPDATE instance SET document = replace(document, 'fell-back', 'updated');",
        )
        .unwrap();
    let problems = verify::<Note>(&fleet.path).unwrap().problems;
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(
        problems[0],
        "the event log is not as it was written: entry 1 does not have the digest recorded with it: it was changed"
    );
    let to = fleet.dir.path().join("export");
    assert!(matches!(transfer::export(&fleet.path, &to).unwrap_err(), Error::Broken(_)));
    assert!(!to.exists());
}

#[test]
fn looking_for_a_store_does_not_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("typo.db");
    assert!(matches!(verify::<Note>(&nowhere).unwrap_err(), Error::File(_)));
    assert!(matches!(transfer::export(&nowhere, &dir.path().join("to")).unwrap_err(), Error::File(_)));
    assert_eq!(files_below(dir.path()), []);
}

#[test]
fn a_blob_that_an_event_names_must_be_there() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Naming(sm_model::Sha256);
    impl sm_store::Event for Naming {
        fn kind(&self) -> String {
            "test.naming".to_owned()
        }
        fn blobs(&self) -> Vec<sm_model::Sha256> {
            vec![self.0]
        }
    }
    let mut diary = Diary::new();
    let kept = Blobs::beside(&diary.path).put(b"x").unwrap();
    let lost = sm_model::Sha256([7; 32]);
    let head = diary.log.head().unwrap();
    diary.log.append(head, at(1), &[Naming(kept), Naming(lost)]).unwrap();
    let problems = verify::<Naming>(&diary.path).unwrap().problems;
    assert_eq!(problems, [format!("entry 2 names blob `{lost}`, which is not there")]);
}
