//! A small fleet to write about.

use std::path::PathBuf;

use sm_model::{
    MachineId, Timestamp, Version,
    fleet::{HostFacts, Instance},
    report::{EventKind, EventResult, Report},
};
use sm_store::{Store, Views, Visit};
use tempfile::TempDir;

pub(crate) struct Fleet {
    pub(crate) store: Store,
    pub(crate) path: PathBuf,
    pub(crate) dir: TempDir,
}

impl Fleet {
    pub(crate) fn new() -> Fleet {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet.db");
        Fleet { store: Store::open(&path).unwrap(), path, dir }
    }

    pub(crate) fn views(&self) -> Views {
        Store::views(&self.path).unwrap()
    }

    /// One visit in one transaction.
    pub(crate) fn visit(
        &mut self,
        machine_id: &str,
        version: &str,
        now_secs: i64,
        work: impl FnOnce(&mut Visit<'_>),
    ) -> Instance {
        self.store
            .transaction(|ledger| {
                let mut visit = Visit::open(ledger, &id(machine_id), host(version), at(now_secs))?;
                work(&mut visit);
                visit.close()
            })
            .unwrap()
    }

    /// One number out of the file, past the store.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        rusqlite::Connection::open(&self.path).unwrap().query_row(sql, (), |row| row.get(0)).unwrap()
    }
}

pub(crate) fn id(text: &str) -> MachineId {
    text.parse().unwrap()
}

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_unix_secs(secs).unwrap()
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub(crate) fn host(version: &str) -> HostFacts {
    HostFacts {
        group: "stable".into(),
        board: "amd64-usr".parse().ok(),
        version: version.into(),
        alias: "box".into(),
        oem: "qemu".into(),
        first_version: "4900.2.0".into(),
        boot_id: "{b191}".into(),
    }
}

pub(crate) fn event(machine_id: &str, kind: u16, result: u16, error_code: Option<i64>) -> Report {
    Report {
        received: at(7),
        machine_id: id(machine_id),
        group: "stable".into(),
        version: "4900.2.0".into(),
        kind: EventKind::from_number(kind),
        result: EventResult::from_number(result),
        error_code,
        previous_version: None,
        reason: None,
    }
}
