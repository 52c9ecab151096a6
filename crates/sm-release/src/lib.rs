//! Release decisions, as pure functions over evidence and events.
//!
//! | module | what it decides |
//! |---|---|
//! | [`train`] | the release train: `decide(state, command, now)` and `apply(state, event)` |
//! | [`steps`] | the checklist: what is done before what, by whom |
//! | [`gate`] | whether the evidence shows what the policy asks for |
//! | [`go`] | what the ballots on a release add up to |
//! | [`bundle`] | a decision with everything it rests on, verified offline |
//! | [`proof`] | how it is known who said something |
//! | [`rules`] | the files that a project goes by, read strictly |
//! | [`notes`] | what the release notes say, and how every reader gets them |
//! | [`room`] | what is asked in a chat room, and what of what is said there is a vote |
//! | [`requests`] | whether packages that somebody asks for are taken in |
//! | [`office_hours`] | when people meet next, and what about |
//! | [`view`] | today, a train's checklist, what is next: for every display |
//! | [`version`] | which version comes next, and why |
//! | [`soak`] | which branch may come up, by the time its components were used |
//! | [`lts`] | until when a long-term stream is supported, and what it takes |
//! | [`calendar`] | when releases are due, and when nothing is published |
//! | [`calendar_feed`] | nothing: it writes the calendar for subscribers |
//! | [`verdict`] | what all attempts at a test add up to |
//! | [`flake`] | how often a test fails, with an interval, never a bare share |
//! | [`signature`] | which failures are the same failure |
//! | [`quarantine`] | which known failure is muted, for how long, and whether that satisfies a requirement |
//! | [`investigation`] | whether the image, the test or the surroundings are to blame |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod bundle;
pub mod calendar;
pub mod calendar_feed;
pub mod flake;
pub mod gate;
pub mod go;
pub mod investigation;
mod jeffreys;
pub mod lts;
pub mod notes;
pub mod office_hours;
pub mod proof;
pub mod quarantine;
pub mod requests;
pub mod room;
pub mod rules;
pub mod signature;
pub mod soak;
pub mod steps;
pub mod train;
pub mod verdict;
pub mod version;
pub mod view;
