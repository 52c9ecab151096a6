//! The bench a release is tested on: its facts, its lists, the programs, and the folder of its reports.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sm_compose::release::ReleaseDir;
use sm_host::{
    clock::SystemClock,
    process::SystemRunner,
    progress::{Progress, Unit},
    tools::ToolsTree,
};
use sm_model::test_report::{Isolation, TestHost, TestReport};
use sm_release::{quarantine::ISOLATED_RERUNS, verdict::Verdict};
use sm_vmtest::suite::{
    catalog::{Test, suite_digest},
    gather::{Described, gather},
    lists::Lists,
    report::{self, Subject},
    run::{Tried, run},
};

use super::{Places, release};
use crate::{context::Context, workshop};

/// One release, ready to be tested.
pub(super) struct Bench<'a> {
    described: Described,
    lists: Lists,
    tools: ToolsTree,
    subject: Subject,
    /// Reports of this release.
    folder: PathBuf,
    work: Option<PathBuf>,
    progress: &'a dyn Progress,
}

impl<'a> Bench<'a> {
    /// Finds the release, its lists and the programs.
    pub(super) fn set_up(named: &Path, places: &Places, ctx: &Context<'a>) -> anyhow::Result<Self> {
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
            work: places.work.clone(),
            progress: ctx.progress,
            lists,
            subject,
        })
    }

    /// Tries each test once and keeps what came of it.
    pub(super) fn run(&self, tests: &[&'static Test], isolation: Isolation) -> anyhow::Result<()> {
        let mut tried = self.attempts(tests)?;
        tried.iter_mut().for_each(|one| one.attempt.isolation = isolation);
        report::add(&self.folder, &self.subject, tried)?;
        Ok(())
    }

    /// Looks at the artifacts anew: nothing is left from an earlier attempt.
    fn attempts(&self, tests: &[&'static Test]) -> anyhow::Result<Vec<Tried>> {
        let scratch = self.scratch()?;
        let opening = self.progress.begin("open the images", Unit::Waiting, None);
        let facts =
            gather(self.described.clone(), self.lists.clone(), &self.tools, &SystemRunner, scratch.path());
        drop(opening);
        let _looking = self.progress.begin("run the tests", Unit::Waiting, None);
        Ok(run(tests, &facts, &SystemClock))
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
        match &self.work {
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
