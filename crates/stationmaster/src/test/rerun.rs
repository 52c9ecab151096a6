//! `stationmaster test rerun REPORT`: the tests that did not pass, once more, each alone. It adds attempts and takes none back.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sm_model::test_report::Isolation;
use sm_release::verdict::{Tally, Verdict};
use sm_vmtest::suite::{catalog::Test, lists::matches, report};

use super::{Places, bench::Bench, run::Telling};
use crate::context::{Context, Outcome};

const EXAMPLES: &str = "\
Example:
  stationmaster test rerun \\
      releases/alpha/amd64-usr/reports/4893.0.1-9f2c…/1b7e…-0001.json
      Run again what did not pass; a next report holds all attempts.";

/// Which report, and which of its tests.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The report.
    report: PathBuf,
    /// Its release [default: the one the report lies beside].
    #[arg(long, value_name = "RELEASE")]
    release: Option<PathBuf>,
    /// Tests whose names match, whatever became of them.
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    places: Places,
}

/// A report that no attempts can be added to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOurs {
    /// The release is another one.
    #[error("`{}` is about another release than `{}`", report.display(), release.display())]
    Release {
        /// The report.
        report: PathBuf,
        /// The release.
        release: PathBuf,
    },
    /// The suite has changed since.
    #[error("`{}` is by another suite than today's: its tests or lists were others", .0.display())]
    Suite(PathBuf),
}

impl NotOurs {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            NotOurs::Release { .. } => "name the release with `--release`".to_owned(),
            NotOurs::Suite(_) => {
                "run the tests anew: `stationmaster test RELEASE`; attempts by two suites are no evidence for one verdict"
                    .to_owned()
            }
        })
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        sm_model::exit::INVALID_INPUT
    }
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let report = report::read(&args.report)?;
    let release = match &args.release {
        Some(release) => release.clone(),
        None => beside(&args.report, &report.version.to_string())?,
    };
    let bench = Bench::set_up(&release, &args.places, ctx)?;
    if bench.subject().manifest_sha256 != report.subject {
        return Err(NotOurs::Release { report: args.report.clone(), release }.into());
    }
    if bench.subject().suite != report.suite {
        return Err(NotOurs::Suite(args.report.clone()).into());
    }
    let tallies = report::tallies(&report);
    let is_meant = |test: &&&Test| match &args.only {
        Some(pattern) => matches(pattern, test.name),
        None => tallies.get(&test.id()).map(Tally::verdict).is_some_and(|verdict| verdict != Verdict::Passed),
    };
    let all: Vec<&'static Test> =
        args.places.all_tests()?.filter(|test| tallies.contains_key(&test.id())).collect();
    let again: Vec<&'static Test> = all.iter().filter(is_meant).copied().collect();
    if again.is_empty() {
        ctx.progress.note("nothing to run again: every test of the report passed");
    } else {
        bench.run(&again, Isolation::Isolated)?;
    }
    args.telling.tell(&bench, &all, ctx)
}

/// `BOARD/VERSION` of `BOARD/reports/VERSION-DIGEST/REPORT`.
pub(super) fn beside(report: &Path, version: &str) -> anyhow::Result<PathBuf> {
    let place = report.canonicalize().with_context(|| format!("cannot find `{}`", report.display()))?;
    let board = place.ancestors().nth(3).context("the report does not lie beside a release")?;
    Ok(board.join(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lies_beside_its_release() {
        let board = tempfile::tempdir().unwrap();
        let report = board.path().join("reports/4893.0.1-abc/def-0001.json");
        sm_host::files::write_atomic(&report, b"{}").unwrap();
        let expected = board.path().canonicalize().unwrap().join("4893.0.1");
        assert_eq!(beside(&report, "4893.0.1").unwrap(), expected);
    }
}
