//! What the guest said on its console, and the rules that judge it. The rules are data: adding one adds no code.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Console text looked at: the end of longer logs.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// How bad it is when a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// Something that should work does not.
    Failure,
    /// The machine cannot go on.
    Fatal,
}

/// A sign of trouble: a line that holds all of `needles`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name in reports.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Texts that the line must hold, all of them.
    pub needles: &'static [&'static str],
}

/// The rules, worst first.
pub const RULES: &[Rule] = &[
    Rule { name: "kernel-panic", severity: Severity::Fatal, needles: &["Kernel panic"] },
    Rule { name: "emergency-mode", severity: Severity::Fatal, needles: &["You are in emergency mode"] },
    Rule {
        name: "emergency-target",
        severity: Severity::Fatal,
        needles: &["Reached target", "emergency.target"],
    },
    Rule { name: "image-emergency", severity: Severity::Failure, needles: &["boxcar: cannot go on"] },
    Rule { name: "pid1-frozen", severity: Severity::Fatal, needles: &["systemd", "Freezing execution"] },
    Rule { name: "pid1-crash", severity: Severity::Fatal, needles: &["systemd", "Caught <"] },
    Rule { name: "no-init", severity: Severity::Fatal, needles: &["Failed to execute /init"] },
    Rule { name: "firmware-no-boot", severity: Severity::Fatal, needles: &["BdsDxe: No bootable option"] },
    Rule {
        name: "verity-corruption",
        severity: Severity::Failure,
        needles: &["device-mapper: verity", "corrupted"],
    },
    Rule { name: "kernel-oops", severity: Severity::Failure, needles: &["Oops:"] },
    Rule { name: "kernel-bug", severity: Severity::Failure, needles: &["kernel BUG at"] },
    Rule { name: "out-of-memory", severity: Severity::Failure, needles: &["Out of memory: Killed process"] },
    Rule { name: "soft-lockup", severity: Severity::Warning, needles: &["watchdog: BUG: soft lockup"] },
    Rule { name: "failed-unit", severity: Severity::Failure, needles: &["[FAILED]", "Failed to start"] },
    Rule {
        name: "dependency-failed",
        severity: Severity::Failure,
        needles: &["[DEPEND]", "Dependency failed"],
    },
    Rule { name: "unit-timed-out", severity: Severity::Failure, needles: &["[ TIME ]", "Timed out"] },
    Rule { name: "segfault", severity: Severity::Failure, needles: &["segfault at"] },
    Rule { name: "kernel-warning", severity: Severity::Warning, needles: &["WARNING: CPU:"] },
    Rule { name: "rcu-stall", severity: Severity::Warning, needles: &["rcu", "detected stalls"] },
];

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

/// Every line of `log` that one of `rules` matches, in order; a line counts for the first rule it matches.
pub fn findings(rules: &[Rule], log: &str) -> Vec<Finding> {
    let judged = log.lines().enumerate().filter_map(|(i, line)| {
        let text = plain(line);
        let rule = rules.iter().find(|rule| rule.needles.iter().all(|needle| text.contains(needle)))?;
        Some(Finding { rule: rule.name.to_owned(), severity: rule.severity, line: i + 1, text })
    });
    judged.collect()
}

/// A console line without terminal control sequences (ECMA-48, section 5.4) and other control characters.
pub fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            if !c.is_control() {
                text.push(c);
            }
            continue;
        }
        match chars.next() {
            // A control sequence: parameters up to a final byte in @ to ~.
            Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            // A string (title and the like): up to BEL or ESC \.
            Some(']' | 'P' | '_' | '^') => {
                while chars.next().is_some_and(|c| c != '\x07' && c != '\x1b') {}
                chars.next_if_eq(&'\\');
            }
            _ => {}
        }
    }
    text.trim().to_owned()
}

/// A machine's console log, which grows while it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLog {
    path: PathBuf,
}

impl ConsoleLog {
    /// The log at `path`; it need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        ConsoleLog { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything said so far; of very long logs the end. A log that cannot be read says nothing.
    pub fn text(&self) -> String {
        self.end(MAX_LOG_BYTES)
    }

    /// The last `n` lines that are not empty, without terminal control.
    pub fn tail(&self, n: usize) -> Vec<String> {
        const LONGEST_LINE_BYTES: u64 = 400;
        let text = self.end(LONGEST_LINE_BYTES.saturating_mul(n as u64 + 10));
        let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(n)..].to_vec()
    }

    /// The last line that is not empty.
    pub fn last_line(&self) -> String {
        self.tail(1).pop().unwrap_or_default()
    }

    /// Every sign of trouble so far.
    pub fn findings(&self) -> Vec<Finding> {
        findings(RULES, &self.text())
    }

    fn end(&self, limit_bytes: u64) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(limit_bytes)))?;
            let mut bytes = Vec::new();
            file.take(limit_bytes).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
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
    fn trouble_is_found_through_terminal_colours() {
        let found = findings(RULES, LOG);
        let brief: Vec<_> = found.iter().map(|f| (f.rule.as_str(), f.line)).collect();
        assert_eq!(brief, [("failed-unit", 4), ("kernel-panic", 5)]);
        assert_eq!(found[0].text, "[FAILED] Failed to start boxcar-health.service - Health.");
    }

    #[test]
    fn every_rule_has_its_own_name_and_something_to_look_for() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(!rule.needles.is_empty() && rule.needles.iter().all(|needle| !needle.is_empty()));
            assert!(RULES[..i].iter().all(|other| other.name != rule.name), "{}", rule.name);
        }
    }

    #[test]
    fn control_sequences_cut_anywhere_do_no_harm() {
        let line = "a\x1b]0;title\x07b\x1b[1;2Hc\x1b(Bd";
        assert_eq!(plain(line), "abcBd");
        for cut in (0..line.len()).filter(|&cut| line.is_char_boundary(cut)) {
            assert!(!plain(&line[..cut]).contains('\x1b'));
        }
    }

    #[test]
    fn the_tail_is_the_last_lines_that_say_something() {
        let dir = tempfile::tempdir().unwrap();
        let log = ConsoleLog::new(dir.path().join("console.log"));
        assert_eq!(log.tail(3), Vec::<String>::new());
        std::fs::write(log.path(), format!("{}\n\r\nlast\x1b[0m\r\n\r\n", "x".repeat(5000))).unwrap();
        assert_eq!(log.last_line(), "last");
        assert_eq!(log.tail(2).len(), 2);
    }
}
