//! Read-only pages for operators: who runs what, what was reported, how many. Every page has a limit.

use rusqlite::{Connection, Row, named_params};
use serde::Serialize;
use sm_model::{
    MachineId, Timestamp,
    fleet::{Entry, Instance},
};

use crate::{Error, document};

/// Most rows of one page.
pub const MAX_PAGE: u32 = 1000;

/// A second connection to the database that can only read.
#[derive(Debug)]
pub struct Views {
    connection: Connection,
}

/// Which instances to show, and from where.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    /// Only this group.
    pub group: Option<String>,
    /// Only this version.
    pub version: Option<String>,
    /// Only this status, by its name.
    pub status: Option<String>,
    /// Only ids after this one: the last of the page before.
    pub after: Option<String>,
    /// Rows to return, at most [`MAX_PAGE`].
    pub limit: u32,
}

/// Which log entries to show, and from where.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Only this host.
    pub machine_id: Option<String>,
    /// Only this kind: `seen`, `offered` or `event`.
    pub kind: Option<String>,
    /// Only entries before this number: the last of the page before. Pages run from the newest entry back.
    pub before: Option<i64>,
    /// Rows to return, at most [`MAX_PAGE`].
    pub limit: u32,
}

/// An instance and its last check, which the log does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceView {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// When it last came.
    pub last_check: Option<Timestamp>,
}

/// A log entry and its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogView {
    /// Number of the entry; rises.
    pub seq: i64,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// How many instances are in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Group they follow.
    pub group: String,
    /// Version they run.
    pub version: String,
    /// Where they stand, by name.
    pub status: String,
    /// How many.
    pub n_instances: u64,
}

impl Views {
    pub(crate) fn new(connection: Connection) -> Views {
        Views { connection }
    }

    /// Instances in order of their ids.
    ///
    /// # Errors
    /// When the database fails or holds what we never wrote.
    pub fn instances(&self, filter: &InstanceFilter) -> Result<Vec<InstanceView>, Error> {
        let found = self.rows(
            "list instances",
            "SELECT instance.document, heartbeat.last_check
             FROM instance LEFT JOIN heartbeat USING (machine_id)
             WHERE machine_id > :after
               AND (:group IS NULL OR group_name = :group)
               AND (:version IS NULL OR version = :version)
               AND (:status IS NULL OR status = :status)
             ORDER BY machine_id LIMIT :limit",
            named_params! {
                ":after": filter.after.as_deref().unwrap_or_default(), ":group": filter.group,
                ":version": filter.version, ":status": filter.status, ":limit": filter.limit.min(MAX_PAGE),
            },
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        found.into_iter().map(|(text, secs)| instance_view(&text, secs)).collect()
    }

    /// One instance.
    ///
    /// # Errors
    /// When the database fails or holds what we never wrote.
    pub fn instance(&self, machine_id: &MachineId) -> Result<Option<InstanceView>, Error> {
        let found = self.rows(
            "read an instance",
            "SELECT instance.document, heartbeat.last_check
             FROM instance LEFT JOIN heartbeat USING (machine_id) WHERE machine_id = :machine_id",
            named_params! { ":machine_id": machine_id.as_str() },
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        found.first().map(|(text, secs)| instance_view(text, *secs)).transpose()
    }

    /// Log entries, newest first.
    ///
    /// # Errors
    /// When the database fails or holds what we never wrote.
    pub fn log(&self, filter: &LogFilter) -> Result<Vec<LogView>, Error> {
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let before = filter.before.unwrap_or(i64::MAX);
        let limit = filter.limit.min(MAX_PAGE);
        // Two statements, because an optional condition would keep SQLite from using the index.
        let found = match &filter.machine_id {
            Some(machine_id) => self.rows(
                "list log entries of a host",
                "SELECT seq, document FROM report
                 WHERE machine_id = :machine_id AND seq < :before AND (:kind IS NULL OR kind = :kind)
                 ORDER BY seq DESC LIMIT :limit",
                named_params! {
                    ":machine_id": machine_id, ":before": before, ":kind": filter.kind, ":limit": limit,
                },
                read,
            )?,
            None => self.rows(
                "list log entries",
                "SELECT seq, document FROM report
                 WHERE seq < :before AND (:kind IS NULL OR kind = :kind)
                 ORDER BY seq DESC LIMIT :limit",
                named_params! { ":before": before, ":kind": filter.kind, ":limit": limit },
                read,
            )?,
        };
        let view =
            |(seq, text): (i64, String)| Ok(LogView { seq, entry: document::read("a log entry", &text)? });
        found.into_iter().map(view).collect()
    }

    /// How many instances run what, where.
    ///
    /// # Errors
    /// When the database fails.
    pub fn census(&self) -> Result<Vec<Census>, Error> {
        self.rows(
            "count instances",
            "SELECT group_name, version, status, count(*) FROM instance GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            (),
            |row| {
                Ok(Census {
                    group: row.get(0)?,
                    version: row.get(1)?,
                    status: row.get(2)?,
                    n_instances: row.get(3)?,
                })
            },
        )
    }

    /// Answers a question that needs the file: whether the database is there.
    ///
    /// # Errors
    /// When it is not.
    pub fn probe(&self) -> Result<(), Error> {
        self.rows("probe", "SELECT seq FROM report LIMIT 1", (), |_| Ok(())).map(drop)
    }

    fn rows<T>(
        &self,
        operation: &'static str,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(Error::statement(operation))?;
        let rows = statement.query_map(values, read).map_err(Error::statement(operation))?;
        rows.collect::<Result<_, _>>().map_err(Error::statement(operation))
    }
}

fn instance_view(text: &str, last_check_secs: Option<i64>) -> Result<InstanceView, Error> {
    let last_check = last_check_secs.and_then(|secs| Timestamp::from_unix_secs(secs).ok());
    Ok(InstanceView { instance: document::read("an instance", text)?, last_check })
}
