//! Update decisions shared by server and agent: Omaha codec and the agent's state machine.
//!
//! | module | what it does |
//! |---|---|
//! | [`agent`] | what a host does next about updates: its state machine and settings |
//! | [`offer`] | what a server answers to a host that asks for updates |
//! | [`omaha`] | the wire protocol between update clients and update servers |
//!
//! Everything here is a pure function of its arguments: `now` and randomness are passed in, effects are asked for.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod agent;
pub mod offer;
pub mod omaha;
