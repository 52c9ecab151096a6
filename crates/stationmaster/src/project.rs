//! A project as verbs see it: its log, its rules, the state they come to, and who speaks. Every change goes through one door,
//! [`Project::record`], which decides anew when somebody else was quicker.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use sm_host::{
    files::{read_limited, read_text},
    ssh_agent::Agent,
};
use sm_model::{
    Channel, Handle, Timestamp, TrainId,
    evidence::RuleFile,
    exit,
    release_event::{Envelope, Event, RulesEvent},
    statement::{Proof, Signed},
};
use sm_release::{
    proof::{self, PrivateKey, PublicKey},
    quarantine,
    rules::muted,
    train::{Command, State, apply, command::Which, decide, replay},
};
use sm_store::{Blobs, EventLog, TestHistory, Until, events::Head};

use crate::context::Context;

/// Largest file of rules or key that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// How often a wish is decided anew because somebody else was quicker.
const MAX_ATTEMPTS: usize = 8;

/// Where a project lies and who speaks.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// What Stationmaster remembers.
    #[arg(long, global = true, value_name = "FILE", default_value = "stationmaster.db")]
    pub(crate) db: PathBuf,
    /// Folder of the rules: policy, maintainers, calendar.
    #[arg(long, global = true, value_name = "DIR", default_value = "os/boxcar/release")]
    pub(crate) rules: PathBuf,
    /// Who you are [default: whose key it is].
    #[arg(long = "as", global = true, value_name = "NAME", env = "STATIONMASTER_AS")]
    pub(crate) who: Option<Handle>,
    /// Key that signs what you say [default: the ssh-agent's].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

/// Something that a verb needs and does not have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    /// Nobody said who speaks.
    #[error("it is not known who you are")]
    Who,
    /// No rules, neither now nor before: another folder, or a slip of the pen.
    #[error("there is no project here: `{}` does not exist, and `{}` knows no rules", rules.display(), db.display())]
    Project {
        /// Where its memory was looked for.
        db: PathBuf,
        /// Where its rules were looked for.
        rules: PathBuf,
    },
    /// No train, or more than one, is on its way.
    #[error("{}", if *found == 0 { "no train is on its way".to_owned() } else { format!("{found} trains are on their way: expected one") })]
    Train {
        /// How many.
        found: usize,
    },
    /// A train that carries more than one channel, or none.
    #[error("train {train} carries {found} releases: expected one channel")]
    Channel {
        /// Which train.
        train: TrainId,
        /// How many.
        found: usize,
    },
    /// Others write all the time.
    #[error("somebody else was quicker {MAX_ATTEMPTS} times")]
    Busy,
}

impl Unknown {
    /// The next step.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Unknown::Who => "say it with `--as NAME`, or set STATIONMASTER_AS".to_owned(),
            Unknown::Project { .. } => {
                "go to the project's folder, or name both with `--db FILE` and `--rules DIR`".to_owned()
            }
            Unknown::Train { found: 0 } => {
                "open one with `stationmaster release open DAY CHANNEL...`".to_owned()
            }
            Unknown::Train { .. } => "name it with `--train DAY`".to_owned(),
            Unknown::Channel { .. } => "name one with `--channel CHANNEL`".to_owned(),
            Unknown::Busy => "try again".to_owned(),
        })
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        exit::FAILURE
    }
}

/// A project that is open.
pub(crate) struct Project<'a> {
    args: &'a Args,
    log: EventLog,
    head: Head,
    /// Everything that has happened, in order.
    pub(crate) events: Vec<Envelope>,
    /// What is known, the rules of the folder included.
    pub(crate) state: State,
    /// Files of rules that are in force from the next event on.
    adopted: Vec<Event>,
    /// Texts of the rules in force.
    pub(crate) rule_texts: BTreeMap<RuleFile, String>,
    /// The time of this command.
    pub(crate) now: Timestamp,
}

impl std::fmt::Debug for Project<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project").field("args", self.args).field("head", &self.head).finish_non_exhaustive()
    }
}

impl<'a> Project<'a> {
    /// Opens a project as it is.
    pub(crate) fn open(args: &'a Args, ctx: &Context<'_>) -> anyhow::Result<Project<'a>> {
        Project::open_at(args, Until::Newest, ctx.clock.now())
    }

    /// Opens a project as it was known at an instant.
    pub(crate) fn open_at(args: &'a Args, until: Until, now: Timestamp) -> anyhow::Result<Project<'a>> {
        let no_project = || Unknown::Project { db: args.db.clone(), rules: args.rules.clone() };
        let has_rules = args.rules.exists();
        if !has_rules && !args.db.exists() {
            return Err(no_project().into());
        }
        let log = EventLog::open(&args.db)?;
        let mut project = Project {
            args,
            log,
            head: Head::EMPTY,
            events: vec![],
            state: State::default(),
            adopted: vec![],
            rule_texts: BTreeMap::new(),
            now,
        };
        project.reload(until)?;
        let knew_rules = || project.events.iter().any(|event| matches!(event.body, Event::Rules(_)));
        if has_rules || knew_rules() { Ok(project) } else { Err(no_project().into()) }
    }

    fn reload(&mut self, until: Until) -> anyhow::Result<()> {
        let keep = |events: &mut Vec<Envelope>, entry: &sm_store::Entry<Envelope>| {
            events.push(entry.event.clone());
        };
        (self.events, self.head) = self.log.fold(until, Vec::new(), keep)?;
        self.state = replay(&self.events);
        self.rule_texts.clear();
        for event in &self.events {
            if let Event::Rules(RulesEvent::Adopted { file, text }) = &event.body {
                self.rule_texts.insert(*file, text.clone());
            }
        }
        self.adopted.clear();
        if matches!(until, Until::Newest) {
            self.adopt()?;
        }
        Ok(())
    }

    /// Takes rules that have changed into the state; they are recorded with the next event.
    fn adopt(&mut self) -> anyhow::Result<()> {
        let nobody: Handle = "stationmaster".parse().expect("the literal is a short name");
        let now = self.state.last_at.map_or(self.now, |last| last.max(self.now));
        for file in RuleFile::ALL {
            let Some(text) = self.rule_text(file)? else { continue };
            let events = decide(&self.state, &nobody, Command::Adopt { file, text: text.clone() }, now)?;
            if !events.is_empty() {
                self.rule_texts.insert(file, text);
            }
            for body in events {
                self.take(&nobody, now, body.clone());
                self.adopted.push(body);
            }
        }
        Ok(())
    }

    /// The text of a file of rules; of quarantines, what the store knows.
    fn rule_text(&self, file: RuleFile) -> anyhow::Result<Option<String>> {
        if file == RuleFile::Quarantine {
            let entries: Vec<quarantine::Entry> = TestHistory::open(&self.args.db)?.quarantines()?;
            let standing = quarantine::standing(&entries);
            let is_known = self.state.rules.digests.contains_key(&file);
            return Ok((is_known || !standing.is_empty()).then(|| muted::render(&standing)));
        }
        match read_text(&self.args.rules.join(file.file_name()), MAX_FILE_BYTES) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self, by: &Handle, at: Timestamp, body: Event) {
        let seq = self.state.seq + 1;
        apply(&mut self.state, &Envelope { seq, at, by: by.clone(), body });
    }

    /// Asks for something of the train: decides, records, and gives what came of it.
    pub(crate) fn ask(
        &mut self,
        mut wish: impl FnMut(&Project<'_>) -> anyhow::Result<Command>,
    ) -> anyhow::Result<Vec<Event>> {
        let recorded =
            self.record(|project, by| Ok(decide(&project.state, by, wish(project)?, project.now)?))?;
        Ok(recorded.into_iter().map(|envelope| envelope.body).collect())
    }

    /// Records what `decided` makes of what is known, in the name of who speaks, and gives it with its numbers in the log. It is
    /// called again when somebody else was quicker.
    pub(crate) fn record(
        &mut self,
        mut decided: impl FnMut(&Project<'_>, &Handle) -> anyhow::Result<Vec<Event>>,
    ) -> anyhow::Result<Vec<Envelope>> {
        let by = self.who()?;
        for _ in 0..MAX_ATTEMPTS {
            let events = decided(self, &by)?;
            if events.is_empty() {
                return Ok(vec![]);
            }
            let bodies = self.adopted.iter().chain(&events).cloned();
            let envelopes: Vec<Envelope> = (self.head.seq + 1..)
                .zip(bodies)
                .map(|(seq, body)| Envelope { seq, at: self.now, by: by.clone(), body })
                .collect();
            match self.log.append(self.head, self.now, &envelopes) {
                Ok(_) => {
                    let n_adopted = self.adopted.len();
                    self.reload(Until::Newest)?;
                    return Ok(envelopes.into_iter().skip(n_adopted).collect());
                }
                Err(sm_store::Error::HeadMoved { .. }) => self.reload(Until::Newest)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Unknown::Busy.into())
    }

    /// The same for a wish that does not depend on what is known.
    pub(crate) fn ask_once(&mut self, command: Command) -> anyhow::Result<Vec<Event>> {
        self.ask(|_| Ok(command.clone()))
    }

    /// Who speaks: as said, or whose key it is.
    pub(crate) fn who(&self) -> anyhow::Result<Handle> {
        if let Some(who) = &self.args.who {
            return Ok(who.clone());
        }
        let key = self.args.key.as_deref().map(read_key).transpose()?;
        let owner =
            key.and_then(|key| Some(self.state.rules.maintainers.by_key(&key.public())?.handle.clone()));
        Ok(owner.ok_or(Unknown::Who)?)
    }

    /// Signs a statement with the key that was named, or one that the agent has for `who`; without any it is their word.
    pub(crate) fn sign<T: Serialize>(&self, statement: T, who: &Handle) -> anyhow::Result<Signed<T>> {
        if let Some(path) = &self.args.key {
            return Ok(read_key(path)?.sign(statement)?);
        }
        let proof = self.agent_proof(&statement, who)?.unwrap_or(Proof::Word);
        Ok(Signed { statement, proof })
    }

    fn agent_proof<T: Serialize>(&self, statement: &T, who: &Handle) -> anyhow::Result<Option<Proof>> {
        let Some(socket) = std::env::var_os("SSH_AUTH_SOCK") else { return Ok(None) };
        let Some(person) = self.state.rules.maintainers.get(who) else { return Ok(None) };
        let mut agent = Agent::connect(Path::new(&socket))?;
        let held = agent.keys()?;
        for key in &person.keys {
            let blob = key.blob()?;
            if held.contains(&blob) {
                let bytes = PublicKey::to_be_signed(proof::message(statement)?.as_bytes())?;
                return Ok(Some(key.armor(&agent.sign(&blob, &bytes)?)?));
            }
        }
        Ok(None)
    }

    /// The train that is meant: the one that was named, or the only one on its way.
    pub(crate) fn train(&self, named: Option<TrainId>) -> anyhow::Result<TrainId> {
        let running = self.state.running();
        match (named, running.as_slice()) {
            (Some(train), _) => Ok(train),
            (None, [train]) => Ok(train.id),
            (None, several) => Err(Unknown::Train { found: several.len() }.into()),
        }
    }

    /// The release that is meant: of the train and channel that were named, or the only ones there are.
    pub(crate) fn which(&self, meant: &Meant) -> anyhow::Result<Which> {
        let carries = |id: TrainId, channel: Channel| self.state.release(id, channel).is_some();
        let running = self.state.running();
        let train = match (meant.train, meant.channel) {
            (None, Some(channel)) => {
                let carrying: Vec<_> = running.iter().filter(|train| carries(train.id, channel)).collect();
                match carrying.as_slice() {
                    [train] => train.id,
                    _ => self.train(None)?,
                }
            }
            (named, _) => self.train(named)?,
        };
        if let Some(channel) = meant.channel {
            return Ok(Which { train, channel });
        }
        let going: Vec<Channel> = self
            .state
            .trains
            .get(&train)
            .into_iter()
            .flat_map(|train| train.going())
            .map(|(c, _)| c)
            .collect();
        match going.as_slice() {
            [channel] => Ok(Which { train, channel: *channel }),
            several => Err(Unknown::Channel { train, found: several.len() }.into()),
        }
    }

    /// The database that it lies in.
    pub(crate) fn database(&self) -> &'a Path {
        &self.args.db
    }

    /// Evidence by digest, beside the log.
    pub(crate) fn blobs(&self) -> Blobs {
        Blobs::beside(&self.args.db)
    }
}

/// Which release is meant, as a command line says it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Meant {
    /// The channel [default: the train's only one].
    #[arg(long)]
    pub(crate) channel: Option<Channel>,
    /// The train [default: the only one on its way].
    #[arg(long, value_name = "DAY")]
    pub(crate) train: Option<TrainId>,
}

/// Reads a private key.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<PrivateKey> {
    let bytes = read_limited(path, MAX_FILE_BYTES)?;
    PrivateKey::parse(&String::from_utf8_lossy(&bytes))
        .with_context(|| format!("cannot use the key `{}`", path.display()))
}

/// Writes a text where there was none.
pub(crate) fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if fs::exists(path).unwrap_or(true) {
        anyhow::bail!("`{}` is there already: expected a new file", path.display());
    }
    Ok(sm_host::files::write_atomic(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use sm_vmtest::suite::catalog;

    use super::*;

    #[test]
    fn the_rules_of_boxcar_linux_are_sound_and_ask_for_tests_that_exist() {
        let place = tempfile::tempdir().unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../os/boxcar/release");
        let args = Args { db: place.path().join("x.db"), rules, who: None, key: None };
        let now = "2026-12-01T08:00:00Z".parse().unwrap();
        let project = Project::open_at(&args, Until::Newest, now).unwrap();
        assert_eq!(project.adopted.len(), 3, "policy, maintainers, calendar");
        let tests = &project.state.rules.policy.tests;
        let missing: Vec<_> = tests
            .iter()
            .filter(|id| !catalog::ALL.iter().any(|test| test.id() == **id && test.obstacle().is_none()))
            .collect();
        assert!(!tests.is_empty() && missing.is_empty(), "{missing:?}");
    }
}
