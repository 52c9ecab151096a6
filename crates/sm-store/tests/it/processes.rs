//! Several processes at one store: nobody's entry is lost, and whoever is killed in mid-append leaves a whole log.
//!
//! The other processes are this test binary, run again for one test, with the store's path in its environment.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use sm_host::process::{Invocation, Runner, Running, SystemRunner};
use sm_model::FileName;
use sm_store::{Error, EventLog, LockHeld, Until, events::Head};

use crate::{
    diary::{Diary, Note, note},
    fleet::at,
};

const DATABASE: &str = "SM_STORE_TEST_DATABASE";
const N_APPENDS: &str = "SM_STORE_TEST_APPENDS";

/// Entries in one append of the other processes: all of them or none.
const BATCH: u64 = 3;

/// Runs the test of that name in another process, on that database.
fn elsewhere(test: &str, database: &Path, n_appends: u64) -> Running {
    let invocation = Invocation::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DATABASE, database)
        .env(N_APPENDS, n_appends.to_string());
    SystemRunner.spawn(&invocation, Stdio::piped(), Stdio::inherit()).unwrap()
}

/// A line for the process that started this one, if one did; the test harness may have begun it with words of its own.
fn tell(words: std::fmt::Arguments<'_>) {
    if std::env::var_os(DATABASE).is_some() {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{words}").unwrap();
    }
}

fn output(process: &mut Running) -> impl Iterator<Item = String> {
    BufReader::new(process.child().stdout.take().unwrap()).lines().map(Result::unwrap)
}

/// The database this process was told to work on, or one of its own.
fn database() -> (PathBuf, Option<Diary>) {
    match std::env::var_os(DATABASE) {
        Some(path) => (path.into(), None),
        None => {
            let diary = Diary::new();
            (diary.path.clone(), Some(diary))
        }
    }
}

/// Appends a batch behind whatever the head is, however often it takes.
fn append_batch(log: &mut EventLog, name: &str) -> Head {
    let batch: Vec<Note> = (0..BATCH).map(|n| note(format!("{name} {n}"))).collect();
    loop {
        match log.append(log.head().unwrap(), at(1), &batch) {
            Ok(head) => return head,
            Err(Error::HeadMoved { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_process_appends_until_it_is_done() {
    let (path, _kept) = database();
    let n_appends: u64 = std::env::var(N_APPENDS).map_or(5, |text| text.parse().unwrap());
    let mut log = EventLog::open(&path).unwrap();
    for n in 0..n_appends {
        let head = append_batch(&mut log, &format!("{} {n}", std::process::id()));
        tell(format_args!("appended {head}"));
    }
    assert!(log.verify().unwrap().seq >= BATCH * n_appends);
}

const APPENDER: &str = "processes::a_process_appends_until_it_is_done";

#[test]
fn what_several_processes_append_at_once_is_all_there_in_one_chain() {
    let diary = Diary::new();
    let mut writers: Vec<_> = (0..4).map(|_| elsewhere(APPENDER, &diary.path, 10)).collect();
    for writer in &mut writers {
        assert!(writer.child().wait().unwrap().success());
    }
    assert_eq!(diary.log.verify().unwrap().seq, 4 * 10 * BATCH);
    let mut texts: Vec<String> = diary
        .log
        .entries::<Note>(0, Until::Newest)
        .unwrap()
        .into_iter()
        .map(|entry| format!("{:?}", entry.event))
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len() as u64, 4 * 10 * BATCH, "no entry is there twice");
}

#[test]
fn whoever_is_killed_in_mid_append_leaves_all_that_was_acknowledged_and_no_half_of_the_rest() {
    let mut diary = Diary::new();
    let mut acknowledged = Head::EMPTY;
    for n_seen in [1, 2, 5, 9, 14] {
        let mut writer = elsewhere(APPENDER, &diary.path, u64::MAX);
        let seen = output(&mut writer)
            .filter_map(|line| line.strip_prefix("appended ").map(|head| head.parse::<Head>().unwrap()))
            .nth(n_seen)
            .unwrap();
        writer.kill();
        assert!(seen.seq > acknowledged.seq);
        acknowledged = seen;

        diary.log = EventLog::open(&diary.path).unwrap();
        let head = diary.log.verify().unwrap();
        assert!(head.seq >= acknowledged.seq);
        assert_eq!(head.seq % BATCH, 0, "an append is whole or absent");
        let kept = diary.log.entries::<Note>(acknowledged.seq - 1, Until::Entry(acknowledged.seq)).unwrap();
        assert_eq!(kept[0].digest, acknowledged.digest);
        append_batch(&mut diary.log, "afterwards");
    }
}

#[test]
fn a_process_holds_a_lock_as_long_as_it_lives() {
    let (path, kept) = database();
    let name: FileName = "compose".parse().unwrap();
    let held = LockHeld::acquire(&path, &name, "alice: compose").unwrap();
    tell(format_args!("holding {}", held.name()));
    if kept.is_none() {
        // Ends when whoever started this process kills it.
        loop {
            std::thread::park();
        }
    }
    drop(held);
    LockHeld::acquire(&path, &name, "bob").unwrap();
}

#[test]
fn a_lock_names_its_holder_and_falls_with_its_process() {
    let diary = Diary::new();
    let [name, other]: [FileName; 2] = ["compose", "publish"].map(|name| name.parse().unwrap());
    let mut holder = elsewhere("processes::a_process_holds_a_lock_as_long_as_it_lives", &diary.path, 0);
    assert!(output(&mut holder).any(|line| line == "holding compose"));

    let error = LockHeld::acquire(&diary.path, &name, "bob").unwrap_err();
    let expected = format!("`compose` is being worked on by alice: compose (process {})", holder.pid());
    assert_eq!(error.to_string(), expected);
    LockHeld::acquire(&diary.path, &other, "bob").unwrap();

    holder.kill();
    LockHeld::acquire(&diary.path, &name, "bob").unwrap();
}

#[test]
fn one_process_cannot_take_a_lock_twice_either() {
    let diary = Diary::new();
    let name: FileName = "publish".parse().unwrap();
    let held = LockHeld::acquire(&diary.path, &name, "alice\u{1b}[31m\nroot").unwrap();
    let error = LockHeld::acquire(&diary.path, &name, "bob").unwrap_err();
    assert!(
        matches!(&error, Error::LockTaken { holder, .. } if holder.starts_with("alice[31mroot (process "))
    );
    drop(held);
    LockHeld::acquire(&diary.path, &name, "bob").unwrap();
}
