//! `check`: asks the server now.

use crate::{Agent, Error, Turn, store::Lock};
use serde::Serialize;
use sm_model::{Version, exit};
use sm_rollout::{
    agent::{Action, CheckFailure, Outcome},
    omaha::InstallSource,
};

use super::{
    Context,
    console::{put, say},
};

/// What the server answered.
#[derive(Debug, Serialize)]
struct Answer {
    running: Version,
    offered: Option<Version>,
    taken: bool,
    reason: Option<String>,
}

pub(crate) fn run(context: &Context) -> Result<u8, Error> {
    let agent = context.agent(InstallSource::OnDemand)?;
    let lock = lock(&agent)?;
    agent.change(&lock, |state, now| state.hurry(now))?;
    match until_checked(&agent, &lock)? {
        Some(Outcome::Checked(Ok(_))) => answer(context, &agent),
        Some(Outcome::Checked(Err(failure)) | Outcome::Reported(Err(failure))) => {
            say(&format!("error: {}", failure.words()));
            Ok(exit::NETWORK)
        }
        _ => {
            say("nothing was asked:");
            drop(lock);
            super::why::run(context)?;
            Ok(exit::NEGATIVE)
        }
    }
}

fn answer(context: &Context, agent: &Agent<'_>) -> Result<u8, Error> {
    let state = agent.state()?;
    let running = agent.image().identity.running;
    let (answer, words) = match (&state.phase.target(), &state.contact.declined) {
        (Some((version, _)), _) => (
            Answer { running, offered: Some(*version), taken: true, reason: None },
            format!(
                "{version} is on offer; the service installs it now, or `stationmaster-agent update` does\n"
            ),
        ),
        (None, Some((version, reason))) => (
            Answer { running, offered: Some(*version), taken: false, reason: Some(reason.clone()) },
            format!("{version} is on offer and not taken: {reason}\n"),
        ),
        (None, None) => (
            Answer { running, offered: None, taken: false, reason: None },
            format!("{running} is the newest version for this host\n"),
        ),
    };
    put(context.json, &answer, &words)?;
    let declined = answer.offered.is_some_and(|offered| offered > running) && !answer.taken;
    Ok(if declined { exit::NEGATIVE } else { exit::SUCCESS })
}

/// Takes turns until the server has been asked, or something else is to be done first. A report that fails ends it too: the
/// server is not there. One that the server does not take says nothing about checks.
fn until_checked(agent: &Agent<'_>, lock: &Lock) -> Result<Option<Outcome>, Error> {
    loop {
        match agent.turn(lock)? {
            Turn::Acted(Action::Check(_), outcome) => return Ok(outcome),
            Turn::Acted(
                Action::Report(_),
                Some(Outcome::Reported(Err(failure @ (CheckFailure::Offline(_) | CheckFailure::Refused(_))))),
            ) => return Ok(Some(Outcome::Reported(Err(failure)))),
            Turn::Acted(Action::Report(_) | Action::RemoveEntry(_), _) => {}
            Turn::Acted(..) | Turn::Wait(_) | Turn::RebootDue => return Ok(None),
        }
    }
}

/// Takes the lock, waiting for whoever works at the moment.
pub(crate) fn lock(agent: &Agent<'_>) -> Result<Lock, Error> {
    match agent.store().lock() {
        Err(Error::Busy) => {
            say("waiting for the agent that is at work; `stationmaster-agent status` shows what it does");
            agent.store().wait_for_lock()
        }
        result => result,
    }
}
