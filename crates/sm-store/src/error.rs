//! What can go wrong with the database, said with the operation and its subject.

use std::path::PathBuf;

use sm_model::exit;

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
}

impl Error {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Open { path, .. } => {
                Some(format!("check that `{}` is writable, or name another file with `--db`", path.display()))
            }
            Error::TooNew { .. } => Some(
                "run the Stationmaster that wrote it, or restore a database from before the upgrade".into(),
            ),
            Error::Document { .. } => Some(
                "restore the database from a backup; `sqlite3 FILE 'pragma integrity_check'` tells more"
                    .into(),
            ),
            Error::Statement { .. } | Error::EntryTooLong { .. } => None,
        }
    }

    /// Exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::TooNew { .. } => exit::INVALID_INPUT,
            Error::EntryTooLong { .. } => exit::FAILURE,
            Error::Open { .. } | Error::Statement { .. } | Error::Document { .. } => exit::STORAGE,
        }
    }

    /// For `map_err`: names the operation that failed.
    pub(crate) fn statement(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
        move |source| Error::Statement { operation, source }
    }
}
