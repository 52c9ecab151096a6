//! Every script beside the tests says what the commands say.

use std::path::{Path, PathBuf};

use sm_model::release_event::Envelope;
use sm_store::{EventLog, Until};

use super::{
    Played,
    script::{Act, Script},
    stage::Stage,
};

/// Set to anything, this writes down what the commands say now instead of comparing: `UPDATE_SCENARIOS=1 cargo test -p stationmaster`.
const UPDATE: &str = "UPDATE_SCENARIOS";

fn compare(path: &Path) -> anyhow::Result<String> {
    Played::of(path, None)?.settle(path, false)
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).collect();
    scripts.sort();
    scripts
}

#[test]
fn every_script_says_what_the_commands_say() {
    let scripts = scripts();
    assert!(scripts.len() >= 7, "{scripts:?}");
    let update = std::env::var_os(UPDATE).is_some();
    let differing: Vec<String> = scripts
        .iter()
        .map(|path| (path, Played::of(path, None).unwrap().settle(path, update).unwrap()))
        .filter(|(_, differences)| !differences.is_empty())
        .map(|(path, differences)| format!("{}\n{differences}", path.display()))
        .collect();
    assert!(
        differing.is_empty() || update,
        "{}\nlook at it, then write it down: {UPDATE}=1, or stationmaster scenario --update FILE",
        differing.join("\n")
    );
}

#[test]
fn a_script_that_says_something_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.txt");
    std::fs::write(&path, "@ 2026-12-02 09:00\ndan> today\n    it is Tuesday\n").unwrap();
    let told = compare(&path).unwrap();
    assert!(told.contains("  - it is Tuesday"), "{told}");
    assert!(told.contains("  + Wednesday, 2026-12-02: releases can be published"), "{told}");
}

#[test]
fn a_script_alone_in_a_folder_is_played_under_small_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alone.txt");
    std::fs::write(&path, "dan> gate explain go alpha\n").unwrap();
    let told = compare(&path).unwrap();
    assert!(told.contains("update.apply"), "{told}");
}

fn n_events(stage: &Stage) -> usize {
    let log = EventLog::open(&stage.path("project.db")).unwrap();
    log.fold::<Envelope, _>(Until::Newest, 0, |n, _| *n += 1).unwrap().0
}

/// Somebody whose machine stopped does not know whether their command got through, and gives it again.
#[test]
fn a_command_that_is_given_again_after_it_got_through_changes_nothing() {
    let mut repeated = Vec::new();
    for path in scripts() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut stage = Stage::set(None).unwrap();
        for act in Script::parse(&text).unwrap().acts {
            stage.play(&act).unwrap();
            let Act::Command { who, words } = &act else { continue };
            let before = n_events(&stage);
            let said = stage.play(&act).unwrap();
            if n_events(&stage) != before {
                repeated.push(format!("{}: {who}> {}\n{said}", path.display(), words.join(" ")));
            }
        }
    }
    assert!(repeated.is_empty(), "{}", repeated.join("\n"));
}
