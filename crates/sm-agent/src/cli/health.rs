//! `health`: whether this boot is healthy.

use std::time::Duration;

use crate::{
    Agent, Error,
    health::{self, Note, Problem},
};
use sm_model::exit;
use sm_rollout::omaha::InstallSource;

use super::{
    Context,
    console::{put, say},
};

/// Decide whether this boot is healthy
///
/// Healthy means: every unit listed in /usr/share/boxcar/health.d/ and /etc/boxcar/health.d/ (one a line) is active,
/// and this host could still install an update. On failure the reason is written to /var/lib/boxcar/update/, where
/// the version that the host falls back to finds it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long units may take to become active
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    deadline: u64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<u8, Error> {
    let agent = context.agent(InstallSource::OnDemand)?;
    let mut problems = host_problems(&agent);
    match health::required_units(&context.root) {
        Ok(units) => {
            let deadline = Duration::from_secs(args.deadline);
            let world = agent.world();
            match health::check_units(&units, deadline, world.runner, world.clock) {
                Ok(found) => problems.extend(found),
                Err(error) => problems.push(health::problem_of("the service manager", &error)),
            }
        }
        Err(error) => problems.push(health::problem_of("the list of required units", &error)),
    }
    if problems.is_empty() {
        put(context.json, &serde_json::json!({ "healthy": true }), "healthy\n")?;
        return Ok(exit::SUCCESS);
    }
    let note = Note { version: agent.image().identity.running, at: agent.world().clock.now(), problems };
    put(context.json, &note, &format!("{}\n", note.words()))?;
    say("not healthy");
    health::leave(agent.store(), &note)?;
    Ok(exit::NEGATIVE)
}

/// What would keep this host from installing the next update: worse than any failed unit, because nothing could mend it later.
fn host_problems(agent: &Agent<'_>) -> Vec<Problem> {
    let checks = [
        ("the update configuration", agent.config().map(drop)),
        ("the payload key", agent.key().map(drop)),
        ("the layout of /usr slots", agent.slots().map(drop)),
        ("the EFI system partition", agent.facts().map(drop)),
    ];
    let failed =
        |(subject, result): (&str, Result<(), Error>)| Some(health::problem_of(subject, &result.err()?));
    checks.into_iter().filter_map(failed).collect()
}
