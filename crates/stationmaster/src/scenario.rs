//! `stationmaster scenario`: plays scripts of commands against a project of their own, under a clock of their own, and compares what
//! the commands say with what the script says they do. What runs is the commands themselves.

mod room;
pub(crate) mod script;
pub(crate) mod stage;
#[cfg(test)]
mod tests;
mod world;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sm_host::files::read_text;

use crate::context::{Context, Outcome};
use script::Script;
use stage::Stage;

/// Largest script that is read.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  stationmaster scenario normal-week.txt
  stationmaster scenario normal-week.txt --update
      Write down what the commands say now.
  stationmaster scenario new.txt --rules os/boxcar/release
      Under the rules of a project instead of small ones.

A script is text. `@ 2026-12-02 09:00` sets the clock. `dan> release open …`
is a command of dan's. `* tested alpha: all pass` is what happens elsewhere.
Lines behind four spaces are what is said. docs/release-train.md tells all.";

/// Play scripts of commands and compare what they say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The scripts.
    #[arg(required = true)]
    scripts: Vec<PathBuf>,
    /// Write down what the commands say, instead of comparing.
    #[arg(long)]
    update: bool,
    /// Folder of policy.toml and calendar.toml to begin with [default: `rules`
    /// beside the script, else small ones that this program brings].
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// Plays the scripts.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    for path in &args.scripts {
        let differences = Played::of(path, args.rules.as_deref())?.settle(path, args.update)?;
        match (differences.is_empty(), args.update) {
            (true, _) => ctx.line(format!("{}: as written", path.display()))?,
            (false, true) => ctx.line(format!("{}: written anew", path.display()))?,
            (false, false) => {
                ctx.line(format!("{}: differs\n{}", path.display(), differences.trim_end()))?;
                outcome = Outcome::Negative;
            }
        }
    }
    Ok(outcome)
}

/// A script, and what every command of it says now.
struct Played {
    script: Script,
    said: Vec<String>,
}

impl Played {
    fn of(path: &Path, rules: Option<&Path>) -> anyhow::Result<Played> {
        let text = read_text(path, MAX_SCRIPT_BYTES)?;
        let script = Script::parse(&text).with_context(|| format!("cannot play `{}`", path.display()))?;
        let beside = path.parent().unwrap_or(Path::new("")).join("rules");
        let mut stage = Stage::set(rules.or(beside.is_dir().then_some(&beside)))?;
        let said = script.acts.iter().map(|act| stage.play(act)).collect::<anyhow::Result<_>>()?;
        Ok(Played { script, said })
    }

    /// What differs, empty when nothing does; written down first if so wanted.
    fn settle(&self, path: &Path, update: bool) -> anyhow::Result<String> {
        if update {
            sm_host::files::write_atomic(path, self.script.with(&self.said).as_bytes())?;
        }
        Ok(self.script.differences(&self.said))
    }
}
