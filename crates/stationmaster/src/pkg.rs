//! `stationmaster pkg`: asking for packages, finding out what they cost, voting, deciding.

mod measure;
mod show;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use sm_host::clock::{Clock, SystemClock};
use sm_model::{
    Arch, Date, Handle, PackageName,
    release_event::Event,
    request::{PackageRequest, RequestChoice, RequestOutcome},
};
use sm_release::requests::Requests;

use crate::{
    context::{Context, Outcome},
    project::{self, Project},
};

const EXAMPLES: &str = "\
Examples:
  stationmaster pkg preview tmux
      Which packages would come with it: resolved, not composed.
  stationmaster pkg request tmux --purpose \"Read what containers say.\" \\
      --alternatives \"A container starts too slowly for a shell loop.\" \\
      --upkeep \"Two releases a year, four maintainers.\"
  stationmaster pkg measure 12
      Compose one image without and one with it, and record the difference.
  stationmaster pkg vote 12 against --reason \"An interpreter.\"
  stationmaster pkg decide 12 experimental --date 2027-03-01 \\
      --reason \"Wanted by many, small.\"

Packages are taken in when their cost is known, three maintainers and more
than are against it are for it, and nobody who speaks for security is against.
`stationmaster agenda` puts open requests on the next office hours.";

/// Ask for packages, find out what they cost, vote, decide.
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
    /// Ask for packages.
    Request(Request),
    /// Tell which packages would come along, and how much is downloaded.
    Preview(Preview),
    /// Compose without and with the packages, and record the difference.
    Measure(Measure),
    /// Be for a request, or against it.
    Vote(Vote),
    /// Decide a request.
    Decide(Decide),
    /// Show requests.
    List {
        /// Only this one.
        id: Option<u64>,
        /// Decided ones too.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "stationmaster pkg request NAME... --purpose TEXT ...")]
struct Request {
    /// The packages.
    #[arg(required = true)]
    packages: Vec<PackageName>,
    /// What they are for.
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// Why a container, a program fetched at first boot, or a system extension
    /// would not do.
    #[arg(long, value_name = "TEXT")]
    alternatives: String,
    /// Who keeps them up to date, and how well.
    #[arg(long, value_name = "TEXT")]
    upkeep: String,
}

/// What packages are tried in.
#[derive(Debug, clap::Args)]
struct Image {
    /// The recipe.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// The architecture [default: this machine's].
    #[arg(long)]
    arch: Option<Arch>,
    /// Where an archive is, instead of what APT says; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    mirror: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Preview {
    /// The packages.
    #[arg(required = true)]
    packages: Vec<PackageName>,
    #[command(flatten)]
    image: Image,
}

#[derive(Debug, clap::Args)]
struct Measure {
    /// Number of the request.
    id: u64,
    #[command(flatten)]
    image: Image,
    /// The update agent's binary [default: beside this program].
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// The tools' lock [default: tools-ARCH.lock beside the recipe].
    #[arg(long, value_name = "FILE")]
    tools_lock: Option<PathBuf>,
    /// Where working files go; 3 GB, removed afterwards.
    #[arg(long, value_name = "DIR", default_value = ".")]
    work: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    For,
    Against,
    Abstain,
}

#[derive(Debug, clap::Args)]
struct Vote {
    /// Number of the request.
    id: u64,
    /// What you want.
    choice: Choice,
    /// Why; whoever is against it must say.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    /// They go into the image.
    Accepted,
    /// They go into alpha, and are looked at again on --date.
    Experimental,
    /// There is a better way.
    Alternative,
    /// They stay out.
    Declined,
    /// Decided later, on --date.
    Deferred,
}

#[derive(Debug, clap::Args)]
struct Decide {
    /// Number of the request.
    id: u64,
    /// What comes of it.
    outcome: Verdict,
    /// Why.
    #[arg(long)]
    reason: String,
    /// When it is looked at again, or decided.
    #[arg(long, required_if_eq_any([("outcome", "experimental"), ("outcome", "deferred")]))]
    date: Option<Date>,
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Request(request) => {
            let asked = PackageRequest {
                packages: request.packages.clone(),
                purpose: request.purpose.clone(),
                alternatives: request.alternatives.clone(),
                upkeep: request.upkeep.clone(),
            };
            record(args, ctx, |requests, _, _| Ok(requests.file(asked.clone())?))
        }
        Action::Preview(preview) => measure::preview(preview, ctx),
        Action::Measure(measure) => measure::run(args, measure, ctx),
        Action::Vote(vote) => {
            let choice = vote.choice.into();
            record(args, ctx, |requests, _, _| Ok(requests.vote(vote.id, choice, &vote.reason)?))
        }
        Action::Decide(decide) => record(args, ctx, |requests, project, by| {
            let maintainers = &project.state.rules.maintainers;
            Ok(requests.decide(decide.id, by, decide.outcome(), &decide.reason, maintainers)?)
        }),
        Action::List { id, all } => show::run(args, *id, *all, ctx),
    }
}

/// Records what `decide` makes of the requests as they are.
fn record(
    args: &Args,
    ctx: &Context<'_>,
    decide: impl Fn(&Requests, &Project<'_>, &Handle) -> anyhow::Result<Event>,
) -> anyhow::Result<Outcome> {
    let recorded = Project::open(&args.project, ctx)?
        .record(|project, by| Ok(vec![decide(&Requests::replay(&project.events), project, by)?]))?;
    ctx.data(&show::Recorded::of(&recorded[0]))?;
    Ok(Outcome::Done)
}

impl From<Choice> for RequestChoice {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::For => RequestChoice::For,
            Choice::Against => RequestChoice::Against,
            Choice::Abstain => RequestChoice::Abstain,
        }
    }
}

impl Decide {
    fn outcome(&self) -> RequestOutcome {
        // Without a day, the ones that need one were refused with the command line.
        let day = self.date.unwrap_or_else(|| Date::of(SystemClock.now()));
        match self.outcome {
            Verdict::Accepted => RequestOutcome::Accepted,
            Verdict::Experimental => RequestOutcome::Experimental { review: day },
            Verdict::Alternative => RequestOutcome::Alternative,
            Verdict::Declined => RequestOutcome::Declined,
            Verdict::Deferred => RequestOutcome::Deferred { until: day },
        }
    }
}
