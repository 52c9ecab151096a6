//! Whether what was broken was noticed: by the tests that had to, with the words they had to say, and by nobody else. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::image::Image;

/// The exit codes of `stationmaster test` for a release that is good, and for one that is not.
const GOOD: i32 = 0;
const NOT_GOOD: i32 = 8;

/// What the suite said about an image.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// How it ended.
    pub(super) exit_code: i32,
    /// Every test, by name.
    pub(super) tests: BTreeMap<String, Line>,
}

/// What it said about one test.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    /// `passed`, `failed`, `errored` …
    pub(super) verdict: String,
    /// Whether its failure keeps a release back.
    pub(super) is_required: bool,
    /// Everything that its attempts said.
    pub(super) log: String,
}

/// What an image showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Tests that failed as they had to.
    pub(super) caught: BTreeSet<String>,
    /// Tests that passed.
    pub(super) passed: BTreeSet<String>,
    /// Everything that went otherwise than expected.
    pub(super) problems: Vec<String>,
}

/// Holds what the suite said against what it had to say.
pub(super) fn judge(image: &Image, told: &Told) -> Shown {
    let mut shown = Shown::default();
    for breakage in &image.breakages {
        for (test, words) in &breakage.caught_by {
            match escape(told.tests.get(test), words) {
                None => drop(shown.caught.insert(test.clone())),
                Some(how) => shown.problems.push(format!("{}: {test} {how}", breakage.what)),
            }
        }
    }
    let expected = |test: &String| image.breakages.iter().any(|one| one.caught_by.contains_key(test));
    for (test, line) in told.tests.iter().filter(|(test, _)| !expected(test)) {
        match line.verdict.as_str() {
            "passed" => drop(shown.passed.insert(test.clone())),
            "not-yet" | "skipped" => {}
            other => shown.problems.push(format!(
                "bystander {test} {other}, although nothing here is for it: {}",
                problems_of(&line.log)
            )),
        }
    }
    let is_kept_back =
        told.tests.iter().any(|(test, line)| expected(test) && line.is_required && line.verdict == "failed");
    let expected_code = if is_kept_back { NOT_GOOD } else { GOOD };
    if told.exit_code != expected_code {
        let code = told.exit_code;
        shown.problems.push(format!("`stationmaster test` ended with {code}, expected {expected_code}"));
    }
    shown
}

/// How a breakage came past a test, if it did.
fn escape(line: Option<&Line>, words: &str) -> Option<String> {
    let Some(line) = line else { return Some("was not run".to_owned()) };
    if line.verdict != "failed" {
        return Some(format!("{}, expected that it fails with `{words}`", line.verdict));
    }
    let is_said = line.log.lines().any(|line| line.contains(words));
    (!is_said).then(|| format!("failed without saying `{words}`; it said: {}", problems_of(&line.log)))
}

/// The first lines of a log, after its heading.
fn problems_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().skip(1).take(8).collect();
    lines.join(" | ")
}

/// Tests that exist, that no breakage was shown to fail, and for which nobody gave a reason; and reasons that are out of date.
pub(super) fn uncovered(
    existing: &BTreeSet<String>,
    caught: &BTreeSet<String>,
    exempt: &BTreeMap<String, String>,
) -> Vec<String> {
    let missing = existing.iter().filter(|test| !caught.contains(*test) && !exempt.contains_key(*test));
    let missing = missing.map(|test| format!("{test} was never seen to fail: break an image for it"));
    let stale = exempt.keys().filter_map(|test| {
        if caught.contains(test) {
            Some(format!("{test} is exempt, and a breakage is for it: one of the two goes"))
        } else if !existing.contains(test) {
            Some(format!("{test} is exempt and does not exist"))
        } else {
            None
        }
    });
    let mute = exempt.iter().filter(|(_, reason)| reason.trim().is_empty());
    missing.chain(stale).chain(mute.map(|(test, _)| format!("{test} is exempt without a reason"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sabotage::image::Breakage;

    fn image() -> Image {
        let caught_by = BTreeMap::from([("image.perms".to_owned(), "/usr/odd is writable".to_owned())]);
        let breakage = Breakage { what: "writable for all".into(), caught_by, ..Breakage::default() };
        Image { breakages: vec![breakage], ..Image::default() }
    }

    fn told(exit_code: i32, tests: &[(&str, &str, &str)]) -> Told {
        let line = |verdict: &str, log: &str| Line {
            verdict: verdict.to_owned(),
            is_required: true,
            log: format!("looked\n{log}"),
        };
        let tests = tests.iter().map(|(test, verdict, log)| ((*test).to_owned(), line(verdict, log)));
        Told { exit_code, tests: tests.collect() }
    }

    #[test]
    fn a_test_that_fails_with_the_words_has_caught_it() {
        let failed = ("image.perms", "failed", "/usr/odd is writable for all");
        let shown = judge(&image(), &told(8, &[failed, ("image.layout", "passed", "")]));
        assert_eq!(shown.problems, [""; 0]);
        assert!(shown.caught.contains("image.perms") && shown.passed.contains("image.layout"));
    }

    #[test]
    fn other_words_other_verdicts_and_tests_that_did_not_run_catch_nothing() {
        for (verdict, log) in [("failed", "/usr/even"), ("passed", ""), ("errored", ""), ("skipped", "")] {
            let shown = judge(&image(), &told(8, &[("image.perms", verdict, log)]));
            assert!(shown.caught.is_empty() && !shown.problems.is_empty(), "{verdict}");
        }
        assert!(judge(&image(), &told(8, &[])).problems[0].contains("image.perms was not run"));
    }

    #[test]
    fn a_bystander_that_fails_and_an_answer_that_lies_are_told() {
        let failed = ("image.perms", "failed", "/usr/odd is writable for all");
        let shown = judge(&image(), &told(8, &[failed, ("image.layout", "errored", "disk")]));
        assert!(shown.problems[0].starts_with("bystander image.layout errored"), "{:?}", shown.problems);
        let shown = judge(&image(), &told(0, &[failed]));
        assert_eq!(shown.problems, ["`stationmaster test` ended with 0, expected 8"]);
        let shown = judge(&Image::default(), &told(0, &[("image.layout", "passed", "")]));
        assert_eq!(shown.problems, [""; 0]);
    }

    #[test]
    fn no_test_is_covered_by_silence() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let exempt = |reason: &str| BTreeMap::from([("b".to_owned(), reason.to_owned())]);
        assert_eq!(uncovered(&names(&["a", "b"]), &names(&["a"]), &exempt("why")), [""; 0]);
        assert!(uncovered(&names(&["a", "b"]), &names(&[]), &exempt("why"))[0].starts_with("a was never"));
        assert!(uncovered(&names(&["a", "b"]), &names(&["a", "b"]), &exempt("why"))[0].contains("one of"));
        assert!(uncovered(&names(&["a"]), &names(&["a"]), &exempt("why"))[0].contains("does not exist"));
        assert!(uncovered(&names(&["a", "b"]), &names(&["a"]), &exempt(" "))[0].contains("without a reason"));
    }
}
