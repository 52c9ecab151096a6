//! The test report: every attempt of every test at one image, as evidence. Verdicts are folds over it and are never stored in it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{FileName, Sha256, Timestamp, Version, text::serde_as_text};

/// A test's name: dotted lower-case words, as in `update.rollback-auto`. 1 to 120 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TestId(String);

/// A text that is no test name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a test name: expected dotted words of a-z, 0-9 and `-`, for example `update.apply`", .0.escape_debug())]
pub struct InvalidTestId(String);

impl TestId {
    /// Longest name, in bytes: it must fit a line of a report.
    pub const MAX_LEN: usize = 120;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TestId {
    type Err = InvalidTestId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let clean = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.len() <= TestId::MAX_LEN && text.split('.').all(clean) {
            Ok(TestId(text.to_owned()))
        } else {
            Err(InvalidTestId(text.chars().take(TestId::MAX_LEN).collect()))
        }
    }
}

serde_as_text!(TestId);

/// Under which circumstances a test ran: `{"platform": "qemu", "from": "previous"}`. Two scenarios of one test have a verdict each.
pub type Scenario = BTreeMap<String, String>;

/// All attempts of one run, or of several runs put together, at one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestReport {
    /// Format of this document: [`TestReport::FORMAT`].
    pub format: u32,
    /// Digest of the manifest of the release that was tested.
    pub subject: Sha256,
    /// Its version, for people.
    pub version: Version,
    /// Digest of the suite: its tests, rules and lists.
    pub suite: Sha256,
    /// The machine that ran the tests.
    pub host: TestHost,
    /// Every attempt, in the order they ended.
    pub attempts: Vec<Attempt>,
}

impl TestReport {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// The machine that ran the tests, as far as it explains results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestHost {
    /// How guests' instructions ran: `kvm` or `tcg`.
    pub accelerator: String,
    /// Processors.
    pub cpus: u16,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// How many times as long guests were given as on a processor of their own; none where no machine was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowness: Option<u32>,
    /// Version of Stationmaster.
    pub stationmaster: String,
}

/// One attempt at one test. Never edited: a re-run is another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Which test.
    pub test: TestId,
    /// Under which circumstances.
    pub scenario: Scenario,
    /// 1 for the first attempt of this test and scenario at this subject, then rising.
    pub number: u32,
    /// Alone in a fresh machine, or among others.
    pub isolation: Isolation,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Step it was in when it ended: `boot`, `download`, `assert`.
    pub phase: String,
    /// What it said, for people: one line.
    pub message: String,
    /// What kind of failure it was; only failures have one.
    pub signature: Option<FailureSignature>,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, on the host's clock.
    pub duration_millis: u64,
    /// Load of the host over the last minute, when it ended: processes that wanted a processor, in hundredths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_centi: Option<u32>,
    /// What it left behind.
    pub logs: Vec<LogRef>,
}

/// Whether an attempt shared its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Within the suite, as planned.
    Suite,
    /// Alone in a fresh machine, to find out about a failure.
    Isolated,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AttemptOutcome {
    /// The test saw what it asserts.
    Pass,
    /// The test saw something else.
    Fail,
    /// The test did not end in its time.
    Timeout,
    /// The test could not be carried out, for a reason that says nothing about the image.
    Error {
        /// What kept it: `host-memory`, `qemu-start`, `host-disk`.
        class: String,
    },
    /// The test does not apply here.
    Skip {
        /// Why.
        reason: String,
    },
    /// What the test is about does not exist yet.
    NotYet {
        /// What is missing.
        reason: String,
    },
    /// Somebody ended the run.
    Cancelled,
}

/// What kind of failure it was: a digest over the failure's words without what differs from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FailureSignature(pub Sha256);

impl fmt::Display for FailureSignature {
    /// The first 12 digits: enough for a person to tell signatures apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.12}", self.0.to_string())
    }
}

/// A log, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRef {
    /// What it is: `console.txt`, `journal.txt`.
    pub name: FileName,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_names_are_dotted_words() {
        for text in ["boot.uefi", "image.sbom-complete", "console.rules", "x"] {
            assert_eq!(text.parse::<TestId>().unwrap().as_str(), text);
        }
        for text in ["", ".", "a.", "A.b", "a b", "a/b", "a..b", &"a".repeat(121)] {
            assert!(text.parse::<TestId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn outcomes_keep_their_spelling() {
        let outcome = AttemptOutcome::Error { class: "host-memory".to_owned() };
        let json = serde_json::to_string(&outcome).unwrap();
        assert_eq!(json, r#"{"outcome":"error","class":"host-memory"}"#);
        assert_eq!(serde_json::from_str::<AttemptOutcome>(&json).unwrap(), outcome);
    }
}
