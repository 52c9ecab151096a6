//! Append-only record of what hosts reported, and its projection, in SQLite.
//!
//! The log is the truth: entries are appended and never changed (the database itself refuses), and every instance can
//! be recomputed from them. Only the time of a host's last check is kept beside the log, because a log line per check
//! would bury what matters. Blocking; callers choose the thread. Never reads the clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ledger`] | the seam: what one transaction can do, whichever database is behind it |
//! | [`projection`] | how entries add up to an instance |
//! | [`sqlite`] | the database: opening, writing, rebuilding |
//! | [`views`] | read-only pages for operators |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod ledger;
pub mod projection;
pub mod sqlite;
pub mod views;

mod document;
mod error;
mod schema;

pub use error::Error;
pub use ledger::{Ledger, Visit};
pub use sqlite::Store;
pub use views::Views;
