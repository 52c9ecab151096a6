//! `stationmaster version`: which version comes next, and why; what could come up; how long streams live.

use std::{fmt, path::PathBuf};

use clap::Subcommand;
use serde::Serialize;
use sm_host::files::read_text;
use sm_model::{
    Channel, Date, Released, Version,
    train::{Move, PlannedRelease},
};
use sm_release::{
    lts,
    soak::{self, Promotable},
    train::{Command, Refusals, decide::propose},
    version::{explain, newest},
    view::today::channels,
};

use crate::{
    context::{Context, Outcome},
    project::{self, Project},
    release::open::Carried,
    told,
};

/// Largest history that is read.
const MAX_HISTORY_BYTES: u64 = 16 << 20;

const EXAMPLES: &str = "\
Examples:
  stationmaster version next
      What the next release of every channel would be called, and why.
  stationmaster version next stable=promote:4890
  stationmaster version promotable stable
      Branches of beta, with the days that each component was used there.
  stationmaster version explain 4890.2.1
  stationmaster version explain
      Every release of the history that the rules would not have made.

A version is MAJOR.LEVEL.PATCH: days from the epoch to the day the branch was
cut; 0 alpha, 1 beta, 2 stable, 3 lts; releases of the branch in the channel.";

/// Tell which version comes next, and why.
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
    /// Show the next version of a channel, and the steps of the arithmetic.
    Next {
        /// CHANNEL, or CHANNEL=new, =patch, =promote or =promote:MAJOR
        /// [default: every channel that has releases].
        channel: Option<Carried>,
    },
    /// Tell how a release of the past came about.
    Explain {
        /// Its version [default: all that differ from the rules].
        version: Option<Version>,
    },
    /// Show branches that could come up into a channel.
    Promotable {
        /// The channel.
        channel: Channel,
    },
    /// Show long-term streams and until when they are supported.
    Streams,
    /// Take releases of before into the history, from a JSON list.
    Import {
        /// [{\"date\": …, \"channel\": …, \"version\": …}, …]
        file: PathBuf,
    },
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let state = &project.state;
    match &args.action {
        Action::Next { channel: Some(channel) } => {
            let wanted = channel.wanted(&project);
            let planned = propose(state, channel.channel, wanted, project.now)
                .map_err(|refusal| anyhow::Error::new(Refusals::from(refusal)))?;
            ctx.data(&Next(planned))?;
        }
        Action::Next { channel: None } => ctx.data(&EveryNext::of(&project))?,
        Action::Explain { version: Some(version) } => ctx.data(&Explained::of(&project, *version)?)?,
        Action::Explain { version: None } => ctx.data(&Differences::of(&state.history))?,
        Action::Promotable { channel } => {
            let watched = &state.rules.policy.components;
            let found = soak::promotable(&state.history, &state.contents, *channel, watched, project.now);
            ctx.data(&Branches { usual_days: soak::usual_days(*channel), branches: found })?;
        }
        Action::Streams => {
            ctx.data(&Streams { today: Date::of(project.now), streams: lts::streams(&state.history) })?;
        }
        Action::Import { file } => {
            let text = read_text(file, MAX_HISTORY_BYTES)?;
            let releases = readable(&text, ctx)?;
            let events = project.ask_once(Command::ImportHistory { releases })?;
            return told::tell(ctx, &events);
        }
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Next(PlannedRelease);

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlannedRelease { channel, version, previous, wanted, why } = &self.0;
        let against = previous.map_or("the first release".to_owned(), |previous| format!("after {previous}"));
        write!(f, "{channel} {version} ({wanted}, {against})")?;
        why.iter().try_for_each(|why| write!(f, "\n  {why}"))
    }
}

/// What every channel would get next, or why nothing.
#[derive(Serialize)]
struct EveryNext(Vec<ChannelNext>);

#[derive(Serialize)]
#[serde(untagged)]
enum ChannelNext {
    Planned(Next),
    Refused { channel: Channel, refusal: String },
}

impl EveryNext {
    fn of(project: &Project<'_>) -> EveryNext {
        let next = |channel| match propose(&project.state, channel, None, project.now) {
            Ok(planned) => ChannelNext::Planned(Next(planned)),
            Err(refusal) => ChannelNext::Refused { channel, refusal: refusal.to_string() },
        };
        EveryNext(channels(&project.state, Date::of(project.now)).into_iter().map(next).collect())
    }
}

impl fmt::Display for EveryNext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no channel has a release yet: name one, as in `version next alpha`");
        }
        let line = |next: &ChannelNext| match next {
            ChannelNext::Planned(next) => next.to_string(),
            ChannelNext::Refused { channel, refusal } => format!("{channel}: nothing: {refusal}"),
        };
        f.write_str(&self.0.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

/// The releases of a list whose versions are of our form. A history may begin with an older numbering: those are told.
fn readable(text: &str, ctx: &Context<'_>) -> anyhow::Result<Vec<Released>> {
    let all: Vec<serde_json::Value> = serde_json::from_str(text)?;
    let mut releases = Vec::new();
    for one in all {
        match serde_json::from_value(one.clone()) {
            Ok(released) => releases.push(released),
            Err(error) => ctx.progress.note(&format!("left out: {one}: {error}")),
        }
    }
    Ok(releases)
}

/// A release of the past.
#[derive(Serialize)]
struct Explained {
    released: Released,
    /// The channel's release before it.
    previous: Option<Version>,
    /// Days that a branch which came up had been in the channel below.
    soaked_days: Option<i64>,
    how: String,
    follows_the_rules: bool,
}

impl Explained {
    fn of(project: &Project<'_>, version: Version) -> anyhow::Result<Explained> {
        let history = in_order(&project.state.history);
        let Some(idx) = history.iter().position(|released| released.version == version) else {
            anyhow::bail!("`{version}` is no release of the history")
        };
        Ok(Explained::after(&history[..idx], history[idx]))
    }

    fn after(before: &[Released], released: Released) -> Explained {
        let made = explain(before, &released);
        let since = match made {
            Ok(Move::Promote { major }) => soak::since(before, released.channel, major),
            _ => None,
        };
        Explained {
            released,
            previous: newest(before, released.channel),
            soaked_days: since.map(|since| soak::days(since, released.date)),
            follows_the_rules: made.is_ok(),
            how: made.map_or_else(|difference| difference.to_string(), |made| made.to_string()),
        }
    }
}

fn in_order(history: &[Released]) -> Vec<Released> {
    let mut history = history.to_vec();
    history.sort_by_key(|released| released.date);
    history
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Released { date, channel, version } = self.released;
        let against = if self.follows_the_rules { "" } else { "against the rules: " };
        write!(f, "{version}: {against}{}, published in {channel} on {}", self.how, Date::of(date))?;
        if let Some(previous) = self.previous {
            write!(f, " after {previous}")?;
        }
        self.soaked_days.map_or(Ok(()), |days| write!(f, ", {days} days after it came to the channel below"))
    }
}

/// Releases of the past that the rules would not have made.
#[derive(Serialize)]
struct Differences {
    n_releases: usize,
    differing: Vec<Explained>,
}

impl Differences {
    fn of(history: &[Released]) -> Differences {
        let history = in_order(history);
        let all = (0..history.len()).map(|idx| Explained::after(&history[..idx], history[idx]));
        let differing = all.filter(|explained| !explained.follows_the_rules).collect();
        Differences { n_releases: history.len(), differing }
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, all) = (self.differing.len(), self.n_releases);
        write!(f, "{} of {all} releases follow the rules", all - n)?;
        self.differing.iter().try_for_each(|explained| write!(f, "\n{explained}"))
    }
}

#[derive(Serialize)]
struct Branches {
    usual_days: i64,
    branches: Vec<Promotable>,
}

impl fmt::Display for Branches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.branches.is_empty() {
            return f.write_str("no branch of the channel below is newer");
        }
        let usual = self.usual_days;
        let line = |branch: &Promotable| {
            let soaked = if branch.days >= usual { "soaked" } else { "too young" };
            let mut line =
                format!("{}: {}, {} of {usual} days, {soaked}", branch.major, branch.newest, branch.days);
            for component in &branch.components {
                let days = component.days.unwrap_or(0);
                line.push_str(&format!("\n  {} {}: {days} days", component.package, component.version));
            }
            line
        };
        f.write_str(&self.branches.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

#[derive(Serialize)]
struct Streams {
    today: Date,
    streams: Vec<lts::Stream>,
}

impl fmt::Display for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.streams.is_empty() {
            return f.write_str("there is no long-term stream yet");
        }
        let line = |stream: &lts::Stream| {
            let word = if stream.is_supported(self.today) { "supported" } else { "support ended" };
            let (until, due) = (stream.supported_until, stream.successor_due);
            let head = format!("{} (branch {}, since {})", stream.channel, stream.major, stream.began);
            format!("{head}: {word}, until {until}; the next stream is due by {due}")
        };
        f.write_str(&self.streams.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}
