//! What a test says: what it saw and what is wrong with it, or why it could not look.

/// What a test saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What was looked at, in a few words: `14 files`.
    pub seen: String,
    /// What is wrong, one line each. None: the test passed.
    pub problems: Vec<String>,
    /// Further lines for the log.
    pub notes: Vec<String>,
}

impl Findings {
    /// Nothing wrong so far.
    pub fn of(seen: impl Into<String>) -> Self {
        Findings { seen: seen.into(), ..Findings::default() }
    }

    /// These problems.
    pub fn with(seen: impl Into<String>, problems: impl IntoIterator<Item = String>) -> Self {
        Findings { problems: problems.into_iter().collect(), ..Findings::of(seen) }
    }

    /// Adds a problem where something is not as expected.
    pub fn expect_equal<T: PartialEq + std::fmt::Display>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.problems.push(format!("{what} is `{found}`, expected `{expected}`"));
        }
    }

    /// Adds a problem unless something holds.
    pub fn require(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// What is there and should not be, and the other way round.
    pub fn compare<'a>(
        &mut self,
        what: &str,
        found: impl IntoIterator<Item = &'a String>,
        listed: impl IntoIterator<Item = &'a String>,
    ) {
        let found: std::collections::BTreeSet<&String> = found.into_iter().collect();
        let listed: std::collections::BTreeSet<&String> = listed.into_iter().collect();
        let extra =
            found.difference(&listed).map(|one| format!("{what} `{one}` is not on the reviewed list"));
        self.problems.extend(extra);
        let gone =
            listed.difference(&found).map(|one| format!("{what} `{one}` is listed but not in the image"));
        self.problems.extend(gone);
    }
}

/// Why a test came to no end of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// What it should look at is damaged: the image is to blame.
    Broken(String),
    /// Something that says nothing about the image.
    Trouble {
        /// What kind: `host-disk`, `tool`.
        class: &'static str,
        /// What happened.
        message: String,
    },
    /// Something did not happen in time; this was seen instead.
    Late(String),
    /// Somebody ended the run.
    Cancelled,
    /// The test needs something that was not given.
    Skip(String),
}

impl Stop {
    /// Trouble of this class, in the error's words and those of its causes.
    pub fn trouble(class: &'static str, error: &dyn std::error::Error) -> Self {
        Stop::Trouble { class, message: in_words(error) }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Broken(what)
            | Stop::Late(what)
            | Stop::Skip(what)
            | Stop::Trouble { message: what, .. } => f.write_str(what),
            Stop::Cancelled => f.write_str("the run was ended"),
        }
    }
}

/// An error with its causes, in one line.
pub(super) fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a test gives back.
pub type Looked = Result<Findings, Stop>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparing_names_both_directions() {
        let mut findings = Findings::of("units");
        findings.compare("unit", &["a".to_owned(), "b".to_owned()], &["b".to_owned(), "c".to_owned()]);
        assert_eq!(
            findings.problems,
            ["unit `a` is not on the reviewed list", "unit `c` is listed but not in the image"]
        );
    }
}
