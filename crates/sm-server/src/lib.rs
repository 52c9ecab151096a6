//! Update endpoint and static release repository: what hosts and operators reach over HTTP.
//!
//! One process, one release directory, one database. Hosts post Omaha v3 to `/v1/update/` and download from the release
//! directory below `/`; operators read `/healthz`, `/metrics`, `/v1/instances` and `/v1/events`. The server decides
//! nothing itself: whom it offers what is `sm_rollout`'s decision over the release directory and what the store knows
//! of the host. It composes nothing, signs nothing, and never writes into the release directory.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | what an operator may say, checked |
//! | [`server`] | binding, running, stopping |
//! | `connection` | accepting and bounding connections |
//! | `update`, `recorder`, `catalog` | the update endpoint: HTTP, one transaction per batch, current releases |
//! | `files` | the release directory: paths, conditional requests, ranges, listings |
//! | `operator` | health, metrics, instances, events |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod config;
pub mod server;

mod app;
mod catalog;
mod connection;
mod error;
mod files;
mod manifests;
mod metrics;
mod operator;
mod recorder;
mod refusal;
mod update;

pub use config::Config;
pub use error::Error;
pub use server::{Server, ServerHandle, run_until_signal, spawn};
