//! Writes man pages and shell completions of the agent, from the same text as its `--help`. An example and not a verb: hosts
//! carry neither.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Command, ValueEnum};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use sm_host::files::write_atomic;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    let dir: PathBuf = env::args_os().nth(1).ok_or("usage: manual DIR")?.into();
    let mut command = sm_agent::cli::command();
    command.build();
    write_pages(&command, &dir)?;
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        generate(*shell, &mut command, "stationmaster-agent", &mut script);
        write_atomic(&dir.join(format!("share/completions/stationmaster-agent.{shell}")), &script)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_pages(command: &Command, dir: &Path) -> Result<(), Failure> {
    let page = command.get_display_name().unwrap_or(command.get_name());
    write_atomic(&dir.join(format!("share/man/man1/{page}.1")), &render(command)?)?;
    let mut verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    verbs.try_for_each(|verb| write_pages(verb, dir))
}

fn render(command: &Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}
