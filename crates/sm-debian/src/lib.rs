//! Debian archives as values: version order, control data, signed indexes, dependency resolution.
//!
//! Bytes come in as arguments, `now` comes in as an argument, values go out. Nothing here opens a file or a
//! connection: `sm-compose` fetches, this crate judges.
//!
//! | module | what it knows |
//! |---|---|
//! | [`names`], [`request`] | what to resolve, and from which suites |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod names;
pub mod request;

pub use names::{ComponentName, MirrorName, SuiteName};
pub use request::{Pin, Request, SuiteRef};
