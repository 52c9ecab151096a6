//! `stationmaster go`: opens votes, shows them, closes them, answers advice, exports a decision with everything it rests on.

pub(crate) mod room;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use sm_model::{Handle, release_event::Event};
use sm_release::{
    bundle,
    train::{Command, command::Which, draft},
    view::poll::PollView,
};

use self::room::{RoomError, Talk};
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

With a `room.toml` beside the policy, `open` asks in that chat room too, and
`close` reads it first; `read` records at any time what was said there.

A Go takes more than half of the active voters, three at least, with build,
test and security among them. It is good for 72 hours.";

/// Open, show and close votes on a release.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    project: project::Args,
    #[command(flatten)]
    room: room::Place,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Open votes on the evidence as it is.
    Open(Meant),
    /// Show votes and what they come to.
    Status(Meant),
    /// Record what was said in the room.
    Read(Meant),
    /// Post to the room what it does not know yet.
    Announce(Meant),
    /// Close votes: read the room, compute the decision, sign it, record it.
    Close {
        #[command(flatten)]
        meant: Meant,
        /// Count the votes that are on record, and do not read the room.
        #[arg(long)]
        without_room: bool,
    },
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
        Action::Open(meant) | Action::Status(meant) | Action::Read(meant) | Action::Announce(meant) => meant,
        Action::Answer { meant, .. } | Action::Export { meant, .. } | Action::Close { meant, .. } => meant,
    };
    let which = project.which(meant)?;
    let talk = || room::Talk::open(&args.room, &args.project.rules, ctx);
    let events = match &args.action {
        Action::Open(_) => {
            let talk = talk()?;
            let opened = project.ask_once(Command::OpenPoll(which))?;
            return tell_both(ctx, opened, |_| announce(talk.as_ref(), &mut project, which));
        }
        Action::Status(_) => {
            let view = PollView::of(&project.state, which.train, which.channel, project.now);
            ctx.data(&view.with_context(|| format!("votes on {} are not open", which.channel))?)?;
            return Ok(Outcome::Done);
        }
        Action::Read(_) => talk()?.ok_or(RoomError::NoRoom)?.read(&mut project, which)?,
        Action::Announce(_) => talk()?.ok_or(RoomError::NoRoom)?.announce(&mut project, which)?,
        Action::Close { without_room, .. } => {
            let talk = talk()?;
            let read = if *without_room { vec![] } else { read_first(talk.as_ref(), &mut project, which)? };
            return tell_both(ctx, read, |events| {
                events.extend(close(&mut project, which)?);
                announce(talk.as_ref(), &mut project, which)
            });
        }
        Action::Answer { voter, answer, .. } => {
            project.ask_once(Command::Answer { which, voter: voter.clone(), answer: answer.clone() })?
        }
        Action::Export { file, .. } => return export(&project, which, file, ctx),
    };
    told::tell(ctx, &events)
}

/// Tells what happened, also when what follows fails.
fn tell_both(
    ctx: &Context<'_>,
    mut events: Vec<Event>,
    next: impl FnOnce(&mut Vec<Event>) -> anyhow::Result<Vec<Event>>,
) -> anyhow::Result<Outcome> {
    match next(&mut events) {
        Ok(more) => {
            events.extend(more);
            told::tell(ctx, &events)
        }
        Err(error) => {
            if !events.is_empty() {
                told::tell(ctx, &events)?;
            }
            Err(error)
        }
    }
}

fn announce(talk: Option<&Talk<'_>>, project: &mut Project<'_>, which: Which) -> anyhow::Result<Vec<Event>> {
    talk.map_or_else(|| Ok(vec![]), |talk| talk.announce(project, which))
}

/// Reads the room in which votes are asked for, if there is one: a No-Go there must not be missed.
fn read_first(
    talk: Option<&Talk<'_>>,
    project: &mut Project<'_>,
    which: Which,
) -> anyhow::Result<Vec<Event>> {
    let open = room::poll(project, which).filter(|poll| poll.decision.is_none());
    match (open.and_then(|poll| poll.announced.as_ref()), talk) {
        (None, _) => Ok(vec![]),
        (Some(_), None) => Err(RoomError::Unread(RoomError::NoRoom.into()).into()),
        (Some(_), Some(talk)) => talk.read(project, which).map_err(|error| RoomError::Unread(error).into()),
    }
}

fn close(project: &mut Project<'_>, which: Which) -> anyhow::Result<Vec<Event>> {
    let who = project.who()?;
    project.ask(|project| {
        let decision = draft::decision(&project.state, which.train, which.channel, who.clone(), project.now)?;
        Ok(Command::Decide(project.sign(decision, &who)?))
    })
}

fn export(project: &Project<'_>, which: Which, file: &Path, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let blobs = project.blobs();
    let text = |digest: &sm_model::Sha256| String::from_utf8(blobs.get(digest).ok()?).ok();
    let exported = bundle::export(&project.state, which.train, which.channel, &project.rule_texts, text);
    let exported = exported
        .with_context(|| format!("nothing is decided on {} and its evidence as it is", which.channel))?;
    write_new(file, &(serde_json::to_string_pretty(&exported)? + "\n"))?;
    ctx.line(format!("`{}` holds the decision", file.file_name().unwrap_or_default().display()))?;
    Ok(Outcome::Done)
}
