//! Recipe to release, against mmdebstrap, which makes a tar of a tree from the same packages and nothing more.

use std::{
    cell::Cell,
    fs::{self, File},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Manner,
    measure::{Side, in_turns},
    mmdebstrap::{Mmdebstrap, Variant},
    report::Report,
    workplace::Workplace,
};

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the peer out: only our own numbers.
    #[arg(long)]
    alone: bool,
    /// Where an archive is (NAME=URL) for both sides, instead of what APT says;
    /// repeatable.
    #[arg(long)]
    mirror: Vec<String>,
    #[command(flatten)]
    manner: Manner,
}

const OURS: &str = "stationmaster compose (whole release)";
const INSTALLED: &str = "mmdebstrap (tar of an installed tree)";
const EXTRACTED: &str = "mmdebstrap (tar of an unpacked tree)";

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let workplace = Workplace::open(&args.mirror)?;
    let cpus = args.manner.cpus.as_str();
    let ours = Composing { workplace: &workplace, cpus, n_runs: Cell::new(0) };
    let peer = (!args.alone).then(|| Mmdebstrap::open(&workplace, &args.mirror)).transpose()?;
    // Fills the caches of both. An earlier benchmark's release may have come of other inputs.
    workplace.clear()?;
    crate::cargo::must(workplace.compose(cpus), "stationmaster compose")?;
    if let Some(peer) = &peer {
        peer.warm_up(cpus)?;
    }
    let clear = || workplace.clear();
    let compose = || ours.command();
    let mut sides = vec![Side { name: OURS, prepare: &clear, command: &compose }];
    let nothing = || Ok(());
    let install =
        || peer.as_ref().map_or_else(|| ours.command(), |peer| peer.command(Variant::Essential, cpus));
    let extract =
        || peer.as_ref().map_or_else(|| ours.command(), |peer| peer.command(Variant::Extract, cpus));
    if peer.is_some() {
        sides.push(Side { name: INSTALLED, prepare: &nothing, command: &install });
        sides.push(Side { name: EXTRACTED, prepare: &nothing, command: &extract });
    }
    let mut report = Report::new("compose", cpus);
    for (side, costs) in sides.iter().zip(in_turns(&sides, &args.manner)?) {
        report.side(side.name, costs)?;
    }
    judge(&mut report, ours.secs_to_disk_image()?);
    report.print(args.manner.json)?;
    Ok(ExitCode::SUCCESS)
}

fn judge(report: &mut Report, disk_image_secs: f64) {
    report.at_most("seconds from recipe to disk image", 8.0, disk_image_secs);
    if let Some(theirs) = report.wall_secs(INSTALLED) {
        report.at_least("times faster than an installed tree", 4.0, theirs / disk_image_secs);
    }
    if let Some(theirs) = report.wall_secs(EXTRACTED) {
        report.at_least("times faster than an unpacked tree", 1.0, theirs / disk_image_secs);
    }
    if let Some(peak_bytes) = report.peak_bytes(OURS) {
        report.at_most("MiB of memory", 1024.0, peak_bytes as f64 / f64::from(1 << 20));
    }
}

/// Our own runs, each of which tells its steps in a file.
struct Composing<'a> {
    workplace: &'a Workplace,
    cpus: &'a str,
    n_runs: Cell<usize>,
}

impl Composing<'_> {
    fn command(&self) -> Command {
        let mut command = self.workplace.compose(self.cpus);
        self.n_runs.set(self.n_runs.get() + 1);
        // Without the file, the reading of it tells.
        let told = File::create(self.told(self.n_runs.get())).map_or_else(|_| Stdio::null(), Stdio::from);
        command.arg("--json").stdout(told);
        command
    }

    fn told(&self, run: usize) -> PathBuf {
        self.workplace.path(&format!("compose-{run}.json"))
    }

    /// The median of the time until the disk image was complete: every step but the writing of the release.
    fn secs_to_disk_image(&self) -> Result<f64> {
        let runs = (1..=self.n_runs.get()).map(|run| {
            let path = self.told(run);
            let text = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            secs_before_release(&serde_json::from_slice(&text)?).context("no steps were told")
        });
        let mut secs = runs.collect::<Result<Vec<f64>>>()?;
        secs.sort_by(f64::total_cmp);
        secs.get(secs.len() / 2).copied().context("nothing was composed")
    }
}

/// Sum of all steps but `release` in what `compose --json` told.
fn secs_before_release(told: &Value) -> Option<f64> {
    let steps = told["steps"].as_array()?.iter().filter(|step| step["step"] != "release");
    let millis: Option<Vec<u64>> = steps.map(|step| step["millis"].as_u64()).collect();
    Some(millis?.iter().sum::<u64>() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_image_is_there_before_the_release_is_written() {
        let told = serde_json::json!({"steps": [
            {"step": "lock", "millis": 1}, {"step": "image", "millis": 2500}, {"step": "release", "millis": 9000},
        ]});
        assert_eq!(secs_before_release(&told), Some(2.501));
        assert_eq!(secs_before_release(&serde_json::json!({"steps": [{"step": "image"}]})), None);
    }
}
