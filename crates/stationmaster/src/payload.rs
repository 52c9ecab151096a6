//! `stationmaster payload`: signing keys and full update payloads.

mod build;
pub(crate) mod keygen;
mod show;
mod text;
mod verify;

use crate::context::{Context, Outcome};

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make an RSA-2048 key pair that signs payloads.
    Keygen(keygen::Args),
    /// Make a full payload from a /usr image and a kernel image.
    Build(build::Args),
    /// Tell what a payload would do, from its head alone.
    Show(show::Args),
    /// Check everything in a payload that can be checked without a disk.
    Verify(verify::Args),
}

/// Runs one of the four verbs.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match &args.verb {
        Verb::Keygen(args) => keygen::run(args, ctx),
        Verb::Build(args) => build::run(args, ctx),
        Verb::Show(args) => show::run(args, ctx),
        Verb::Verify(args) => verify::run(args, ctx),
    }
}

#[cfg(test)]
mod tests;
