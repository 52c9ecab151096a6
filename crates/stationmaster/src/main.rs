//! The operator's command. This file names the verbs and nothing else: each verb is one file.

mod agenda;
mod blocker;
mod cal;
mod compose;
mod context;
mod decision;
mod demo;
mod diff;
#[cfg(test)]
mod documents;
mod evidence;
mod exception;
mod failure;
mod gate;
mod go;
mod interrupt;
mod lock;
mod manual;
mod named;
mod notes;
mod payload;
mod pkg;
mod progress;
mod project;
mod release;
mod scenario;
mod serve;
mod store;
mod test;
mod today;
mod told;
mod update_service;
mod version;
mod vm;
mod vote;
mod workshop;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use context::{Context, Out, Outcome};
use sm_host::clock::SystemClock;

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
    /// Show the day: whether it is open, which trains go, what is due.
    Today(today::TodayArgs),
    /// Show a train and its checklist.
    Status(today::StatusArgs),
    /// Show what can be done now, and by whom.
    Next(today::NextArgs),
    /// Tell which version comes next, and why.
    Version(version::Args),
    /// Show and change when releases are published.
    Cal(cal::Args),
    /// Open a train, do its steps, slip it, publish it.
    Release(Box<release::Args>),
    /// Ask a gate, explain it, or replay the past with another policy.
    Gate(gate::Args),
    /// Waive one requirement for one release; two people, in the open.
    Waiver(exception::WaiverArgs),
    /// Override one rule of go/no-go for one poll; two people, for good.
    Override(exception::OverrideArgs),
    /// Open, show and close votes on a release.
    Go(go::Args),
    /// Vote on a release.
    Vote(vote::Args),
    /// Open and close what keeps releases from being published.
    Blocker(blocker::Args),
    /// Verify a decision that was exported.
    Decision(decision::Args),
    /// Play scripts of commands and compare what they say.
    Scenario(scenario::Args),
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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::misused(&error, std::env::args_os().any(|word| word == "--json")),
    };
    let progress = progress::display(cli.quiet);
    let context = Context {
        json: cli.json,
        progress: progress.as_ref(),
        clock: &SystemClock,
        out: Out::Standard,
        chat: None,
    };
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
        Verb::Today(args) => today::today(args, ctx),
        Verb::Status(args) => today::status(args, ctx),
        Verb::Next(args) => today::next(args, ctx),
        Verb::Version(args) => version::run(args, ctx),
        Verb::Cal(args) => cal::run(args, ctx),
        Verb::Release(args) => release::run(args, ctx),
        Verb::Gate(args) => gate::run(args, ctx),
        Verb::Waiver(args) => exception::waiver(args, ctx),
        Verb::Override(args) => exception::override_(args, ctx),
        Verb::Go(args) => go::run(args, ctx),
        Verb::Vote(args) => vote::run(args, ctx),
        Verb::Blocker(args) => blocker::run(args, ctx),
        Verb::Decision(args) => decision::run(args, ctx),
        Verb::Scenario(args) => scenario::run(args, ctx),
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

/// Runs a command line as if it had been typed, with this run's output and clock.
///
/// # Errors
/// When it is no command line, or as the verb.
fn run_line<W: Clone + Into<OsString>>(line: &[W], ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let words = std::iter::once("stationmaster".into()).chain(line.iter().cloned().map(W::into));
    run(&Cli::try_parse_from(words)?.verb, ctx)
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
