//! Full update payload of an image, against `bzip2 -9` of the same image, which is what the format's other writers spend.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Result, ensure};

use super::{
    Manner,
    measure::{Side, in_turns, pinned},
    peer::provide,
    report::Report,
    workplace::Workplace,
};
use crate::cargo::{must, program};

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The /usr image [default: that of a release composed for it].
    #[arg(long, requires = "kernel", value_name = "FILE")]
    image: Option<PathBuf>,
    /// The kernel image.
    #[arg(long, requires = "image", value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Where an archive is (NAME=URL), instead of what APT says; repeatable.
    #[arg(long)]
    mirror: Vec<String>,
    #[command(flatten)]
    manner: Manner,
}

const OURS: &str = "stationmaster payload build";

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let workplace = Workplace::open(&args.mirror)?;
    let cpus = args.manner.cpus.as_str();
    let (image, kernel) = match (&args.image, &args.kernel) {
        (Some(image), Some(kernel)) => (image.clone(), kernel.clone()),
        _ => composed(&workplace, cpus)?,
    };
    let bzip2 = provide("bzip2", "bzip2")?;
    let build = || {
        let mut build = workplace.stationmaster(cpus);
        build.args(["payload", "build", "--image"]).arg(&image).arg("--kernel").arg(&kernel);
        build.arg("--key").arg(workplace.key()).arg("--output").arg(workplace.path("update.gz"));
        build
    };
    let compress = || {
        let mut compress = pinned(cpus, &bzip2);
        compress.args(["-9", "-k", "-c"]).arg(&image).stdout(Stdio::null());
        compress
    };
    let nothing = || Ok(());
    let sides = [
        Side { name: OURS, prepare: &nothing, command: &build },
        Side { name: "bzip2 -9 (image alone)", prepare: &nothing, command: &compress },
    ];
    let mut report = Report::new("payload", cpus);
    for (side, costs) in sides.iter().zip(in_turns(&sides, &args.manner)?) {
        report.side(side.name, costs)?;
    }
    judge(&mut report, fs::metadata(&image)?.len() + fs::metadata(&kernel)?.len());
    report.print(args.manner.json)?;
    Ok(ExitCode::SUCCESS)
}

fn judge(report: &mut Report, image_bytes: u64) {
    let (cpu_secs, peak_bytes) = (report.cpu_secs(OURS), report.peak_bytes(OURS));
    if let Some(cpu_secs) = cpu_secs {
        report.at_least("MB of images per second and core", 100.0, image_bytes as f64 / 1e6 / cpu_secs);
    }
    if let Some(peak_bytes) = peak_bytes {
        report.at_most("MiB of memory", 64.0, peak_bytes as f64 / f64::from(1 << 20));
    }
}

/// The images of a release that is composed now unless an earlier run has.
fn composed(workplace: &Workplace, cpus: &str) -> Result<(PathBuf, PathBuf)> {
    let release = workplace.composed(cpus)?;
    let image = workplace.path("usr.erofs");
    let zstd = provide("zstd", "zstd")?;
    must(unpack(&zstd, &release.join("boxcar_production_update.bin.zst"), &image), "zstd")?;
    let kernel = release.join("boxcar_production_image.vmlinuz");
    ensure!(kernel.is_file(), "the composed release has no `{}`", kernel.display());
    Ok((image, kernel))
}

fn unpack(zstd: &Path, packed: &Path, to: &Path) -> Command {
    let mut unpack = program(zstd);
    unpack.args(["--decompress", "--quiet", "--force"]).arg(packed).arg("-o").arg(to);
    unpack
}
