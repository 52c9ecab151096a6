//! `rollback`: gives the running version up for the previous one. The reboot is left to the person who asks.

use crate::Error;
use sm_model::exit;
use sm_rollout::omaha::InstallSource;

use super::{Context, check::lock, console::put};

/// Go back to the previous version with the next reboot
///
/// Possible as long as the other slot holds the previous version: until the next update is installed over it. The
/// version that is given up is not installed again before `stationmaster-agent reset`, and the server is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stationmaster-agent rollback && systemctl reboot")]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, Args {}: &Args) -> Result<u8, Error> {
    let agent = context.agent(InstallSource::OnDemand)?;
    let lock = lock(&agent)?;
    let previous = agent.roll_back(&lock)?;
    let running = agent.image().identity.running;
    let words =
        format!("{running} is given up; {previous} starts with the next reboot: `systemctl reboot`\n");
    put(context.json, &serde_json::json!({ "given_up": running, "next": previous }), &words)?;
    Ok(exit::SUCCESS)
}
