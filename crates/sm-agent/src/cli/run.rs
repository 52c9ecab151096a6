//! `run`: the system service.

use crate::{Error, daemon};
use sm_rollout::omaha::InstallSource;

use super::Context;

pub(crate) fn run(context: &Context) -> Result<u8, Error> {
    match daemon::run(&context.agent(InstallSource::Scheduler)?)? {}
}
