//! The operator's command. This file names the verbs and nothing else: each verb is one file.

mod agenda;
mod compose;
mod context;
mod demo;
mod diff;
mod evidence;
mod failure;
mod lock;
mod logbook;
mod manual;
mod named;
mod notes;
mod payload;
mod pkg;
mod progress;
mod serve;
mod store;
mod test;
mod update_service;
mod vm;
mod workshop;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, Outcome};

/// Compose, test, publish and roll out an image-based operating system.
///
/// Every verb explains itself: `stationmaster VERB --help`. Data goes to standard output, talk to standard error.
#[derive(Debug, Parser)]
#[command(name = "stationmaster", version, max_term_width = 80, arg_required_else_help = true)]
#[command(
    after_help = "Start with `stationmaster compose --help`, or see the whole chain at work: `stationmaster demo`."
)]
pub(crate) struct Cli {
    /// Print data as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Show no progress.
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    verb: Verb,
}

// One line per verb, in the order of the chain.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Pin the exact packages that a recipe stands for; renew them; compare.
    Lock(lock::Args),
    /// Compose a release from a recipe: packages, image, payload, lists.
    Compose(compose::Args),
    /// Tell what differs between two releases.
    Diff(diff::Args),
    /// Tell whether a release is good: run the test suite at it.
    Test(Box<test::Args>),
    /// Make signing keys; build, show and verify update payloads.
    Payload(payload::Args),
    /// Serve updates and the release directory to hosts.
    Serve(serve::Args),
    /// Write, draft, discuss and accept release notes.
    Notes(notes::Args),
    /// Ask for packages, find out what they cost, vote, decide.
    Pkg(pkg::Args),
    /// Tell what the next office hours are about.
    Agenda(agenda::Args),
    /// Check, export and import what Stationmaster remembers.
    Store(store::Args),
    /// Boot an image or a release in a virtual machine, with a console.
    Vm(vm::Args),
    /// Show the whole chain at work: compose, boot, update, fall back.
    Demo(demo::Args),
    /// Write man pages and shell completions into a folder.
    Manual(manual::Args),
    /// Print the exit codes and what they mean.
    ExitCodes,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let progress = progress::display(cli.quiet);
    let context = Context { json: cli.json, progress: progress.as_ref() };
    let ended = run(&cli.verb, &context);
    drop(progress);
    match ended {
        Ok(outcome) => outcome.into(),
        Err(error) => failure::report(&error, cli.json),
    }
}

fn run(verb: &Verb, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match verb {
        Verb::Lock(args) => lock::run(args, ctx),
        Verb::Compose(args) => compose::run(args, ctx),
        Verb::Diff(args) => diff::run(args, ctx),
        Verb::Test(args) => test::run(args, ctx),
        Verb::Payload(args) => payload::run(args, ctx),
        Verb::Serve(args) => serve::run(args, ctx),
        Verb::Notes(args) => notes::run(args, ctx),
        Verb::Pkg(args) => pkg::run(args, ctx),
        Verb::Agenda(args) => agenda::run(args, ctx),
        Verb::Store(args) => store::run(args, ctx),
        Verb::Vm(args) => vm::run(args, ctx),
        Verb::Demo(args) => demo::run(args, ctx),
        Verb::Manual(args) => manual::run(args, ctx),
        Verb::ExitCodes => context::print_exit_codes(ctx),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_of_every_verb_fits_80_columns() {
        let mut commands = vec![Cli::command()];
        while let Some(mut command) = commands.pop() {
            let help = command.render_long_help().to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "`{}`: {line:?}", command.get_name());
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
