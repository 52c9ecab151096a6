//! The tables, as steps from each schema to the next. A released step is never edited; a change is a new step.

use rusqlite::{Connection, TransactionBehavior};

use crate::Error;

/// Step `n` (from 0) turns schema `n` into schema `n + 1`. `user_version` of the file says where it stands.
const MIGRATIONS: [&str; 3] =
    [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// Schema of a database that this version has opened.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Brings the database to the newest schema, all steps in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let failed = || Error::statement("upgrade the schema");
    // Most often there is nothing to do, and then nobody who writes need be waited for.
    if version(connection)? == NEWEST {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed())?;
    let found = version(&transaction)?;
    let done = usize::try_from(found)
        .ok()
        .filter(|&n| n <= MIGRATIONS.len())
        .ok_or(Error::TooNew { found, newest: NEWEST })?;
    for step in &MIGRATIONS[done..] {
        transaction.execute_batch(step).map_err(failed())?;
    }
    transaction.pragma_update(None, "user_version", NEWEST).map_err(failed())?;
    transaction.commit().map_err(failed())
}

fn version(connection: &Connection) -> Result<i64, Error> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(Error::statement("read the schema's version"))
}
