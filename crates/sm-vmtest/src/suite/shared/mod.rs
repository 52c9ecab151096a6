//! The tests that look at a running machine and leave it as it was.
//!
//! | module | tests |
//! |---|---|
//! | [`cmdline`] | `boot.cmdline` |
//! | [`files`] | `image.suid-sgid.running`, `image.perms.running` |
//! | [`hardening`] | `kernel.hardening` |
//! | [`listeners`] | `net.listeners` |
//! | [`readonly`] | `usr.readonly` |
//! | [`verify`] | `verity.verify` |

pub mod cmdline;
pub mod files;
pub mod hardening;
pub mod listeners;
pub mod readonly;
pub mod verify;
