//! The database file: opening, one transaction at a time, rebuilding the projection. One writer; readers are [`Views`].

use std::{collections::HashMap, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use sm_model::{
    MachineId, Timestamp,
    fleet::{Entry, Instance},
};

use crate::{Error, Ledger, Views, document, projection, schema};

/// Longest entry in bytes of its JSON. Everything in it is clipped at the door; this is the last line of defence.
pub const MAX_ENTRY_BYTES: usize = 16_384;

/// How long a writer waits for another process (a backup, the sqlite3 shell) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The fleet's database, open for writing.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the file, creates it where there is none, and brings it to the newest schema.
    ///
    /// A committed transaction is on disk when the call returns (`synchronous=FULL`); group your work to pay for it once.
    ///
    /// # Errors
    /// When the file is no database, cannot be written, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Store, Error> {
        Ok(Store { connection: open(path)? })
    }

    /// A read-only view of the same file; readers and the writer do not wait for each other.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn views(path: &Path) -> Result<Views, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        connect(path, flags).map(Views::new).map_err(|source| open_failed(path, source))
    }

    /// Runs `work` in one transaction: kept when it succeeds, undone when it fails.
    ///
    /// # Errors
    /// What `work` returns, or a failure of the transaction itself.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Ledger) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::statement("begin a transaction"))?;
        let value = work(&mut SqliteLedger { connection: &transaction })?;
        transaction.commit().map_err(Error::statement("commit a transaction"))?;
        Ok(value)
    }

    /// Empties the projection and recomputes it from the log. Heartbeats stay.
    ///
    /// # Errors
    /// When the database fails or an entry cannot be read.
    pub fn rebuild(&mut self) -> Result<(), Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::statement("begin a transaction"))?;
        recompute(&transaction)?;
        transaction.commit().map_err(Error::statement("commit a transaction"))
    }
}

/// A connection that writes, to a database of the newest schema.
pub(crate) fn open(path: &Path) -> Result<Connection, Error> {
    let mut connection = connect(path, OpenFlags::default()).map_err(|source| open_failed(path, source))?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if !flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn open_failed(path: &Path, source: rusqlite::Error) -> Error {
    Error::Open { path: path.to_owned(), source }
}

fn fold_log(connection: &Connection) -> Result<HashMap<MachineId, Instance>, Error> {
    let failed = || Error::statement("read the log");
    let mut statement = connection.prepare("SELECT document FROM report ORDER BY seq").map_err(failed())?;
    let mut rows = statement.query(()).map_err(failed())?;
    let mut instances = HashMap::new();
    while let Some(row) = rows.next().map_err(failed())? {
        let entry = document::read::<Entry>("a log entry", &row.get::<_, String>(0).map_err(failed())?)?;
        let machine_id = entry.machine_id();
        if let Some(instance) = projection::fold(instances.remove(machine_id), &entry) {
            instances.insert(machine_id.clone(), instance);
        }
    }
    Ok(instances)
}

/// The log's word for what an entry is, the same as in its document.
const fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Seen { .. } => "seen",
        Entry::Offered { .. } => "offered",
        Entry::Event(_) => "event",
    }
}

/// Empties the projection and recomputes it from the log.
pub(crate) fn recompute(transaction: &Connection) -> Result<(), Error> {
    let instances = fold_log(transaction)?;
    transaction.execute("DELETE FROM instance", ()).map_err(Error::statement("empty the projection"))?;
    let mut ledger = SqliteLedger { connection: transaction };
    instances.values().try_for_each(|instance| ledger.project(instance))
}

/// Whether the projection is what the log adds up to.
pub(crate) fn is_recomputable(connection: &Connection) -> Result<bool, Error> {
    let failed = || Error::statement("read the projection");
    let mut instances = fold_log(connection)?;
    let mut statement = connection.prepare("SELECT document FROM instance").map_err(failed())?;
    let mut rows = statement.query(()).map_err(failed())?;
    while let Some(row) = rows.next().map_err(failed())? {
        let stored: Instance = document::read("an instance", &row.get::<_, String>(0).map_err(failed())?)?;
        if instances.remove(&stored.machine_id) != Some(stored) {
            return Ok(false);
        }
    }
    Ok(instances.is_empty())
}

struct SqliteLedger<'c> {
    connection: &'c Connection,
}

impl SqliteLedger<'_> {
    fn execute(
        &self,
        operation: &'static str,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(Error::statement(operation))?;
        statement.execute(values).map(drop).map_err(Error::statement(operation))
    }
}

impl Ledger for SqliteLedger<'_> {
    fn instance(&self, machine_id: &MachineId) -> Result<Option<Instance>, Error> {
        let failed = || Error::statement("read an instance");
        let sql = "SELECT document FROM instance WHERE machine_id = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed())?;
        let text: Option<String> =
            statement.query_row([machine_id.as_str()], |row| row.get(0)).optional().map_err(failed())?;
        text.map(|text| document::read("an instance", &text)).transpose()
    }

    fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let document = document::write("a log entry", entry)?;
        if document.len() > MAX_ENTRY_BYTES {
            return Err(Error::EntryTooLong { n_bytes: document.len(), max_bytes: MAX_ENTRY_BYTES });
        }
        self.execute(
            "append to the log",
            "INSERT INTO report (received, machine_id, kind, document) VALUES (?1, ?2, ?3, ?4)",
            params![entry.received().unix_secs(), entry.machine_id().as_str(), kind(entry), document],
        )
    }

    fn project(&mut self, instance: &Instance) -> Result<(), Error> {
        self.execute(
            "write an instance",
            "INSERT INTO instance (machine_id, group_name, version, status, document) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (machine_id) DO UPDATE SET group_name = excluded.group_name, version = excluded.version,
                 status = excluded.status, document = excluded.document",
            params![
                instance.machine_id.as_str(),
                instance.host.group,
                instance.host.version,
                instance.status.name(),
                document::write("an instance", instance)?,
            ],
        )
    }

    fn heartbeat(&mut self, machine_id: &MachineId, now: Timestamp) -> Result<(), Error> {
        self.execute(
            "note a heartbeat",
            "INSERT INTO heartbeat VALUES (?1, ?2) ON CONFLICT DO UPDATE SET last_check = excluded.last_check",
            params![machine_id.as_str(), now.unix_secs()],
        )
    }
}
