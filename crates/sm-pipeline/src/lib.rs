//! The whole chain as resumable steps: compose, serve, update, fall back.
//!
//! This crate orders the work of others and checks what came of it; it makes no bytes of a release itself.
//!
//! | module | what it holds |
//! |---|---|
//! | [`journal`] | steps with times and bytes, written down as they end, reused where their inputs are the same |
//! | [`table`] | steps as a table for a person |
//! | [`publish`] | a staged release becomes public, whole or not at all |
//! | [`demo`] | all of it, from the real archive to the machine that came back |
//! | [`story`] | one machine's life: boot, update, a bad update, back to the good one |

pub mod demo;
mod error;
pub mod journal;
pub mod publish;
pub mod story;
pub mod table;

pub use error::Error;
