//! Reads an export into an empty store: blobs first, then every row in one transaction, the chain and all digests checked.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use rusqlite::{Transaction, TransactionBehavior, params_from_iter, types::Value};
use sha2::Digest as _;
use sm_host::files::{self, FileError};
use sm_model::Sha256;

use super::{
    FileIndex, INDEX, Index, MAX_INDEX_BYTES, parse_index,
    tables::{BadLine, MAX_LINE_BYTES, TABLES, Table},
};
use crate::{Blobs, Error, schema, sqlite, verify};

/// Imports an export into a store that is empty, or not there yet. Whatever fails, the store is as it was.
///
/// # Errors
/// When the store holds something, the export is not what its index says, its chain is broken, or something cannot be written.
pub fn import(from: &Path, database: &Path) -> Result<Index, Error> {
    let index = read_index(from)?;
    let mut connection = sqlite::open(database)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(Error::statement("begin a transaction"))?;
    refuse_unless_empty(&transaction, database)?;
    import_blobs(from, database, &index)?;
    for file in &index.files {
        import_file(&transaction, from, file)?;
    }
    let head = verify::chain(&transaction)?;
    if (head.seq, head.digest) != (index.n_events, index.head) {
        return Err(other(&from.join(INDEX), "its head is not that of the events beside it"));
    }
    sqlite::recompute(&transaction)?;
    transaction.commit().map_err(Error::statement("commit a transaction"))?;
    Ok(index)
}

fn other(path: &Path, what: impl Into<String>) -> Error {
    Error::NotThatExport { path: path.to_owned(), what: what.into() }
}

fn read_index(from: &Path) -> Result<Index, Error> {
    let path = from.join(INDEX);
    let bytes = files::read_limited(&path, MAX_INDEX_BYTES)?;
    let index =
        parse_index(&bytes).map_err(|source| Error::BadLine { path: path.clone(), line: 1, source })?;
    if index.schema > schema::NEWEST {
        return Err(Error::TooNew { found: index.schema, newest: schema::NEWEST });
    }
    Ok(index)
}

fn refuse_unless_empty(transaction: &Transaction<'_>, database: &Path) -> Result<(), Error> {
    for table in TABLES {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        let holds_something: bool =
            transaction.query_row(&sql, (), |row| row.get(0)).map_err(Error::statement("read a table"))?;
        if holds_something {
            return Err(Error::NotEmpty { path: database.to_owned() });
        }
    }
    Ok(())
}

fn import_blobs(from: &Path, database: &Path, index: &Index) -> Result<(), Error> {
    let (theirs, ours) = (Blobs::at(from.join("blobs")), Blobs::beside(database));
    for digest in &index.blobs {
        ours.put(&theirs.get(digest)?)?;
    }
    Ok(())
}

fn import_file(transaction: &Transaction<'_>, from: &Path, expected: &FileIndex) -> Result<(), Error> {
    let known = TABLES.iter().find(|table| table.name == expected.table);
    let table =
        known.ok_or_else(|| other(&from.join(INDEX), format!("names a table `{}`", expected.table)))?;
    let mut lines = Lines::open(from.join(table.file()))?;
    let mut statement =
        transaction.prepare(&table.insert()).map_err(Error::statement("prepare an import"))?;
    while let Some(values) = lines.next_row(table)? {
        statement.execute(params_from_iter(values)).map_err(|source| Error::RowRefused {
            path: lines.path.clone(),
            line: lines.n_lines,
            source,
        })?;
    }
    let (n_lines, sha256) = (lines.n_lines, Sha256(lines.digest.finalize().into()));
    if (n_lines, sha256) != (expected.n_lines, expected.sha256) {
        return Err(other(&lines.path, "it is not the file that the index was made with"));
    }
    Ok(())
}

/// The lines of a file, digested as they are read.
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    digest: sha2::Sha256,
    n_lines: u64,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Lines, Error> {
        let file = File::open(&path).map_err(FileError::io("open", &path))?;
        let (digest, line) = (sha2::Sha256::new(), Vec::new());
        Ok(Lines { path, file: BufReader::new(file), digest, n_lines: 0, line })
    }

    fn next_row(&mut self, table: &Table) -> Result<Option<Vec<Value>>, Error> {
        self.line.clear();
        let mut limited = (&mut self.file).take(MAX_LINE_BYTES as u64 + 2);
        let n_read = limited.read_until(b'\n', &mut self.line).map_err(FileError::io("read", &self.path))?;
        if n_read == 0 {
            return Ok(None);
        }
        self.n_lines += 1;
        self.digest.update(&self.line);
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let read = table.read_line(line);
        read.map(Some).map_err(|source: BadLine| Error::BadLine {
            path: self.path.clone(),
            line: self.n_lines,
            source,
        })
    }
}
