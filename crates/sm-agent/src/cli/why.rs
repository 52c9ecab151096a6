//! `why`: what happens next, and why not now.

use crate::{Error, status::Status};
use sm_model::exit;
use sm_rollout::omaha::InstallSource;

use super::{Context, console::put};

pub(crate) fn run(context: &Context) -> Result<u8, Error> {
    let words = Status::read(&context.agent(InstallSource::OnDemand)?)?.words;
    let reasons: String = words.reasons.iter().map(|reason| format!("- {reason}\n")).collect();
    put(context.json, &words, &format!("{}\n{reasons}next: {}\n", words.standing, words.next))?;
    Ok(exit::SUCCESS)
}
