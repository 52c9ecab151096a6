//! The whole store as a folder of texts, and back: nothing is lost, and the head of the log is the same digest.
//!
//! An export is one file per table, `event.jsonl`, `report.jsonl` and so on (one row a line, keys sorted, rows by primary key),
//! `blobs/` as in the store, and `index.json` with the head of the event log, the number of lines and the SHA-256 of each file, and every
//! blob's digest. It holds no time and no path: two exports of one state are the same bytes. What can be recomputed is left out.

mod export;
mod import;
mod tables;

use serde::{Deserialize, Serialize};
use sm_model::Sha256;

pub use export::export;
pub use import::import;
pub use tables::BadLine;

/// Largest index, in bytes: a million blobs.
const MAX_INDEX_BYTES: u64 = 80 << 20;

/// The file that names all others.
const INDEX: &str = "index.json";

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Format of this document: [`Index::FORMAT`].
    pub format: u32,
    /// Schema of the database that was exported.
    pub schema: i64,
    /// Entries in the event log.
    pub n_events: u64,
    /// Digest of the last entry of the event log; zeros when there is none.
    pub head: Sha256,
    /// The files of rows.
    pub files: Vec<FileIndex>,
    /// Digests of all blobs, in order.
    pub blobs: Vec<Sha256>,
}

impl Index {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// One file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIndex {
    /// The table.
    pub table: String,
    /// Lines in it.
    pub n_lines: u64,
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
}

/// Reads an index as somebody else may have written it.
///
/// # Errors
/// When the bytes are no index, or one of another format.
pub fn parse_index(bytes: &[u8]) -> Result<Index, BadLine> {
    let index: Index = serde_json::from_slice(bytes).map_err(|error| BadLine::NotJson(error.to_string()))?;
    if index.format == Index::FORMAT {
        Ok(index)
    } else {
        Err(BadLine::Value {
            column: "format",
            found: index.format.to_string(),
            expected: "1, the only format there is",
        })
    }
}

/// Checks one line of the file of that table, as an import does. An unknown table has no lines.
///
/// # Errors
/// When it is no row of that table.
pub fn check_line(table: &str, line: &[u8]) -> Result<(), BadLine> {
    let known = tables::TABLES.iter().find(|known| known.name == table);
    let table = known.ok_or_else(|| BadLine::Fields("those of a table of this store".to_owned()))?;
    table.read_line(line).map(drop)
}
