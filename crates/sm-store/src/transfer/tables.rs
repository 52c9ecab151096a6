//! Which tables hold what cannot be recomputed, and how their rows are spelled as lines of JSON.

use rusqlite::{Row, types::Value, types::ValueRef};
use serde_json::Map;
use sm_model::{Sha256, Timestamp};

/// Longest line of an export, in bytes: an event of [`crate::events::MAX_BODY_BYTES`] with every byte escaped.
pub(super) const MAX_LINE_BYTES: usize = 8 << 20;

/// How a column's value is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// As a number.
    Integer,
    /// Seconds of Unix time, as RFC 3339.
    Instant,
    /// As a text.
    Text,
    /// 32 bytes, as hexadecimal digits.
    Digest,
}

/// A table that is exported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The first is the primary key, by which lines are sorted.
    pub(super) columns: &'static [(&'static str, Column)],
}

/// Every table but those that can be recomputed, in the order of import.
pub(super) const TABLES: [Table; 5] = [
    Table {
        name: "event",
        columns: &[
            ("seq", Column::Integer),
            ("recorded", Column::Instant),
            ("kind", Column::Text),
            ("body", Column::Text),
            ("previous", Column::Digest),
            ("digest", Column::Digest),
        ],
    },
    Table {
        name: "report",
        columns: &[
            ("seq", Column::Integer),
            ("received", Column::Instant),
            ("machine_id", Column::Text),
            ("kind", Column::Text),
            ("document", Column::Text),
        ],
    },
    Table { name: "heartbeat", columns: &[("machine_id", Column::Text), ("last_check", Column::Instant)] },
    Table {
        name: "test_attempt",
        columns: &[
            ("seq", Column::Integer),
            ("digest", Column::Digest),
            ("test", Column::Text),
            ("started", Column::Instant),
            ("subject", Column::Text),
            ("suite", Column::Text),
            ("document", Column::Text),
        ],
    },
    Table { name: "test_quarantine", columns: &[("seq", Column::Integer), ("document", Column::Text)] },
];

/// Tables that are recomputed after an import.
#[cfg(test)]
const PROJECTIONS: [&str; 1] = ["instance"];

/// Why a line is no row of its table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It is no JSON object.
    #[error("it is not one JSON object: {0}")]
    NotJson(String),
    /// It is longer than any row.
    #[error("it has more than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// It has other fields than the table has columns.
    #[error("it has other fields than {0}")]
    Fields(String),
    /// A field holds something else.
    #[error("`{column}` is {found}: expected {expected}")]
    Value {
        /// Which field.
        column: &'static str,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Table {
    pub(super) fn file(&self) -> String {
        format!("{}.jsonl", self.name)
    }

    pub(super) fn select(&self) -> String {
        let key = self.columns[0].0;
        format!("SELECT {} FROM {} ORDER BY {key}", self.names().join(", "), self.name)
    }

    pub(super) fn insert(&self) -> String {
        let places: Vec<String> = (1..=self.columns.len()).map(|n| format!("?{n}")).collect();
        let names = self.names().join(", ");
        format!("INSERT INTO {} ({names}) VALUES ({})", self.name, places.join(", "))
    }

    fn names(&self) -> Vec<&'static str> {
        self.columns.iter().map(|(name, _)| *name).collect()
    }

    /// One row as one line, keys in alphabetical order. `None` where a value is not of its column's kind.
    pub(super) fn write_line(&self, row: &Row<'_>) -> rusqlite::Result<Option<String>> {
        let mut object = Map::new();
        for (idx, (name, column)) in self.columns.iter().enumerate() {
            let Some(value) = column.to_json(row.get_ref(idx)?) else { return Ok(None) };
            object.insert((*name).to_owned(), value);
        }
        Ok(Some(serde_json::Value::Object(object).to_string()))
    }

    /// The values of one line, in the order of the columns.
    pub(super) fn read_line(&self, line: &[u8]) -> Result<Vec<Value>, BadLine> {
        if line.len() > MAX_LINE_BYTES {
            return Err(BadLine::TooLong);
        }
        let object: Map<String, serde_json::Value> =
            serde_json::from_slice(line).map_err(|error| BadLine::NotJson(error.to_string()))?;
        let known = self.columns.iter().all(|(name, _)| object.contains_key(*name));
        if !known || object.len() != self.columns.len() {
            return Err(BadLine::Fields(self.names().join(", ")));
        }
        let value = |&(name, column): &(&'static str, Column)| {
            column.to_sql(&object[name]).ok_or_else(|| BadLine::Value {
                column: name,
                found: object[name].to_string().chars().take(80).collect(),
                expected: column.expected(),
            })
        };
        self.columns.iter().map(value).collect()
    }
}

impl Column {
    const fn expected(self) -> &'static str {
        match self {
            Column::Integer => "a whole number",
            Column::Instant => "a time as in `2026-11-23T05:26:00Z`",
            Column::Text => "a text",
            Column::Digest => "a SHA-256 digest",
        }
    }

    fn to_json(self, value: ValueRef<'_>) -> Option<serde_json::Value> {
        Some(match (self, value) {
            (Column::Integer, ValueRef::Integer(number)) => number.into(),
            (Column::Instant, ValueRef::Integer(secs)) => {
                Timestamp::from_unix_secs(secs).ok()?.to_string().into()
            }
            (Column::Text, ValueRef::Text(bytes)) => std::str::from_utf8(bytes).ok()?.into(),
            (Column::Digest, ValueRef::Blob(bytes)) => Sha256(bytes.try_into().ok()?).to_string().into(),
            _ => return None,
        })
    }

    fn to_sql(self, value: &serde_json::Value) -> Option<Value> {
        Some(match self {
            Column::Integer => Value::Integer(value.as_i64()?),
            Column::Instant => Value::Integer(value.as_str()?.parse::<Timestamp>().ok()?.unix_secs()),
            Column::Text => Value::Text(value.as_str()?.to_owned()),
            Column::Digest => Value::Blob(value.as_str()?.parse::<Sha256>().ok()?.0.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_exported_or_recomputed() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut connection).unwrap();
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        let found: Vec<String> =
            statement.query_map((), |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let mut listed: Vec<&str> = TABLES.iter().map(|table| table.name).chain(PROJECTIONS).collect();
        listed.sort_unstable();
        assert_eq!(found, listed);
    }

    #[test]
    fn every_column_is_exported() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut connection).unwrap();
        for table in TABLES {
            let statement = connection.prepare(&format!("SELECT * FROM {}", table.name)).unwrap();
            assert_eq!(statement.column_names(), table.names(), "{}", table.name);
        }
    }

    #[test]
    fn lines_that_are_no_rows_are_refused_with_the_reason() {
        let heartbeat = TABLES[2];
        let refusal = |line: &str| heartbeat.read_line(line.as_bytes()).unwrap_err().to_string();
        assert!(refusal("[]").starts_with("it is not one JSON object: "));
        assert!(refusal("{\"machine_id\":\"m\"}{}").starts_with("it is not one JSON object: "));
        assert_eq!(refusal("{\"machine_id\":\"m\"}"), "it has other fields than machine_id, last_check");
        assert_eq!(
            refusal(r#"{"machine_id":"m","last_check":5}"#),
            "`last_check` is 5: expected a time as in `2026-11-23T05:26:00Z`"
        );
        assert_eq!(
            refusal(r#"{"machine_id":"m","last_check":"2026-11-23T05:26:00Z","x":1}"#),
            "it has other fields than machine_id, last_check"
        );
        assert_eq!(heartbeat.read_line(&vec![b' '; MAX_LINE_BYTES + 1]), Err(BadLine::TooLong));
    }
}
