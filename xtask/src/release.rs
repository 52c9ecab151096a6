//! The release suite at the release that the VM step updated to: composed a second time first, because one of the tests wants to
//! know whether that gives the same bytes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::cargo::{must, program, release_programs, root};

/// Where the VM step works.
const SMOKE: &str = "out/smoke";
/// Where releases of its channel and board lie in there.
const BOARD: &str = "releases/alpha/amd64-usr";

/// Which tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What needs no machine, or shares one.
    Some,
    /// Every test.
    All,
}

/// Runs the suite; what does not exist yet is told and does not fail the step.
pub(crate) fn test(extent: Extent) -> Result<()> {
    let stationmaster = release_programs()?.join("stationmaster");
    let board = root().join(SMOKE).join(BOARD);
    let release = board.join("current").canonicalize().context("the VM step left no release to test")?;
    let second = compose_again(&stationmaster, &release)?;
    let mut test = program(&stationmaster);
    test.arg("test").arg(&release).arg("--allow-not-yet").arg("--twin").arg(second);
    test.args(["--db", &format!("{SMOKE}/tests.db"), "--tools-lock", &format!("{SMOKE}/locks/tools.lock")]);
    match extent {
        Extent::Some => drop(test.args(["--suite", "offline,shared"])),
        Extent::All => others(&mut test, &board, &release)?,
    }
    must(test, "stationmaster test")
}

/// Composes the release once more from its locks and its key, elsewhere; and there a second time, with other threads, umask and
/// paths, byte for byte the same.
fn compose_again(stationmaster: &Path, release: &Path) -> Result<PathBuf> {
    let smoke = root().join(SMOKE);
    let again = smoke.join("again");
    if again.exists() {
        fs::remove_dir_all(&again).with_context(|| format!("cannot remove `{}`", again.display()))?;
    }
    let version = release.file_name().context("the release has no version")?;
    let mut compose = program(stationmaster);
    compose.args(["--quiet", "compose", "--verify", "--arch", "amd64", "--version"]).arg(version);
    compose.arg("--out").arg(&again).arg("--key").arg(smoke.join("keys/update-payload-key.key.pem"));
    compose.arg("--lock").arg(smoke.join("locks/B.lock"));
    compose.arg("--tools-lock").arg(smoke.join("locks/tools.lock"));
    must(compose, "stationmaster compose")?;
    Ok(again.join("alpha/amd64-usr").join(version))
}

/// Names the other release of the VM step as the one that hosts come from, and the key that signs payloads.
fn others(test: &mut Command, board: &Path, release: &Path) -> Result<()> {
    let entries = fs::read_dir(board).with_context(|| format!("cannot list `{}`", board.display()))?;
    let mut others: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.join("manifest.json").is_file() && path.as_path() != release && !path.is_symlink()
        })
        .collect();
    others.sort();
    let previous = others.pop().context("the VM step left no other release to update from")?;
    test.arg("--previous").arg(&previous).arg("--oldest").arg(&previous);
    test.arg("--signing-key").arg(root().join(SMOKE).join("keys/update-payload-key.key.pem"));
    Ok(())
}
