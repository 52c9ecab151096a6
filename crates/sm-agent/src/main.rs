//! `stationmaster-agent`: the update agent's command line. Data goes to stdout, talk to stderr, the outcome to the exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let code = match cli::run(&arguments) {
        Ok(code) => code,
        Err(error) => cli::console::report(&error),
    };
    ExitCode::from(code)
}
