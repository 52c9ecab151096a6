//! Reading TOML without stopping at the first mistake: every complaint has its line, and all of them are told at once.

use std::fmt;

use sm_model::Date;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Largest file of rules, in bytes: stops a file that is none.
pub(crate) const MAX_FILE_BYTES: usize = 1 << 20;

/// One thing that is wrong with a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

type Value<'a> = Spanned<DeValue<'a>>;

/// A file that is being read, and what is wrong with it so far.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    found: Vec<(usize, String)>,
}

impl<'t> Reader<'t> {
    /// Reads a file: `read` gets its root table. Gives what `read` made of it, unless anything is wrong.
    pub(crate) fn read<T>(
        text: &'t str,
        read: impl FnOnce(&mut Section<'_, 't>, &mut Reader<'t>) -> T,
    ) -> Result<T, Vec<Problem>> {
        let mut reader = Reader { text, found: Vec::new() };
        if text.len() > MAX_FILE_BYTES {
            reader.note(0, format!("the file is larger than {MAX_FILE_BYTES} bytes"));
            return Err(reader.problems());
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            reader.note(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        let mut section = Section { table: root.get_ref(), offset: 0, known: Vec::new() };
        let value = read(&mut section, &mut reader);
        section.finish(&mut reader);
        if reader.found.is_empty() { Ok(value) } else { Err(reader.problems()) }
    }

    pub(crate) fn note(&mut self, offset: usize, what: impl Into<String>) {
        self.found.push((offset, what.into()));
    }

    fn problems(mut self) -> Vec<Problem> {
        self.found.sort();
        self.found.dedup();
        let text = self.text;
        self.found.into_iter().map(|(offset, what)| located(text, offset, what)).collect()
    }

    fn mismatch(&mut self, value: &Value<'_>, expected: &str) {
        let found = value.get_ref().type_str();
        self.note(value.span().start, format!("found {found}, expected {expected}"));
    }
}

fn located(text: &str, offset: usize, what: String) -> Problem {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    Problem { line, column: before[line_start..].chars().count() + 1, what }
}

/// A table that is being read. Remembers which keys were asked for, so that the others can be refused.
#[derive(Debug)]
pub(crate) struct Section<'a, 't> {
    table: &'a DeTable<'t>,
    offset: usize,
    known: Vec<&'static str>,
}

/// A value and the byte of the file where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) offset: usize,
}

impl<'a, 't> Section<'a, 't> {
    /// Where the table stands in the file.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Value<'t>> {
        self.known.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// A text that parses as `T`.
    pub(crate) fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
        &mut self,
        key: &'static str,
        reader: &mut Reader<'_>,
    ) -> Option<At<T>> {
        let value = self.get(key)?;
        parse_one(value, reader)
    }

    /// A text that must be there.
    pub(crate) fn required<T: std::str::FromStr<Err: fmt::Display>>(
        &mut self,
        key: &'static str,
        reader: &mut Reader<'_>,
    ) -> Option<At<T>> {
        if !self.table.iter().any(|(name, _)| name.get_ref() == key) {
            reader.note(self.offset, format!("`{key}` is missing"));
        }
        self.parsed(key, reader)
    }

    /// A list of texts that parse as `T`; a single text is a list of one.
    pub(crate) fn list<T: std::str::FromStr<Err: fmt::Display>>(
        &mut self,
        key: &'static str,
        reader: &mut Reader<'_>,
    ) -> Vec<At<T>> {
        self.get(key).map(|value| parse_many(value, reader)).unwrap_or_default()
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Option<At<i64>> {
        let value = self.get(key)?;
        let integer = value.get_ref().as_integer();
        let parsed = integer.and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok());
        if parsed.is_none() {
            reader.mismatch(value, "a whole number");
        }
        parsed.map(|number| At { value: number, offset: value.span().start })
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            reader.mismatch(value, "`true` or `false`");
        }
        flag
    }

    /// A day, bare or in quotes.
    pub(crate) fn date(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Option<At<Date>> {
        let value = self.get(key)?;
        let text = match value.get_ref() {
            DeValue::Datetime(written) => written.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => {
                reader.mismatch(value, "a day, for example 2026-12-01");
                return None;
            }
        };
        match text.parse() {
            Ok(day) => Some(At { value: day, offset: value.span().start }),
            Err(error) => {
                reader.note(value.span().start, format!("{error}"));
                None
            }
        }
    }

    /// A table: `[key]`.
    pub(crate) fn table(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Option<Section<'a, 't>> {
        let value = self.get(key)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            reader.mismatch(value, "a table");
        }
        Some(section_of(table?, value.span().start))
    }

    /// A table of tables: `[key.NAME]`, with their names.
    pub(crate) fn named(
        &mut self,
        key: &'static str,
        reader: &mut Reader<'_>,
    ) -> Vec<(String, Section<'a, 't>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            reader.mismatch(value, &format!("tables, `[{key}.NAME]`"));
            return Vec::new();
        };
        let sections = table.iter().filter_map(|(name, value)| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                reader.mismatch(value, "a table");
            }
            Some((name.get_ref().to_string(), section_of(table?, name.span().start)))
        });
        sections.collect()
    }

    /// A list of tables: `[[key]]`.
    pub(crate) fn tables(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Vec<Section<'a, 't>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            reader.mismatch(value, &format!("tables, `[[{key}]]`"));
            return Vec::new();
        };
        let sections = array.iter().filter_map(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                reader.mismatch(value, "a table");
            }
            Some(section_of(table?, value.span().start))
        });
        sections.collect()
    }

    /// A table whose keys are free, with a text or a list of texts each.
    pub(crate) fn free(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Vec<(String, Vec<String>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            reader.mismatch(value, "a table");
            return Vec::new();
        };
        let texts = |value| parse_many::<String>(value, reader).into_iter().map(|at| at.value).collect();
        let pairs: Vec<(&str, &Value<'_>)> =
            table.iter().map(|(name, value)| (name.get_ref().as_ref(), value)).collect();
        let mut texts = texts;
        pairs.into_iter().map(|(name, value)| (name.to_owned(), texts(value))).collect()
    }

    /// Refuses every key that nobody asked for.
    pub(crate) fn finish(&self, reader: &mut Reader<'_>) {
        for (name, _) in self.table {
            if !self.known.iter().any(|known| name.get_ref() == known) {
                let known = self.known.join("`, `");
                reader.note(
                    name.span().start,
                    format!("unknown key `{}`, expected one of `{known}`", name.get_ref()),
                );
            }
        }
    }
}

fn section_of<'a, 't>(table: &'a DeTable<'t>, offset: usize) -> Section<'a, 't> {
    Section { table, offset, known: Vec::new() }
}

fn parse_one<T: std::str::FromStr<Err: fmt::Display>>(
    value: &Value<'_>,
    reader: &mut Reader<'_>,
) -> Option<At<T>> {
    let offset = value.span().start;
    let Some(text) = value.get_ref().as_str() else {
        reader.mismatch(value, "a text in quotes");
        return None;
    };
    match text.parse() {
        Ok(value) => Some(At { value, offset }),
        Err(error) => {
            reader.note(offset, error.to_string());
            None
        }
    }
}

fn parse_many<T: std::str::FromStr<Err: fmt::Display>>(
    value: &Value<'_>,
    reader: &mut Reader<'_>,
) -> Vec<At<T>> {
    match value.get_ref().as_array() {
        Some(array) => array.iter().filter_map(|value| parse_one(value, reader)).collect(),
        None => parse_one(value, reader).into_iter().collect(),
    }
}
