//! Where a script is played: a folder with a project in it, people with keys, a clock that stands still.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Parser as _;
use sm_host::{
    clock::{Clock, FakeClock},
    progress::Silent,
};
use sm_matrix::fake::FakeHomeserver;
use sm_model::Handle;
use sm_release::proof::{PrivateKey, digest_bytes};

use super::{script::Act, world};
use crate::{
    Cli,
    context::{Context, Out, Outcome},
    failure,
    project::{Args, Project},
};

/// How the stage's folder is written in scripts.
const PLACE: &str = "$DIR";

/// Verbs that know a project, its rules and keys.
const OF_PROJECT: [&str; 15] = [
    "today", "status", "next", "version", "cal", "release", "gate", "waiver", "override", "go", "vote",
    "blocker", "notes", "pkg", "agenda",
];

/// Rules that scripts are played under when there are no others.
const SMALL_RULES: [(&str, &str); 2] = [
    ("policy.toml", include_str!("../../tests/scenarios/rules/policy.toml")),
    ("calendar.toml", include_str!("../../tests/scenarios/rules/calendar.toml")),
];

/// A project of a script's own.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    clock: FakeClock,
    /// Where people chat, where a script has a room.
    pub(super) chat: FakeHomeserver,
    /// Versions of candidates that were composed so far, so that no two have the same digest.
    pub(crate) n_composed: u32,
}

impl Stage {
    /// Sets the stage with the rules of a folder, or the small ones.
    pub(crate) fn set(rules: Option<&Path>) -> anyhow::Result<Stage> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let own = folder.path().join("rules");
        fs::create_dir(&own)?;
        match rules {
            None => SMALL_RULES.iter().try_for_each(|(name, text)| fs::write(own.join(name), text))?,
            Some(rules) => copy_files(rules, &own)?,
        }
        let noon = "2026-01-01T12:00:00Z".parse().expect("the literal is a time");
        Ok(Stage { folder, clock: FakeClock::new(noon), chat: FakeHomeserver::new(), n_composed: 0 })
    }

    /// Plays one act; gives what is said.
    pub(crate) fn play(&mut self, act: &Act) -> anyhow::Result<String> {
        match act {
            Act::Clock(time) => {
                self.clock.set(*time);
                Ok(String::new())
            }
            Act::Command { who, words } => Ok(self.command(who, words)),
            Act::World { what, block } => {
                let happened = world::happen(self, what, block);
                Ok(self.said(happened))
            }
        }
    }

    /// The time on stage.
    pub(crate) fn now(&self) -> sm_model::Timestamp {
        self.clock.now()
    }

    /// Where a file of the stage lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The project, as somebody without a key opens it.
    pub(crate) fn project_args(&self, who: &str) -> anyhow::Result<Args> {
        let key = self.path(&format!("{who}.key"));
        Ok(Args {
            db: self.path("project.db"),
            rules: self.path("rules"),
            who: Some(who.parse::<Handle>()?),
            key: key.exists().then_some(key),
        })
    }

    /// Does something with the project and tells what came of it.
    pub(crate) fn with_project(
        &self,
        who: &str,
        work: impl FnOnce(&mut Project<'_>) -> anyhow::Result<Vec<sm_model::release_event::Event>>,
    ) -> anyhow::Result<String> {
        let args = self.project_args(who)?;
        let mut project = Project::open_at(&args, sm_store::Until::Newest, self.clock.now())?;
        let events = work(&mut project)?;
        let sentences: Vec<String> = events.iter().map(crate::told::sentence).collect();
        Ok(sentences.join("\n"))
    }

    /// Makes people with roles, and their keys.
    pub(crate) fn people(&self, people: &BTreeMap<String, Vec<String>>) -> anyhow::Result<()> {
        let mut file = String::new();
        for (name, roles) in people {
            let seed = digest_bytes(name.as_bytes()).0;
            let key = PrivateKey::from_seed(&seed, name)?;
            fs::write(self.path(&format!("{name}.key")), key.to_text()?.as_bytes())?;
            let roles: Vec<String> = roles.iter().map(|role| format!("\"{role}\"")).collect();
            file.push_str(&format!(
                "[[maintainer]]\nhandle = \"{name}\"\nroles = [{}]\nkeys = [\"{}\"]\n",
                roles.join(", "),
                key.public_text()?
            ));
        }
        Ok(fs::write(self.path("rules/maintainers.toml"), file)?)
    }

    fn command(&self, who: &str, words: &[String]) -> String {
        let place = self.folder.path().display().to_string();
        let mut line: Vec<String> = vec!["stationmaster".to_owned()];
        line.extend(words.iter().map(|word| word.replace(PLACE, &place)));
        let verb = words.first().map_or("", String::as_str);
        let own = |name: &str| self.path(name).display().to_string();
        let mut add = |flag: &str, value: String| {
            if !words.iter().any(|word| word == flag) {
                line.extend([flag.to_owned(), value]);
            }
        };
        if OF_PROJECT.contains(&verb) {
            add("--db", own("project.db"));
            add("--as", who.to_owned());
            add("--rules", own("rules"));
            let key = format!("{who}.key");
            if self.path(&key).exists() {
                add("--key", own(&key));
            }
        }
        let written = RefCell::new(String::new());
        let context = Context {
            json: false,
            progress: &Silent,
            clock: &self.clock,
            out: Out::Text(&written),
            chat: Some(&self.chat),
        };
        let ended = Cli::try_parse_from(line)
            .map_err(anyhow::Error::from)
            .and_then(|cli| crate::run(&cli.verb, &context));
        let mut said = written.take();
        match ended {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Negative) => said.push_str("[exit 8]\n"),
            Ok(Outcome::Unjudged) => said.push_str("[exit 10]\n"),
            Err(error) => said.push_str(&failed(&error)),
        }
        said.replace(&place, PLACE)
    }

    fn said(&self, happened: anyhow::Result<String>) -> String {
        let place = self.folder.path().display().to_string();
        let said = match happened {
            Ok(said) if said.is_empty() => said,
            Ok(said) => said + "\n",
            Err(error) => failed(&error),
        };
        said.replace(&place, PLACE)
    }
}

fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    let listed = fs::read_dir(from).with_context(|| format!("cannot read the rules in `{}`", from.display()));
    for entry in listed? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// A failure as the command prints it, with its exit code.
fn failed(error: &anyhow::Error) -> String {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        let text = usage.to_string();
        return format!("{}\n[exit 2]\n", text.lines().next().unwrap_or_default());
    }
    let (text, code) = failure::words(error, false);
    format!("{text}\n[exit {code}]\n")
}
