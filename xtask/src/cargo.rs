//! Runs cargo and the programs it built. Nothing else of the host is used.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A cargo command in the repository's root.
pub(crate) fn cargo<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = program(Path::new(&std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())));
    command.args(args);
    command
}

/// A program, started in the repository's root.
pub(crate) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Runs a command; its output goes to the terminal.
pub(crate) fn must(mut command: Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {what}"))?;
    ensure!(status.success(), "{what} ended with {status}");
    Ok(())
}

/// `cargo metadata` of the workspace with its resolved dependency graph.
pub(crate) fn metadata() -> Result<Value> {
    let output = cargo(["metadata", "--format-version", "1", "--locked"])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Builds the release programs and returns the folder that holds them.
pub(crate) fn release_programs() -> Result<PathBuf> {
    must(
        cargo(["build", "--release", "--locked", "-p", "stationmaster", "-p", "sm-agent"]),
        "the release build",
    )?;
    Ok(target_dir()?.join("release"))
}

/// Where cargo builds.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    let dir = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(dir))
}

/// Removes a directory with all its content, if it is there.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", directory.display()))
        }
        _ => Ok(()),
    }
}
