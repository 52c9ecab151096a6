//! `release run`: the steps that the system does: compose, compare, test. Everything that is recorded is not done again, and what
//! was done but not recorded, because the machine stopped in between, is found and recorded.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sm_compose::release::ReleaseDir;
use sm_host::files::FileError;
use sm_model::{Board, Channel, FileName, TrainId, train::PlannedRelease};
use sm_release::train::command::Which;
use sm_store::LockHeld;

use super::evidence;
use crate::{
    compose,
    context::{Context, Outcome},
    evidence as reports, named,
    project::Project,
    told,
};

/// Do what the system can do now: compose, compare, test.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The train [default: the only one on its way].
    #[arg(long, value_name = "DAY")]
    train: Option<TrainId>,
    /// Only this channel.
    #[arg(long)]
    channel: Option<Channel>,
    /// The recipe.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// Private key that signs payloads.
    #[arg(long, value_name = "FILE")]
    payload_key: PathBuf,
    /// Where composed releases wait.
    #[arg(long, value_name = "DIR", default_value = "staged")]
    staged: PathBuf,
    /// Where releases are public: what comes before is looked for there.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    root: PathBuf,
    /// Tests to run: all, or only those that need no machine.
    #[arg(long, value_name = "SUITE")]
    suite: Option<String>,
    /// The update agent's binary [default: beside this program].
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

pub(super) fn run(args: &Args, project: &mut Project<'_>, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let train = project.train(args.train)?;
    let name: FileName = format!("run-{train}").parse()?;
    let _held = LockHeld::acquire(project.database(), &name, &format!("{}: run", project.who()?))?;
    let going: Vec<Channel> = project
        .state
        .trains
        .get(&train)
        .into_iter()
        .flat_map(|train| train.going())
        .map(|(channel, _)| channel)
        .filter(|channel| args.channel.is_none_or(|only| only == *channel))
        .collect();
    let mut events = Vec::new();
    for channel in going {
        let which = Which { train, channel };
        let running = Running { args, which, ctx };
        let staged = running.compose(project, &mut events)?;
        running.compare(project, &staged, &mut events)?;
        running.test(project, &staged, &mut events)?;
    }
    told::tell(ctx, &events)
}

/// The staged release of a plan, if it is there.
pub(super) fn staged(root: &Path, board: Board, plan: &PlannedRelease) -> anyhow::Result<Option<ReleaseDir>> {
    let path = root.join(plan.channel.to_string()).join(board.to_string()).join(plan.version.to_string());
    if path.is_dir() { Ok(Some(ReleaseDir::open(&path)?)) } else { Ok(None) }
}

/// Whether a second composition of a release is among its evidence.
pub(super) fn is_composed_twice(release: &ReleaseDir) -> anyhow::Result<bool> {
    let manifest = release.manifest_sha256();
    let folder = reports::folder(release.path(), release.manifest().version, &manifest, None)?;
    Ok(reports::second(&folder)?.is_some())
}

struct Running<'a> {
    args: &'a Args,
    which: Which,
    ctx: &'a Context<'a>,
}

impl Running<'_> {
    fn release<'p>(&self, project: &'p Project<'_>) -> anyhow::Result<&'p sm_release::train::Release> {
        let found = project.state.release(self.which.train, self.which.channel);
        found.map(|(_, release)| release).context("the release is gone")
    }

    /// Composes the release, twice, unless that was done, and records it.
    fn compose(
        &self,
        project: &mut Project<'_>,
        events: &mut Vec<sm_model::release_event::Event>,
    ) -> anyhow::Result<ReleaseDir> {
        let board = Board(compose::host_arch()?);
        let plan = self.release(project)?.plan.clone();
        let is_recorded = self.release(project)?.boards.contains_key(&board);
        let found = match staged(&self.args.staged, board, &plan)? {
            Some(found) if is_recorded || is_composed_twice(&found)? => found,
            // Also what a run that died between the two compositions left: the same inputs give the same bytes.
            _ => {
                self.verb(&self.compose_line(&plan))?;
                staged(&self.args.staged, board, &plan)?.context("composing left no release")?
            }
        };
        let manifest = found.manifest_sha256();
        let recorded = self.release(project)?.boards.get(&board);
        if recorded.is_none_or(|state| state.inputs.candidate.manifest != manifest) {
            events.extend(evidence::composed(project, self.which, &found)?);
        }
        Ok(found)
    }

    fn compose_line(&self, plan: &PlannedRelease) -> Vec<OsString> {
        let mut line = words(["compose", "--channel", &plan.channel.to_string()]);
        line.extend(words(["--version", &plan.version.to_string()]));
        let paths = [
            ("--recipe", Some(&self.args.recipe)),
            ("--key", Some(&self.args.payload_key)),
            ("--out", Some(&self.args.staged)),
            ("--agent", self.args.agent.as_ref()),
        ];
        for (option, path) in paths {
            line.extend(path.into_iter().flat_map(|path| [option.into(), path.into()]));
        }
        // Twice, so that a release can be composed anew by anybody; what differs fails `image.reproducible`.
        line.push("--verify".into());
        line
    }

    fn compare(
        &self,
        project: &mut Project<'_>,
        staged: &ReleaseDir,
        events: &mut Vec<sm_model::release_event::Event>,
    ) -> anyhow::Result<()> {
        let release = self.release(project)?;
        let board = staged.manifest().board;
        let is_compared = release.boards.get(&board).is_some_and(|state| state.inputs.diff.is_some());
        let Some(previous) = release.plan.previous.filter(|_| !is_compared) else { return Ok(()) };
        let before = named::open(&self.args.root, Path::new(&previous.to_string()))?;
        events.extend(evidence::compared(project, self.which, staged, &before)?);
        Ok(())
    }

    /// Tests the release unless a report is recorded; a report that lies there unrecorded is taken.
    fn test(
        &self,
        project: &mut Project<'_>,
        staged: &ReleaseDir,
        events: &mut Vec<sm_model::release_event::Event>,
    ) -> anyhow::Result<()> {
        let board = staged.manifest().board;
        let is_tested = |project: &Project<'_>| {
            let release = self.release(project).ok();
            release.and_then(|r| r.boards.get(&board)).is_some_and(|state| !state.reports.is_empty())
        };
        if is_tested(project) {
            return Ok(());
        }
        let manifest = staged.manifest_sha256();
        let folder = reports::folder(staged.path(), staged.manifest().version, &manifest, None)?;
        if reports_in(&folder)?.is_empty() {
            let mut line = vec!["test".into(), staged.path().into()];
            line.extend(["--recipe".into(), self.args.recipe.clone().into()]);
            line.extend(["--db".into(), project.database().into()]);
            line.extend(self.args.suite.iter().flat_map(|suite| words(["--suite", suite])));
            self.verb(&line)?;
        }
        for report in reports_in(&folder)? {
            events.extend(evidence::tested(project, self.which, staged, &report)?);
        }
        Ok(())
    }

    /// Runs another verb as if it had been typed.
    fn verb(&self, line: &[OsString]) -> anyhow::Result<Outcome> {
        crate::run_line(line, self.ctx)
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).into()
}

/// Test reports of a folder, in the order they were made.
fn reports_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(FileError::io("list", folder)(error).into()),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    // SUITE-NUMBER.json, as `stationmaster test` names them.
    let is_report = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_suffix(".json").and_then(|stem| stem.rsplit_once('-'));
        number.is_some_and(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut reports: Vec<PathBuf> = paths.into_iter().filter(is_report).collect();
    reports.sort();
    Ok(reports)
}
