//! `stationmaster go`: opens votes, shows them, closes them, answers advice, exports a decision with everything it rests on.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use sm_model::Handle;
use sm_release::{
    bundle,
    train::{Command, draft},
    view::poll::PollView,
};

use crate::{
    context::{Context, Outcome},
    project::{self, Meant, Project, write_new},
    told,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster go open --channel alpha
      Ask everybody in `maintainers.toml`; the evidence is frozen by digest.
  stationmaster go status
      Who said what, what is missing, what it would come to now.
  stationmaster go close
      Compute, sign and record the decision.
  stationmaster go export alpha-4902.0.0.json
      The decision with everything it rests on: anybody can verify it.

A Go takes more than half of the active voters, three at least, with build,
test and security among them. It is good for 72 hours.";

/// Open, show and close votes on a release.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    project: project::Args,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Open votes on the evidence as it is.
    Open(Meant),
    /// Show votes and what they come to.
    Status(Meant),
    /// Close votes: compute the decision, sign it, record it.
    Close(Meant),
    /// Answer somebody whose No-Go is advice.
    Answer {
        #[command(flatten)]
        meant: Meant,
        /// Who objects.
        voter: Handle,
        /// The answer.
        answer: String,
    },
    /// Write the decision with everything it rests on into a file.
    Export {
        #[command(flatten)]
        meant: Meant,
        /// The file; must not exist.
        file: PathBuf,
    },
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let meant = match &args.action {
        Action::Open(meant) | Action::Status(meant) | Action::Close(meant) => meant,
        Action::Answer { meant, .. } | Action::Export { meant, .. } => meant,
    };
    let which = project.which(meant)?;
    let events = match &args.action {
        Action::Open(_) => project.ask_once(Command::OpenPoll(which))?,
        Action::Status(_) => {
            let view = PollView::of(&project.state, which.train, which.channel, project.now);
            ctx.data(&view.with_context(|| format!("votes on {} are not open", which.channel))?)?;
            return Ok(Outcome::Done);
        }
        Action::Close(_) => {
            let who = project.who()?;
            project.ask(|project| {
                let decision =
                    draft::decision(&project.state, which.train, which.channel, who.clone(), project.now)?;
                Ok(Command::Decide(project.sign(decision, &who)?))
            })?
        }
        Action::Answer { voter, answer, .. } => {
            project.ask_once(Command::Answer { which, voter: voter.clone(), answer: answer.clone() })?
        }
        Action::Export { file, .. } => {
            let blobs = project.blobs();
            let text = |digest: &sm_model::Sha256| String::from_utf8(blobs.get(digest).ok()?).ok();
            let exported =
                bundle::export(&project.state, which.train, which.channel, &project.rule_texts, text);
            let exported = exported.with_context(|| {
                format!("nothing is decided on {} and its evidence as it is", which.channel)
            })?;
            write_new(file, &(serde_json::to_string_pretty(&exported)? + "\n"))?;
            ctx.line(format!("`{}` holds the decision", file.file_name().unwrap_or_default().display()))?;
            return Ok(Outcome::Done);
        }
    };
    told::tell(ctx, &events)
}
