//! The tests that start machines of their own: real disks, real firmware, real boots.
//!
//! | module | tests |
//! |---|---|
//! | [`uefi`] | `boot.uefi` |

pub mod uefi;
