//! `stationmaster diff`: what differs between two releases.

use std::path::{Path, PathBuf};

use sm_compose::{diff::Diff, release::ReleaseDir};

use crate::context::{Context, Outcome};

const EXAMPLES: &str = "\
Examples:
  stationmaster diff alpha/amd64-usr/4893.0.0 alpha/amd64-usr/4893.0.1
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
    /// The older release: a directory, or CHANNEL/BOARD/VERSION below the root.
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
    let open = |named: &Path| ReleaseDir::open(&place(&args.root, named));
    let diff = Diff::between(&open(&args.old)?, &open(&args.new)?, args.top)?;
    if ctx.json {
        ctx.json_document(&diff)?
    } else {
        ctx.line(diff.to_string().trim_end())?
    }
    Ok(Outcome::Done)
}

/// A release as named: itself where it is a directory, otherwise below the root.
fn place(root: &Path, named: &Path) -> PathBuf {
    if named.is_dir() { named.to_owned() } else { root.join(named) }
}
