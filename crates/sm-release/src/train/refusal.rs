//! Why not: every reason at once, each with who or what could lift it.

use std::fmt;

use serde::Serialize;
use sm_model::exit;

/// One reason why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// A word for programs, which keeps its meaning: `stale-evidence`.
    pub code: &'static str,
    /// What is in the way.
    pub why: String,
    /// Who or what could lift it.
    pub lift: String,
}

impl Refusal {
    /// A reason.
    pub fn new(code: &'static str, why: impl Into<String>, lift: impl Into<String>) -> Refusal {
        Refusal { code, why: why.into(), lift: lift.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n      lifted by {}", self.why, self.lift)
    }
}

/// Every reason why something is not done. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusals(pub Vec<Refusal>);

impl Refusals {
    /// The words for programs.
    pub fn codes(&self) -> Vec<&'static str> {
        self.0.iter().map(|refusal| refusal.code).collect()
    }

    /// Exit code of a program that ends with this: its answer is no.
    pub fn exit_code(&self) -> u8 {
        exit::NEGATIVE
    }

    /// The next step is told with each reason.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Refusals(vec![refusal])
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.0.len() {
            1 => "refused".to_owned(),
            n => format!("refused for {n} reasons"),
        };
        f.write_str(&count)?;
        self.0.iter().try_for_each(|refusal| write!(f, "\n  - {refusal}"))
    }
}

impl std::error::Error for Refusals {}

/// Collects reasons; nothing is done while there is one.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Refusal>);

impl Checks {
    /// Notes a reason when `holds` is false.
    pub(crate) fn require(
        &mut self,
        holds: bool,
        code: &'static str,
        why: impl FnOnce() -> String,
        lift: impl Into<String>,
    ) {
        if !holds {
            self.0.push(Refusal::new(code, why(), lift));
        }
    }

    pub(crate) fn push(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }

    pub(crate) fn extend(&mut self, refusals: impl IntoIterator<Item = Refusal>) {
        self.0.extend(refusals);
    }

    /// `value`, unless there is a reason against it.
    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Refusals> {
        if self.0.is_empty() { Ok(value) } else { Err(Refusals(self.0)) }
    }
}
