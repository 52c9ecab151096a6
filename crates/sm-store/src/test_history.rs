//! What tests were seen to do, over releases and years: every attempt of every report once, never changed, never deleted.
//!
//! Recording a report again adds nothing, so reports can be recorded in any order and by anyone who has them. How attempts add
//! up is not decided here.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, named_params, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Digest as _;
use sm_model::{
    Sha256, Timestamp, Version,
    test_report::{Attempt, TestHost, TestId, TestReport},
};

use crate::{Error, document, sqlite};

/// An attempt with what it was made at, by what, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Digest of the manifest of the release.
    pub subject: Sha256,
    /// Its version.
    pub version: Version,
    /// Digest of the suite.
    pub suite: Sha256,
    /// The machine that ran it.
    pub host: TestHost,
    /// The attempt.
    pub attempt: Attempt,
}

/// Which attempts to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttemptFilter<'a> {
    /// Of this test.
    pub test: Option<&'a TestId>,
    /// Begun at this instant or later.
    pub since: Option<Timestamp>,
}

/// The history, in the database file.
#[derive(Debug)]
pub struct TestHistory {
    connection: Connection,
}

impl TestHistory {
    /// Opens the file, creates it where there is none, and brings it to the newest schema.
    ///
    /// # Errors
    /// When the file is no database, cannot be written, or was written by a newer version.
    pub fn open(path: &Path) -> Result<TestHistory, Error> {
        Ok(TestHistory { connection: sqlite::open(path)? })
    }

    /// Adds the attempts of a report that are not there yet, and tells how many these are.
    ///
    /// # Errors
    /// When the database fails; then none is added.
    pub fn record(&mut self, report: &TestReport) -> Result<usize, Error> {
        let failed = || Error::statement("record attempts");
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior).map_err(failed())?;
        let mut n_new = 0;
        for attempt in &report.attempts {
            n_new += insert(&transaction, observed(report, attempt))?;
        }
        transaction.commit().map_err(failed())?;
        Ok(n_new)
    }

    /// Attempts, oldest first.
    ///
    /// # Errors
    /// When the database fails or holds what we never wrote.
    pub fn attempts(&self, filter: AttemptFilter<'_>) -> Result<Vec<Observed>, Error> {
        let failed = || Error::statement("read attempts");
        let sql = "SELECT document FROM test_attempt
                   WHERE (:test IS NULL OR test = :test) AND started >= :since ORDER BY started, seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed())?;
        let since = filter.since.map_or(i64::MIN, Timestamp::unix_secs);
        let values = named_params! { ":test": filter.test.map(TestId::as_str), ":since": since };
        let rows = statement.query_map(values, |row| row.get::<_, String>(0)).map_err(failed())?;
        rows.map(|text| document::read("an attempt", &text.map_err(failed())?)).collect()
    }

    /// Adds an entry about a quarantine.
    ///
    /// # Errors
    /// When the database fails.
    pub fn append_quarantine<E: Serialize>(&mut self, entry: &E) -> Result<(), Error> {
        let text = document::write("a quarantine", entry)?;
        let sql = "INSERT INTO test_quarantine (document) VALUES (?1)";
        self.connection.execute(sql, [text]).map(drop).map_err(Error::statement("record a quarantine"))
    }

    /// Every entry about quarantines, in order.
    ///
    /// # Errors
    /// When the database fails or holds what we never wrote.
    pub fn quarantines<E: DeserializeOwned>(&self) -> Result<Vec<E>, Error> {
        let failed = || Error::statement("read quarantines");
        let sql = "SELECT document FROM test_quarantine ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed())?;
        let rows = statement.query_map((), |row| row.get::<_, String>(0)).map_err(failed())?;
        rows.map(|text| document::read("a quarantine", &text.map_err(failed())?)).collect()
    }
}

fn observed(report: &TestReport, attempt: &Attempt) -> Observed {
    Observed {
        subject: report.subject,
        version: report.version,
        suite: report.suite,
        host: report.host.clone(),
        attempt: attempt.clone(),
    }
}

/// How many rows were added: one, or none when the attempt is there already.
fn insert(connection: &Connection, observed: Observed) -> Result<usize, Error> {
    let text = document::write("an attempt", &observed)?;
    let Observed { attempt, subject, suite, .. } = observed;
    // A later report of the same attempt may come from another machine: the first one that told it ran it.
    let digest = sha2::Sha256::digest(document::write("an attempt", &(subject, suite, &attempt))?);
    let sql = "INSERT INTO test_attempt (digest, test, started, subject, suite, document)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (digest) DO NOTHING";
    let values = params![
        &digest[..],
        attempt.test.as_str(),
        attempt.started.unix_secs(),
        subject.to_string(),
        suite.to_string(),
        text,
    ];
    let failed = || Error::statement("record an attempt");
    connection.prepare_cached(sql).map_err(failed())?.execute(values).map_err(failed())
}
