//! The agent's decisions: what a host does about updates, as a value with one method per legal change.
//!
//! ```text
//!            check           whole            armed, rebooted         boot-complete
//!   Idle ───────► Downloading ───► Installing ───► Armed ───► Unconfirmed ───► Idle (new version)
//!    ▲                 │               │             │             │
//!    └─────────────────┴── failed ─────┴── vanished ─┴─ fell back ─┘           (old version)
//! ```
//!
//! One turn of the agent is: [`State::observe`] the facts, save, ask [`State::next`] for an [`Action`], do it,
//! [`State::apply`] its [`Outcome`], save. The document may be lost, old or cut off between any two of these: every rule reads
//! the facts first, so that a turn after a crash finds its place again.
//!
//! | module | what it decides |
//! |---|---|
//! | [`config`] | what the operator wants, from `update.conf` files |
//! | [`schedule`] | when to ask the server |
//! | [`state`] | the document that survives a restart |
//! | [`facts`] | what the host can see about itself |
//! | [`action`] | what can be done, and how it can turn out |
//! | [`message`] | what is said to the server |
//! | [`why`] | the words for all of it |

pub mod action;
pub mod config;
pub mod facts;
pub mod message;
pub mod schedule;
pub mod state;
pub mod why;

mod apply;
mod next;
mod observe;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use action::{Action, CheckFailure, DownloadFailure, ErrorCode, InstallFailure, Outcome};
pub use config::{Config, InvalidConfig, RebootStrategy};
pub use facts::{BootEntry, Facts, Tries};
pub use message::{Ask, Identity};
pub use state::{Armed, Phase, Rejection, State};
