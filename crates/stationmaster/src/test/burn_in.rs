//! `stationmaster test burn-in`: repeats for the tests that were observed least, and what these repeats are worth: the chance
//! that they would have shown a flake.

use std::{cmp::Reverse, collections::BTreeMap, fmt, path::PathBuf};

use serde::Serialize;
use sm_model::test_report::{Attempt, Isolation, TestId};
use sm_release::flake::{FailureRate, detection_power_bp};
use sm_store::test_history::{AttemptFilter, Observed};
use sm_vmtest::suite::catalog::{Means, Test};

use super::{
    Choice, Places,
    bench::Bench,
    history::{days_ago, is_result},
};
use crate::context::{Context, Outcome};

/// Flakes whose chance to be seen is told, in basis points.
const FLAKES_BP: [u16; 2] = [500, 100];

const EXAMPLES: &str = "\
Examples:
  stationmaster test burn-in 4893.0.1 --repeat 20 --tests 3
      Twenty more attempts at the three tests that were observed least.
  stationmaster test burn-in 4893.0.1 --only net.listeners --repeat 50
      Fifty attempts at one test, before its failure may block a release.

Every attempt goes into the report and the history.";

/// What to spend, and on what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A release directory, an image in one, or a VERSION below the root.
    image: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// Attempts at each test.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// How many tests, those observed least first [default: 3, or all of
    /// --only].
    #[arg(long, value_name = "N")]
    tests: Option<usize>,
    /// How far back attempts count as observations.
    #[arg(long, value_name = "N", default_value_t = 90)]
    days: u16,
    #[command(flatten)]
    places: Places,
}

/// What is known of a test now.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Known {
    test: TestId,
    rate: FailureRate,
    /// Chance that so many runs would have shown a flake of 5 %, and of 1 %.
    power_bp: [u16; 2],
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct BurnIn(Vec<Known>);

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let bench = Bench::set_up(&args.image, &args.places, ctx)?;
    let n_tests = args.tests.unwrap_or(if args.choice.only.is_some() { usize::MAX } else { 3 });
    let observe = || -> anyhow::Result<Vec<Observed>> {
        let filter = AttemptFilter { test: None, since: Some(days_ago(args.days)) };
        Ok(bench.history()?.attempts(filter)?)
    };
    let tests = least_observed(&args.choice.tests(&args.places.external()?)?, &observe()?, n_tests);
    for round in 1..=args.repeat {
        ctx.progress.note(&format!("round {round} of {}: {} tests", args.repeat, tests.len()));
        bench.run(&tests, Isolation::Isolated)?;
    }
    let known = BurnIn::of(&tests, &observe()?);
    ctx.data(&known)?;
    let has_failures = known.0.iter().any(|known| known.rate.n_failed > 0);
    Ok(if has_failures { Outcome::Negative } else { Outcome::Done })
}

fn results(observed: &[Observed]) -> BTreeMap<&TestId, usize> {
    let mut results = BTreeMap::new();
    for one in observed.iter().filter(|one| is_result(&one.attempt.outcome)) {
        *results.entry(&one.attempt.test).or_default() += 1;
    }
    results
}

/// The tests with the fewest results, of those that exist; where it is equal, what matters most first.
fn least_observed(tests: &[&'static Test], observed: &[Observed], n_tests: usize) -> Vec<&'static Test> {
    let results = results(observed);
    let exist = tests.iter().filter(|test| !matches!(test.means, Means::NotYet(_)));
    let mut tests: Vec<&'static Test> = exist.copied().collect();
    tests.sort_by_key(|test| (results.get(&test.id()).copied().unwrap_or(0), Reverse(test.is_required())));
    tests.truncate(n_tests);
    tests
}

impl BurnIn {
    fn of(tests: &[&'static Test], observed: &[Observed]) -> Self {
        let known = |test: &&Test| {
            let test = test.id();
            // Attempts alone, as these were: those in a suite have company, and a rate of their own.
            let own = |one: &&Attempt| one.test == test && one.isolation == Isolation::Isolated;
            let rate = FailureRate::of(observed.iter().map(|one| &one.attempt).filter(own));
            Known { power_bp: FLAKES_BP.map(|bp| detection_power_bp(rate.n_runs, bp)), test, rate }
        };
        BurnIn(tests.iter().map(known).collect())
    }
}

impl fmt::Display for BurnIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26} {:<39} {:>5} {:>5}", "TEST", "RATE ALONE, 95 % INTERVAL", "5 %", "1 %")?;
        for known in &self.0 {
            let [five, one] = known.power_bp.map(|bp| format!("{} %", (bp + 50) / 100));
            write!(f, "\n{:<26} {:<39} {five:>5} {one:>5}", known.test.as_str(), known.rate.to_string())?;
        }
        f.write_str("\n\nThe last columns are the chance that so many runs would have shown a test that")?;
        f.write_str("\nfails at 5 %, or at 1 %, at least once.")
    }
}

#[cfg(test)]
mod tests {
    use sm_model::test_report::AttemptOutcome;
    use sm_vmtest::suite::catalog;

    use super::*;
    use crate::test::history::tests::seen;

    #[test]
    fn what_was_observed_least_and_exists_comes_first() {
        let mut observed = vec![seen("4893.0.0", AttemptOutcome::Pass, ""); 3];
        observed.push(seen("4893.0.0", AttemptOutcome::Error { class: "tool".into() }, ""));
        for (one, test) in
            observed.iter_mut().zip(["image.layout", "image.layout", "image.perms", "image.suid-sgid"])
        {
            one.attempt.test = test.parse().unwrap();
        }
        let tests: Vec<_> = catalog::ALL
            .iter()
            .filter(|test| {
                ["image.layout", "image.perms", "image.suid-sgid", "image.cve-known"].contains(&test.name)
            })
            .collect();
        let names: Vec<_> = least_observed(&tests, &observed, 9).iter().map(|test| test.name).collect();
        assert_eq!(names.first(), Some(&"image.suid-sgid"));
        assert_eq!(names.last(), Some(&"image.layout"));
        assert_eq!(least_observed(&tests, &observed, 1).len(), 1);
    }

    #[test]
    fn repeats_are_told_with_their_worth() {
        let mut observed = vec![seen("4893.0.0", AttemptOutcome::Pass, ""); 20];
        observed.iter_mut().for_each(|one| one.attempt.isolation = Isolation::Isolated);
        let tests: Vec<_> = catalog::ALL.iter().filter(|test| test.name == "boot.uefi").collect();
        let text = BurnIn::of(&tests, &observed).to_string();
        assert!(text.contains("0 of 20 failed, 1.1 % (0.0 to 11.7 %)"), "{text}");
        assert!(text.contains("64 %  18 %"), "{text}");
    }
}
