//! What Stationmaster remembers: events and reports in append-only logs, evidence by digest, and what they add up to.
//!
//! Logs are the truth: entries are appended and never changed (the database itself refuses), and everything else can be
//! recomputed from them. Two logs lie in one SQLite file: the *event log* of decisions, hash-chained, where each writer says
//! behind which entry; and the *fleet log* of what hosts reported, where only the time of a host's last check is kept beside it,
//! because a line per check would bury what matters. Blocking; callers choose the thread. Never reads the clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`events`] | the event log: appending, reading, folding up to any past instant |
//! | [`blobs`] | documents and evidence by digest, as files beside the database |
//! | [`lock`] | locks between processes, as proofs |
//! | [`mod@verify`] | checks all of it, and lists all that is wrong |
//! | [`transfer`] | all of it as a folder of texts, and back |
//! | [`ledger`] | the fleet log's seam: what one transaction can do, whichever database is behind it |
//! | [`projection`] | how the fleet log's entries add up to an instance |
//! | [`sqlite`] | the fleet's database: opening, writing, rebuilding |
//! | [`test_history`] | every attempt at every test, and who muted which failure |
//! | [`views`] | read-only pages for operators |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod blobs;
pub mod events;
pub mod ledger;
pub mod lock;
pub mod projection;
pub mod sqlite;
pub mod test_history;
pub mod transfer;
pub mod verify;
pub mod views;

mod document;
mod error;
mod schema;

pub use blobs::Blobs;
pub use error::Error;
pub use events::{Entry, Event, EventLog, Until};
pub use ledger::{Ledger, Visit};
pub use lock::LockHeld;
pub use sqlite::Store;
pub use test_history::TestHistory;
pub use views::Views;
