//! Checks a whole store: the file, the chain of events, every blob, and the fleet's projection. Tells all that is wrong.

use std::{collections::BTreeSet, path::Path};

use rusqlite::Connection;
use serde::Serialize;
use sm_host::files::FileError;
use sm_model::Sha256;
use sm_trust::chain::Head;

use crate::{Blobs, Error, Event, EventLog, events, sqlite};

/// What a store holds, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Entries in the event log.
    pub n_events: u64,
    /// Digest of the last one; zeros when there is none, absent when the chain is broken.
    pub head: Option<Sha256>,
    /// Blobs beside the database.
    pub n_blobs: usize,
    /// Entries in the log of what hosts reported.
    pub n_reports: u64,
    /// All that is wrong, in words; nothing when the store is as it was written.
    pub problems: Vec<String>,
}

/// Checks a store. Understands events only as far as to find the blobs that they name.
///
/// # Errors
/// When the store cannot be read at all.
pub fn verify<E: Event>(database: &Path) -> Result<Verification, Error> {
    let connection = existing(database)?;
    let mut found = Verification {
        n_events: count(&connection, "event")?,
        head: None,
        n_blobs: 0,
        n_reports: count(&connection, "report")?,
        problems: integrity(&connection)?,
    };
    match chain(&connection) {
        Ok(head) => found.head = Some(head.digest),
        Err(error) => found.problems.push(in_words(&error)),
    }
    match sqlite::is_recomputable(&connection) {
        Ok(true) => {}
        Ok(false) => {
            found.problems.push("the fleet's projection is not what the log of reports adds up to".into());
        }
        Err(error) => found.problems.push(in_words(&error)),
    }
    verify_blobs::<E>(database, &mut found)?;
    Ok(found)
}

/// Looking must not make the store that is looked for.
pub(crate) fn existing(database: &Path) -> Result<Connection, Error> {
    std::fs::metadata(database).map_err(FileError::io("open", database))?;
    sqlite::open(database)
}

fn count(connection: &Connection, table: &str) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM {table}");
    connection.query_row(&sql, (), |row| row.get(0)).map_err(Error::statement("count entries"))
}

/// What SQLite finds wrong with its file.
fn integrity(connection: &Connection) -> Result<Vec<String>, Error> {
    let failed = || Error::statement("check the file");
    let mut statement = connection.prepare("PRAGMA integrity_check").map_err(failed())?;
    let rows = statement.query_map((), |row| row.get::<_, String>(0)).map_err(failed())?;
    let said: Vec<String> = rows.collect::<Result<_, _>>().map_err(failed())?;
    Ok(said
        .into_iter()
        .filter(|line| line != "ok")
        .map(|line| format!("the database file: {line}"))
        .collect())
}

/// The head of the event log, every link checked.
pub(crate) fn chain(connection: &Connection) -> Result<Head, Error> {
    events::walk(connection, events::Until::Newest, &mut |_| Ok(()))
}

fn verify_blobs<E: Event>(database: &Path, found: &mut Verification) -> Result<(), Error> {
    let blobs = Blobs::beside(database);
    let there = blobs.list()?;
    found.n_blobs = there.len();
    for digest in &there {
        if let Err(error) = blobs.get(digest) {
            found.problems.push(in_words(&error));
        }
    }
    let there: BTreeSet<Sha256> = there.into_iter().collect();
    let named = EventLog::open(database)?.entries::<E>(0, events::Until::Newest);
    // A log that cannot be read has been told about above, or is a newer program's.
    for entry in named.unwrap_or_default() {
        for digest in entry.event.blobs().into_iter().filter(|digest| !there.contains(digest)) {
            found.problems.push(format!("entry {} names blob `{digest}`, which is not there", entry.seq));
        }
    }
    Ok(())
}

/// An error with its causes, in one line.
fn in_words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        words = format!("{words}: {source}");
        cause = source.source();
    }
    words
}
