//! `stationmaster test show REPORT`: the verdicts, computed anew from the report's attempts, and whether these are what was seen: the
//! logs by their digests, the reports before it, and the history.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sm_compose::release::ReleaseDir;
use sm_host::clock::{Clock, SystemClock};
use sm_model::{
    Channel,
    test_report::{Attempt, TestReport},
};
use sm_release::quarantine::{Quarantine, standing};
use sm_store::{TestHistory, test_history::AttemptFilter};
use sm_vmtest::suite::{
    audit::{Audit, audit},
    catalog::Test,
    matrix::{Matrix, Rules},
    report,
};

use super::{Choice, LISTS, NoHistory, answer::Judged, external_folder, rerun::beside, run::Telling};
use crate::context::{Context, Outcome};

const EXAMPLES: &str = "\
Examples:
  stationmaster test show \\
      releases/alpha/amd64-usr/reports/4893.0.1-9f2c…/1b7e…-0001.json
      Compute the verdicts anew from the attempts, and check every log.
  stationmaster test show REPORT --db stationmaster.db
      Compare the attempts with the history, too: it knows of attempts that
      somebody took out of the report.

Gates and required tests are those of this program. Failures that are muted
count, unless --db tells by whom they are.

Exit codes: those of `stationmaster test`; 4 when the report is not what its
evidence says.";

/// Which report, and what it is compared with.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The report.
    report: PathBuf,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    telling: Telling,
    /// The history, to compare with.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Folder of external tests, in kola's form [default: the project's own].
    #[arg(long, value_name = "DIR")]
    external: Option<PathBuf>,
}

/// A report that is not what its evidence says.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not what its evidence says: {n_problems} problems", report.display())]
pub(crate) struct Doubtful {
    report: PathBuf,
    n_problems: usize,
}

impl Doubtful {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        Some("do not decide by it: run the tests anew with `stationmaster test RELEASE`".to_owned())
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        sm_model::exit::VERIFICATION
    }
}

/// The verdicts, and what they rest on.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    judged: Judged,
    evidence: Audit,
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let tests = args.choice.tests(&external_folder(args.external.as_deref(), Path::new(LISTS))?)?;
    let report = report::read(&args.report)?;
    let history = args.db.as_deref().map(history).transpose()?;
    let recorded = history.as_ref().map(|history| recorded(history, &report)).transpose()?;
    let evidence = audit(&args.report, &report, recorded.as_deref());
    let quarantines = history.map(|history| history.quarantines()).transpose()?.unwrap_or_default();
    let matrix = match channel(&args.report, &report) {
        Some(channel) => args.matrix(&report, &tests, &standing(&quarantines), channel),
        None => args.matrix(&report, &tests, &[], Channel::Alpha),
    };
    let judged = Judged::new(matrix, args.report.clone());
    let (outcome, n_problems) = (judged.answer.outcome(), evidence.problems.len());
    let shown = Shown { judged, evidence };
    args.telling.print(&shown.judged.matrix, &shown, ctx)?;
    if n_problems > 0 {
        return Err(Doubtful { report: args.report.clone(), n_problems }.into());
    }
    Ok(outcome)
}

fn history(db: &Path) -> anyhow::Result<TestHistory> {
    if db.exists() { Ok(TestHistory::open(db)?) } else { Err(NoHistory(db.to_owned()).into()) }
}

/// What the history has of the report's release and suite.
fn recorded(history: &TestHistory, report: &TestReport) -> anyhow::Result<Vec<Attempt>> {
    let all = history.attempts(AttemptFilter::default())?;
    let own = all.into_iter().filter(|one| one.subject == report.subject && one.suite == report.suite);
    Ok(own.map(|one| one.attempt).collect())
}

/// The channel of the release that the report lies beside, if it does.
fn channel(path: &Path, report: &TestReport) -> Option<Channel> {
    let release = beside(path, &report.version.to_string()).ok()?;
    Some(ReleaseDir::open(&release).ok()?.manifest().channel)
}

impl Args {
    fn matrix(
        &self,
        report: &TestReport,
        tests: &[&'static Test],
        quarantines: &[Quarantine],
        channel: Channel,
    ) -> Matrix {
        let now = SystemClock.now();
        Matrix::of(report, tests, &Rules { not_yet: self.telling.not_yet(), quarantines, channel, now })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.judged)?;
        let Audit { n_attempts, n_logs, n_earlier, n_recorded, problems } = &self.evidence;
        write!(f, "Evidence: {n_attempts} attempts, {n_logs} logs, {n_earlier} earlier reports")?;
        if let Some(n_recorded) = n_recorded {
            write!(f, ", {n_recorded} attempts in the history")?;
        }
        if problems.is_empty() {
            return f.write_str(": all of it holds");
        }
        problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
