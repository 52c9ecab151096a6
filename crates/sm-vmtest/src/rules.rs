//! The rules that judge what a machine says on its console and in its journal. They are data: adding one adds no code.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sm_model::Version;

use crate::{console::plain, suite::lists::matches};

/// The rules that hold for every operating system.
const BUILT_IN: &str = include_str!("../rules/console.toml");

/// The rules that hold for every operating system, worst first.
pub fn built_in() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        parse(BUILT_IN).expect("the built-in rules are of their form: a test below reads them")
    });
    &RULES
}

/// How bad it is when a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// The machine's surroundings are to blame: a host that is too busy.
    Host,
    /// Something that should work does not.
    Failure,
    /// The machine cannot go on.
    Fatal,
}

/// Where a rule looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everywhere.
    #[default]
    Both,
    /// At what the machine says on its console.
    Console,
    /// At its journal.
    Journal,
}

/// A sign of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name in reports.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it looks.
    #[serde(default)]
    pub scope: Scope,
    /// Texts that the line must hold, all of them.
    pub all: Vec<String>,
    /// Texts that it must not hold.
    #[serde(default)]
    pub none: Vec<String>,
    /// First version that it holds for.
    #[serde(default)]
    pub since: Option<Version>,
    /// First version that it no longer holds for.
    #[serde(default)]
    pub until: Option<Version>,
    /// Lines that tests cause on purpose.
    #[serde(default)]
    pub except: Vec<Exception>,
    /// Samples that it must match.
    pub hits: Vec<String>,
    /// Samples that it must not match.
    #[serde(default)]
    pub misses: Vec<String>,
}

/// Lines that a test causes on purpose. Every other line that the rule matches counts in that test, too.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The test: its name, with `*`.
    pub test: String,
    /// Texts that the line must hold, all of them.
    pub with: Vec<String>,
    /// A sample, which the rule must match and this must except.
    pub sample: String,
}

impl Exception {
    fn excepts(&self, test: &str, line: &str) -> bool {
        matches(&self.test, test) && self.with.iter().all(|text| line.contains(text))
    }

    fn check(&self, rule: &Rule) -> Result<(), String> {
        let (id, test) = (&rule.id, &self.test);
        if test.is_empty() || test.chars().all(|c| c == '*') {
            return Err(format!("the rule `{id}` has an exception for every test"));
        }
        if self.with.iter().all(String::is_empty) {
            return Err(format!("the rule `{id}` excepts every line of `{test}`: `with` names no text"));
        }
        let is_right = rule.matches(&self.sample) && self.with.iter().all(|text| self.sample.contains(text));
        if is_right {
            return Ok(());
        }
        Err(format!(
            "the rule `{id}` judges the sample `{}` of its exception for `{test}` wrongly",
            self.sample
        ))
    }
}

/// A file of rules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Rule>,
}

/// Rules from their file. Samples are tried: a rule that misses its own does not hold.
///
/// # Errors
/// With what is wrong.
pub fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let rules = toml::from_str::<File>(text).map_err(|error| error.to_string())?.rule;
    for (i, rule) in rules.iter().enumerate() {
        rule.check()?;
        if rules[..i].iter().any(|other| other.id == rule.id) {
            return Err(format!("there are two rules `{}`", rule.id));
        }
    }
    Ok(rules)
}

impl Rule {
    /// Whether a line, without terminal control, is a sign of this trouble.
    pub fn matches(&self, line: &str) -> bool {
        self.all.iter().all(|text| line.contains(text)) && !self.none.iter().any(|text| line.contains(text))
    }

    /// Whether it holds for a version.
    pub fn holds_for(&self, version: &Version) -> bool {
        self.since.is_none_or(|since| since <= *version) && self.until.is_none_or(|until| *version < until)
    }

    /// Whether a test causes this line on purpose.
    pub fn excepts(&self, test: &str, line: &str) -> bool {
        self.except.iter().any(|one| one.excepts(test, line))
    }

    fn check(&self) -> Result<(), String> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.id.is_empty() || !self.id.bytes().all(is_word) {
            return Err(format!("`{}` is no rule's id: expected a-z, 0-9 and `-`", self.id));
        }
        if self.all.iter().all(String::is_empty) {
            return Err(format!("the rule `{}` looks for nothing: it would match every line", self.id));
        }
        if self.hits.is_empty() {
            return Err(format!("the rule `{}` has no sample in `hits`", self.id));
        }
        self.except.iter().try_for_each(|one| one.check(self))?;
        let wrong = self.hits.iter().find(|line| !self.matches(line));
        let wrong = wrong.or_else(|| self.misses.iter().find(|line| self.matches(line)));
        wrong.map_or(Ok(()), |line| Err(format!("the rule `{}` judges its sample `{line}` wrongly", self.id)))
    }
}

/// A line that a rule matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Number of the line, from 1.
    pub line: usize,
    /// The line, without terminal control.
    pub text: String,
}

/// Every line of `log`, which is a console's or a journal's, that one of `rules` matches, in order; a line counts for the first
/// rule it matches. What a test causes on purpose is among them: [`Rule::excepts`] tells.
pub fn findings<'a>(rules: impl IntoIterator<Item = &'a Rule>, scope: Scope, log: &str) -> Vec<Finding> {
    let rules: Vec<&Rule> =
        rules.into_iter().filter(|rule| rule.scope == Scope::Both || rule.scope == scope).collect();
    let judged = log.lines().enumerate().filter_map(|(i, line)| {
        let text = plain(line);
        let rule = rules.iter().find(|rule| rule.matches(&text))?;
        Some(Finding { rule: rule.id.clone(), severity: rule.severity, line: i + 1, text })
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
BdsDxe: starting Boot0001\r
[    0.000000] Linux version 6.12.117\r
\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mcontainerd.service\x1b[0m\r
[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mboxcar-health.service\x1b[0m - Health.\r
[   12.3] Kernel panic - not syncing: dm-verity device corrupted\r
";

    #[test]
    fn the_built_in_rules_judge_their_samples_rightly() {
        assert!(built_in().len() > 20);
    }

    #[test]
    fn no_sample_is_taken_by_an_earlier_rule() {
        for rule in built_in() {
            let scope = if rule.scope == Scope::Both { Scope::Console } else { rule.scope };
            for line in &rule.hits {
                let found = findings(built_in(), scope, line);
                assert_eq!(found.iter().map(|one| &one.rule).collect::<Vec<_>>(), [&rule.id], "{line}");
            }
        }
    }

    #[test]
    fn trouble_is_found_through_terminal_colours() {
        let found = findings(built_in(), Scope::Console, LOG);
        let brief: Vec<_> = found.iter().map(|f| (f.rule.as_str(), f.line)).collect();
        assert_eq!(brief, [("failed-unit", 4), ("kernel-panic", 5)]);
        assert_eq!(found[0].text, "[FAILED] Failed to start boxcar-health.service - Health.");
    }

    #[test]
    fn a_rule_of_consoles_does_not_look_at_journals() {
        assert_eq!(findings(built_in(), Scope::Journal, LOG).len(), 1);
    }

    fn rule(fields: &str) -> Result<Vec<Rule>, String> {
        parse(&format!(
            "[[rule]]\nid = \"a\"\nseverity = \"failure\"\nall = [\"bad\"]\nhits = [\"bad\"]\n{fields}"
        ))
    }

    #[test]
    fn a_rule_holds_from_one_version_until_another() {
        let rules = rule("since = \"4893.0.0\"\nuntil = \"4900.0.0\"\n").unwrap();
        let holds = |version: &str| rules[0].holds_for(&version.parse().unwrap());
        assert!(holds("4893.0.0") && holds("4899.3.9"));
        assert!(!holds("4892.0.0") && !holds("4900.0.0"));
    }

    #[test]
    fn an_exception_is_for_one_test_and_its_own_lines() {
        let rules =
            rule("except = [{ test = \"update.*\", with = [\"luck\"], sample = \"bad luck\" }]\n").unwrap();
        assert!(rules[0].excepts("update.apply", "very bad luck"));
        assert!(!rules[0].excepts("update.apply", "bad"), "every other line counts in that test, too");
        assert!(!rules[0].excepts("boot.uefi", "bad luck"));
    }

    #[test]
    fn an_exception_that_swallows_everything_or_misses_its_sample_is_refused() {
        let excepted = |test: &str, with: &str, sample: &str| {
            rule(&format!("except = [{{ test = \"{test}\", with = [{with}], sample = \"{sample}\" }}]\n"))
        };
        assert!(excepted("a.b", "\"luck\"", "bad luck").is_ok());
        assert!(excepted("*", "\"luck\"", "bad luck").unwrap_err().contains("for every test"));
        for nothing in ["", "\"\""] {
            assert!(excepted("a.b", nothing, "bad").unwrap_err().contains("names no text"));
        }
        for sample in ["bad", "luck"] {
            assert!(excepted("a.b", "\"luck\"", sample).unwrap_err().contains("wrongly"));
        }
        assert!(rule("except = [\"update.apply\"]\n").is_err(), "a bare name would silence the whole rule");
    }

    #[test]
    fn a_rule_that_misjudges_its_samples_or_matches_everything_is_refused() {
        assert!(
            rule("misses = [\"bad luck\"]\n").unwrap_err().contains("judges its sample `bad luck` wrongly")
        );
        assert!(rule("none = [\"bad\"]\n").is_err());
        assert!(rule("unheard = 1\n").is_err());
        let all = "[[rule]]\nid = \"a\"\nseverity = \"fatal\"\nall = [\"\"]\nhits = [\"x\"]\n";
        assert!(parse(all).unwrap_err().contains("match every line"));
        let twice = "[[rule]]\nid = \"a\"\nseverity = \"fatal\"\nall = [\"x\"]\nhits = [\"x\"]\n".repeat(2);
        assert_eq!(parse(&twice).unwrap_err(), "there are two rules `a`");
    }
}
