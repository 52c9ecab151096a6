//! Whether a report is what its evidence says: its logs by their digests, its attempts by their numbers, the reports before it,
//! and what was recorded elsewhere. It changes nothing, and a report that holds is not therefore good.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Serialize;
use sha2::Digest as _;
use sm_host::files;
use sm_model::{
    Sha256,
    test_report::{Attempt, AttemptOutcome, LogRef, TestReport},
};

use super::report::{MAX_LOG_BYTES, beside, read};

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Attempts of the report.
    pub n_attempts: usize,
    /// Its logs, each once.
    pub n_logs: usize,
    /// Earlier reports of the same suite and release.
    pub n_earlier: usize,
    /// Attempts that were recorded elsewhere; none where nobody was asked.
    pub n_recorded: Option<usize>,
    /// Everything that is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// Looks at a report that lies at `path`. `recorded` are all attempts at its release by its suite that a history holds.
pub fn audit(path: &Path, report: &TestReport, recorded: Option<&[Attempt]>) -> Audit {
    let logs: BTreeSet<Sha256> = logs(report).map(|log| log.sha256).collect();
    let (earlier, later) = beside(path, report);
    let mut problems = numbers(report);
    problems.extend(report.attempts.iter().filter_map(contradiction));
    problems.extend(damaged_logs(path, report));
    problems.extend(earlier.iter().filter_map(|earlier| shortened(earlier, report)));
    if let Some(recorded) = recorded {
        problems.extend(unrecorded(report, recorded, later.is_empty()));
    }
    Audit {
        n_attempts: report.attempts.len(),
        n_logs: logs.len(),
        n_earlier: earlier.len(),
        n_recorded: recorded.map(<[Attempt]>::len),
        problems,
    }
}

fn logs(report: &TestReport) -> impl Iterator<Item = &LogRef> {
    report.attempts.iter().flat_map(|attempt| &attempt.logs)
}

fn named(attempt: &Attempt) -> String {
    format!("attempt {} at `{}`", attempt.number, attempt.test)
}

/// Attempts are counted from 1, each number once, in order: one that is missing was taken out.
fn numbers(report: &TestReport) -> Vec<String> {
    let mut last: BTreeMap<_, u32> = BTreeMap::new();
    let mut problems = Vec::new();
    for attempt in &report.attempts {
        let last = last.entry((&attempt.test, &attempt.scenario)).or_default();
        if last.checked_add(1) != Some(attempt.number) {
            problems.push(format!("{} follows number {last}", named(attempt)));
        }
        *last = attempt.number;
    }
    problems
}

/// A failure has a signature, and nothing else has.
fn contradiction(attempt: &Attempt) -> Option<String> {
    let has_failed = matches!(attempt.outcome, AttemptOutcome::Fail | AttemptOutcome::Timeout);
    match (has_failed, attempt.signature) {
        (true, None) => Some(format!("{} failed and has no signature", named(attempt))),
        (false, Some(_)) => {
            Some(format!("{} has the signature of a failure and is said to be none", named(attempt)))
        }
        _ => None,
    }
}

fn damaged_logs(path: &Path, report: &TestReport) -> Vec<String> {
    let folder = path.with_file_name("logs");
    let mut seen = BTreeSet::new();
    let new = logs(report).filter(|log| seen.insert((log.sha256, log.size_bytes)));
    new.filter_map(|log| damage(&folder, log).err()).collect()
}

fn damage(folder: &Path, log: &LogRef) -> Result<(), String> {
    let path = folder.join(format!("{}.txt", log.sha256));
    let told = |what: String| format!("the log `{}` {what}: `{}`", log.name, path.display());
    let bytes =
        files::read_limited(&path, log.size_bytes.min(MAX_LOG_BYTES)).map_err(|error| match error {
            files::FileError::TooLarge { .. } => told("is longer than it was".to_owned()),
            error if error.is_not_found() => told("is gone".to_owned()),
            error => told(format!("cannot be read ({error})")),
        })?;
    let is_same =
        bytes.len() as u64 == log.size_bytes && Sha256(sha2::Sha256::digest(&bytes).into()) == log.sha256;
    if is_same { Ok(()) } else { Err(told("was changed".to_owned())) }
}

/// A report holds all attempts of those before it, as they were.
fn shortened(earlier: &Path, report: &TestReport) -> Option<String> {
    let name = earlier.file_name().unwrap_or_default().to_string_lossy();
    let before = match read(earlier) {
        Ok(before) => before,
        Err(error) => return Some(format!("the earlier report `{name}` cannot be read: {error}")),
    };
    let is_same = report.attempts.starts_with(&before.attempts);
    (!is_same)
        .then(|| format!("the earlier report `{name}` has attempts that this one lacks or tells otherwise"))
}

/// A history has every attempt; the newest report has every attempt of the history.
fn unrecorded(report: &TestReport, recorded: &[Attempt], is_newest: bool) -> Vec<String> {
    let strange = report.attempts.iter().filter(|attempt| !recorded.contains(attempt));
    let mut problems: Vec<String> = strange
        .map(|attempt| format!("the history does not have {} as it is here", named(attempt)))
        .collect();
    if is_newest {
        let lost = recorded.iter().filter(|attempt| !report.attempts.contains(attempt));
        problems.extend(lost.map(|attempt| format!("the history has {}, which is not here", named(attempt))));
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sm_host::clock::SystemClock;
    use sm_model::Sha256;

    use super::*;
    use crate::suite::{catalog, report::add, run::run, sample};

    /// Two reports, of one failure and one pass: a folder, the second report, and its place.
    fn reports() -> (tempfile::TempDir, TestReport, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let mut broken = sample::facts();
        broken.disk.as_mut().unwrap().verity = Err("block 1".into());
        add(folder.path(), &sample::subject(), run(&tests, &broken, &SystemClock)).unwrap();
        let (report, path) =
            add(folder.path(), &sample::subject(), run(&tests, &sample::facts(), &SystemClock)).unwrap();
        (folder, report, path)
    }

    /// What is wrong once the report was edited, with a history of what it was.
    fn edited(edit: impl FnOnce(&mut TestReport)) -> Vec<String> {
        let (_folder, report, path) = reports();
        let mut changed = report.clone();
        edit(&mut changed);
        std::fs::write(&path, serde_json::to_vec(&changed).unwrap()).unwrap();
        audit(&path, &read(&path).unwrap(), Some(&report.attempts)).problems
    }

    fn assert_told(problems: &[String], wanted: &str) {
        assert!(problems.iter().any(|problem| problem.contains(wanted)), "{wanted}: {problems:?}");
    }

    #[test]
    fn a_report_as_it_was_written_holds() {
        let (_folder, report, path) = reports();
        let found = audit(&path, &report, Some(&report.attempts));
        assert_eq!(found.problems, [""; 0]);
        assert_eq!((found.n_attempts, found.n_logs, found.n_earlier), (2, 2, 1));
    }

    #[test]
    fn a_verdict_that_was_changed_is_told() {
        let problems = edited(|report| report.attempts[0].outcome = AttemptOutcome::Pass);
        assert_told(&problems, "attempt 1 at `image.layout` has the signature of a failure");
        assert_told(&problems, "-0001.json` has attempts that this one lacks or tells otherwise");
        assert_told(&problems, "the history does not have attempt 1");
        let thorough = edited(|report| {
            (report.attempts[0].outcome, report.attempts[0].signature) = (AttemptOutcome::Pass, None);
        });
        assert_told(&thorough, "tells otherwise");
    }

    #[test]
    fn an_attempt_that_was_taken_out_is_told() {
        assert_told(
            &edited(|report| drop(report.attempts.remove(0))),
            "attempt 2 at `image.layout` follows number 0",
        );
        // The last one leaves no gap; only whoever recorded it knows.
        assert_told(&edited(|report| drop(report.attempts.pop())), "the history has attempt 2");
        assert_told(&edited(|report| report.attempts.clear()), "lacks or tells otherwise");
    }

    #[test]
    fn a_log_that_is_gone_cut_changed_or_endless_is_told() {
        let damaged = |change: fn(&Path)| {
            let (_folder, report, path) = reports();
            change(&path.with_file_name("logs").join(format!("{}.txt", report.attempts[0].logs[0].sha256)));
            audit(&path, &report, None).problems
        };
        assert_told(&damaged(|log| std::fs::remove_file(log).unwrap()), "is gone");
        assert_told(&damaged(|log| std::fs::write(log, "").unwrap()), "was changed");
        assert_told(
            &damaged(|log| std::fs::File::create(log).unwrap().set_len(1 << 40).unwrap()),
            "is longer",
        );
        let other = edited(|report| report.attempts[1].logs[0].sha256 = Sha256([7; 32]));
        assert_told(&other, "the log `image.layout.txt` is gone");
    }

    #[test]
    fn an_older_report_need_not_know_what_came_later() {
        let (_folder, report, path) = reports();
        let first =
            path.with_file_name(path.file_name().unwrap().to_string_lossy().replace("-0002", "-0001"));
        let found = audit(&first, &read(&first).unwrap(), Some(&report.attempts));
        assert_eq!((found.problems, found.n_earlier), (Vec::new(), 0));
    }
}
