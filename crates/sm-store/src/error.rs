//! What can go wrong with the database, said with the operation and its subject.

use std::path::PathBuf;

use sm_host::files::FileError;
use sm_model::{FileName, Sha256, Timestamp, exit};
use sm_trust::chain::{BrokenChain, Head};

use crate::transfer::BadLine;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened as a database.
    #[error("cannot open the database `{}`", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The database was written by a newer Stationmaster.
    #[error("database has schema {found}, expected at most {newest}")]
    TooNew {
        /// Schema of the file.
        found: i64,
        /// Newest schema we know.
        newest: i64,
    },
    /// A statement failed.
    #[error("cannot {operation} in the database")]
    Statement {
        /// What we were doing.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// A stored document is not what this version writes, or a document cannot be written as JSON.
    #[error("cannot {operation} {subject}: not a document of this version")]
    Document {
        /// `read` or `write`.
        operation: &'static str,
        /// Which document.
        subject: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// An entry is longer than the log takes.
    #[error("log entry has {n_bytes} bytes, expected at most {max_bytes}")]
    EntryTooLong {
        /// Length of its document.
        n_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Somebody else has appended since the caller looked.
    #[error("the log has moved on: it stands at entry {}, expected {}", found.seq, expected.seq)]
    HeadMoved {
        /// Where the caller believed it to stand.
        expected: Head,
        /// Where it stands.
        found: Head,
    },
    /// The clock is behind the last entry.
    #[error("the clock says {now}, but the last entry of the log is of {last}")]
    ClockWentBack {
        /// The clock.
        now: Timestamp,
        /// When the last entry was appended.
        last: Timestamp,
    },
    /// The log was changed behind our back.
    #[error("the event log is not as it was written")]
    Broken(#[from] BrokenChain),
    /// An event's document names another place in the log than it has.
    #[error("event {seq} names another number or time than it has in the log")]
    OtherPlace {
        /// Its number.
        seq: u64,
    },
    /// A number that is no instant.
    #[error("an entry is dated {secs} seconds of Unix time: expected a year from -9999 to 9999")]
    NoInstant {
        /// The number.
        secs: i64,
    },
    /// A lock is held by another.
    #[error("`{name}` is being worked on by {holder}")]
    LockTaken {
        /// Which lock.
        name: FileName,
        /// The holder, in their words.
        holder: String,
    },
    /// A blob is longer than the store takes.
    #[error("blob has {n_bytes} bytes, expected at most {max_bytes}")]
    BlobTooLong {
        /// Its length.
        n_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A blob is not there.
    #[error("the store has no blob `{digest}`")]
    NoBlob {
        /// Its digest.
        digest: Sha256,
    },
    /// A blob is not what its name says.
    #[error("blob `{digest}` does not have that digest: it was changed")]
    BlobChanged {
        /// Its name.
        digest: Sha256,
    },
    /// A row that no version of this program writes.
    #[error("row {row} of table `{table}` holds what was never written there")]
    BadRow {
        /// The table.
        table: &'static str,
        /// Which row.
        row: u64,
    },
    /// Something is in the way of an export.
    #[error("`{}` exists: expected a new name", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The store to import into holds something.
    #[error("the store `{}` is not empty", path.display())]
    NotEmpty {
        /// Its database.
        path: PathBuf,
    },
    /// A line of an export is no row.
    #[error("line {line} of `{}` is not from an export", path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        source: BadLine,
    },
    /// The database refuses a row of an export.
    #[error("line {line} of `{}` cannot be taken into the store", path.display())]
    RowRefused {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// The database's reason.
        source: rusqlite::Error,
    },
    /// Files of an export do not belong together.
    #[error("`{}` does not belong to the export it lies in: {what}", path.display())]
    NotThatExport {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Error {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Open { path, source } => Some(hint_of(source).map_or_else(
                || format!("check that `{}` is writable, or name another file with `--db`", path.display()),
                str::to_owned,
            )),
            Error::Statement { source, .. } => hint_of(source).map(str::to_owned),
            Error::TooNew { .. } => Some(
                "run the Stationmaster that wrote it, or restore a database from before the upgrade".into(),
            ),
            Error::Document { .. } => Some(
                "restore the database from a backup; `sqlite3 FILE 'pragma integrity_check'` tells more"
                    .into(),
            ),
            Error::HeadMoved { .. } => {
                Some("run the same command again: it then decides on what is now known".into())
            }
            Error::ClockWentBack { .. } => {
                Some("set this machine's clock, then run the same command again".into())
            }
            Error::Broken(_)
            | Error::OtherPlace { .. }
            | Error::NoInstant { .. }
            | Error::NoBlob { .. }
            | Error::BlobChanged { .. } => Some(
                "`stationmaster store verify` lists all that is wrong; then import the last good export"
                    .into(),
            ),
            Error::LockTaken { .. } => Some("wait until it is done, then run the same command again".into()),
            Error::NotEmpty { .. } => Some("name a database that does not exist yet with `--db`".into()),
            Error::BadLine { .. } | Error::RowRefused { .. } | Error::NotThatExport { .. } => {
                Some("the export was changed or cut: take another copy of it, whole".into())
            }
            Error::BadRow { .. } => Some("`stationmaster store verify` lists all that is wrong".into()),
            Error::File(error) => error.hint(),
            Error::EntryTooLong { .. } | Error::BlobTooLong { .. } | Error::Exists { .. } => None,
        }
    }

    /// Exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::TooNew { .. } => exit::INVALID_INPUT,
            Error::EntryTooLong { .. }
            | Error::BlobTooLong { .. }
            | Error::HeadMoved { .. }
            | Error::ClockWentBack { .. }
            | Error::LockTaken { .. } => exit::FAILURE,
            Error::Broken(_)
            | Error::OtherPlace { .. }
            | Error::NoInstant { .. }
            | Error::BadRow { .. }
            | Error::BadLine { .. }
            | Error::RowRefused { .. }
            | Error::NotThatExport { .. }
            | Error::BlobChanged { .. } => exit::VERIFICATION,
            Error::Open { .. }
            | Error::Statement { .. }
            | Error::Document { .. }
            | Error::NoBlob { .. }
            | Error::Exists { .. }
            | Error::NotEmpty { .. }
            | Error::File(_) => exit::STORAGE,
        }
    }

    /// For `map_err`: names the operation that failed.
    pub(crate) fn statement(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
        move |source| Error::Statement { operation, source }
    }
}

/// The next step that follows from what the database itself says (sqlite.org/rescode.html).
fn hint_of(source: &rusqlite::Error) -> Option<&'static str> {
    use rusqlite::ErrorCode;
    match source.sqlite_error_code()? {
        // Shared memory that cannot grow is how a full file system shows while the database is opened.
        ErrorCode::DiskFull | ErrorCode::SystemIoFailure => {
            Some("check that there is room on its file system, then run the same command again")
        }
        ErrorCode::NotADatabase => Some("it is no database: name that of the project with `--db`"),
        ErrorCode::DatabaseCorrupt => {
            Some("`stationmaster store verify` lists all that is wrong; then import the last good export")
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Some("another process has been writing for long: run the same command again")
        }
        ErrorCode::ReadOnly => Some("run it as somebody who may write to the database and to its folder"),
        _ => None,
    }
}
