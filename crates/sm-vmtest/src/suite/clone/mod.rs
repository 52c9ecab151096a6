//! The tests that change a machine: each gets a copy of a running one, which nobody sees afterwards.
//!
//! | module | tests |
//! |---|---|
//! | [`addresses`] | `net.dhcp-static-v6` |
//! | [`bad_signature`] | `update.bad-signature` |
//! | [`clock`] | `time.sync`, with a time server of its own |
//! | [`container`] | `container.run` |
//! | [`journal`] | `journal.persist-and-limits` |
//! | [`names`] | a name server of a test's own |
//! | [`no_space`] | `update.no-space` |
//! | [`ssh`] | `ssh.hardening` |
//! | [`key_exchange`] | what an SSH server offers, read from its first packet |

pub mod addresses;
pub mod bad_signature;
pub mod clock;
pub mod container;
pub mod journal;
pub mod key_exchange;
mod names;
pub mod no_space;
mod offers;
pub mod ssh;
