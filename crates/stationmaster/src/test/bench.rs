//! The bench a release is tested on: its facts, its lists, the programs, and the folder of its reports.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use sm_compose::release::ReleaseDir;
use sm_host::{
    clock::{Clock, SystemClock},
    process::SystemRunner,
    progress::{Progress, Unit},
    tools::ToolsTree,
};
use sm_model::{
    Sha256,
    test_report::{Attempt, Isolation, TestHost, TestReport},
};
use sm_pipeline::table::seconds;
use sm_release::{
    quarantine::{ISOLATED_RERUNS, standing},
    verdict::{Tally, Verdict},
};
use sm_store::TestHistory;
use sm_vmtest::suite::{
    artifacts::{self, Checked},
    bench::Stage,
    catalog::{Means, Test, suite_digest},
    crew::{self, Order},
    external,
    facts::Fact,
    gather::{Described, gather},
    lists::Lists,
    matrix::{Matrix, NotYet, Rules},
    report::{self, Subject},
    run::{Tried, not_yet, run},
    table::shape,
};

use super::{Places, release, scratch::Scratch, stage};
use crate::{context::Context, evidence, interrupt, workshop};

/// Machines of one release, and the folder that their files are in. All runs copy the same machine.
struct Machines {
    stage: Stage<'static>,
    _folder: Scratch,
}

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
    machines: OnceCell<Machines>,
    cancelled: Arc<AtomicBool>,
    progress: &'a dyn Progress,
}

impl<'a> Bench<'a> {
    /// Finds the release, its lists and the programs.
    pub(super) fn set_up(named: &Path, places: &'a Places, ctx: &Context<'a>) -> anyhow::Result<Self> {
        let release = release::open(named, &places.root)?;
        let lists = Lists::load(&places.lists())?;
        let external = external::load(&places.external()?, release.manifest().board.0)?;
        let manifest_sha256 = release.manifest_sha256();
        let artifacts = artifacts::checked(release.path(), release.manifest());
        let subject = Subject {
            manifest_sha256: tested(manifest_sha256, &artifacts, ctx.progress),
            version: release.manifest().version,
            suite: suite_digest(&lists, &external.sha256),
            host: this_host(),
        };
        let folder = |digest, reports| evidence::folder(release.path(), subject.version, digest, reports);
        let second = release::second(&release, places.twin.as_deref(), &folder(&manifest_sha256, None)?);
        let bench = Bench {
            described: release::described(&release, artifacts, second),
            folder: folder(&subject.manifest_sha256, places.reports.as_deref())?,
            tools: workshop::tools(&places.recipe, places.tools_lock.as_deref(), &places.mirror, ctx)?,
            places,
            machines: OnceCell::new(),
            cancelled: interrupt::asked_to_end().context("cannot watch for Ctrl-C")?,
            progress: ctx.progress,
            lists,
            subject,
            release,
        };
        bench.check_keeping()?;
        Ok(bench)
    }

    /// Whoever cannot keep what is seen finds out before an hour of work, not after it.
    fn check_keeping(&self) -> anyhow::Result<()> {
        report::prepare(&self.folder)?;
        report::latest(&self.folder, &self.subject)?;
        self.history().map(drop)
    }

    /// What reports of this bench are about.
    pub(super) const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Tries each test once and keeps what came of it, in a next report and in the history. What fails fastest comes first.
    pub(super) fn run(&self, tests: &[&'static Test], isolation: Isolation) -> anyhow::Result<Vec<Attempt>> {
        let (with_machines, without): (Vec<_>, Vec<_>) = tests.iter().partition(|test| test.needs_machines());
        let mut attempts = Vec::new();
        if !without.is_empty() {
            let scratch = self.scratch()?;
            attempts.extend(self.keep(self.look(&without, scratch.path()), isolation, &self.subject)?);
        }
        if !with_machines.is_empty() {
            attempts.extend(self.run_machines(&with_machines, isolation)?);
        }
        Ok(attempts)
    }

    /// Whether somebody wants this to end: what was not run yet is not run any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Looks at the artifacts anew: nothing is left from an earlier attempt.
    fn look(&self, tests: &[&'static Test], scratch: &Path) -> Vec<Tried> {
        if !tests.iter().any(|test| matches!(test.means, Means::Look(_))) {
            return not_yet(tests, &SystemClock);
        }
        let opening = self.progress.begin("open the images", Unit::Waiting, None);
        let facts = gather(self.described.clone(), self.lists.clone(), &self.tools, &SystemRunner, scratch);
        drop(opening);
        let _looking = self.progress.begin("look into the artifacts", Unit::Waiting, None);
        run(tests, &facts, &SystemClock)
    }

    fn run_machines(&self, tests: &[&'static Test], isolation: Isolation) -> anyhow::Result<Vec<Attempt>> {
        let stage = self.stage()?;
        let mut subject = self.subject.clone();
        subject.host.accelerator = stage.host.accelerator().to_string();
        subject.host.slowness = Some(stage.host.pace().factor());
        let task = self.progress.begin("run tests with machines", Unit::Items, Some(tests.len() as u64));
        let ended = |tried: &Tried| {
            self.progress.note(&told(&tried.attempt));
            task.advance(1);
        };
        let order = Order { clock: &SystemClock, isolation, cancelled: &self.cancelled, ended: &ended };
        self.keep(crew::run(tests, stage, &order), isolation, &subject)
    }

    fn stage(&self) -> anyhow::Result<&Stage<'static>> {
        if let Some(machines) = self.machines.get() {
            return Ok(&machines.stage);
        }
        let (programs, folder) = (stage::programs(&self.tools)?, self.scratch()?);
        let stage = stage::stage(&self.release, &self.lists, programs, self.places, folder.path())?;
        Ok(&self.machines.get_or_init(|| Machines { stage, _folder: folder }).stage)
    }

    fn keep(
        &self,
        mut tried: Vec<Tried>,
        isolation: Isolation,
        subject: &Subject,
    ) -> anyhow::Result<Vec<Attempt>> {
        tried.iter_mut().for_each(|one| one.attempt.isolation = isolation);
        let attempts = tried.iter().map(|one| one.attempt.clone()).collect();
        let (report, _) = report::add(&self.folder, subject, tried)?;
        self.history()?.record(&report)?;
        Ok(attempts)
    }

    /// What was seen of tests before, of this release and of others.
    pub(super) fn history(&self) -> anyhow::Result<TestHistory> {
        Ok(TestHistory::open(&self.places.store.db)?)
    }

    /// Runs tests that failed again, each alone: evidence about the failure, never instead of it.
    pub(super) fn rerun_failed(&self, tests: &[&'static Test]) -> anyhow::Result<()> {
        let (report, _) = self.report()?;
        let tallies = report::tallies(&report);
        let n_done = |test: &Test| {
            let tally = tallies.get(&test.id()).filter(|tally| has_failed(tally))?;
            Some(tally.n_isolated_passed + tally.n_isolated_failed)
        };
        for round in (0..ISOLATED_RERUNS).take_while(|_| !self.is_cancelled()) {
            let is_due = |test: &&&Test| n_done(test).is_some_and(|n_done| n_done <= round);
            let again: Vec<&'static Test> = tests.iter().filter(is_due).copied().collect();
            if !again.is_empty() {
                let names: Vec<&str> = again.iter().map(|test| test.name).collect();
                self.progress.note(&format!("failed, so again, alone: {}", names.join(", ")));
                self.run(&again, Isolation::Isolated)?;
            }
        }
        Ok(())
    }

    /// What the newest report says about these tests, and its place.
    pub(super) fn matrix(
        &self,
        tests: &[&'static Test],
        not_yet: NotYet,
    ) -> anyhow::Result<(Matrix, PathBuf)> {
        let (report, path) = self.report()?;
        let rules = Rules {
            not_yet,
            quarantines: &standing(&self.history()?.quarantines()?),
            channel: self.release.manifest().channel,
            now: SystemClock.now(),
        };
        Ok((Matrix::of(&report, tests, &rules), path))
    }

    /// The newest report: every attempt so far.
    pub(super) fn report(&self) -> anyhow::Result<(TestReport, PathBuf)> {
        report::latest(&self.folder, &self.subject)?.context("there is no report yet")
    }

    fn scratch(&self) -> anyhow::Result<Scratch> {
        Ok(Scratch::make(&self.places.work.clone().unwrap_or_else(std::env::temp_dir))?)
    }
}

/// What is tested: the release of that manifest, unless its files are others.
fn tested(manifest_sha256: Sha256, artifacts: &Fact<Checked>, progress: &dyn Progress) -> Sha256 {
    let Ok(artifacts) = artifacts else { return manifest_sha256 };
    let subject = artifacts::subject(manifest_sha256, artifacts);
    if subject != manifest_sha256 {
        progress.note("the files are not those that the manifest names: this copy has reports of its own");
    }
    subject
}

fn this_host() -> TestHost {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    TestHost {
        accelerator: "none".to_owned(),
        cpus: u16::try_from(cpus).unwrap_or(u16::MAX),
        memory_mib: memory_mib(),
        slowness: None,
        stationmaster: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn memory_mib() -> u64 {
    let system = rustix::system::sysinfo();
    (system.totalram * u64::from(system.mem_unit)) >> 20
}

const fn has_failed(tally: &Tally) -> bool {
    matches!(tally.verdict(), Verdict::Failed | Verdict::Flaky)
}

/// `✓ boot.uefi  61.2 s  running`, as an attempt ends.
fn told(attempt: &Attempt) -> String {
    let verdict = Tally::of([attempt]).verdict();
    let seconds = seconds(attempt.duration_millis);
    let message = if verdict == Verdict::Passed { "" } else { attempt.message.as_str() };
    format!("{} {:<30} {seconds:>8}  {message}", shape(verdict), attempt.test.as_str()).trim_end().to_owned()
}
