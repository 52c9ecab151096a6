//! An event log to write on, and events that mean nothing.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sm_store::{Event, EventLog, events::Head};
use tempfile::TempDir;

use crate::fleet::at;

/// Events of the sample databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", deny_unknown_fields)]
pub(crate) enum Note {
    #[serde(rename = "train.opened")]
    Opened { train: String },
    #[serde(rename = "note.added")]
    Added { text: String },
}

impl Event for Note {
    fn kind(&self) -> String {
        match self {
            Note::Opened { .. } => "train.opened".to_owned(),
            Note::Added { .. } => "note.added".to_owned(),
        }
    }
}

pub(crate) fn note(text: impl Into<String>) -> Note {
    Note::Added { text: text.into() }
}

pub(crate) struct Diary {
    pub(crate) log: EventLog,
    pub(crate) path: PathBuf,
    _dir: TempDir,
}

impl Diary {
    pub(crate) fn new() -> Diary {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.db");
        Diary { log: EventLog::open(&path).unwrap(), path, _dir: dir }
    }

    /// A log with one entry per text, recorded at seconds 1, 2, 3 …
    pub(crate) fn of(texts: &[&str]) -> Diary {
        let mut diary = Diary::new();
        for (secs, text) in (1..).zip(texts) {
            diary.append(secs, text);
        }
        diary
    }

    pub(crate) fn append(&mut self, now_secs: i64, text: &str) -> Head {
        let head = self.log.head().unwrap();
        self.log.append(head, at(now_secs), &[note(text)]).unwrap()
    }

    /// Changes the file past the store and past its triggers.
    pub(crate) fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        let triggers = "DROP TRIGGER event_is_never_changed; DROP TRIGGER event_is_never_deleted;
                        DROP TRIGGER event_follows_the_last;";
        connection.execute_batch(triggers).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}
