//! Repository tasks, run as `cargo xtask TASK`. It drives cargo and the programs of this workspace; it contains none of their work.

mod bench;
mod cargo;
mod dist;
mod release;
mod sabotage;
mod steps;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Tasks of the Stationmaster repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Do the main job on real input: compose Boxcar Linux, boot it, let it
    /// update itself, let a broken release fall back.
    Demo {
        /// Arguments for `stationmaster demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Pass all tests: format, lints, tidy, unit, property, integration, one
    /// VM that updates itself, and the release suite at what it runs.
    Test {
        /// Leave the VM out. The run then says so, and does not count as passed.
        #[arg(long, conflicts_with = "full")]
        no_vm: bool,
        /// Run every test of the release suite, not only the quick classes,
        /// see each of them fail at an image broken on purpose, and vote in a
        /// room of a real homeserver (Synapse, from the Python index).
        #[arg(long)]
        full: bool,
    },
    /// Break images on purpose, and tell whether the release suite notices:
    /// the proof that every test can fail.
    Sabotage(sabotage::Args),
    /// Check the house rules that no compiler checks.
    Tidy,
    /// Measure speed and memory against a named peer in the same run.
    Bench(bench::Args),
    /// Build release programs, man pages and shell completions into a folder.
    Dist {
        /// The folder.
        #[arg(default_value = "target/dist")]
        out: std::path::PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            steps::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Demo { args } => demo(&args),
        Task::Test { no_vm: true, .. } => steps::test(steps::Run::NoVm),
        Task::Test { full: true, .. } => steps::test(steps::Run::Full),
        Task::Test { .. } => steps::test(steps::Run::Usual),
        Task::Sabotage(args) => sabotage::run(&args),
        Task::Tidy => steps::tidy_only(),
        Task::Bench(args) => bench::run(&args),
        Task::Dist { out } => dist::run(&out),
    }
}

fn demo(args: &[String]) -> Result<ExitCode> {
    let programs = cargo::release_programs()?;
    let status = cargo::program(&programs.join("stationmaster")).arg("demo").args(args).status()?;
    Ok(u8::try_from(status.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from))
}
