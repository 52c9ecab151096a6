//! `update`: asks, downloads and installs now. The reboot is left to the service and its settings.

use crate::{Agent, Error, Turn, store::Lock, turn::describe};
use sm_model::exit;
use sm_rollout::{
    agent::{InstallFailure, Outcome, Phase, State},
    omaha::InstallSource,
};

use super::{Context, check::lock, console::say};

pub(crate) fn run(context: &Context) -> Result<u8, Error> {
    let agent = context.agent(InstallSource::OnDemand)?;
    let lock = lock(&agent)?;
    agent.change(&lock, |state, now| state.hurry(now))?;
    let failure = until_settled(&agent, &lock)?;
    let state = agent.state()?;
    drop(lock);
    if context.json {
        super::status::run(context)?;
    } else {
        let on_hold = state.on_hold(&agent.facts()?);
        say(&on_hold.unwrap_or_else(|| result_words(&agent, &state)));
    }
    Ok(match (failure, &state.phase, &state.contact.declined) {
        (Some(code), ..) => code,
        (None, Phase::Idle, Some((version, _))) if *version > agent.image().identity.running => {
            exit::NEGATIVE
        }
        _ => exit::SUCCESS,
    })
}

/// Takes turns until there is nothing to do at once; returns the exit code of the failure that ended it, if one did.
fn until_settled(agent: &Agent<'_>, lock: &Lock) -> Result<Option<u8>, Error> {
    let mut failure = None;
    loop {
        let turn = agent.turn(lock)?;
        if let Some(words) = describe(&turn) {
            say(&words);
        }
        match turn {
            Turn::Wait(_) | Turn::RebootDue => return Ok(failure),
            Turn::Acted(_, Some(outcome)) => failure = code_of(&outcome).or(failure),
            Turn::Acted(_, None) => {}
        }
    }
}

fn code_of(outcome: &Outcome) -> Option<u8> {
    match outcome {
        Outcome::Checked(Err(_)) | Outcome::Downloaded(Err(_)) => Some(exit::NETWORK),
        Outcome::Installed(Err(InstallFailure::Storage(_))) => Some(exit::STORAGE),
        Outcome::Installed(Err(InstallFailure::Damaged(_) | InstallFailure::Rejected(..))) => {
            Some(exit::VERIFICATION)
        }
        Outcome::Reported(_)
        | Outcome::Pinged(_)
        | Outcome::Checked(Ok(_))
        | Outcome::Downloaded(Ok(()))
        | Outcome::RebootAsked => None,
        Outcome::Installed(Ok(())) => None,
    }
}

fn result_words(agent: &Agent<'_>, state: &State) -> String {
    let running = agent.image().identity.running;
    match (&state.phase, &state.contact.declined) {
        (Phase::Armed(armed), _) => format!("{} is installed and starts with the next reboot", armed.version),
        (Phase::Downloading(download), _) => {
            format!("{} is not here yet; the next attempt is at {}", download.offer.version, download.next)
        }
        (_, Some((version, reason))) => format!("{version} is on offer and not taken: {reason}"),
        (Phase::Unconfirmed(_), _) => format!("{running} is on trial; no update before it is marked good"),
        _ if state.last_failure.is_some() => "no update was installed".to_owned(),
        _ => format!("{running} is the newest version for this host"),
    }
}
