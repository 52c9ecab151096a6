//! `stationmaster vote`: Go, No-Go, or leaving it to others. A vote is signed and bound to the evidence as it is.

use clap::Subcommand;
use sm_model::{ItemId, release_event::Event, statement::Choice};
use sm_release::train::{
    Command,
    command::Which,
    draft::{self, Say},
};

use crate::{
    context::{Context, Outcome},
    project::{self, Meant, Project},
    told,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster vote go --channel alpha
      Sign with the key that the ssh-agent holds.
  stationmaster vote nogo --blocker '#4' --reason 'DNS is lost on resume'
  stationmaster vote nogo --open-blocker 'DNS is lost on resume' \\
      --reason 'servers lose their resolver' --key ~/.ssh/id_ed25519

A vote is worth nothing once the evidence changes. Voting again takes the
place of the earlier vote. Who is not in `maintainers.toml` gives advice: it
is shown, counted apart, and a No-Go of advice is answered.";

/// Vote on a release.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    project: project::Args,
    #[command(subcommand)]
    choice: Vote,
}

#[derive(Debug, Subcommand)]
enum Vote {
    /// Publish it.
    Go(Words),
    /// Do not publish it.
    #[command(name = "nogo")]
    NoGo {
        #[command(flatten)]
        words: Words,
        /// A blocker that it stands on; repeatable.
        #[arg(long, value_name = "#N")]
        blocker: Vec<ItemId>,
        /// Open a blocker for it.
        #[arg(long, value_name = "TITLE")]
        open_blocker: Option<String>,
    },
    /// Leave it to others.
    Abstain(Words),
}

#[derive(Debug, clap::Args)]
struct Words {
    #[command(flatten)]
    meant: Meant,
    /// Why; a No-Go must say.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Votes.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let (choice, words) = match &args.choice {
        Vote::Go(words) => (Choice::Go, words),
        Vote::NoGo { words, .. } => (Choice::NoGo, words),
        Vote::Abstain(words) => (Choice::Abstain, words),
    };
    let which = project.which(&words.meant)?;
    let mut events = Vec::new();
    let mut blockers = Vec::new();
    if let Vote::NoGo { blocker, open_blocker, .. } = &args.choice {
        blockers.clone_from(blocker);
        if let Some(title) = open_blocker {
            let (opened, id) = open_for(&mut project, which, title)?;
            events.extend(opened);
            blockers.extend(id);
        }
    }
    let who = project.who()?;
    events.extend(project.ask(|project| {
        let say =
            Say { voter: who.clone(), choice, reason: words.reason.clone(), blockers: blockers.clone() };
        let ballot = draft::ballot(&project.state, which.train, which.channel, say, project.now)?;
        Ok(Command::Cast(project.sign(ballot, &who)?))
    })?);
    told::tell(ctx, &events)
}

/// Opens a blocker, or finds the one that this person opened before they were interrupted.
fn open_for(
    project: &mut Project<'_>,
    which: Which,
    title: &str,
) -> anyhow::Result<(Vec<Event>, Option<ItemId>)> {
    let opened = project.ask_once(Command::OpenBlocker {
        title: title.to_owned(),
        channels: vec![which.channel],
        issue: String::new(),
    })?;
    let who = project.who()?;
    let open = project.state.blockers.iter().filter(|(_, blocker)| blocker.closed.is_none());
    let found = open
        .filter(|(_, blocker)| blocker.by == who && blocker.title == title)
        .map(|(id, _)| *id)
        .next_back();
    Ok((opened, found))
}
