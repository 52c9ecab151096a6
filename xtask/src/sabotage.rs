//! Images broken on purpose: the proof that every test of the release suite can fail, and for the right reason.
//!
//! Each file of `os/boxcar/sabotage` is one image with everything that is broken in it. It is composed, or edited when composed,
//! and handed to `stationmaster test` like any release. Tests that had to notice must have failed with the words they had to say;
//! all others must have passed.

mod edit;
mod gpt;
mod image;
mod judge;
mod workshop;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use self::{
    image::{Folder, Image},
    judge::{Shown, judge, uncovered},
    workshop::Workshop,
};
use crate::{cargo::root, steps::say};

/// Where the images are described.
const FOLDER: &str = "os/boxcar/sabotage";

/// Which images, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only images with such names: `*` stands for any characters. What is
    /// left out is told and does not count as passed.
    #[arg(long, value_name = "GLOB", default_value = "*")]
    only: String,
    /// Where the images are described.
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    folder: PathBuf,
    /// Where everything goes.
    #[arg(long, value_name = "DIR", default_value = "out/sabotage")]
    out: PathBuf,
    /// The image's lock [default: the VM step's, or one that is made].
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// The tools' lock [default: the VM step's, or one that is made].
    #[arg(long, value_name = "FILE")]
    tools_lock: Option<PathBuf>,
    /// The operator's program, instead of building it.
    #[arg(long, value_name = "FILE")]
    stationmaster: Option<PathBuf>,
    /// Keep the broken releases.
    #[arg(long)]
    keep: bool,
}

/// As a step of the test run: every image, or an error.
pub(crate) fn step() -> Result<()> {
    let args = Args {
        only: "*".to_owned(),
        folder: FOLDER.into(),
        out: "out/sabotage".into(),
        lock: None,
        tools_lock: None,
        stationmaster: None,
        keep: false,
    };
    let n_problems = carry_out(&args)?;
    ensure!(n_problems == 0, "{n_problems} things went otherwise than expected");
    Ok(())
}

/// As a task of its own.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    Ok(if carry_out(args)? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of one image.
struct Verdict {
    name: String,
    n_breakages: usize,
    took: Duration,
    shown: Result<Shown>,
}

/// Looks at the images that are meant; gives how many problems there were, images left out among them.
fn carry_out(args: &Args) -> Result<usize> {
    let folder = Folder::read(&root().join(&args.folder))?;
    let (meant, left_out): (Vec<Image>, Vec<Image>) =
        folder.images.into_iter().partition(|image| is_meant(&args.only, &image.name));
    ensure!(!meant.is_empty(), "no image in `{}` is called `{}`", args.folder.display(), args.only);
    let workshop = Workshop::set_up(args)?;
    let existing = workshop.existing_tests()?;
    let sound = workshop.sound()?;
    let verdicts: Vec<Verdict> = meant.iter().map(|image| verdict(image, &workshop, &sound)).collect();
    workshop.tidy_up(&sound)?;
    let mut problems = told(&verdicts)?;
    problems.extend(left_out.iter().map(|image| format!("{}: NOT RUN", image.name)));
    if left_out.is_empty() {
        problems.extend(uncovered(&existing, &caught(&verdicts), &folder.exempt));
    }
    let mut out = io::stdout().lock();
    problems.iter().try_for_each(|problem| writeln!(out, "{problem}"))?;
    let exempt = folder.exempt.iter().filter(|_| left_out.is_empty());
    for (test, reason) in exempt {
        writeln!(out, "{test} is not shown to fail: {reason}")?;
    }
    let n_caught = caught(&verdicts).len();
    writeln!(out, "{n_caught} of {} tests were seen to fail, {} problems", existing.len(), problems.len())?;
    Ok(problems.len())
}

fn verdict(image: &Image, workshop: &Workshop, sound: &std::path::Path) -> Verdict {
    say(&format!("── {}: {} things broken", image.name, image.breakages.len()));
    let started = Instant::now();
    let shown = workshop.look(image, sound).map(|told| judge(image, &told));
    Verdict { name: image.name.clone(), n_breakages: image.breakages.len(), took: started.elapsed(), shown }
}

/// Prints a line for each image; gives everything that went otherwise than expected.
fn told(verdicts: &[Verdict]) -> Result<Vec<String>> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{:24} {:>7} {:12} {:>8}", "image", "broken", "verdict", "time")?;
    let mut problems = Vec::new();
    for Verdict { name, n_breakages, took, shown } in verdicts {
        let own = match shown {
            Ok(shown) => shown.problems.clone(),
            Err(error) => vec![format!("could not be looked at: {error:#}")],
        };
        let word = if own.is_empty() { "as expected" } else { "OTHERWISE" };
        writeln!(out, "{name:24} {n_breakages:7} {word:12} {:6.1} s", took.as_secs_f64())?;
        problems.extend(own.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    Ok(problems)
}

/// Tests that were seen to fail.
fn caught(verdicts: &[Verdict]) -> BTreeSet<String> {
    let shown = verdicts.iter().filter_map(|verdict| verdict.shown.as_ref().ok());
    shown.flat_map(|shown| shown.caught.iter().cloned()).collect()
}

/// Whether a name fits a pattern: `*` stands for any characters.
fn is_meant(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| is_meant(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::is_meant;

    #[test]
    fn patterns_choose_images() {
        assert!(is_meant("*", "files") && is_meant("f*s", "files") && is_meant("files", "files"));
        assert!(!is_meant("f", "files") && !is_meant("*x", "files"));
    }
}
