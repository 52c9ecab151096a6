//! `stationmaster manual`: man pages and shell completions, from the same text as `--help`.

use std::{io, path::PathBuf};

use clap::{CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use sm_host::files::write_atomic;

use crate::{
    Cli,
    context::{Context, Outcome},
};

/// Where to put them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that gets `share/man/man1/` and `share/completions/`.
    dir: PathBuf,
}

/// Writes a man page for the command and each verb, and completions for every shell we know.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut command = Cli::command();
    command.build();
    let name = command.get_name().to_owned();
    write_pages(&command, args)?;
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        generate(*shell, &mut command, &name, &mut script);
        write_atomic(&args.dir.join(format!("share/completions/{name}.{shell}")), &script)?;
    }
    ctx.progress.note(&format!("man pages and completions in `{}`", args.dir.join("share").display()));
    Ok(Outcome::Done)
}

fn write_pages(command: &clap::Command, args: &Args) -> anyhow::Result<()> {
    let page = page_name(command);
    write_atomic(&args.dir.join(format!("share/man/man1/{page}.1")), &render(command)?)?;
    let mut verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    verbs.try_for_each(|verb| write_pages(verb, args))
}

/// `stationmaster-lock-diff` for `stationmaster lock diff`.
fn page_name(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn render(command: &clap::Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_gets_a_page_and_every_shell_its_completions() {
        let dir = tempfile::tempdir().unwrap();
        let args = Args { dir: dir.path().to_owned() };
        run(&args, &Context::silent(false)).unwrap();
        for file in [
            "man/man1/stationmaster.1",
            "man/man1/stationmaster-exit-codes.1",
            "completions/stationmaster.bash",
        ] {
            assert!(dir.path().join("share").join(file).metadata().unwrap().len() > 100, "{file}");
        }
    }
}
