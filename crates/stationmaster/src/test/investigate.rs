//! `stationmaster test investigate TEST`: the candidate and the previous release, each under today's suite and under the last
//! good one. The reading is `sm_release::investigation`'s.
//!
//! Tests are compiled in, lists are data. So the last good suite is the program of that time (`--previous-program`), which brings
//! its own tests, or today's program with the lists of that time (`--previous-lists`). Without either, nobody knows what it would
//! have said, and the reading is not pretended.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use sm_host::process::{Invocation, Runner, SystemRunner};
use sm_model::test_report::{Attempt, Isolation, TestId};
use sm_release::{
    investigation::{FourWays, RUNS_EACH, Reading},
    verdict::Tally,
};
use sm_vmtest::suite::{catalog::Test, report};

use super::{NoTest, Places, bench::Bench};
use crate::context::{Context, Outcome};

const EXAMPLES: &str = "\
Example:
  stationmaster test investigate update.apply 4893.0.1 \\
      --previous 4893.0.0 --previous-program /opt/sm-0.1/stationmaster
      Four ways, three attempts each: who is to blame?

       suite of today   last good suite
  this release    A            B
  previous one    C            D";

/// What to investigate, and with what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The test that failed.
    test: TestId,
    /// The release it failed at.
    image: PathBuf,
    /// The `stationmaster` of the last good suite.
    #[arg(long, value_name = "FILE", conflicts_with = "previous_lists")]
    previous_program: Option<PathBuf>,
    /// The reviewed lists of the last good suite.
    #[arg(long, value_name = "DIR")]
    previous_lists: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Serialize)]
struct Investigation {
    test: TestId,
    #[serde(flatten)]
    ways: FourWays,
    reading: Reading,
    advice: &'static str,
    /// What could not be looked at.
    missing: Vec<&'static str>,
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let named = |test: &&Test| test.name == args.test.as_str();
    let test = args.places.all_tests()?.find(named).ok_or_else(|| NoTest(args.test.to_string()))?;
    let previous = args.places.machines.previous.clone();
    let way = |image: Option<&Path>, what: &str| match image {
        None => Ok(Tally::default()),
        Some(image) => {
            ctx.progress.note(&format!("{what}, today's suite: {RUNS_EACH} attempts, each alone"));
            by_today(test, image, &args.places, ctx)
        }
    };
    let earlier = |image: Option<&Path>, what: &str| match image {
        None => Ok(Tally::default()),
        Some(image) => {
            ctx.progress.note(&format!("{what}, last good suite"));
            args.by_last_good(test, image, ctx)
        }
    };
    let ways = FourWays {
        candidate_current: way(Some(&args.image), "this release")?,
        previous_current: way(previous.as_deref(), "previous release")?,
        candidate_last_good: earlier(Some(&args.image), "this release")?,
        previous_last_good: earlier(previous.as_deref(), "previous release")?,
    };
    let found = Investigation::of(args, ways);
    ctx.data(&found)?;
    Ok(if found.reading == Reading::NotReproduced { Outcome::Done } else { Outcome::Negative })
}

/// Three attempts, each alone; they go into report and history as every attempt does.
fn by_today(test: &'static Test, image: &Path, places: &Places, ctx: &Context<'_>) -> anyhow::Result<Tally> {
    let bench = Bench::set_up(image, places, ctx)?;
    let mut attempts = Vec::new();
    for _ in 0..RUNS_EACH {
        attempts.extend(bench.run(&[test], Isolation::Isolated)?);
    }
    Ok(Tally::of(&attempts))
}

impl Args {
    fn by_last_good(&self, test: &'static Test, image: &Path, ctx: &Context<'_>) -> anyhow::Result<Tally> {
        if let Some(program) = &self.previous_program {
            return self.by_program(program, test, image);
        }
        let Some(lists) = &self.previous_lists else { return Ok(Tally::default()) };
        let places = Places { lists: Some(lists.clone()), ..self.places.clone() };
        by_today(test, image, &places, ctx)
    }

    /// Lets another `stationmaster` run its own test of that name; its report is read, its exit code is not believed.
    fn by_program(&self, program: &Path, test: &Test, image: &Path) -> anyhow::Result<Tally> {
        let scratch = tempfile::tempdir().context("cannot make a folder for its report")?;
        let reports = scratch.path().join("reports");
        let started = Invocation::new(program)
            .args(["--quiet", "test"])
            .arg(image)
            .args(["--only", test.name, "--no-rerun", "--repeat", &RUNS_EACH.to_string()])
            .arg("--root")
            .arg(&self.places.root)
            .arg("--recipe")
            .arg(&self.places.recipe)
            .arg("--reports")
            .arg(&reports)
            .arg("--db")
            .arg(scratch.path().join("history.db"));
        let ended = SystemRunner.run(&started);
        let attempts = attempts_below(&reports)?;
        if attempts.is_empty() {
            // Whether it failed is seen by its report: tests that fail end it with another exit code, too.
            ended.with_context(|| format!("`{}` wrote no report", program.display()))?;
        }
        Ok(Tally::of(attempts.iter().filter(|attempt| attempt.test.as_str() == test.name)))
    }
}

/// The attempts of the newest report in the only folder below `reports`.
fn attempts_below(reports: &Path) -> anyhow::Result<Vec<Attempt>> {
    let listed = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let files = listed(reports).into_iter().flat_map(|folder| listed(&folder));
    let newest = files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).max();
    Ok(newest.map(|path| report::read(&path)).transpose()?.map_or_else(Vec::new, |report| report.attempts))
}

impl Investigation {
    fn of(args: &Args, ways: FourWays) -> Self {
        let reading = ways.reading();
        let missing = [
            (args.places.machines.previous.is_none(), "the previous release: name it with --previous"),
            (
                args.previous_program.is_none() && args.previous_lists.is_none(),
                "the last good suite: name it with --previous-program or --previous-lists",
            ),
        ];
        Investigation {
            test: args.test.clone(),
            ways,
            reading,
            advice: reading.advice(),
            missing: missing
                .into_iter()
                .filter_map(|(is_missing, what)| is_missing.then_some(what))
                .collect(),
        }
    }
}

fn cell(tally: &Tally) -> String {
    let n = tally.n_passed + tally.n_failed;
    match n {
        0 => tally.verdict().word().to_owned(),
        n => format!("{} ({} of {n} failed)", tally.verdict().word(), tally.n_failed),
    }
}

impl fmt::Display for Investigation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways = &self.ways;
        writeln!(f, "{}\n", self.test)?;
        writeln!(f, "{:<18} {:<26} LAST GOOD SUITE", "", "SUITE OF TODAY")?;
        let (a, b) = (cell(&ways.candidate_current), cell(&ways.candidate_last_good));
        writeln!(f, "{:<18} {a:<26} {b}", "this release")?;
        let (c, d) = (cell(&ways.previous_current), cell(&ways.previous_last_good));
        writeln!(f, "{:<18} {c:<26} {d}\n", "previous release")?;
        for missing in &self.missing {
            writeln!(f, "Not looked at: {missing}.")?;
        }
        write!(f, "Reading: {}", reading_in_words(self.reading))?;
        write!(f, "\nNext: {}.", self.advice)
    }
}

const fn reading_in_words(reading: Reading) -> &'static str {
    match reading {
        Reading::ProductRegression => "the image broke it.",
        Reading::SuiteRegression => "the suite broke it.",
        Reading::Surroundings => "host, network or tools: it fails whatever is tested with whatever.",
        Reading::OldFlake => "a flake, and an old one.",
        Reading::NewFlake => "a flake that came with this release.",
        Reading::NotReproduced => "it did not fail again.",
        Reading::Unclear => "unclear.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(n_passed: u32, n_failed: u32) -> Tally {
        Tally { n_passed, n_failed, ..Tally::default() }
    }

    fn investigation(ways: FourWays) -> Investigation {
        let reading = ways.reading();
        Investigation {
            test: "boot.uefi".parse().unwrap(),
            ways,
            reading,
            advice: reading.advice(),
            missing: vec!["the last good suite: name it with --previous-program or --previous-lists"],
        }
    }

    #[test]
    fn the_four_ways_are_shown_with_the_reading() {
        let text = investigation(FourWays {
            candidate_current: tally(0, 3),
            candidate_last_good: tally(0, 3),
            previous_current: tally(3, 0),
            previous_last_good: tally(3, 0),
        })
        .to_string();
        assert!(
            text.contains("this release       failed (3 of 3 failed)     failed (3 of 3 failed)"),
            "{text}"
        );
        assert!(
            text.contains("previous release   passed (0 of 3 failed)     passed (0 of 3 failed)"),
            "{text}"
        );
        assert!(text.contains("Reading: the image broke it."), "{text}");
    }

    #[test]
    fn what_was_not_looked_at_gives_no_reading() {
        let text = investigation(FourWays {
            candidate_current: tally(0, 3),
            candidate_last_good: Tally::default(),
            previous_current: tally(3, 0),
            previous_last_good: Tally::default(),
        })
        .to_string();
        assert!(
            text.contains("Reading: unclear.") && text.contains("Not looked at: the last good suite"),
            "{text}"
        );
        assert!(text.contains("failed (3 of 3 failed)     missing"), "{text}");
    }
}
