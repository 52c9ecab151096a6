//! Every command that the documents and the help show is one that the program understands.

use std::{fs, path::Path};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{Cli, scenario::script::words};

/// The documents, by name.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let files =
        docs.filter(|path| path.is_file()).chain([root.join("README.md"), root.join("ARCHITECTURE.md")]);
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// The examples of every verb's help.
fn help() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut commands = vec![Cli::command()];
    while let Some(command) = commands.pop() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        texts.push((format!("help of `{}`", command.get_name()), examples));
        commands.extend(command.get_subcommands().cloned());
    }
    texts
}

/// Lines that are commands, without their remarks and with their continuations.
fn commands(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    let lines = whole.lines().map(str::trim).filter(|line| line.starts_with("stationmaster "));
    // A remark, an omission, and where the output goes are no part of it.
    let end = |line: &str| [" #", " ...", " >"].iter().filter_map(|end| line.find(end)).min();
    lines.map(|line| end(line).map_or(line, |end| &line[..end]).to_owned()).collect()
}

/// What stands in a sentence as `stationmaster …`.
fn mentioned(text: &str) -> Vec<String> {
    let code = text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("stationmaster "));
    code.map(|code| code.split(" …").next().unwrap_or(code).replace('\n', " ")).collect()
}

fn parsed(line: &str) -> Result<(), clap::Error> {
    Cli::try_parse_from(words(line).unwrap_or_else(|error| panic!("{line}: {error}"))).map(drop)
}

#[test]
fn every_command_that_is_shown_is_understood() {
    let (mut n_shown, mut wrong) = (0, Vec::new());
    for (place, text) in documents().into_iter().chain(help()) {
        for line in commands(&text) {
            n_shown += 1;
            wrong.extend(parsed(&line).err().map(|error| format!("{place}: {line}\n{error}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_shown > 80, "{n_shown}");
}

#[test]
fn every_command_that_is_mentioned_exists() {
    for (place, text) in documents() {
        for line in mentioned(&text) {
            let Err(error) = parsed(&line) else { continue };
            let is_unknown =
                matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand);
            assert!(!is_unknown, "{place}: {line}\n{error}");
        }
    }
}
