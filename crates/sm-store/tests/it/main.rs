//! The store through its public face, on real files: both logs, blobs, locks, other processes, schemas, readers, failures.

mod blobs;
mod diary;
mod events;
mod fleet;
mod log;
mod processes;
mod projection;
mod schemas;
mod test_history;
mod transfer;
mod views;
