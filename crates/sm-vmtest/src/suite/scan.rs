//! Looks through what an attempt's machines said. Each sign of trouble is a result of its own, `console.RULE`, so that it can be
//! judged, muted and followed on its own; the test in whose machine it was seen keeps its result.

use sm_model::{
    Version,
    test_report::{Attempt, AttemptOutcome},
};
use sm_release::signature::failure_signature;

use super::{
    run::Tried,
    trail::{LogPart, MachineLogs},
};
use crate::rules::{Finding, Rule, Scope, Severity, findings};

/// Lines kept of one rule at one test: floods are told by their number.
const MAX_LINES: usize = 20;

/// What was looked through so far, for the test of the rules themselves.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Machines.
    pub(super) n_machines: usize,
    /// Lines.
    pub(super) n_lines: usize,
    /// Machines that booted and said nothing at all: whoever looks through that sees nothing.
    pub(super) silent: Vec<String>,
    /// Signs that are only worth a look.
    pub(super) warnings: Vec<String>,
}

impl Scanned {
    /// Both together.
    pub(super) fn add(&mut self, other: Scanned) {
        self.n_machines += other.n_machines;
        self.n_lines += other.n_lines;
        self.silent.extend(other.silent);
        self.warnings.extend(other.warnings);
    }
}

/// A sign of trouble, and where it was seen.
struct Seen {
    place: String,
    finding: Finding,
}

/// The results of `rules` for the machines of one attempt.
pub(super) fn scan(
    rules: &[Rule],
    version: &Version,
    of: &Attempt,
    machines: &[MachineLogs],
) -> (Vec<Tried>, Scanned) {
    let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.holds_for(version)).collect();
    let is_on_purpose = |finding: &Finding| {
        let rule = rules.iter().find(|rule| rule.id == finding.rule);
        rule.is_some_and(|rule| rule.excepts(of.test.as_str(), &finding.text))
    };
    let mut scanned = Scanned { n_machines: machines.len(), ..Scanned::default() };
    let mut seen = Vec::new();
    for machine in machines {
        let logs =
            [("console", Scope::Console, &machine.console), ("journal", Scope::Journal, &machine.journal)];
        let before = scanned.n_lines;
        for (kind, scope, LogPart { log, from }) in logs {
            let text = log.text_from(*from);
            scanned.n_lines += text.lines().count();
            let mut found = findings(rules.iter().copied(), scope, &text);
            found.retain(|finding| !is_on_purpose(finding));
            let place = format!("{} of `{}` in {}", kind, machine.name, of.test);
            seen.extend(found.into_iter().map(|finding| Seen { place: place.clone(), finding }));
        }
        if scanned.n_lines == before && machine.is_booted && machine.console.from == 0 {
            scanned.silent.push(format!("`{}` in {}", machine.name, of.test));
        }
    }
    let (warnings, trouble): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|one| one.finding.severity == Severity::Warning);
    scanned.warnings =
        warnings.into_iter().map(|one| format!("{}: {}", one.place, one.finding.text)).collect();
    (results(of, trouble), scanned)
}

/// One result for each rule that matched.
fn results(of: &Attempt, mut seen: Vec<Seen>) -> Vec<Tried> {
    let mut results = Vec::new();
    while let Some(first) = seen.first() {
        let rule = first.finding.rule.clone();
        let (own, others) = seen.into_iter().partition(|one| one.finding.rule == rule);
        seen = others;
        results.extend(result(of, &rule, own));
    }
    results
}

fn result(of: &Attempt, rule: &str, seen: Vec<Seen>) -> Option<Tried> {
    let test = format!("console.{rule}").parse().ok()?;
    let first = seen.first()?;
    let outcome = match first.finding.severity {
        Severity::Host => AttemptOutcome::Error { class: "host-load".to_owned() },
        Severity::Warning | Severity::Failure | Severity::Fatal => AttemptOutcome::Fail,
    };
    let is_failure = outcome == AttemptOutcome::Fail;
    let log = seen
        .iter()
        .take(MAX_LINES)
        .map(|one| format!("{}, line {}: {}\n", one.place, one.finding.line, one.finding.text));
    let log = format!("{} lines\n{}", seen.len(), log.collect::<String>());
    let attempt = Attempt {
        signature: is_failure.then(|| failure_signature(&test, &of.phase, &first.finding.text, &[rule])),
        message: format!("{}: {}", first.place, first.finding.text),
        outcome,
        test,
        logs: Vec::new(),
        ..of.clone()
    };
    Some(Tried { attempt, log, evidence: Vec::new() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sm_model::{Timestamp, test_report::Isolation};

    use super::*;
    use crate::{ConsoleLog, rules::built_in};

    fn attempt() -> Attempt {
        Attempt {
            test: "net.listeners".parse().unwrap(),
            scenario: [].into(),
            number: 1,
            isolation: Isolation::Suite,
            outcome: AttemptOutcome::Pass,
            phase: "assert".into(),
            message: "fine".into(),
            signature: None,
            started: Timestamp::UNIX_EPOCH,
            duration_millis: 1,
            load_centi: None,
            logs: Vec::new(),
        }
    }

    fn machine(dir: &Path, console: &str, journal: &str) -> MachineLogs {
        let part = |name: &str, text: &str| {
            let log = ConsoleLog::new(dir.join(name));
            std::fs::write(log.path(), text).unwrap();
            LogPart { log, from: 0 }
        };
        MachineLogs {
            name: "a".into(),
            is_booted: true,
            console: part("console.log", console),
            journal: part("journal.log", journal),
        }
    }

    fn scanned(console: &str, journal: &str) -> (Vec<Tried>, Scanned) {
        let dir = tempfile::tempdir().unwrap();
        let machines = [machine(dir.path(), console, journal)];
        scan(built_in(), &"4893.0.0".parse().unwrap(), &attempt(), &machines)
    }

    #[test]
    fn each_rule_that_matches_is_one_result_whatever_the_test_said() {
        let fault = "[1.0] sshd[9]: segfault at 0 ip 0\n";
        let (results, _) = scanned(&fault.repeat(3), "[2.0] Oops: 0000 [#1]\n");
        let brief: Vec<_> =
            results.iter().map(|one| (one.attempt.test.as_str(), &one.attempt.outcome)).collect();
        assert_eq!(
            brief,
            [("console.segfault", &AttemptOutcome::Fail), ("console.kernel-oops", &AttemptOutcome::Fail)]
        );
        assert!(results[0].log.starts_with("3 lines\nconsole of `a` in net.listeners, line 1: "));
        assert_ne!(results[0].attempt.signature, results[1].attempt.signature);
    }

    #[test]
    fn a_test_that_causes_one_line_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let of = Attempt { test: "update.rollback-auto".parse().unwrap(), ..attempt() };
        let failed = |unit: &str| format!("systemd[1]: {unit}: Failed with result 'exit-code'.\n");
        let machines = |journal: &str| [machine(dir.path(), "", journal)];
        let found = |journal: &str| scan(built_in(), &"4893.0.0".parse().unwrap(), &of, &machines(journal)).0;
        assert!(found(&failed("boxcar-health.service")).is_empty());
        let results = found(&(failed("boxcar-health.service") + &failed("ssh.service")));
        assert_eq!(results.len(), 1);
        assert!(results[0].log.starts_with("1 lines\n") && results[0].log.contains("ssh.service"));
    }

    #[test]
    fn a_busy_host_is_not_the_images_fault_and_a_warning_is_no_result() {
        let (results, scanned) = scanned("watchdog: BUG: soft lockup - CPU#1\nWARNING: CPU: 0 PID: 1\n", "");
        assert_eq!(results[0].attempt.outcome, AttemptOutcome::Error { class: "host-load".into() });
        assert_eq!((results.len(), scanned.warnings.len()), (1, 1));
    }

    #[test]
    fn a_machine_that_said_nothing_was_not_looked_through() {
        assert_eq!(scanned("", "").1.silent, ["`a` in net.listeners"]);
        assert_eq!(scanned("BdsDxe: starting\n", "").1.silent, [""; 0]);
    }

    #[test]
    fn a_copy_may_have_nothing_to_say() {
        let dir = tempfile::tempdir().unwrap();
        let copy = MachineLogs { is_booted: false, ..machine(dir.path(), "", "") };
        let (_, scanned) = scan(built_in(), &"4893.0.0".parse().unwrap(), &attempt(), &[copy]);
        assert_eq!((scanned.n_machines, scanned.silent.len()), (1, 0));
    }

    #[test]
    fn a_flood_is_told_by_its_number() {
        let (results, _) = scanned(&"Oops: 1\n".repeat(5000), "");
        assert!(results[0].log.starts_with("5000 lines\n"));
        assert_eq!(results[0].log.lines().count(), 1 + MAX_LINES);
    }
}
