//! The update agent that runs on every Boxcar host: carries out, as root, what [`sm_rollout::agent`] decides.
//!
//! It may be killed and the power may be cut at any moment: what it remembers is one document that is replaced whole, and an
//! install changes what boots in a single last step. It never writes the slot that runs.
//!
//! | module | what it does |
//! |---|---|
//! | [`turn`] | one turn: look, remember, decide, act, remember |
//! | [`daemon`] | turn after turn, until the end |
//! | [`spool`], [`payload`] | gets a payload, and verifies it |
//! | [`install`] | writes the passive slot and arms it, in the one safe order |
//! | [`disk`], [`slots`], [`esp`] | the disk, its two slots, and the boot loader's kernel images |
//! | [`health`] | decides whether a new version is to stay |
//! | [`server`] | asks the update server |
//! | [`identity`], [`paths`] | what the host is, and where things are |
//! | [`store`] | what is remembered, and the lock |
//! | [`status`] | where the host stands, for people and programs |
//! | [`cli`] | the command line |
//! | [`fault`] | a place to cut the power, for tests |

pub mod cli;
pub mod daemon;
pub mod disk;
pub mod esp;
pub mod fault;
pub mod health;
pub mod identity;
pub mod install;
pub mod paths;
pub mod payload;
pub mod server;
pub mod slots;
pub mod spool;
pub mod status;
pub mod store;
pub mod turn;

mod error;

pub use error::Error;
pub use paths::Root;
pub use turn::{Agent, Turn, World};
