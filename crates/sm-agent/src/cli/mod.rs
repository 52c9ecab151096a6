//! The command line: one file per verb. Data goes to stdout, talk to stderr, the outcome to the exit code.

mod check;
mod console;
mod health;
mod reset;
mod rollback;
mod run;
mod status;
mod update;
mod why;

use std::path::PathBuf;

use crate::{Agent, Error, Root, World};
use clap::{CommandFactory, Parser, Subcommand};
use sm_host::{
    clock::SystemClock,
    fetch::{HttpFetch, Timeouts},
    process::SystemRunner,
};
use sm_rollout::omaha::InstallSource;

use self::console::Console;

/// Keeps this host up to date: downloads, verifies and installs new versions of the operating system beside the one
/// that runs, and falls back if the new one does not work.
#[derive(Debug, Parser)]
#[command(name = "stationmaster-agent", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    /// Print data as JSON instead of words
    #[arg(long, global = true)]
    json: bool,

    /// Act on the system below this directory instead of the running one
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,

    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Settings are read from /etc/boxcar/update.conf, then /usr/share/boxcar/update.conf;
for each key the first file that has it wins:
  SERVER=http://HOST:PORT/v1/update/   or `disabled`
  GROUP=stable                         which releases this host gets
  REBOOT_STRATEGY=reboot               or `off`: the reboot is left to you
  MACHINE_ALIAS=web-1                  a name for people

Examples:
  stationmaster-agent why              what happens next, and why not now
  stationmaster-agent check            ask the server now
  stationmaster-agent update           ask, download and install now
  stationmaster-agent rollback         start the previous version at the reboot

Exit codes: 0 done, 1 failed, 2 usage, 3 wrong configuration, 4 verification
failed, 5 network or server, 7 disk, 8 the answer is no (not healthy, offer
not taken).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Work until stopped: what the system service does
    Run,
    /// Show where this host stands
    Status,
    /// Explain what happens next, and why not now
    Why,
    /// Ask the server for an update now; install nothing
    Check,
    /// Ask, download and install now; the reboot follows the settings
    Update,
    /// Decide whether this boot is healthy; on failure leave a note and exit with 8
    Health(health::Args),
    /// Go back to the previous version with the next reboot
    Rollback(rollback::Args),
    /// Forget what was rejected and failed, so that it is tried again
    Reset(reset::Args),
}

/// What every verb needs.
pub(crate) struct Context {
    pub(crate) root: Root,
    pub(crate) json: bool,
    fetch: HttpFetch,
    console: Console,
}

impl Context {
    /// The agent of the host, asking because of `source`.
    pub(crate) fn agent(&self, source: InstallSource) -> Result<Agent<'_>, Error> {
        Agent::new(&self.root, self.world(), source)
    }

    pub(crate) fn world(&self) -> World<'_> {
        World { fetch: &self.fetch, runner: &SystemRunner, clock: &SystemClock, progress: &self.console }
    }
}

/// The command line as a value, for manuals and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Does what the command line of this process says; returns the exit code.
pub fn main() -> u8 {
    run(&Arguments::parse()).unwrap_or_else(|error| console::report(&error))
}

fn run(arguments: &Arguments) -> Result<u8, Error> {
    let user_agent = concat!("stationmaster-agent/", env!("CARGO_PKG_VERSION"));
    let context = Context {
        root: Root::at(&arguments.root),
        json: arguments.json,
        fetch: HttpFetch::new(user_agent, Timeouts::default()),
        console: Console::new(),
    };
    match &arguments.command {
        Command::Run => run::run(&context),
        Command::Status => status::run(&context),
        Command::Why => why::run(&context),
        Command::Check => check::run(&context),
        Command::Update => update::run(&context),
        Command::Health(args) => health::run(&context, args),
        Command::Rollback(args) => rollback::run(&context, args),
        Command::Reset(args) => reset::run(&context, args),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent_and_its_help_fits_80_columns() {
        let mut command = super::command().term_width(80);
        command.clone().debug_assert();
        let help = command.render_long_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
