//! `stationmaster today`, `status` and `next`: where everything is, and who can do what now.

use std::fmt;

use serde::Serialize;
use sm_model::{Timestamp, TrainId};
use sm_release::view::{
    status::{StepStatus, TrainStatus},
    today::Today,
};
use sm_store::Until;

use crate::{
    context::{Context, Outcome},
    project::{self, Project},
};

/// Show the day: whether it is open, which trains go, what is due.
#[derive(Debug, clap::Args)]
pub(crate) struct TodayArgs {
    #[command(flatten)]
    project: project::Args,
}

/// Show a train and its checklist.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stationmaster status
      Every train on its way, with its releases.
  stationmaster status 2026-12-02 --steps
      One train with its whole checklist.
  stationmaster status --at 2026-12-01T10:00:00Z
      As it was known at that instant.")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    project: project::Args,
    /// The train [default: all that are on their way].
    train: Option<TrainId>,
    /// Show the whole checklist.
    #[arg(long)]
    steps: bool,
    /// As it was known at an instant of the past.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// Show what can be done now, and by whom.
#[derive(Debug, clap::Args)]
pub(crate) struct NextArgs {
    #[command(flatten)]
    project: project::Args,
    /// The train [default: all that are on their way].
    train: Option<TrainId>,
}

pub(crate) fn today(args: &TodayArgs, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let project = Project::open(&args.project, ctx)?;
    ctx.data(&Today::of(&project.state, project.now))?;
    Ok(Outcome::Done)
}

pub(crate) fn status(args: &StatusArgs, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let project = match args.at {
        None => Project::open(&args.project, ctx)?,
        Some(at) => Project::open_at(&args.project, Until::Instant(at), at)?,
    };
    let trains = trains(&project, args.train)?;
    ctx.data(&Status { trains, steps: args.steps })?;
    Ok(Outcome::Done)
}

pub(crate) fn next(args: &NextArgs, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let project = Project::open(&args.project, ctx)?;
    let trains = trains(&project, args.train)?;
    let steps = trains.iter().flat_map(|train| train.next().cloned()).collect();
    ctx.data(&Next { steps })?;
    Ok(Outcome::Done)
}

fn trains(project: &Project<'_>, named: Option<TrainId>) -> anyhow::Result<Vec<TrainStatus>> {
    let state = &project.state;
    let running = state.running();
    let chosen = match named {
        None => running,
        Some(id) => match state.trains.get(&id) {
            Some(train) => vec![train],
            None => anyhow::bail!("there is no train `{id}`"),
        },
    };
    Ok(chosen.into_iter().map(|train| TrainStatus::of(state, train, project.now)).collect())
}

#[derive(Serialize)]
struct Status {
    trains: Vec<TrainStatus>,
    #[serde(skip)]
    steps: bool,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.trains.is_empty() {
            return f.write_str("no train is on its way");
        }
        let train = |status: &TrainStatus| {
            let mut lines = vec![status.to_string()];
            if self.steps {
                lines.extend(status.steps.iter().map(|step| format!("  {step}")));
            }
            lines.join("\n")
        };
        f.write_str(&self.trains.iter().map(train).collect::<Vec<_>>().join("\n"))
    }
}

#[derive(Serialize)]
struct Next {
    steps: Vec<StepStatus>,
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("nothing can be done now");
        }
        let line = |step: &StepStatus| {
            let place = step.channel.map_or_else(String::new, |channel| format!(" {channel}"));
            format!("{}: {}{place} {}", step.who, step.kind.id, step.kind.title)
        };
        f.write_str(&self.steps.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}
