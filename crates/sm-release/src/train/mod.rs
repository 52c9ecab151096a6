//! The release train as one state machine: [`decide()`] turns a wish into events or into all the reasons why not, [`apply()`] turns
//! events into the state. Nothing else changes the state, so every instant of the past can be rebuilt.
//!
//! | module | what it holds |
//! |---|---|
//! | [`state`] | what is known: trains, evidence, votes, blockers, exceptions |
//! | [`apply`](mod@apply) | how one event changes what is known |
//! | [`command`] | what people and programs can ask for |
//! | [`decide`](mod@decide) | whether they get it |
//! | [`refusal`] | every reason why not, and who or what could lift it |
//! | [`question`] | gates and polls of a release, put together from the state |
//! | [`draft`] | statements as they are to be signed |

pub mod apply;
pub mod command;
pub mod decide;
pub mod draft;
pub mod question;
pub mod refusal;
pub mod state;

pub use apply::{apply, replay};
pub use command::Command;
pub use decide::decide;
pub use refusal::{Refusal, Refusals};
pub use state::{Release, State, Train};
