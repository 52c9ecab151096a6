//! Recipe to complete disk image, against mmdebstrap, which makes a tar of a tree from the same packages and nothing more.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use super::measure::{Cost, measure, table};
use crate::{
    cargo::{program, release_programs, root, target_dir},
    steps::say,
};

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the peer out: only our own numbers.
    #[arg(long)]
    alone: bool,
    /// Mirror of the `debian` archive for both; the host's own when absent.
    #[arg(long)]
    mirror: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let stationmaster = release_programs()?.join("stationmaster");
    let work = target_dir()?.join("bench/compose");
    fs::create_dir_all(&work)?;
    let lock = work.join("lock.toml");
    measure(compose(&stationmaster, args, &work, &lock), "the warm-up")?;
    let ours = measure(compose(&stationmaster, args, &work, &lock), "stationmaster compose")?;
    let mut rows = vec![("stationmaster compose (whole release)", ours)];
    if !args.alone {
        rows.push(("mmdebstrap (tar of a tree)", peer(args, &work, &lock)?));
    }
    say(&table(&rows));
    Ok(ExitCode::SUCCESS)
}

fn compose(stationmaster: &Path, args: &Args, work: &Path, lock: &Path) -> Command {
    let mut compose = program(stationmaster);
    compose.args([
        "--quiet",
        "compose",
        "--version",
        "4000.0.0",
        "--source-date",
        "2026-01-01T00:00:00Z",
        "--lock",
    ]);
    compose.arg(lock).arg("--out").arg(work.join("out"));
    if let Some(mirror) = &args.mirror {
        compose.arg("--mirror").arg(format!("debian={mirror}"));
    }
    compose
}

fn peer(args: &Args, work: &Path, lock: &Path) -> Result<Cost> {
    let Some(mmdebstrap) = ["/usr/bin", "/usr/local/bin"]
        .map(|dir| PathBuf::from(dir).join("mmdebstrap"))
        .into_iter()
        .find(|p| p.exists())
    else {
        bail!(
            "mmdebstrap, the peer of this benchmark, is not installed: install the package `mmdebstrap`, or use --alone"
        );
    };
    let mut command = program(&mmdebstrap);
    command.args(["--quiet", "--variant=custom", "--architectures=amd64"]);
    command.arg(format!("--include={}", package_names(lock)?.join(",")));
    command.arg("trixie").arg(work.join("peer.tar"));
    command.args(&args.mirror);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(root());
    measure(command, "mmdebstrap")
}

/// Names in a lock file, which has one `name = "…"` line per package.
fn package_names(lock: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(lock).with_context(|| format!("cannot read `{}`", lock.display()))?;
    let names = text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    Ok(names.map(str::to_owned).collect())
}
