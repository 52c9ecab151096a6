//! The train of a demonstration: the commands that people give from Monday to Thursday, given by three people who are made up, in a
//! project of their own. Every command is one that anybody could type; it is shown with what it says.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rand_core::{OsRng, RngCore as _};
use serde::Serialize;
use sm_compose::release::ReleaseDir;
use sm_host::{files, progress::Silent};
use sm_model::{Channel, Date, Released, Version};
use sm_pipeline::demo::{Train, TrainError};
use sm_release::{proof::PrivateKey, view::status::TrainStatus};
use sm_store::Until;
use sm_vmtest::suite::catalog::Class;

use crate::{
    context::{Context, Out, Outcome},
    project::{self, Project},
    test::{
        Judged,
        quick::{self, Workplace},
    },
};

/// Who takes part, and for what.
const PEOPLE: [(&str, &[&str]); 3] =
    [("ada", &["build", "notes"]), ("ben", &["test"]), ("cleo", &["security", "publish"])];
/// Who leads.
const LEAD: &str = "ada";
/// Verbs that read rules and keys.
const SIGNED: [&str; 2] = ["vote", "go"];

/// What came of the train.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outcomes {
    /// Its checklist at the end.
    pub(super) checklist: Option<TrainStatus>,
    /// The decision with everything it rests on: `stationmaster decision verify` computes it again.
    pub(super) decision: Option<PathBuf>,
    /// What the release suite said about the release, before votes.
    pub(super) tests: Option<Judged>,
}

/// A train in a folder of its own, made anew by every run.
pub(super) struct DemoTrain<'a> {
    place: PathBuf,
    staged: PathBuf,
    root: PathBuf,
    channel: Channel,
    workplace: Workplace<'a>,
    ctx: &'a Context<'a>,
    outcomes: &'a mut Outcomes,
}

impl std::fmt::Debug for DemoTrain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoTrain").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<'a> DemoTrain<'a> {
    /// A train of a demonstration whose files are in `out`.
    pub(super) fn below(
        out: &Path,
        workplace: Workplace<'a>,
        ctx: &'a Context<'a>,
        outcomes: &'a mut Outcomes,
    ) -> Self {
        DemoTrain {
            place: out.join("train"),
            staged: out.join("staged"),
            root: out.join("releases"),
            channel: Channel::Alpha,
            workplace,
            ctx,
            outcomes,
        }
    }

    /// Makes people, keys and rules.
    fn settle(&self) -> anyhow::Result<()> {
        match fs::remove_dir_all(&self.place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let rules = self.place.join("rules");
        let mut maintainers = String::new();
        for (name, roles) in PEOPLE {
            let mut seed = [0; 32];
            OsRng.fill_bytes(&mut seed);
            let key = PrivateKey::from_seed(&seed, name)?;
            files::write_atomic(&self.key_of(name), key.to_text()?.as_bytes())?;
            let public = key.public_text()?;
            maintainers.push_str(&format!(
                "[[maintainer]]\nhandle = \"{name}\"\nroles = {roles:?}\nkeys = [{public:?}]\n"
            ));
        }
        files::write_atomic(&rules.join("maintainers.toml"), maintainers.as_bytes())?;
        files::write_atomic(&rules.join("policy.toml"), include_bytes!("policy.toml"))?;
        let calendar = self.workplace.recipe.with_file_name("release").join("calendar.toml");
        if calendar.exists() {
            fs::copy(calendar, rules.join("calendar.toml"))?;
        }
        Ok(())
    }

    fn key_of(&self, name: &str) -> PathBuf {
        self.place.join(format!("{name}.key"))
    }

    fn path(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }

    fn args(&self) -> project::Args {
        project::Args {
            db: self.place.join("project.db"),
            rules: self.place.join("rules"),
            who: None,
            key: None,
        }
    }

    fn project<'p>(&self, args: &'p project::Args) -> anyhow::Result<Project<'p>> {
        Project::open_at(args, Until::Newest, self.ctx.clock.now())
    }

    /// Gives a command in somebody's name, and shows it with what it says.
    fn command(&self, who: &str, words: &[&str]) -> anyhow::Result<()> {
        let mut line: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let verb = words.first().copied().unwrap_or_default();
        if verb != "decision" {
            line.extend(["--db".to_owned(), self.path("project.db"), "--as".to_owned(), who.to_owned()]);
            line.extend(["--rules".to_owned(), self.path("rules")]);
        }
        if SIGNED.contains(&verb) {
            line.extend(["--key".to_owned(), self.key_of(who).display().to_string()]);
        }
        self.ctx.progress.note(&format!("{who}> stationmaster {}", shown(words)));
        let written = RefCell::new(String::new());
        let context = Context {
            json: false,
            progress: &Silent,
            clock: self.ctx.clock,
            chat: self.ctx.chat,
            out: Out::Text(&written),
        };
        let ended = crate::run_line(&line, &context);
        for said in written.take().lines() {
            self.ctx.progress.note(&format!("    {said}"));
        }
        match ended? {
            Outcome::Done => Ok(()),
            Outcome::Negative | Outcome::Unjudged => {
                anyhow::bail!("`stationmaster {}` says no: its words are above", shown(words))
            }
        }
    }

    fn open_train(&self, previous: &Released) -> anyhow::Result<Version> {
        self.settle()?;
        let history = self.place.join("history.json");
        files::write_atomic(&history, &serde_json::to_vec(&[previous])?)?;
        self.command(LEAD, &["version", "import", &history.display().to_string()])?;
        let today = Date::of(self.ctx.clock.now());
        let day = today.to_string();
        let args = self.args();
        if self.project(&args)?.state.calendar().check(today).is_err() {
            // Demonstrations are given on any day: two people open it.
            self.command(LEAD, &["cal", "expedite", &day, "--reason", "a demonstration"])?;
            self.command("ben", &["cal", "expedite", &day, "--grant"])?;
        }
        let channel = self.channel.to_string();
        let team = ["--team", "build=ada", "--team", "test=ben", "--team", "security=cleo"];
        self.command(LEAD, &[["release", "open", &day, &channel].as_slice(), &team].concat())?;
        let project = self.project(&args)?;
        let release = project.state.release(project.train(None)?, self.channel);
        Ok(release.context("the train carries nothing")?.1.plan.version)
    }

    /// Evidence, votes, decision.
    fn decide_on(&mut self, candidate: &ReleaseDir, previous: &ReleaseDir) -> anyhow::Result<()> {
        let [new, old] = [candidate, previous].map(|release| release.path().display().to_string());
        self.command(LEAD, &["release", "evidence", "composed", &new])?;
        let judged =
            quick::judge(candidate.path(), &[Class::Offline, Class::Shared], &self.workplace, self.ctx)?;
        let report = judged.report.display().to_string();
        self.outcomes.tests = Some(judged);
        self.command("ben", &["release", "evidence", "tested", &new, &report])?;
        self.command("ben", &["release", "evidence", "compared", &new, &old])?;
        let recipe = self.workplace.recipe.display().to_string();
        self.command(LEAD, &["notes", "accept", &new, "--against", &old, "--recipe", &recipe])?;
        self.command(
            "ben",
            &["release", "step", "done", "T2", "--evidence", "the report of the release suite"],
        )?;
        self.command(LEAD, &["gate", "check"])?;
        self.command(LEAD, &["go", "open"])?;
        for (who, _) in PEOPLE {
            self.command(who, &["vote", "go", "--reason", "a demonstration"])?;
        }
        self.command(LEAD, &["go", "close"])?;
        let decision = self.place.join("decision.json");
        self.command(LEAD, &["go", "export", &decision.display().to_string()])?;
        let file = decision.display().to_string();
        let maintainers = self.path("rules/maintainers.toml");
        self.command("anybody", &["decision", "verify", &file, "--maintainers", &maintainers])?;
        self.outcomes.decision = Some(decision);
        Ok(())
    }

    fn make_public(&mut self) -> anyhow::Result<()> {
        let steps =
            ["release", "step", "done", "P4", "N2", "N3", "R2", "R3", "--evidence", "a demonstration"];
        self.command("cleo", &steps)?;
        for who in ["ada", "cleo"] {
            self.command(who, &["release", "acknowledge"])?;
        }
        let [staged, root] = [&self.staged, &self.root].map(|path| path.display().to_string());
        self.command("cleo", &["release", "publish", "--staged", &staged, "--root", &root])
    }

    fn first_host(&mut self, evidence: &str) -> anyhow::Result<()> {
        self.command("cleo", &["release", "step", "na", "R7", "--reason", "a demonstration has no site"])?;
        self.command("cleo", &["release", "step", "done", "R8", "R9", "R10", "--evidence", evidence])?;
        let args = self.args();
        let project = self.project(&args)?;
        let train = project.state.trains.values().last();
        self.outcomes.checklist = train.map(|train| TrainStatus::of(&project.state, train, project.now));
        Ok(())
    }
}

/// A command line as somebody would type it; of paths only their ends.
fn shown(words: &[&str]) -> String {
    let word = |word: &&str| match word.rsplit_once('/') {
        Some((_, end)) => format!("…/{end}"),
        None if word.contains(' ') => format!("'{word}'"),
        None => (*word).to_owned(),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

impl Train for DemoTrain<'_> {
    fn open(&mut self, previous: &Released) -> Result<Version, TrainError> {
        Ok(self.open_train(previous)?)
    }

    fn decide(&mut self, candidate: &ReleaseDir, previous: &ReleaseDir) -> Result<(), TrainError> {
        Ok(self.decide_on(candidate, previous)?)
    }

    fn publish(&mut self) -> Result<(), TrainError> {
        Ok(self.make_public()?)
    }

    fn updated(&mut self, evidence: &str) -> Result<(), TrainError> {
        Ok(self.first_host(evidence)?)
    }
}
