//! `stationmaster store`: checks what Stationmaster remembers, writes it out as texts, takes it in again.

use std::{fmt, path::PathBuf};

use clap::Subcommand;
use sm_model::release_event::Envelope;
use sm_store::{
    transfer::{self, Index},
    verify::{self, Verification},
};

use crate::context::{Context, Outcome};

const EXAMPLES: &str = "\
Examples:
  stationmaster store verify
      Check stationmaster.db and stationmaster.blobs/ in this folder.
  stationmaster store export backup-2026-11-23
  stationmaster store import backup-2026-11-23 --db restored.db

A store is a database NAME.db with the folder NAME.blobs/ beside it: the log
of events, which is one hash chain; the log of what hosts reported; evidence
by digest. An export is a folder of texts, one row a line, and the same blobs.
Exporting one state twice gives the same bytes; importing it gives a log with
the same last digest. Any number of processes may use a store meanwhile.";

/// Check, export and import what Stationmaster remembers.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's database.
    #[arg(long, global = true, value_name = "FILE", default_value = "stationmaster.db")]
    db: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check every entry, digest and blob; list all that is wrong.
    Verify,
    /// Write everything into a new folder, as texts.
    Export {
        /// The folder; must not exist.
        to: PathBuf,
    },
    /// Take an export into a store that is empty or not there yet.
    Import {
        /// The folder of the export.
        from: PathBuf,
    },
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Verify => {
            let found = verify::verify::<Envelope>(&args.db)?;
            let outcome = if found.problems.is_empty() { Outcome::Done } else { Outcome::Negative };
            ctx.data(&Found(found))?;
            Ok(outcome)
        }
        Action::Export { to } => ctx.data(&Moved(transfer::export(&args.db, to)?)).map(|()| Outcome::Done),
        Action::Import { from } => {
            ctx.data(&Moved(transfer::import(from, &args.db)?)).map(|()| Outcome::Done)
        }
    }
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Found(Verification);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.0;
        writeln!(
            f,
            "{} events, {} reports of hosts, {} blobs",
            found.n_events, found.n_reports, found.n_blobs
        )?;
        if let Some(head) = found.head.filter(|_| found.n_events > 0) {
            writeln!(f, "last event: {head}")?;
        }
        match found.problems.as_slice() {
            [] => f.write_str("all is as it was written"),
            problems => {
                let lines: Vec<String> = problems.iter().map(|problem| format!("wrong: {problem}")).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Moved(Index);

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_rows: u64 = self.0.files.iter().map(|file| file.n_lines).sum();
        write!(f, "{n_rows} rows and {} blobs; {} events", self.0.blobs.len(), self.0.n_events)?;
        if self.0.n_events > 0 { write!(f, ", the last is {}", self.0.head) } else { Ok(()) }
    }
}
