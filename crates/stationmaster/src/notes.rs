//! `stationmaster notes`: changelog fragments, drafts of release notes, what people say about them, and accepting them.

mod accept;
pub(crate) mod changelog;
mod drafting;
mod remarks;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use sm_model::{Date, FragmentId, notes::Section};

use crate::{
    context::{Context, Outcome},
    project,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster notes new bugfixes dhcp-leases \"Fixed leases being forgotten.\"
  stationmaster notes lint
  stationmaster notes draft 4902.1.0 --against 4888.1.2
  stationmaster notes draft 4902.1.0 --against 4888.1.2 --format mail
  stationmaster notes comment bugfixes/2026-11-20-dhcp-leases.md \\
      --quote forgotten \"By whom?\"
  stationmaster notes suggest bugfixes/2026-11-20-dhcp-leases.md \\
      --text better.md --reason \"says by whom\"
  stationmaster notes accept 12
      Put suggestion 12 into its file.
  stationmaster notes accept 4902.1.0 --against 4888.1.2
      Freeze the notes of a release: votes are cast on exactly these.

The source are files changelog/SECTION/DATE-name.md beside the recipe, in
security, bugfixes, changes and updates. docs/notes.md describes them.";

/// Write, draft, discuss and accept release notes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    project: project::Args,
    /// The recipe; the changelog lies beside it.
    #[arg(long, global = true, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Begin a fragment.
    New(New),
    /// Tell everything that is wrong with the changelog.
    Lint,
    /// Render the notes of a release.
    Draft(Draft),
    /// Say something about a fragment.
    Comment(Comment),
    /// Say how a fragment should read.
    Suggest(Suggest),
    /// Show comments and suggestions.
    Remarks(Remarks),
    /// Take a suggestion into its file, or freeze the notes of a release.
    Accept(Accept),
    /// Settle a comment, or turn a suggestion down.
    Settle(Settle),
}

#[derive(Debug, clap::Args)]
struct New {
    /// security, bugfixes, changes or updates.
    section: Section,
    /// Words of the file name: a-z, 0-9 and dashes.
    name: String,
    /// The entry [default: one to be filled in].
    entry: Option<String>,
    /// A source package that it is about; repeatable.
    #[arg(long, value_name = "SOURCE")]
    package: Vec<sm_model::PackageName>,
    /// What an operator has to do.
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
    /// It tells of something that is not mended.
    #[arg(long)]
    known_issue: bool,
    /// The day [default: today].
    #[arg(long)]
    date: Option<Date>,
}

/// How the notes are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a forge.
    Markdown,
    /// One page without scripts.
    Html,
    /// 72 columns of plain text.
    Mail,
    /// The document that votes are cast on.
    Json,
    /// What a host shows at login.
    Motd,
}

/// Which release, compared with which.
#[derive(Debug, clap::Args)]
struct Compared {
    /// The release: a directory, CHANNEL/BOARD/VERSION below the root, or a
    /// version that only one release there has.
    release: PathBuf,
    /// The channel's release before it [default: none, it is the first].
    #[arg(long, value_name = "RELEASE")]
    against: Option<PathBuf>,
    /// In a promotion, the last release of the channel below.
    #[arg(long, value_name = "RELEASE", requires = "against")]
    lower: Option<PathBuf>,
    /// Fragments up to this day are old [default: those that the accepted
    /// notes of the release before knew, else those up to its date].
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
    /// Where releases lie.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    root: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Draft {
    #[command(flatten)]
    compared: Compared,
    /// For whom.
    #[arg(long, value_enum, default_value = "markdown")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Comment {
    /// SECTION/DATE-name.md.
    fragment: FragmentId,
    /// What you have to say.
    text: String,
    /// The words that it is about.
    #[arg(long, default_value = "", hide_default_value = true)]
    quote: String,
}

#[derive(Debug, clap::Args)]
struct Suggest {
    /// SECTION/DATE-name.md; it need not exist yet.
    fragment: FragmentId,
    /// A file with the fragment as you would have it.
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Why.
    #[arg(long)]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct Remarks {
    /// Only this one; a suggestion is shown as a patch.
    id: Option<u64>,
    /// Settled ones too.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
struct Accept {
    #[command(flatten)]
    what: Compared,
    /// Why, for a suggestion.
    #[arg(long, default_value = "as suggested")]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct Settle {
    /// Its number.
    id: u64,
    /// The answer.
    reason: String,
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::New(new) => changelog::begin(args, new, ctx),
        Action::Lint => changelog::lint(args, ctx),
        Action::Draft(draft) => drafting::run(args, draft, ctx),
        Action::Comment(comment) => remarks::comment(args, comment, ctx),
        Action::Suggest(suggest) => remarks::suggest(args, suggest, ctx),
        Action::Remarks(which) => remarks::show(args, which, ctx),
        Action::Accept(what) => accept::run(args, what, ctx),
        Action::Settle(settle) => remarks::settle(args, settle, ctx),
    }
}
