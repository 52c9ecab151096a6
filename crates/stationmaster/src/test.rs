//! `stationmaster test`: is this release good? The tests are `sm_vmtest::suite`'s, the verdicts `sm_release`'s; this verb
//! carries them out, keeps the reports beside the release and the history in the store, and tells the answer.

mod answer;
mod bench;
mod burn_in;
mod history;
mod investigate;
mod list;
mod quarantine;
pub(crate) mod quick;
mod release;
mod rerun;
mod run;
mod scratch;
mod show;
mod stage;

use std::{
    io,
    path::{Path, PathBuf},
};

use sm_host::files::FileError;
use sm_model::Arch;
use sm_store::TestHistory;
use sm_vmtest::suite::{
    catalog::{self, Class, Test},
    external,
};

use crate::context::{Context, Outcome};

/// The project's own reviewed lists.
const LISTS: &str = "os/boxcar/tests";

const EXAMPLES: &str = "\
Examples:
  stationmaster test 4893.0.1
      Run the whole suite at a release below `releases`.
  stationmaster test releases/alpha/amd64-usr/current --suite offline
      Look into the artifacts only; no machine is started.
  stationmaster test 4893.0.1 --only 'image.*' --tap
      Some of the tests, as TAP.
  stationmaster test show releases/alpha/amd64-usr/reports/.../...-0001.json
      The verdicts of a report, computed anew from its attempts.
  stationmaster test history boot.uefi
      How often a test failed, with an interval.

The report lies beside the release, in reports/VERSION-DIGEST/. It is never
edited: running again adds attempts, in a next report, and removes none. A
test that fails runs twice more, alone: that too only adds evidence.

Exit codes: 0 good; 8 not good: a required test failed; 10 could not be
judged: none failed, but one could not be carried out, was skipped, was not
run, or does not exist yet.";

/// Tell whether a release is good: run the test suite at it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: run::Args,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show every test: what it needs, what its failure means, what it asserts.
    List(list::Args),
    /// Compute a report's verdicts anew from its attempts, and check its logs.
    Show(Box<show::Args>),
    /// Run the tests of a report again that did not pass.
    Rerun(Box<rerun::Args>),
    /// Show how often a test failed, with an interval.
    History(history::Args),
    /// Spend repeats on the tests that were observed least.
    BurnIn(Box<burn_in::Args>),
    /// Find out who broke a test: the image, the suite, or the surroundings.
    Investigate(Box<investigate::Args>),
    /// Mute a known failure for a time; the test goes on being run.
    Quarantine(quarantine::Args),
}

/// Where everything lies that a run needs.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Places {
    /// Where releases lie.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    root: PathBuf,
    /// The recipe whose tools look into images and start machines.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// The tools' lock [default: tools-ARCH.lock beside the recipe].
    #[arg(long, value_name = "FILE")]
    tools_lock: Option<PathBuf>,
    /// Folder of the reviewed lists [default: tests/ beside the recipe].
    #[arg(long, value_name = "DIR")]
    lists: Option<PathBuf>,
    /// Folder of external tests, in kola's form [default: external/ beside the lists].
    #[arg(long, value_name = "DIR")]
    external: Option<PathBuf>,
    /// A second composition of the same release, to compare with.
    #[arg(long, value_name = "DIR")]
    twin: Option<PathBuf>,
    /// Where reports go [default: reports/ beside the release].
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,
    #[command(flatten)]
    store: Store,
    /// Where working files go [default: the system's temporary folder].
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Where an archive is, instead of what APT says; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    mirror: Vec<String>,
    #[command(flatten)]
    machines: stage::Machines,
}

impl Places {
    fn lists(&self) -> PathBuf {
        self.lists.clone().unwrap_or_else(|| self.recipe.with_file_name("tests"))
    }

    fn external(&self) -> anyhow::Result<PathBuf> {
        external_folder(self.external.as_deref(), &self.lists())
    }

    /// Every test, built in or external.
    fn all_tests(&self) -> anyhow::Result<impl Iterator<Item = &'static Test>> {
        Ok(catalog::ALL.iter().chain(external::load(&self.external()?, Arch::Amd64)?.tests))
    }
}

/// The folder of external tests: the one that was named, which must be there, or the one beside the lists, which need not.
fn external_folder(named: Option<&Path>, lists: &Path) -> anyhow::Result<PathBuf> {
    match named {
        Some(folder) if !folder.is_dir() => {
            let kind = if folder.exists() { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound };
            Err(FileError::io("list", folder)(kind.into()).into())
        }
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(lists.join("external")),
    }
}

/// Where the history is kept.
#[derive(Debug, Clone, Default, clap::Args)]
struct Store {
    /// The history of all tests is kept here; made where it is missing.
    #[arg(long, value_name = "FILE", default_value = "stationmaster.db")]
    db: PathBuf,
}

/// There is no history where one was to be read.
#[derive(Debug, thiserror::Error)]
#[error("there is no history at `{}`", .0.display())]
pub(crate) struct NoHistory(PathBuf);

impl NoHistory {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        Some("name it with `--db`; the first `stationmaster test RELEASE` makes one".to_owned())
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        sm_model::exit::STORAGE
    }
}

impl Store {
    /// The history, to be read: none is made.
    fn read(&self) -> anyhow::Result<TestHistory> {
        if !self.db.exists() {
            return Err(NoHistory(self.db.clone()).into());
        }
        Ok(TestHistory::open(&self.db)?)
    }
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

pub(crate) use answer::{Answer, Judged};
pub(crate) use quarantine::Refused;
pub(crate) use rerun::NotOurs;
pub(crate) use show::Doubtful;

/// Which tests are meant.
#[derive(Debug, clap::Args)]
struct Choice {
    /// Classes of tests [default: all].
    #[arg(long, value_name = "CLASS", value_enum, value_delimiter = ',')]
    suite: Vec<Suite>,
    /// Only tests whose names match: `*` stands for any characters.
    #[arg(long, value_name = "GLOB")]
    only: Option<String>,
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

impl Choice {
    /// Of the built-in tests and external ones in a folder, those that are meant.
    fn tests(&self, external: &Path) -> anyhow::Result<Vec<&'static Test>> {
        let classes: Vec<Class> = self.suite.iter().copied().map(Class::from).collect();
        let external = external::load(external, Arch::Amd64)?;
        let all = catalog::ALL.iter().chain(external.tests);
        let tests: Vec<_> = catalog::choose_from(all, &classes, self.only.as_deref()).collect();
        if tests.is_empty() {
            return Err(NoTest(self.only.clone().unwrap_or_default()).into());
        }
        Ok(tests)
    }
}

pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match &args.verb {
        None => run::run(&args.run, ctx),
        Some(Verb::List(args)) => list::run(args, ctx),
        Some(Verb::Show(args)) => show::run(args, ctx),
        Some(Verb::Rerun(args)) => rerun::run(args, ctx),
        Some(Verb::History(args)) => history::run(args, ctx),
        Some(Verb::BurnIn(args)) => burn_in::run(args, ctx),
        Some(Verb::Investigate(args)) => investigate::run(args, ctx),
        Some(Verb::Quarantine(args)) => quarantine::run(args, ctx),
    }
}
