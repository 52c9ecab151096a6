//! `stationmaster blocker`: what keeps releases from being published.

use std::{collections::BTreeMap, fmt};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use sm_model::{Channel, ItemId, release_event::Resolution};
use sm_release::train::{Command, state::Blocker};

use crate::{
    context::{Context, Outcome},
    project::{self, Project},
    told,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster blocker open 'DNS is lost on resume' --channel alpha
  stationmaster blocker close '#4' --reason 'fixed by systemd 257.10'
  stationmaster blocker close '#4' --how deferred --reason 'old, rare'
      Rejected or deferred by whoever opened it, or by a maintainer who does
      not coordinate the train that it holds up.";

/// Open and close what keeps releases from being published.
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
    /// Open a blocker.
    Open {
        /// What it is, in one line.
        title: String,
        /// A channel that it holds up; repeatable.
        #[arg(long, required = true)]
        channel: Vec<Channel>,
        /// Where it is worked on.
        #[arg(long, default_value = "", value_name = "URL", hide_default_value = true)]
        issue: String,
    },
    /// Close a blocker.
    Close {
        /// Its number.
        id: ItemId,
        /// How it was resolved.
        #[arg(long, value_enum, default_value_t = How::Fixed)]
        how: How,
        /// Why, or by what.
        #[arg(long)]
        reason: String,
    },
    /// List blockers.
    List,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// What it is about was mended.
    Fixed,
    /// It is none.
    Rejected,
    /// It waits for the next release.
    Deferred,
}

impl From<How> for Resolution {
    fn from(how: How) -> Resolution {
        match how {
            How::Fixed => Resolution::Fixed,
            How::Rejected => Resolution::Rejected,
            How::Deferred => Resolution::Deferred,
        }
    }
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let events = match &args.action {
        Action::Open { title, channel, issue } => project.ask_once(Command::OpenBlocker {
            title: title.clone(),
            channels: channel.clone(),
            issue: issue.clone(),
        })?,
        Action::Close { id, how, reason } => project.ask_once(Command::CloseBlocker {
            id: *id,
            resolution: (*how).into(),
            reason: reason.clone(),
        })?,
        Action::List => {
            ctx.data(&List(&project.state.blockers))?;
            return Ok(Outcome::Done);
        }
    };
    told::tell(ctx, &events)
}

#[derive(Serialize)]
#[serde(transparent)]
struct List<'a>(&'a BTreeMap<ItemId, Blocker>);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("there is no blocker");
        }
        let line = |(id, blocker): (&ItemId, &Blocker)| {
            let channels: Vec<String> = blocker.channels.iter().map(ToString::to_string).collect();
            let state = match &blocker.closed {
                None => "open".to_owned(),
                Some((resolution, reason)) => format!("{resolution:?}: {reason}").to_lowercase(),
            };
            format!("{id} {} ({}), opened by {}: {state}", blocker.title, channels.join(", "), blocker.by)
        };
        f.write_str(&self.0.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}
