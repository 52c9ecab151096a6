//! The tests that look at a running machine and leave it as it was.
//!
//! | module | tests |
//! |---|---|
//! | [`cmdline`] | `boot.cmdline` |

pub mod cmdline;
