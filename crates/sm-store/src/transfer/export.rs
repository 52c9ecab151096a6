//! Writes an export: everything under a temporary name, flushed, then one rename.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use rusqlite::Connection;
use sha2::Digest as _;
use sm_host::files::{self, FileError};
use sm_model::Sha256;

use super::{
    FileIndex, INDEX, Index,
    tables::{TABLES, Table},
};
use crate::{Blobs, Error, schema, verify};

/// Exports a store to a folder that does not exist yet. The store is checked first: a broken one is not exported.
///
/// # Errors
/// When the store is not as it was written, the folder exists, or something cannot be read or written.
pub fn export(database: &Path, to: &Path) -> Result<Index, Error> {
    if to.exists() {
        return Err(Error::Exists { path: to.to_owned() });
    }
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::create_dir_all(parent)?;
    let partial = tempfile::Builder::new()
        .prefix(".partial-export-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(FileError::io("create a folder in", parent))?;
    let index = write_all(database, partial.path())?;
    files::sync_dir(partial.path())?;
    fs::rename(partial.path(), to).map_err(FileError::io("rename a finished export to", to))?;
    // What the name stood for is there no more, under its new name: nothing is left to remove.
    let _ = partial.keep();
    files::sync_dir(parent)?;
    Ok(index)
}

fn write_all(database: &Path, dir: &Path) -> Result<Index, Error> {
    let failed = || Error::statement("begin to read");
    let mut connection = verify::existing(database)?;
    // One transaction for all tables, so that the export is one moment of the store.
    let transaction = connection.transaction().map_err(failed())?;
    let head = verify::chain(&transaction)?;
    let files = TABLES.iter().map(|table| write_table(&transaction, table, dir)).collect::<Result<_, _>>()?;
    drop(transaction);
    // Blobs are stored before the events that name them: those listed now are at least those of that moment.
    let blobs = Blobs::beside(database);
    let copies = Blobs::at(dir.join("blobs"));
    let digests = blobs.list()?;
    for digest in &digests {
        copies.put(&blobs.get(digest)?)?;
    }
    let index = Index {
        format: Index::FORMAT,
        schema: schema::NEWEST,
        n_events: head.seq,
        head: head.digest,
        files,
        blobs: digests,
    };
    let text = serde_json::to_string_pretty(&index).map_err(|source| Error::Document {
        operation: "write",
        subject: "the index of an export",
        source,
    })?;
    files::write_atomic(&dir.join(INDEX), format!("{text}\n").as_bytes())?;
    Ok(index)
}

fn write_table(connection: &Connection, table: &Table, dir: &Path) -> Result<FileIndex, Error> {
    let path = dir.join(table.file());
    let failed = || Error::statement("read a table");
    let unwritten = || FileError::io("write", &path);
    let mut out = BufWriter::new(File::create(&path).map_err(FileError::io("create", &path))?);
    let mut digest = sha2::Sha256::new();
    let mut n_lines = 0;
    let mut statement = connection.prepare(&table.select()).map_err(failed())?;
    let mut rows = statement.query(()).map_err(failed())?;
    while let Some(row) = rows.next().map_err(failed())? {
        let line = table.write_line(row).map_err(failed())?;
        let mut line = line.ok_or(Error::BadRow { table: table.name, row: n_lines + 1 })?;
        line.push('\n');
        digest.update(&line);
        out.write_all(line.as_bytes()).map_err(unwritten())?;
        n_lines += 1;
    }
    let file = out.into_inner().map_err(|error| unwritten()(error.into_error()))?;
    file.sync_all().map_err(unwritten())?;
    Ok(FileIndex { table: table.name.to_owned(), n_lines, sha256: Sha256(digest.finalize().into()) })
}
