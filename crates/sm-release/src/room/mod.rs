//! The chat room: what is asked there about a release, and what of all that is said there is a vote.
//!
//! | module | what it does |
//! |---|---|
//! | [`account`] | who speaks: accounts by their whole id, never by the name they show |
//! | [`event`] | reads what a server gives, with limits |
//! | [`words`] | whether a text is a vote |
//! | [`mod@tally`] | everybody's last word in a room, in the server's order |
//! | [`due`] | which of these the log does not know yet |
//! | [`post`] | what is said to the room |
//! | [`config`] | `room.toml`: which room |
//!
//! A vote from a room is weaker than a signed one: it rests on the word of the servers. The policy says for which channels it
//! suffices; it never takes the place of a signed vote. Opens no connection: pages are arguments, posts are values.

pub mod account;
pub mod config;
pub mod due;
pub mod event;
pub mod post;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod words;

pub use account::Account;
pub use config::RoomConfig;
pub use event::{Page, RoomEvent};
pub use tally::{Question, Tally, tally};
