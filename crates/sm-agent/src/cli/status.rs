//! `status`: where the host stands.

use crate::{Error, status::Status};
use sm_model::exit;
use sm_rollout::omaha::InstallSource;

use super::{Context, console::put};

pub(crate) fn run(context: &Context) -> Result<u8, Error> {
    let status = Status::read(&context.agent(InstallSource::OnDemand)?)?;
    put(context.json, &status, &status.lines())?;
    Ok(exit::SUCCESS)
}
