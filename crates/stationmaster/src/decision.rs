//! `stationmaster decision verify`: computes a decision again from its exported bundle, offline, and says what was checked.

use std::path::PathBuf;

use clap::Subcommand;
use sm_host::files::{read_limited, read_text};
use sm_release::{
    bundle::{DecisionBundle, MAX_BUNDLE_BYTES, verify},
    rules::Maintainers,
    train::{Refusal, Refusals},
};

use crate::context::{Context, Outcome};

const EXAMPLES: &str = "\
Examples:
  stationmaster decision verify alpha-4902.0.0.json
      Check every signature and digest, ask the gate, count the votes again.
  stationmaster decision verify alpha-4902.0.0.json \\
      --maintainers os/boxcar/release/maintainers.toml
      And compare the keys with a file that you trust.

Needs no network, no store and no key. Whatever is changed in a bundle, one
line or another says WRONG, and the exit code is 8.";

/// Verify a decision that was exported.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check everything that can be checked, and list what cannot.
    Verify {
        /// The bundle that `go export` wrote.
        file: PathBuf,
        /// The maintainers as you know them.
        #[arg(long, value_name = "FILE")]
        maintainers: Option<PathBuf>,
    },
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let Action::Verify { file, maintainers } = &args.action;
    let bundle = DecisionBundle::parse(&read_limited(file, MAX_BUNDLE_BYTES as u64)?)?;
    let known = maintainers.as_ref().map(|path| {
        let problems = |problems: Vec<sm_release::rules::Problem>| {
            let told = problems.iter().map(|problem| {
                Refusal::new("invalid-rules", format!("{}:{problem}", path.display()), "mending the file")
            });
            Refusals(told.collect())
        };
        anyhow::Ok(Maintainers::parse(&read_text(path, 1 << 20)?).map_err(problems)?)
    });
    let verification = verify(&bundle, known.transpose()?.as_ref());
    let outcome = if verification.holds() { Outcome::Done } else { Outcome::Negative };
    ctx.data(&verification)?;
    Ok(outcome)
}
