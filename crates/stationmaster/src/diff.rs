//! `stationmaster diff`: what differs between two releases.

use std::path::{Path, PathBuf};

use sm_compose::diff::Diff;

use crate::{
    context::{Context, Outcome},
    named,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster diff 4893.0.0 4893.0.1
      Compare two releases below `releases`.
  stationmaster diff /srv/old/4893.0.0 alpha/amd64-usr/current --json
      Compare any release directory with the newest one, as JSON.

Packages and files are compared by the releases' own lists, which are checked
against their manifests first. CVE ids are those that the changelogs of the
newer release's packages name between the two versions.";

/// Tell what differs between two releases: packages, CVE ids, files, kernel.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The older release: a directory, CHANNEL/BOARD/VERSION below the root, or
    /// a version that only one release there has.
    old: PathBuf,
    /// The newer release.
    new: PathBuf,
    /// Where releases lie.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    root: PathBuf,
    /// How many files of each sort to name, largest first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let open = |release: &Path| named::open(&args.root, release);
    let diff = Diff::between(&open(&args.old)?, &open(&args.new)?, args.top)?;
    if ctx.json {
        ctx.json_document(&diff)?
    } else {
        ctx.line(diff.to_string().trim_end())?
    }
    Ok(Outcome::Done)
}
