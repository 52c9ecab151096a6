//! Where a value was written: file, line and column, so that every complaint can point at its cause.

use std::fmt;

/// A byte of one of the files that a recipe is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// Index into [`Documents`].
    pub(crate) document: usize,
    /// Offset in bytes.
    pub(crate) offset: usize,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, place: Place) -> Self {
        At { value, place }
    }
}

/// The texts a recipe is read from: the recipe itself, then its variants in order.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    texts: Vec<(String, String)>,
}

impl Documents {
    /// Adds a text under the name that complaints call it by; returns its index.
    pub(crate) fn add(&mut self, name: String, text: String) -> usize {
        self.texts.push((name, text));
        self.texts.len() - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn text(&self, document: usize) -> &str {
        self.texts.get(document).map_or("", |(_, text)| text)
    }

    /// Names and texts, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Turns an offset into what editors jump to. Lines and columns count from 1, columns in characters.
    pub(crate) fn locate(&self, place: Place) -> Location {
        let (name, text) = self.texts.get(place.document).map_or(("", ""), |(name, text)| (name, text));
        let before = text.get(..place.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Location {
            file: name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// A place as people and editors write it: `recipe.toml:12:5`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Name of the file, as given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let mut documents = Documents::default();
        let document = documents.add("r.toml".into(), "a = 1\né = 2\n".into());
        let at = |offset| documents.locate(Place { document, offset }).to_string();
        assert_eq!(at(0), "r.toml:1:1");
        assert_eq!(at(6), "r.toml:2:1");
        assert_eq!(at(9), "r.toml:2:3");
        assert_eq!(at(999), "r.toml:3:1");
    }
}
