//! The recipe: what an operating system is made of, from TOML text to a plan that cannot contradict itself.
mod types;

pub use types::*;
