//! Reports in their folder: `SUITE-NNNN.json`, and logs by their digest. A report is never edited: the next one holds all
//! attempts of the one before it, and more.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::Digest as _;
use sm_host::files::{self, FileError};
use sm_model::{
    FileName, Sha256, Version,
    test_report::{Attempt, LogRef, TestHost, TestId, TestReport},
};
use sm_release::verdict::Tally;

use super::run::{Evidence, Tried};

/// Largest report that is read.
const MAX_REPORT_BYTES: u64 = 64 << 20;
/// Longest log that is kept: of more, beginning and end.
pub(super) const MAX_LOG_BYTES: u64 = 8 << 20;

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Digest of the release's manifest; or of what [`artifacts::subject`](super::artifacts::subject) says.
    pub manifest_sha256: Sha256,
    /// The release's version.
    pub version: Version,
    /// Digest of the suite.
    pub suite: Sha256,
    /// The machine that runs the tests.
    pub host: TestHost,
}

/// A report that cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It, or a log, cannot be read or written.
    #[error("cannot read or keep the test report")]
    File(#[from] FileError),
    /// An earlier one is no report.
    #[error("`{}` is no test report", path.display())]
    Malformed {
        /// Where it lies.
        path: PathBuf,
        /// What the parser says; absent where only its subject or format is another.
        source: Option<serde_json::Error>,
    },
}

impl ReportError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            ReportError::File(source) => source.hint(),
            ReportError::Malformed { path, .. } => {
                Some(format!("move `{}` away and run the same command again", path.display()))
            }
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            ReportError::File(source) => source.exit_code(),
            ReportError::Malformed { .. } => sm_model::exit::INVALID_INPUT,
        }
    }
}

/// Adds attempts to those that `folder` holds of their subject, with their logs; gives the whole report and its place.
///
/// # Errors
/// When something cannot be read or written, or the newest report is damaged: nothing is written over then.
pub fn add(
    folder: &Path,
    subject: &Subject,
    tried: Vec<Tried>,
) -> Result<(TestReport, PathBuf), ReportError> {
    let logs = prepare(folder)?;
    let mut attempts = Vec::with_capacity(tried.len());
    for Tried { mut attempt, log, evidence } in tried {
        let own = format!("{}.txt", attempt.test);
        let own = own.parse().expect("a test name is letters, digits, `-` and `.`");
        attempt.logs.push(keep(&logs, own, &log)?);
        for Evidence { name, text } in evidence {
            attempt.logs.push(keep(&logs, name, &text)?);
        }
        attempts.push(attempt);
    }
    loop {
        let (number, mut report) = newest(folder, subject)?.unwrap_or_else(|| (0, empty(subject)));
        report.host = subject.host.clone();
        for attempt in &attempts {
            let number = next_number(&report.attempts, attempt);
            report.attempts.push(Attempt { number, ..attempt.clone() });
        }
        let path = folder.join(name(&subject.suite, number + 1));
        // Another run may have taken the number meanwhile: its attempts belong before ours then.
        if write_new(&path, &report)? {
            return Ok((report, path));
        }
    }
}

/// Makes the folders of reports and logs, and finds out whether they can be written to.
///
/// # Errors
/// When they cannot.
pub fn prepare(folder: &Path) -> Result<PathBuf, ReportError> {
    let logs = folder.join("logs");
    files::AtomicFile::create(logs.join("probe"))?;
    Ok(logs)
}

/// The report with all attempts so far by the subject's suite, and its place, if there is any.
///
/// # Errors
/// When it cannot be read, or is none of this subject.
pub fn latest(folder: &Path, subject: &Subject) -> Result<Option<(TestReport, PathBuf)>, ReportError> {
    let placed = |(number, report)| (report, folder.join(name(&subject.suite, number)));
    Ok(newest(folder, subject)?.map(placed))
}

/// Reads a report.
///
/// # Errors
/// When it cannot be read, or is no report of today's format.
pub fn read(path: &Path) -> Result<TestReport, ReportError> {
    let malformed = |source| ReportError::Malformed { path: path.to_owned(), source };
    let bytes = files::read_limited(path, MAX_REPORT_BYTES)?;
    let report: TestReport = serde_json::from_slice(&bytes).map_err(|error| malformed(Some(error)))?;
    if report.format == TestReport::FORMAT { Ok(report) } else { Err(malformed(None)) }
}

fn name(suite: &Sha256, number: u32) -> String {
    format!("{:.12}-{number:04}.json", suite.to_string())
}

/// Numbers of the reports by one suite.
fn numbers(folder: &Path, suite: &Sha256) -> Result<Vec<u32>, FileError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io("list", folder)(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::io("list", folder))?.file_name();
        let number = entry.to_str().and_then(number_in);
        numbers.extend(number.filter(|number| entry.to_str() == Some(&name(suite, *number))));
    }
    Ok(numbers)
}

fn number_in(name: &str) -> Option<u32> {
    name.rsplit_once('-')?.1.strip_suffix(".json")?.parse().ok()
}

/// The reports of the same suite in the folder of one that lies at `path`: those before it, and those after it. One that lies
/// elsewhere, or is called otherwise, has none.
pub(super) fn beside(path: &Path, report: &TestReport) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let own = path.file_name().and_then(|name| number_in(name.to_str()?));
    let folder = path.parent().unwrap_or(path);
    let (Some(own), Ok(numbers)) = (own, numbers(folder, &report.suite)) else { return Default::default() };
    let others = numbers.into_iter().filter(|number| *number != own);
    let (before, after): (Vec<u32>, Vec<u32>) = others.partition(|number| *number < own);
    let placed =
        |numbers: Vec<u32>| numbers.iter().map(|number| folder.join(name(&report.suite, *number))).collect();
    (placed(before), placed(after))
}

fn newest(folder: &Path, subject: &Subject) -> Result<Option<(u32, TestReport)>, ReportError> {
    let Some(newest) = numbers(folder, &subject.suite)?.into_iter().max() else { return Ok(None) };
    let path = folder.join(name(&subject.suite, newest));
    let report = read(&path)?;
    let is_same = report.subject == subject.manifest_sha256 && report.suite == subject.suite;
    if is_same { Ok(Some((newest, report))) } else { Err(ReportError::Malformed { path, source: None }) }
}

/// Writes a report where none is; tells whether there was none.
fn write_new(path: &Path, report: &TestReport) -> Result<bool, ReportError> {
    let malformed = |source| ReportError::Malformed { path: path.to_owned(), source: Some(source) };
    let text = serde_json::to_string_pretty(report).map_err(malformed)?;
    Ok(files::write_new(path, format!("{text}\n").as_bytes())?)
}

fn empty(subject: &Subject) -> TestReport {
    TestReport {
        format: TestReport::FORMAT,
        subject: subject.manifest_sha256,
        version: subject.version,
        suite: subject.suite,
        host: subject.host.clone(),
        attempts: Vec::new(),
    }
}

fn next_number(attempts: &[Attempt], attempt: &Attempt) -> u32 {
    let same = attempts.iter().filter(|one| one.test == attempt.test && one.scenario == attempt.scenario);
    same.map(|one| one.number).max().unwrap_or(0) + 1
}

fn keep(logs: &Path, name: FileName, log: &str) -> Result<LogRef, ReportError> {
    let log = &*within(log, MAX_LOG_BYTES as usize);
    let sha256 = Sha256(sha2::Sha256::digest(log).into());
    files::write_atomic(&logs.join(format!("{sha256}.txt")), log.as_bytes())?;
    Ok(LogRef { name, sha256, size_bytes: log.len() as u64 })
}

/// The text; of a longer one its beginning and its end, with what was left out between them.
fn within(text: &str, max_bytes: usize) -> Cow<'_, str> {
    const NOTE_BYTES: usize = 64;
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let half = max_bytes.saturating_sub(NOTE_BYTES) / 2;
    let is_boundary = |idx: &usize| text.is_char_boundary(*idx);
    let head = (0..=half).rev().find(is_boundary).unwrap_or(0);
    let tail = (text.len() - half..text.len()).find(is_boundary).unwrap_or(text.len());
    Cow::Owned(format!("{}\n[{} bytes left out]\n{}", &text[..head], tail - head, &text[tail..]))
}

/// What all attempts at each test add up to.
pub fn tallies(report: &TestReport) -> BTreeMap<TestId, Tally> {
    let mut attempts: BTreeMap<TestId, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &report.attempts {
        attempts.entry(attempt.test.clone()).or_default().push(attempt);
    }
    attempts.into_iter().map(|(test, attempts)| (test, Tally::of(attempts))).collect()
}

#[cfg(test)]
mod tests {
    use sm_host::clock::SystemClock;
    use sm_release::verdict::Verdict;

    use super::*;
    use crate::suite::{
        catalog,
        run::run,
        sample::{self, subject},
    };

    fn layout(facts: &crate::suite::facts::Facts) -> Vec<Tried> {
        run(&catalog::choose(&[], Some("image.layout")).collect::<Vec<_>>(), facts, &SystemClock)
    }

    #[test]
    fn a_rerun_adds_evidence_and_removes_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut broken = sample::facts();
        broken.disk.as_mut().unwrap().verity = Err("block 1".into());
        add(folder.path(), &subject(), layout(&broken)).unwrap();
        let (report, path) = add(folder.path(), &subject(), layout(&sample::facts())).unwrap();
        assert_eq!(report.attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(tallies(&report)[&"image.layout".parse().unwrap()].verdict(), Verdict::Flaky);
        let stored: TestReport = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(stored, report);
    }

    #[test]
    fn no_report_is_ever_edited() {
        let folder = tempfile::tempdir().unwrap();
        let (first, path) = add(folder.path(), &subject(), layout(&sample::facts())).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (second, next) = add(folder.path(), &subject(), layout(&sample::facts())).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert!(next > path && second.attempts.starts_with(&first.attempts));
        assert_eq!(latest(folder.path(), &subject()).unwrap(), Some((second, next)));
    }

    #[test]
    fn runs_at_the_same_time_lose_no_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let run = || add(folder.path(), &subject(), layout(&sample::facts())).unwrap();
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(run))));
        let numbers = |report: TestReport| report.attempts.iter().map(|one| one.number).collect::<Vec<_>>();
        assert_eq!(numbers(latest(folder.path(), &subject()).unwrap().unwrap().0), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_folder_that_cannot_be_kept_in_is_told_before_anything_runs() {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("logs")).unwrap().count(), 0);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(prepare(&file), Err(ReportError::File(_))));
    }

    #[test]
    fn logs_are_found_by_their_digest() {
        let folder = tempfile::tempdir().unwrap();
        let (report, _) = add(folder.path(), &subject(), layout(&sample::facts())).unwrap();
        let log = &report.attempts[0].logs[0];
        let bytes = std::fs::read(folder.path().join(format!("logs/{}.txt", log.sha256))).unwrap();
        assert_eq!(Sha256(sha2::Sha256::digest(&bytes).into()), log.sha256);
        assert_eq!((bytes.len() as u64, log.name.as_str()), (log.size_bytes, "image.layout.txt"));
    }

    #[test]
    fn of_an_endless_log_beginning_and_end_are_kept() {
        assert_eq!(within("short", 200), "short");
        let endless = format!("begin{}end", "ä".repeat(1000));
        let kept = within(&endless, 201);
        assert!(kept.len() <= 201 && kept.starts_with("begin") && kept.ends_with("end"), "{kept}");
        assert!(kept.contains("bytes left out"));
    }

    #[test]
    fn a_damaged_report_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (_, path) = add(folder.path(), &subject(), Vec::new()).unwrap();
        for text in ["{", "{}"] {
            std::fs::write(&path, text).unwrap();
            let refused = add(folder.path(), &subject(), Vec::new()).unwrap_err();
            assert!(refused.to_string().ends_with("is no test report"), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
