//! One room of a Matrix homeserver, spoken to in the five requests that releases need (client-server API 1.14), over `sm_host`'s
//! bounded HTTP. Decides nothing: what a message means is `sm_release::room`'s business, and so is what is posted.
//!
//! | module | what it does |
//! |---|---|
//! | [`client`] | requests, sent again when that may help, for a bounded time |
//! | [`wire`] | addresses and answers as bytes, without a connection |
//! | [`room`] | posting once and reading back |
//! | [`fake`] | a homeserver in memory |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod client;
mod error;
pub mod fake;
pub mod room;
pub mod wire;

pub use client::{Client, MAX_ATTEMPTS, MAX_WAIT_SECS};
pub use error::Error;
pub use room::Room;
