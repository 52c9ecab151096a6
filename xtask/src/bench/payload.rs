//! Full update payload of an image, against `bzip2 -9` of the same image, which is what the format's other writers spend.

use std::{
    fs,
    path::PathBuf,
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result};

use super::measure::{measure, table};
use crate::{
    cargo::{program, release_programs, target_dir},
    steps::say,
};

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The /usr image.
    #[arg(long)]
    image: PathBuf,
    /// The kernel image.
    #[arg(long)]
    kernel: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let stationmaster = release_programs()?.join("stationmaster");
    let work = target_dir()?.join("bench/payload");
    let keys = work.join("keys");
    if !keys.exists() {
        fs::create_dir_all(&work)?;
        let mut keygen = program(&stationmaster);
        keygen.args(["payload", "keygen"]).arg(&keys);
        measure(keygen, "keygen")?;
    }
    let key = fs::read_dir(&keys)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| !path.to_string_lossy().contains(".pub."))
        .context("keygen made no private key")?;
    let mut build = program(&stationmaster);
    build.args(["--quiet", "payload", "build", "--image"]).arg(&args.image).arg("--kernel").arg(&args.kernel);
    build.arg("--key").arg(key).arg("--output").arg(work.join("update.gz")).stdout(Stdio::null());
    let ours = measure(build, "stationmaster payload build")?;
    let mut peer = program("bzip2".as_ref());
    peer.args(["-9", "-k", "-c"]).arg(&args.image).stdout(Stdio::null());
    let theirs = measure(peer, "bzip2")?;
    say(&table(&[("stationmaster payload build", ours), ("bzip2 -9 (image alone)", theirs)]));
    let image_mb = fs::metadata(&args.image)?.len() as f64 / 1e6;
    say(&format!(
        "{image_mb:.0} MB of image: {:.0} MB/s of wall time, {:.0} MB/s per core",
        image_mb / ours.wall_secs,
        image_mb / ours.cpu_secs
    ));
    Ok(ExitCode::SUCCESS)
}
