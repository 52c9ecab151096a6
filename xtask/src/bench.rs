//! Benchmarks: claims of speed and memory, each against a named peer in the same run. Never a test.
//!
//! The measured programs are the release programs as users run them; time and memory are the kernel's own account of each.

mod boot;
mod compose;
mod measure;
mod mmdebstrap;
mod payload;
mod peer;
mod report;
mod suite;
mod workplace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// Which benchmark to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// First boot of a composed image until nothing is left to start.
    Boot(boot::Args),
    /// Recipe to disk image from a warm cache, against mmdebstrap's tar of the
    /// same package list.
    Compose(compose::Args),
    /// Full update payload of a composed image, against bzip2 of the same image.
    Payload(payload::Args),
    /// The release suite's timeline, and what share of it is spent booting.
    Suite(suite::Args),
}

/// How a comparison is run and told.
#[derive(Debug, clap::Args)]
struct Manner {
    /// Processors that both sides are held to, as taskset(1) takes them.
    #[arg(long, default_value = "0,1")]
    cpus: String,
    /// How often each side runs; medians are told.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a benchmark and prints its table.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Boot(args) => boot::run(args),
        What::Compose(args) => compose::run(args),
        What::Payload(args) => payload::run(args),
        What::Suite(args) => suite::run(args),
    }
}
