//! `stationmaster agenda`: what the next office hours are about, out of what is on record.

use clap::ValueEnum;
use sm_release::{notes::review::Review, office_hours, requests::Requests};

use crate::{
    context::{Context, Outcome},
    project::{self, Project},
};

const EXAMPLES: &str = "\
Examples:
  stationmaster agenda
  stationmaster agenda --format markdown > agenda.md

On it: requests for packages with cost and votes, releases on their way, open
blockers, muted tests that end soon, unanswered remarks on release notes, and
what was decided since the last time. When office hours are is a line in
calendar.toml: office-hours = \"second tuesday 15:30\" (UTC).";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Plain text.
    Text,
    /// For an issue or a page.
    Markdown,
}

/// Tell what the next office hours are about.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    project: project::Args,
    /// For whom.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Prints the agenda.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let project = Project::open(&args.project, ctx)?;
    let requests = Requests::replay(&project.events);
    let review = Review::replay(&project.events);
    let hours = project.state.rules.days.office_hours;
    let agenda = office_hours::agenda(&project.state, &requests, &review, hours, project.now);
    match args.format {
        Format::Markdown if !ctx.json => ctx.line(agenda.to_markdown().trim_end())?,
        Format::Markdown | Format::Text => ctx.data(&agenda)?,
    }
    Ok(Outcome::Done)
}
