//! The bench a release is tested on: its facts, its lists, the programs, and the folder of its reports.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use anyhow::Context as _;
use sm_compose::release::ReleaseDir;
use sm_host::{
    clock::SystemClock,
    process::SystemRunner,
    progress::{Progress, Unit},
    tools::ToolsTree,
};
use sm_model::test_report::{Attempt, AttemptOutcome, Isolation, TestHost, TestReport};
use sm_release::{quarantine::ISOLATED_RERUNS, verdict::Verdict};
use sm_vmtest::suite::{
    catalog::{Means, Test, suite_digest},
    crew::{self, Order},
    gather::{Described, gather},
    lists::Lists,
    report::{self, Subject},
    run::{Tried, run},
};

use super::{Places, release, stage};
use crate::{context::Context, workshop};

/// One release, ready to be tested.
pub(super) struct Bench<'a> {
    described: Described,
    lists: Lists,
    tools: ToolsTree,
    subject: Subject,
    /// Reports of this release.
    folder: PathBuf,
    release: ReleaseDir,
    places: &'a Places,
    progress: &'a dyn Progress,
}

impl<'a> Bench<'a> {
    /// Finds the release, its lists and the programs.
    pub(super) fn set_up(named: &Path, places: &'a Places, ctx: &Context<'a>) -> anyhow::Result<Self> {
        let release = release::open(named, &places.root)?;
        let beside = || places.recipe.with_file_name("tests");
        let lists = Lists::load(&places.lists.clone().unwrap_or_else(beside))?;
        let subject = Subject {
            manifest_sha256: release::identity(&release)?,
            version: release.manifest().version,
            suite: suite_digest(&lists),
            host: this_host(),
        };
        Ok(Bench {
            described: release::described(&release, places.twin.as_deref()),
            folder: folder(&release, &subject, places.reports.as_deref())?,
            tools: workshop::tools(&places.recipe, &places.mirror, ctx)?,
            places,
            progress: ctx.progress,
            lists,
            subject,
            release,
        })
    }

    /// Tries each test once and keeps what came of it.
    pub(super) fn run(&self, tests: &[&'static Test], isolation: Isolation) -> anyhow::Result<()> {
        let mut tried = self.attempts(tests, isolation)?;
        tried.iter_mut().for_each(|one| one.attempt.isolation = isolation);
        report::add(&self.folder, &self.subject, tried)?;
        Ok(())
    }

    /// Looks at everything anew: nothing is left from an earlier attempt.
    fn attempts(&self, tests: &[&'static Test], isolation: Isolation) -> anyhow::Result<Vec<Tried>> {
        let scratch = self.scratch()?;
        let (with_machines, without): (Vec<_>, Vec<_>) = tests
            .iter()
            .partition(|test| matches!(test.means, Means::Shared(_) | Means::Clone(_) | Means::Boot(_)));
        let mut tried = self.look(&without, scratch.path());
        tried.extend(self.start_machines(&with_machines, isolation, scratch.path())?);
        Ok(tried)
    }

    fn look(&self, tests: &[&'static Test], scratch: &Path) -> Vec<Tried> {
        if tests.is_empty() {
            return Vec::new();
        }
        let opening = self.progress.begin("open the images", Unit::Waiting, None);
        let facts = gather(self.described.clone(), self.lists.clone(), &self.tools, &SystemRunner, scratch);
        drop(opening);
        let _looking = self.progress.begin("run the tests", Unit::Waiting, None);
        run(tests, &facts, &SystemClock)
    }

    fn start_machines(
        &self,
        tests: &[&'static Test],
        isolation: Isolation,
        scratch: &Path,
    ) -> anyhow::Result<Vec<Tried>> {
        if tests.is_empty() {
            return Ok(Vec::new());
        }
        let (programs, dir) = (stage::programs(&self.tools)?, scratch.join("machines"));
        let stage = stage::stage(&self.release, &self.lists, programs, self.places, &dir)?;
        let task = self.progress.begin("run tests with machines", Unit::Items, Some(tests.len() as u64));
        let ended = |tried: &Tried| {
            let Attempt { test, outcome, message, duration_millis, .. } = &tried.attempt;
            self.progress.note(&format!("{test}: {} in {duration_millis} ms: {message}", word(outcome)));
            task.advance(1);
        };
        let order =
            Order { clock: &SystemClock, isolation, cancelled: &AtomicBool::new(false), ended: &ended };
        Ok(crew::run(tests, &stage, &order))
    }

    /// Runs tests that failed again, each alone: evidence about the failure, never instead of it.
    pub(super) fn rerun_failed(&self, tests: &[&'static Test]) -> anyhow::Result<()> {
        let (report, _) = self.report()?;
        let tallies = report::tallies(&report);
        for test in tests {
            let failed = |verdict| matches!(verdict, Verdict::Failed | Verdict::Flaky);
            let Some(tally) = tallies.get(&test.id()).filter(|tally| failed(tally.verdict())) else {
                continue;
            };
            for _ in tally.n_isolated_passed + tally.n_isolated_failed..ISOLATED_RERUNS {
                self.progress.note(&format!("{} failed: once more, alone", test.name));
                self.run(&[test], Isolation::Isolated)?;
            }
        }
        Ok(())
    }

    /// The newest report: every attempt so far.
    pub(super) fn report(&self) -> anyhow::Result<(TestReport, PathBuf)> {
        report::latest(&self.folder, &self.subject)?.context("there is no report yet")
    }

    fn scratch(&self) -> anyhow::Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("stationmaster-test-");
        match &self.places.work {
            Some(within) => {
                sm_host::files::create_dir_all(within)?;
                builder.tempdir_in(within)
            }
            None => builder.tempdir(),
        }
        .context("cannot make a folder for working files")
    }
}

/// `reports/VERSION-DIGEST` beside the release.
fn folder(release: &ReleaseDir, subject: &Subject, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let own = format!("{}-{:.12}", subject.version, subject.manifest_sha256.to_string());
    if let Some(given) = given {
        return Ok(given.join(own));
    }
    let place = release.path().canonicalize().context("cannot tell where the release lies")?;
    Ok(place.parent().unwrap_or(&place).join("reports").join(own))
}

fn this_host() -> TestHost {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    TestHost {
        accelerator: "none".to_owned(),
        cpus: u16::try_from(cpus).unwrap_or(u16::MAX),
        memory_mib: memory_mib(),
        stationmaster: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn memory_mib() -> u64 {
    let system = rustix::system::sysinfo();
    (system.totalram * u64::from(system.mem_unit)) >> 20
}

fn word(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Pass => "passed",
        AttemptOutcome::Fail => "failed",
        AttemptOutcome::Timeout => "timed out",
        AttemptOutcome::Error { .. } => "could not be carried out",
        AttemptOutcome::Skip { .. } => "skipped",
        AttemptOutcome::NotYet { .. } => "does not exist yet",
        AttemptOutcome::Cancelled => "cancelled",
    }
}
