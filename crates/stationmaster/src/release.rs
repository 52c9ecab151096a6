//! `stationmaster release`: a train from its opening to its closing. Steps that the system can do are done by `release run`.

pub(crate) mod evidence;
#[cfg(test)]
mod interrupted;
pub(crate) mod open;
mod publish;
mod run;
mod step;

use clap::Subcommand;
use sm_model::{Channel, Date, TrainId};
use sm_release::train::{Command, command::Which};

use crate::{
    context::{Context, Outcome},
    project::{self, Meant, Project},
    told,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster release open 2026-12-02 alpha beta=promote stable=patch
      Open a train; versions are computed.
  stationmaster release step done P2 P3 P4 --evidence 'checked in the call'
  stationmaster release step na M1 --reason 'no marketplaces'
  stationmaster release run \\
      --payload-key keys/update-payload-key.key.pem
      Compose, test, compare: whatever the system can do now.
  stationmaster release acknowledge
      Two people, one after the other; then:
  stationmaster release publish
  stationmaster release slip --reason 'the test host is down'

Nothing is done twice: whatever is interrupted goes on where it was.";

/// Open a train, do its steps, slip it, publish it.
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
    /// Open a train for a day.
    Open(open::Args),
    /// Begin, end or pass over steps of the checklist.
    Step(step::Args),
    /// Do what the system can do now: compose, compare, test.
    Run(Box<run::Args>),
    /// Record evidence that was made elsewhere.
    Evidence(evidence::Args),
    /// Acknowledge the point of no return; two people do.
    Acknowledge(Meant),
    /// Publish a release, or go on publishing it.
    Publish(publish::Args),
    /// Put the train to another day [default: the next open one].
    Slip {
        /// The train [default: the only one on its way].
        #[arg(long, value_name = "DAY")]
        train: Option<TrainId>,
        /// The day.
        #[arg(long, value_name = "DAY")]
        to: Option<Date>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Cancel the train, or take one channel off it.
    Cancel {
        /// The train [default: the only one on its way].
        #[arg(long, value_name = "DAY")]
        train: Option<TrainId>,
        /// Only this channel.
        #[arg(long)]
        channel: Option<Channel>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Say that nothing is left to do.
    Close {
        /// The train [default: the only one on its way].
        #[arg(long, value_name = "DAY")]
        train: Option<TrainId>,
    },
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let command = match &args.action {
        Action::Open(args) => return open::run(args, &mut project, ctx),
        Action::Step(args) => return step::run(args, &mut project, ctx),
        Action::Run(args) => return run::run(args, &mut project, ctx),
        Action::Evidence(args) => return evidence::run(args, &mut project, ctx),
        Action::Publish(args) => return publish::run(args, &mut project, ctx),
        Action::Acknowledge(meant) => Command::Acknowledge(project.which(meant)?),
        Action::Slip { train, to, reason } => {
            Command::Slip { train: project.train(*train)?, to: *to, reason: reason.clone() }
        }
        Action::Cancel { train, channel: None, reason } => {
            Command::Cancel { train: project.train(*train)?, reason: reason.clone() }
        }
        Action::Cancel { train, channel: Some(channel), reason } => {
            let which = Which { train: project.train(*train)?, channel: *channel };
            Command::Drop { which, reason: reason.clone() }
        }
        Action::Close { train } => Command::Close { train: project.train(*train)? },
    };
    let events = project.ask_once(command)?;
    told::tell(ctx, &events)
}
