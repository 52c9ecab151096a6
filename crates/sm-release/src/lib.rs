//! Release decisions, as pure functions over evidence.
//!
//! | module | what it decides |
//! |---|---|
//! | [`verdict`] | what all attempts at a test add up to |
//! | [`calendar`] | when releases are due, and when nothing is published |
//! | [`flake`] | how often a test fails, with an interval, never a bare share |
//! | [`signature`] | which failures are the same failure |
//! | [`quarantine`] | which known failure is muted, for how long, and whether that satisfies a requirement |
//! | [`version`] | which version comes next, and why |
//! | [`investigation`] | whether the image, the test or the surroundings are to blame |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod calendar;
pub mod flake;
pub mod investigation;
pub mod quarantine;
pub mod signature;
pub mod verdict;
pub mod version;
