//! `release publish`: from the decision to public bytes. Asked again after an interruption it goes on where it was.

use std::path::PathBuf;

use anyhow::Context as _;
use sm_model::FileName;
use sm_release::train::Command;
use sm_store::LockHeld;

use super::run::staged;
use crate::{
    context::{Context, Outcome},
    project::{Meant, Project},
    told,
};

/// Publish a release, or go on publishing it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    meant: Meant,
    /// Where composed releases wait.
    #[arg(long, value_name = "DIR", default_value = "staged")]
    staged: PathBuf,
    /// Where releases are public.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    root: PathBuf,
    /// The files are made public by somebody else: only record it, in two steps.
    #[arg(long)]
    elsewhere: bool,
}

pub(super) fn run(args: &Args, project: &mut Project<'_>, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let which = project.which(&args.meant)?;
    let name: FileName = format!("publish-{}-{}", which.train, which.channel).parse()?;
    let _held = LockHeld::acquire(project.database(), &name, &format!("{}: publish", project.who()?))?;
    let mut events = project.ask_once(Command::BeginPublish(which))?;
    if !args.elsewhere {
        let (_, release) =
            project.state.release(which.train, which.channel).context("the release is gone")?;
        for (board, state) in &release.boards {
            let found = staged(&args.staged, *board, &release.plan)?;
            let found = found.with_context(|| format!("no staged release for {board}"))?;
            if found.manifest_sha256() != state.inputs.candidate.manifest {
                anyhow::bail!("`{}` is not the release that was decided on", found.path().display());
            }
            sm_pipeline::publish::publish(&found, &args.root, ctx.progress)?;
        }
    }
    events.extend(project.ask_once(Command::EndPublish(which))?);
    told::tell(ctx, &events)
}
