//! What is wrong with a recipe: collected, never thrown one by one, and told with place, expectation and next step.

use std::fmt;

use super::place::{Documents, Location, Place};

/// One thing that is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is written.
    pub location: Location,
    /// What is wrong.
    pub what: String,
    /// What was expected there.
    pub expected: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.what)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n    expected {expected}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}

/// Problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Found>,
}

/// A problem whose place is not yet counted in lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    place: Place,
    what: String,
    expected: Option<String>,
    hint: Option<String>,
}

impl Found {
    pub(crate) fn expected(&mut self, text: impl Into<String>) -> &mut Self {
        self.expected = Some(text.into());
        self
    }

    pub(crate) fn hint(&mut self, text: impl Into<String>) -> &mut Self {
        self.hint = Some(text.into());
        self
    }
}

impl Problems {
    /// Notes a problem; expectation and hint may be added to what is returned.
    pub(crate) fn note(&mut self, place: Place, what: impl Into<String>) -> &mut Found {
        let index = self.found.len();
        self.found.push(Found { place, what: what.into(), expected: None, hint: None });
        &mut self.found[index]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of their places, each once, for people.
    pub(crate) fn located(mut self, documents: &Documents) -> Vec<Problem> {
        self.found.sort();
        self.found.dedup();
        let locate = |found: Found| Problem {
            location: documents.locate(found.place),
            what: found.what,
            expected: found.expected,
            hint: found.hint,
        };
        self.found.into_iter().map(locate).collect()
    }
}
