//! How source files look: they say at the top what they are for, stay readable in length, and core crates stay pure.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};

use super::Problem;
use crate::cargo::{program, root};

const CORE: [&str; 6] = ["sm-model", "sm-debian", "sm-image", "sm-trust", "sm-release", "sm-rollout"];

/// Lines of a file before its tests at most.
const MAX_PRODUCT_LINES: usize = 600;
/// Lines of ARCHITECTURE.md at most: more is not read.
const MAX_ARCHITECTURE_LINES: usize = 400;

/// A tracked text file.
pub(super) struct SourceFile {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every tracked file that is text.
pub(super) fn tracked_files() -> Result<Vec<SourceFile>> {
    let mut git = program("git".as_ref());
    let output = git.args(["ls-files", "-z"]).output().context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files failed: run this in a clone of the repository");
    let listing = String::from_utf8(output.stdout)?;
    let paths = listing.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(paths
        .filter_map(|path| {
            let text = String::from_utf8(fs::read(root().join(&path)).ok()?).ok()?;
            Some(SourceFile { path: path.to_string_lossy().into_owned(), text })
        })
        .collect())
}

pub(super) fn check(files: &[SourceFile]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        problems.extend(rust_file(file));
    }
    problems.extend(CORE.iter().flat_map(|krate| core_crate(krate, files)));
    problems.extend(architecture(files));
    Ok(problems)
}

fn problem(path: &str, what: impl Into<String>) -> Problem {
    Problem { place: path.to_owned(), what: what.into() }
}

fn rust_file(file: &SourceFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let opens_with_purpose =
        file.text.lines().find(|line| !line.starts_with("#!")).is_some_and(|line| line.starts_with("//!"));
    if !opens_with_purpose {
        problems.push(problem(&file.path, "does not open with a `//!` line that says what it is for"));
    }
    let n_lines = product_lines(&file.text);
    if n_lines > MAX_PRODUCT_LINES && !is_test(&file.path) {
        problems.push(problem(
            &file.path,
            format!("{n_lines} lines before its tests, expected at most {MAX_PRODUCT_LINES}"),
        ));
    }
    if file.text.contains(concat!("#[", "ignore")) {
        problems.push(problem(&file.path, "ignores a test: a test that does not run is not a test"));
    }
    let spawns =
        ["process::Command", "Command::new("].iter().any(|word| product_part(&file.text).contains(word));
    let may_spawn =
        file.path.starts_with("crates/sm-host/") || file.path.starts_with("xtask/") || is_test(&file.path);
    if spawns && !may_spawn {
        problems.push(problem(&file.path, "spawns a process: only sm-host does"));
    }
    problems
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

fn product_part(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn product_lines(text: &str) -> usize {
    product_part(text).lines().count()
}

fn core_crate(krate: &str, files: &[SourceFile]) -> Vec<Problem> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let mut problems = Vec::new();
    let lib = format!("crates/{krate}/src/lib.rs");
    for attribute in ["#![forbid(unsafe_code)]", "#![deny(missing_docs)]"] {
        if !find(&lib).is_some_and(|file| file.text.contains(attribute)) {
            problems.push(problem(&lib, format!("a core crate carries `{attribute}`")));
        }
    }
    let rules = format!("crates/{krate}/clippy.toml");
    if find(&rules).map(|file| &file.text) != find("crates/sm-model/clippy.toml").map(|file| &file.text) {
        problems.push(problem(&rules, "every core crate has the same clippy.toml as sm-model"));
    }
    problems
}

fn architecture(files: &[SourceFile]) -> Vec<Problem> {
    const PATH: &str = "ARCHITECTURE.md";
    let Some(page) = files.iter().find(|file| file.path == PATH) else {
        return vec![problem(PATH, "is missing")];
    };
    let mut problems = Vec::new();
    let n_lines = page.text.lines().count();
    if n_lines > MAX_ARCHITECTURE_LINES {
        problems.push(problem(PATH, format!("{n_lines} lines, expected at most {MAX_ARCHITECTURE_LINES}")));
    }
    let manifests =
        files.iter().filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"));
    for krate in manifests.filter(|krate| !page.text.contains(&format!("`{krate}`"))) {
        problems.push(problem(PATH, format!("does not name the crate `{krate}`")));
    }
    problems
}
