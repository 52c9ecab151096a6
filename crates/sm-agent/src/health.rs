//! The health check of a new version: are the units that matter active, and could the next update still be installed?
//!
//! It runs before boot-complete.target. When it fails it leaves a note on /var, durably, and the unit's `FailureAction=reboot`
//! does the rest: the boot loader counts the try, and the old version's agent reads the note and tells the server.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sm_host::{
    clock::Clock,
    files,
    process::{Invocation, Runner},
};
use sm_model::{Timestamp, Version};

use crate::{Error, paths::Root, server::chain, store::Store};

/// Time between two looks at units that are still starting.
const INTERVAL: Duration = Duration::from_secs(2);
/// Log lines kept of a unit that failed.
const LOG_LINES: usize = 10;
/// Longest line kept, in characters.
const LOG_LINE_CHARS: usize = 300;
/// Most units in the lists.
const MAX_UNITS: usize = 64;

const PREFIX: &str = "health-";

/// What a version that failed its health check leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The version that failed.
    pub version: Version,
    /// When.
    pub at: Timestamp,
    /// Why; at least one.
    pub problems: Vec<Problem>,
}

/// One thing that is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The unit or part of the host.
    pub subject: String,
    /// What is wrong with it.
    pub words: String,
    /// The last lines of its log.
    #[serde(default)]
    pub log: Vec<String>,
}

impl Note {
    /// The note in one text, for the server and for people.
    pub fn words(&self) -> String {
        let one = |problem: &Problem| {
            let log: String = problem.log.iter().map(|line| format!("\n  {line}")).collect();
            format!("{} {}{log}", problem.subject, problem.words)
        };
        self.problems.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

/// Reads the notes that versions left behind. One that cannot be read says so in its own words.
///
/// # Errors
/// When the directory cannot be listed.
pub fn notes(store: &Store) -> Result<Vec<(Version, String)>, Error> {
    let entries = match std::fs::read_dir(store.dir()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::system("list what the agent remembers"))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::system("list what the agent remembers"))?.file_name();
        let version = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(".json")?.parse::<Version>().ok());
        if let Some(version) = version {
            found.push((version, read_note(store, version)));
        }
    }
    found.sort();
    Ok(found)
}

fn read_note(store: &Store, version: Version) -> String {
    let note = files::read_limited(&path(store, version), 1 << 20)
        .map_err(|error| chain(&error))
        .and_then(|bytes| serde_json::from_slice::<Note>(&bytes).map_err(|error| error.to_string()));
    match note {
        Ok(note) => note.words(),
        Err(error) => format!("it failed its health check, and its note cannot be read: {error}"),
    }
}

fn path(store: &Store, version: Version) -> PathBuf {
    store.dir().join(format!("{PREFIX}{version}.json"))
}

/// Removes the note of one version, or of all.
///
/// # Errors
/// When one cannot be removed.
pub fn forget(store: &Store, only: Option<Version>) -> Result<(), Error> {
    for (version, _) in notes(store)? {
        if only.is_none_or(|only| only == version) {
            files::remove(&path(store, version))?;
        }
    }
    Ok(())
}

/// Writes the note, so that it survives the reboot that follows.
///
/// # Errors
/// When the system refuses.
pub fn leave(store: &Store, note: &Note) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(note)
        .map_err(|error| Error::system("encode the health note")(error.into()))?;
    Ok(files::write_atomic(&path(store, note.version), &text)?)
}

/// The units that must be active: every line of every file in the lists. `#` starts a comment.
///
/// # Errors
/// When a list cannot be read or names something that is no unit.
pub fn required_units(root: &Root) -> Result<BTreeSet<String>, Error> {
    let mut units = BTreeSet::new();
    for dir in root.health_lists() {
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(Error::system(format!("list `{}`", dir.display())))?,
        };
        for entry in entries {
            let path = entry.map_err(Error::system(format!("list `{}`", dir.display())))?.path();
            units.extend(units_in(&path)?);
        }
    }
    match units.len() {
        0..=MAX_UNITS => Ok(units),
        n => Err(invalid(format!("{n} units are listed: expected at most {MAX_UNITS}"))),
    }
}

fn units_in(path: &std::path::Path) -> Result<Vec<String>, Error> {
    let bytes = files::read_limited(path, 64 << 10)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|unit| {
            let clean = unit.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
            if clean && unit.contains('.') && !unit.starts_with('-') {
                Ok(unit.to_owned())
            } else {
                Err(invalid(format!("`{}` lists `{}`", path.display(), unit.escape_debug())))
            }
        })
        .collect()
}

fn invalid(what: String) -> Error {
    Error::System {
        action: format!("use the list of required units: {what}"),
        source: std::io::Error::other("expected one unit name a line, such as `containerd.service`"),
    }
}

/// Waits until every unit is active, one cannot become it, or the deadline is over; returns what is wrong.
///
/// # Errors
/// When the service manager cannot be asked.
pub fn check_units(
    units: &BTreeSet<String>,
    deadline: Duration,
    runner: &dyn Runner,
    clock: &dyn Clock,
) -> Result<Vec<Problem>, Error> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    // Not by the clock: it may be set while units start, by hours in either direction.
    let start = Instant::now();
    let mut slept = Duration::ZERO;
    loop {
        let states = unit_states(units, runner)?;
        let bad: Vec<_> = states.iter().filter(|unit| unit.active != "active").collect();
        let over = slept.max(start.elapsed()) >= deadline;
        if bad.is_empty() {
            return Ok(Vec::new());
        }
        if over || bad.iter().any(|unit| unit.is_hopeless()) {
            return Ok(bad.into_iter().map(|unit| unit.problem(runner)).collect());
        }
        clock.sleep(INTERVAL);
        slept += INTERVAL;
    }
}

/// What the service manager says about one unit.
#[derive(Debug, Default)]
struct UnitState {
    id: String,
    active: String,
    sub: String,
    result: String,
    load: String,
}

impl UnitState {
    /// Whether waiting longer is in vain: it has failed, or there is nothing that could be started.
    fn is_hopeless(&self) -> bool {
        self.active == "failed" || self.load != "loaded"
    }

    fn problem(&self, runner: &dyn Runner) -> Problem {
        let words = match self.load.as_str() {
            "loaded" => format!("is {} ({}), result {}", self.active, self.sub, self.result),
            other => format!("is {other}"),
        };
        Problem { subject: format!("unit `{}`", self.id), words, log: last_lines(&self.id, runner) }
    }
}

fn unit_states(units: &BTreeSet<String>, runner: &dyn Runner) -> Result<Vec<UnitState>, Error> {
    let show = Invocation::new("/usr/bin/systemctl")
        .args(["show", "--property=Id,LoadState,ActiveState,SubState,Result", "--"])
        .args(units);
    let output = runner.run(&show)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let states: Vec<_> = text.split("\n\n").map(parse_state).collect();
    // Aliases answer with another id, so answers are matched by their order.
    let name = |(unit, state): (&String, UnitState)| UnitState { id: unit.clone(), ..state };
    let missing = || UnitState { load: "unknown to the service manager".to_owned(), ..UnitState::default() };
    Ok(units.iter().zip(states.into_iter().chain(std::iter::repeat_with(missing))).map(name).collect())
}

fn parse_state(block: &str) -> UnitState {
    let mut state = UnitState::default();
    for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
        let field = match key {
            "ActiveState" => &mut state.active,
            "SubState" => &mut state.sub,
            "Result" => &mut state.result,
            "LoadState" => &mut state.load,
            _ => continue,
        };
        value.clone_into(field);
    }
    state
}

fn last_lines(unit: &str, runner: &dyn Runner) -> Vec<String> {
    let journal = Invocation::new("/usr/bin/journalctl")
        .args(["--boot", "--no-pager", "--quiet", "--output=cat", "--lines"])
        .arg(LOG_LINES.to_string())
        .arg(format!("--unit={unit}"));
    match runner.run(&journal) {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().map(|line| line.chars().take(LOG_LINE_CHARS).collect()).collect()
        }
        Err(error) => vec![format!("its log cannot be read: {error}")],
    }
}

/// What a failed check says, as a problem of the host itself.
pub fn problem_of(subject: &str, error: &Error) -> Problem {
    let words = format!("is not usable: {}", chain(error));
    Problem { subject: subject.to_owned(), words, log: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_host::{
        clock::FakeClock,
        process::{FakeRunner, Output},
    };
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    fn root(dir: &tempfile::TempDir, list: &str) -> Root {
        let lists = dir.path().join("usr/share/boxcar/health.d");
        std::fs::create_dir_all(&lists).unwrap();
        std::fs::write(lists.join("base"), list).unwrap();
        Root::at(dir.path())
    }

    fn show(active: &str, sub: &str) -> String {
        format!("Id=x\nLoadState=loaded\nActiveState={active}\nSubState={sub}\nResult=exit-code\n")
    }

    /// A service manager whose answers follow each other; the last one stays. The journal says one line.
    fn manager(answers: Vec<String>) -> FakeRunner {
        let answers = Mutex::new(answers);
        FakeRunner::new(move |run| {
            let mut answers = answers.lock().unwrap();
            let text = match run.name.as_str() {
                "journalctl" => "exec format error\n".to_owned(),
                _ if answers.len() > 1 => answers.remove(0),
                _ => answers[0].clone(),
            };
            Ok(Output { stdout: text.into_bytes(), stderr: Vec::new() })
        })
    }

    fn check(units: &[&str], runner: &FakeRunner) -> (Vec<Problem>, i64) {
        let start: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let clock = FakeClock::new(start);
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        let problems = check_units(&units, Duration::from_secs(60), runner, &clock).unwrap();
        (problems, clock.now().secs_since(start))
    }

    #[test]
    fn lists_are_merged_and_comments_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(&dir, "# base\ncontainerd.service\nssh.service # remote access\n\n");
        let etc = dir.path().join("etc/boxcar/health.d");
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::write(etc.join("mine"), "ssh.service\nweb@1.service\n").unwrap();
        let units: Vec<_> = required_units(&root).unwrap().into_iter().collect();
        assert_eq!(units, ["containerd.service", "ssh.service", "web@1.service"]);
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for list in ["--version", "a b.service", "nodot", "../x.service"] {
            let dir = tempfile::tempdir().unwrap();
            assert!(required_units(&root(&dir, list)).is_err(), "{list}");
        }
    }

    #[test]
    fn active_units_are_healthy_at_once_and_starting_ones_are_waited_for() {
        let up = show("active", "running");
        assert_eq!(check(&["a.service"], &manager(vec![up.clone()])), (vec![], 0));
        let starting = show("activating", "start");
        assert_eq!(check(&["a.service"], &manager(vec![starting.clone(), starting, up])), (vec![], 4));
        assert_eq!(check(&[], &manager(vec![String::new()])), (vec![], 0));
    }

    #[test]
    fn a_failed_unit_ends_the_wait_and_is_told_with_its_log() {
        let answers = vec![format!("{}\n{}", show("active", "running"), show("failed", "failed"))];
        let (problems, waited) = check(&["a.service", "b.service"], &manager(answers));
        let problem = Problem {
            subject: "unit `b.service`".to_owned(),
            words: "is failed (failed), result exit-code".to_owned(),
            log: vec!["exec format error".to_owned()],
        };
        assert_eq!((problems, waited), (vec![problem], 0));
    }

    #[test]
    fn a_unit_that_never_starts_is_given_up_at_the_deadline() {
        let (problems, waited) = check(&["a.service"], &manager(vec![show("activating", "start")]));
        assert_eq!((problems.len(), waited), (1, 60));
        assert!(problems[0].words.contains("activating"));
    }

    /// A service manager during whose every answer somebody moves the clock by `secs`; how often it is asked, and how it ends.
    fn check_while_the_clock_moves(secs: i64, starts_after: usize) -> (Vec<Problem>, usize) {
        let clock = Arc::new(FakeClock::new("2026-11-23T00:00:00Z".parse().unwrap()));
        let moved = Arc::clone(&clock);
        let n_asked = Arc::new(AtomicUsize::new(0));
        let n = Arc::clone(&n_asked);
        let runner = FakeRunner::new(move |run| {
            moved.set(Timestamp::from_unix_secs(moved.now().unix_secs() + secs).unwrap());
            let is_show = run.name == "systemctl";
            let asked = n.fetch_add(usize::from(is_show), Ordering::Relaxed);
            let active = if asked < starts_after { "activating" } else { "active" };
            Ok(Output { stdout: show(active, "x").into_bytes(), stderr: Vec::new() })
        });
        let units = BTreeSet::from(["a.service".to_owned()]);
        let problems = check_units(&units, Duration::from_secs(60), &runner, &*clock).unwrap();
        (problems, n_asked.load(Ordering::Relaxed))
    }

    #[test]
    fn a_clock_that_is_set_neither_ends_the_wait_nor_lengthens_it() {
        let hours = 6 * 3600;
        assert_eq!(
            check_while_the_clock_moves(hours, 3),
            (vec![], 4),
            "a version that comes up in time is good"
        );
        for moves in [hours, 0, -hours] {
            let (problems, n_asked) = check_while_the_clock_moves(moves, usize::MAX);
            assert_eq!((problems.len(), n_asked), (1, 31), "{moves}: 60 s in steps of 2 s");
        }
    }

    #[test]
    fn a_unit_that_does_not_exist_is_a_problem_at_once() {
        let absent = "Id=a.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n";
        let (problems, waited) = check(&["a.service"], &manager(vec![absent.to_owned()]));
        assert_eq!((problems[0].words.as_str(), waited), ("is not-found", 0));
        let (problems, _) = check(&["a.service", "b.service"], &manager(vec![show("active", "running")]));
        assert!(problems[0].words.contains("unknown to the service manager"), "{problems:?}");
    }

    #[test]
    fn a_note_reads_back_in_words_and_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::of(&Root::at(dir.path()));
        assert_eq!(notes(&store).unwrap(), []);
        let version = "4900.0.1".parse().unwrap();
        let problem =
            Problem { subject: "unit `x`".into(), words: "is failed".into(), log: vec!["why".into()] };
        let note = Note { version, at: "2026-11-23T00:00:00Z".parse().unwrap(), problems: vec![problem] };
        leave(&store, &note).unwrap();
        assert_eq!(notes(&store).unwrap(), [(version, "unit `x` is failed\n  why".to_owned())]);
        std::fs::write(store.dir().join("health-4900.0.2.json"), "{").unwrap();
        assert!(notes(&store).unwrap()[1].1.contains("cannot be read"));
        forget(&store, Some(version)).unwrap();
        assert_eq!(notes(&store).unwrap().len(), 1);
        forget(&store, None).unwrap();
        assert_eq!(notes(&store).unwrap(), []);
    }
}
