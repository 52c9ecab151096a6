//! House rules that no compiler checks: who may depend on whom, what the agent is made of, how files open and how long they are,
//! whether fuzz targets are listed.
//! Every broken rule is reported, not only the first.

mod dependencies;
mod fuzz;
mod sources;
mod words;

use anyhow::{Result, ensure};

use crate::{cargo::metadata, steps::say};

/// One broken rule.
pub(crate) struct Problem {
    /// File or crate.
    pub(crate) place: String,
    /// What is wrong, and what is expected.
    pub(crate) what: String,
}

/// Checks every rule.
pub(crate) fn check() -> Result<()> {
    let metadata = metadata()?;
    let files = sources::tracked_files()?;
    let mut problems = dependencies::check(&metadata)?;
    problems.extend(sources::check(&files)?);
    problems.extend(words::check(&files)?);
    problems.extend(fuzz::check(&files));
    for problem in &problems {
        say(&format!("{}: {}", problem.place, problem.what));
    }
    ensure!(problems.is_empty(), "{} house rules are broken", problems.len());
    Ok(())
}
