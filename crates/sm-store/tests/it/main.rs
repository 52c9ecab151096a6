//! The store through its public face, on real files: the log, its projection, schemas, readers, failures.

mod fleet;
mod log;
mod projection;
mod schemas;
mod views;
