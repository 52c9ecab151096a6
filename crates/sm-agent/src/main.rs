//! `stationmaster-agent`: see [`sm_agent::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sm_agent::cli::main())
}
