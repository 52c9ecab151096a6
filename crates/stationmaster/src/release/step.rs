//! `release step`: what people do, ticked off with evidence, or passed over with a reason.

use clap::Subcommand;
use sm_model::{Channel, StepId, TrainId, release_event::StepResult};
use sm_release::{
    steps::{self, Scope},
    train::Command,
};

use crate::{
    context::{Context, Outcome},
    project::Project,
    told,
};

/// Begin, end or pass over steps of the checklist.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say that you are at it.
    Begin(Steps),
    /// It is done.
    Done {
        #[command(flatten)]
        steps: Steps,
        /// What shows it.
        #[arg(long)]
        evidence: String,
    },
    /// It does not apply this time.
    Na {
        #[command(flatten)]
        steps: Steps,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// It failed.
    Failed {
        #[command(flatten)]
        steps: Steps,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct Steps {
    /// Steps, by name: P2 T3 …
    #[arg(required = true)]
    steps: Vec<StepId>,
    /// The channel [default: every channel of the train].
    #[arg(long)]
    channel: Option<Channel>,
    /// The train [default: the only one on its way].
    #[arg(long, value_name = "DAY")]
    train: Option<TrainId>,
}

pub(super) fn run(args: &Args, project: &mut Project<'_>, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let (steps, result) = match &args.action {
        Action::Begin(steps) => (steps, None),
        Action::Done { steps, evidence } => (steps, Some(StepResult::Done { evidence: evidence.clone() })),
        Action::Na { steps, reason } => (steps, Some(StepResult::NotApplicable { reason: reason.clone() })),
        Action::Failed { steps, reason } => (steps, Some(StepResult::Failed { reason: reason.clone() })),
    };
    let train = project.train(steps.train)?;
    let mut events = Vec::new();
    for step in &steps.steps {
        for channel in places(project, train, *step, steps.channel) {
            let step = *step;
            let command = match &result {
                None => Command::BeginStep { train, step, channel },
                Some(result) => Command::EndStep { train, step, channel, result: result.clone() },
            };
            events.extend(project.ask_once(command)?);
        }
    }
    told::tell(ctx, &events)
}

/// Where a step is meant: the train, the channel that was named, or every channel of the train.
fn places(
    project: &Project<'_>,
    train: TrainId,
    step: StepId,
    named: Option<Channel>,
) -> Vec<Option<Channel>> {
    let is_of_channel = steps::kind(step).is_some_and(|kind| kind.scope == Scope::Channel);
    if named.is_some() || !is_of_channel {
        return vec![named];
    }
    let going = project.state.trains.get(&train).into_iter().flat_map(|train| train.going());
    going.map(|(channel, _)| Some(channel)).collect()
}
