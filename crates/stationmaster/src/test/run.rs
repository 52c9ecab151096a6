//! `stationmaster test IMAGE`: runs the tests, keeps the report, tells the answer.

use std::path::PathBuf;

use anyhow::Context as _;
use sm_model::test_report::Isolation;
use sm_vmtest::suite::{
    catalog::Test,
    junit,
    matrix::{Matrix, NotYet},
    tap,
};

use super::{Choice, Places, answer::Judged, bench::Bench};
use crate::context::{Context, Outcome};

/// What to run, at what, and how to tell it.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// A release directory, an image in one, or a VERSION below the root.
    #[arg(required = true)]
    image: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// How often to run each test.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Do not run failed tests again, each twice and alone.
    #[arg(long)]
    no_rerun: bool,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    places: Places,
}

/// How the answer is told.
#[derive(Debug, clap::Args)]
pub(super) struct Telling {
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

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let tests = args.choice.tests(&args.places.external()?)?;
    let image = args.image.as_deref().context("no release was named")?;
    let bench = Bench::set_up(image, &args.places, ctx)?;
    for round in (1..=args.repeat).take_while(|_| !bench.is_cancelled()) {
        if args.repeat > 1 {
            ctx.progress.note(&format!("round {round} of {}", args.repeat));
        }
        bench.run(&tests, Isolation::Suite)?;
    }
    if !args.no_rerun {
        bench.rerun_failed(&tests)?;
    }
    args.telling.tell(&bench, &tests, ctx)
}

impl Telling {
    /// Reads the newest report and tells what it adds up to.
    pub(super) fn tell(
        &self,
        bench: &Bench<'_>,
        tests: &[&'static Test],
        ctx: &Context<'_>,
    ) -> anyhow::Result<Outcome> {
        let (matrix, report) = bench.matrix(tests, self.not_yet())?;
        let judged = Judged::new(matrix, report);
        self.print(&judged.matrix, &judged, ctx)?;
        Ok(judged.answer.outcome())
    }

    /// What becomes of tests of what does not exist yet.
    pub(super) const fn not_yet(&self) -> NotYet {
        if self.allow_not_yet { NotYet::IsAllowed } else { NotYet::Counts }
    }

    /// Writes the matrix as it is wanted; as text or JSON it is part of `whole`.
    pub(super) fn print<T: serde::Serialize + std::fmt::Display>(
        &self,
        matrix: &Matrix,
        whole: &T,
        ctx: &Context<'_>,
    ) -> anyhow::Result<()> {
        self.write_junit(matrix)?;
        if self.tap { Ok(ctx.line(tap::text(matrix).trim_end())?) } else { ctx.data(whole) }
    }

    fn write_junit(&self, matrix: &Matrix) -> anyhow::Result<()> {
        let Some(folder) = &self.junit else { return Ok(()) };
        let path = folder.join(format!("stationmaster-{}.xml", matrix.version));
        sm_host::files::write_atomic(&path, junit::text(matrix).as_bytes())
            .with_context(|| format!("cannot write JUnit XML into `{}`", folder.display()))
    }
}
