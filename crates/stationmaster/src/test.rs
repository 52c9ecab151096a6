//! `stationmaster test`: is this release good? The tests are `sm_vmtest::suite`'s, the verdicts `sm_release`'s; this verb
//! carries them out, keeps the report beside the release and tells the answer.

mod answer;
mod bench;
mod release;
mod stage;

use std::path::PathBuf;

use anyhow::Context as _;
use sm_model::test_report::Isolation;
use sm_vmtest::suite::{
    catalog::{self, Class, Test},
    junit,
    matrix::{Matrix, NotYet},
    tap,
};

use crate::context::{Context, Outcome};
use answer::Judged;
use bench::Bench;

const EXAMPLES: &str = "\
Examples:
  stationmaster test 4893.0.1
      Run the whole suite at a release below `releases`.
  stationmaster test releases/alpha/amd64-usr/current --suite offline
      Look into the artifacts only; no machine is started.
  stationmaster test 4893.0.1 --only 'image.*' --tap
      Some of the tests, as TAP.

The report lies beside the release, in reports/VERSION-DIGEST/. It is never
edited: running again adds attempts, in a next report, and removes none.

Exit codes: 0 good; 8 not good: a required test failed; 10 could not be
judged: none failed, but one could not be carried out, was skipped, was not
run, or does not exist yet.";

/// Tell whether a release is good: run the test suite at it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A release directory, an image in one, or a VERSION below the root.
    image: PathBuf,
    #[command(flatten)]
    places: Places,
    /// Classes of tests [default: all].
    #[arg(long, value_name = "CLASS", value_enum, value_delimiter = ',')]
    suite: Vec<Suite>,
    /// Only tests whose names match: `*` stands for any characters.
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
    /// How often to run each test.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Do not run failed tests again, each twice and alone.
    #[arg(long)]
    no_rerun: bool,
    /// What does not exist yet keeps no release back.
    #[arg(long)]
    allow_not_yet: bool,
    /// Print TAP (Test Anything Protocol).
    #[arg(long, conflicts_with = "json")]
    tap: bool,
    /// Also write JUnit XML into this folder.
    #[arg(long, value_name = "DIR")]
    junit: Option<PathBuf>,
}

/// Where everything lies that a run needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Places {
    /// Where releases lie.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    root: PathBuf,
    /// The recipe whose tools look into images and start machines.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// Folder of the reviewed lists [default: tests/ beside the recipe].
    #[arg(long, value_name = "DIR")]
    lists: Option<PathBuf>,
    /// A second composition of the same release, to compare with.
    #[arg(long, value_name = "DIR")]
    twin: Option<PathBuf>,
    /// Where reports go [default: reports/ beside the release].
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,
    /// Where working files go [default: the system's temporary folder].
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Where an archive is, instead of what APT says; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    mirror: Vec<String>,
    #[command(flatten)]
    machines: stage::Machines,
}

/// What tests need, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Artifacts only.
    Offline,
    /// A running machine that other tests look at too.
    Shared,
    /// A copy of a running machine of its own.
    Clone,
    /// A disk of its own, and real boots.
    Boot,
}

impl From<Suite> for Class {
    fn from(suite: Suite) -> Class {
        match suite {
            Suite::Offline => Class::Offline,
            Suite::Shared => Class::Shared,
            Suite::Clone => Class::Clone,
            Suite::Boot => Class::Boot,
        }
    }
}

/// Runs the tests, keeps the report, tells the answer.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let tests = args.chosen()?;
    let bench = Bench::set_up(&args.image, &args.places, ctx)?;
    for _ in 0..args.repeat {
        bench.run(&tests, Isolation::Suite)?;
    }
    if !args.no_rerun {
        bench.rerun_failed(&tests)?;
    }
    let (report, path) = bench.report()?;
    let not_yet = if args.allow_not_yet { NotYet::IsAllowed } else { NotYet::Counts };
    let judged = Judged::new(Matrix::of(&report, &tests, not_yet), path);
    args.write_junit(&judged.matrix)?;
    if args.tap {
        ctx.line(tap::text(&judged.matrix).trim_end())?
    } else {
        ctx.data(&judged)?
    }
    Ok(judged.answer.outcome())
}

/// No test is of the classes and the name that were given.
#[derive(Debug, thiserror::Error)]
#[error("no test is called `{0}` in these classes")]
pub(crate) struct NoTest(String);

impl NoTest {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        Some("see every test with `stationmaster test list`".to_owned())
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        sm_model::exit::USAGE
    }
}

impl Args {
    fn chosen(&self) -> anyhow::Result<Vec<&'static Test>> {
        let classes: Vec<Class> = self.suite.iter().copied().map(Class::from).collect();
        let tests: Vec<_> = catalog::choose(&classes, self.only.as_deref()).collect();
        if tests.is_empty() {
            return Err(NoTest(self.only.clone().unwrap_or_default()).into());
        }
        Ok(tests)
    }

    fn write_junit(&self, matrix: &Matrix) -> anyhow::Result<()> {
        let Some(folder) = &self.junit else { return Ok(()) };
        let path = folder.join(format!("stationmaster-{}.xml", matrix.version));
        sm_host::files::write_atomic(&path, junit::text(matrix).as_bytes())
            .with_context(|| format!("cannot write JUnit XML into `{}`", folder.display()))
    }
}
