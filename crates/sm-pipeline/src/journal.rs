//! Steps with times and bytes. Each is written down as it ends, so that a run that was stopped tells how far it came and the next
//! one reuses what is still there.

use std::{
    cell::Cell,
    fmt,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use sm_host::{
    clock::Clock,
    files::{FileError, create_dir_all, read_limited},
    progress::{Progress, Task, Unit},
};
use sm_model::Timestamp;

use crate::Error;

/// Largest journal read.
const MAX_JOURNAL_BYTES: u64 = 16 << 20;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Its work was done.
    Done,
    /// Its work had been done before from the same inputs.
    Reused,
    /// It failed, for this reason.
    Failed(String),
}

/// One step of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// What it did.
    pub step: String,
    /// What decided its result, where it can be reused.
    pub key: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Bytes it made or moved.
    pub bytes: u64,
    /// How it ended.
    pub ended: Ended,
}

/// The journal of a directory, and the steps of this run.
pub struct Journal<'a> {
    file: File,
    path: PathBuf,
    clock: &'a dyn Clock,
    progress: &'a dyn Progress,
    earlier: Vec<StepRecord>,
    records: Vec<StepRecord>,
}

impl fmt::Debug for Journal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// What a running step tells about itself.
pub struct Step {
    task: Box<dyn Task>,
    bytes: Cell<u64>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Step {
    /// Shows what it is at.
    pub fn detail(&self, text: &str) {
        self.task.detail(text);
    }

    /// Counts bytes made or moved.
    pub fn count_bytes(&self, n: u64) {
        self.bytes.set(self.bytes.get().saturating_add(n));
    }
}

impl<'a> Journal<'a> {
    /// Opens the journal at `path`, or begins it.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, clock: &'a dyn Clock, progress: &'a dyn Progress) -> Result<Self, Error> {
        create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file =
            File::options().create(true).append(true).open(path).map_err(FileError::io("open", path))?;
        let earlier = records(&read_limited(path, MAX_JOURNAL_BYTES)?);
        Ok(Journal { file, path: path.to_owned(), clock, progress, earlier, records: Vec::new() })
    }

    /// The steps of this run so far.
    pub fn records(&self) -> &[StepRecord] {
        &self.records
    }

    /// Runs a step.
    ///
    /// # Errors
    /// What `work` returns, or a journal that cannot be written.
    pub fn step<T>(&mut self, name: &str, work: impl FnOnce(&Step) -> Result<T, Error>) -> Result<T, Error> {
        self.run(name, None, |step| Ok((work(step)?, Ended::Done)))
    }

    /// Runs a step unless an earlier run has done it with the same `key` and `find` still finds its result.
    ///
    /// # Errors
    /// What `work` returns, or a journal that cannot be written.
    pub fn step_unless_done<T>(
        &mut self,
        name: &str,
        key: &str,
        find: impl FnOnce() -> Option<T>,
        work: impl FnOnce(&Step) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = self.was_done(name, key);
        self.run(name, Some(key), |step| match done.then(find).flatten() {
            Some(found) => Ok((found, Ended::Reused)),
            None => Ok((work(step)?, Ended::Done)),
        })
    }

    /// Whether the last end of a step with that name, in any run, was a success with that key.
    fn was_done(&self, name: &str, key: &str) -> bool {
        let last = self.earlier.iter().chain(&self.records).rfind(|record| record.step == name);
        last.is_some_and(|last| last.key.as_deref() == Some(key) && !matches!(last.ended, Ended::Failed(_)))
    }

    fn run<T>(
        &mut self,
        name: &str,
        key: Option<&str>,
        work: impl FnOnce(&Step) -> Result<(T, Ended), Error>,
    ) -> Result<T, Error> {
        let (began, clock) = (self.clock.now(), Instant::now());
        let step = Step { task: self.progress.begin(name, Unit::Waiting, None), bytes: Cell::new(0) };
        let result = work(&step);
        let ended = match &result {
            Ok((_, ended)) => ended.clone(),
            Err(error) => Ended::Failed(error.in_one_line()),
        };
        let written = self.write(StepRecord {
            step: name.to_owned(),
            key: key.map(str::to_owned),
            began,
            millis: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes: step.bytes.get(),
            ended,
        });
        let (value, _) = result?;
        written?;
        Ok(value)
    }

    fn write(&mut self, record: StepRecord) -> Result<(), Error> {
        let line = serde_json::to_string(&record).expect("a record has only text and numbers") + "\n";
        self.file.write_all(line.as_bytes()).map_err(FileError::io("write", &self.path))?;
        self.records.push(record);
        Ok(())
    }
}

/// The records of a journal. A line that was cut, or written by another version, is passed over: it only costs its reuse.
fn records(journal: &[u8]) -> Vec<StepRecord> {
    journal.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use sm_host::{clock::FakeClock, progress::Silent};

    use super::*;

    struct Run {
        dir: tempfile::TempDir,
        clock: FakeClock,
    }

    impl Run {
        fn new() -> Self {
            let clock = FakeClock::new("2026-11-23T00:00:00Z".parse().unwrap());
            Run { dir: tempfile::tempdir().unwrap(), clock }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("journal.jsonl")
        }

        /// Runs `compose` with `key` in a journal opened anew, and tells whether its work was done.
        fn compose(&self, key: &str, still_there: bool, fails: bool) -> bool {
            let mut journal = Journal::open(&self.path(), &self.clock, &Silent).unwrap();
            let worked = Cell::new(false);
            let find = || still_there.then_some(());
            let _ = journal.step_unless_done("compose", key, find, |_| {
                worked.set(true);
                if fails { Err(Error::unexpected("a tree", "nothing")) } else { Ok(()) }
            });
            worked.get()
        }
    }

    #[test]
    fn a_step_is_reused_only_with_the_same_inputs_and_its_result_still_there() {
        let run = Run::new();
        assert!(run.compose("k1", true, false), "never done before");
        assert!(!run.compose("k1", true, false), "done before");
        assert!(!run.compose("k1", true, false), "a reuse counts as done");
        assert!(run.compose("k1", false, false), "its result is gone");
        assert!(run.compose("k2", true, false), "other inputs");
        assert!(run.compose("k1", true, false), "the last result came from other inputs");
    }

    #[test]
    fn a_step_that_failed_is_done_again_and_its_reason_is_kept() {
        let run = Run::new();
        assert!(run.compose("k", true, true));
        assert!(run.compose("k", true, false));
        let written = records(&std::fs::read(run.path()).unwrap());
        assert_eq!(written.len(), 2);
        assert_eq!(written[0].ended, Ended::Failed("expected a tree, found nothing".to_owned()));
    }

    #[test]
    fn a_journal_cut_in_the_middle_of_a_line_loses_only_that_line() {
        let run = Run::new();
        run.compose("k1", true, false);
        let mut bytes = std::fs::read(run.path()).unwrap();
        bytes.extend_from_within(..bytes.len() / 2);
        std::fs::write(run.path(), &bytes).unwrap();
        assert!(!run.compose("k1", true, false));
    }

    #[test]
    fn bytes_and_times_are_recorded() {
        let run = Run::new();
        let mut journal = Journal::open(&run.path(), &run.clock, &Silent).unwrap();
        let counted = journal.step("download", |step| {
            step.count_bytes(5);
            step.count_bytes(6);
            Ok(7)
        });
        assert_eq!(counted.unwrap(), 7);
        assert_eq!((journal.records()[0].bytes, &journal.records()[0].ended), (11, &Ended::Done));
    }
}
