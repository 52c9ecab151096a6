//! The outside world, and nothing else: effects without decisions, each behind a trait with a fake.
//!
//! | module | the effect |
//! |---|---|
//! | [`process`] | runs programs; the only place that spawns any |
//! | [`tools`] | runs programs of an unpacked tools tree with that tree's own libraries |
//! | [`fetch`] | bounded HTTP: the only way to other machines |
//! | [`files`] | files that are either whole or absent, and bounded reads |
//! | [`clock`] | the time, and waiting |
//! | [`qemu`] | virtual machines |
//! | [`relay`] | a door to a local server that can be shut in the middle of a transfer |
//! | [`ssh_agent`] | signatures with keys that an agent holds |
//! | [`progress`] | tells a person how far long work has come |

pub mod clock;
pub mod descriptors;
pub mod fetch;
pub mod files;
pub mod process;
pub mod progress;
pub mod qemu;
pub mod relay;
pub mod ssh_agent;
pub mod tools;
