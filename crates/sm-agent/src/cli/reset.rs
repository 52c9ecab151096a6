//! `reset`: forgets what was rejected and failed.

use crate::{Error, health};
use sm_model::{Version, exit};
use sm_rollout::omaha::InstallSource;

use super::{Context, check::lock, console::put};

/// Forget what was rejected and failed, so that it is tried again
///
/// A download or install under way is given up. What is already installed and waits for a reboot stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stationmaster-agent reset --version 4900.0.1")]
pub(crate) struct Args {
    /// Forget only the rejection of this version
    #[arg(long, value_name = "VERSION")]
    version: Option<Version>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<u8, Error> {
    let agent = context.agent(InstallSource::OnDemand)?;
    let lock = lock(&agent)?;
    let forgotten = agent.change(&lock, |state, _| state.reset(args.version))?;
    health::forget(agent.store(), args.version)?;
    let words = format!("{forgotten} rejected versions are forgotten; the next check may offer them again\n");
    put(context.json, &serde_json::json!({ "forgotten": forgotten }), &words)?;
    Ok(exit::SUCCESS)
}
