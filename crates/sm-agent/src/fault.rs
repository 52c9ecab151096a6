//! A place to cut the power: every write of an install asks a fuse first. On a host the fuse never blows.
//!
//! Tests blow it after any number of writes; from then on nothing reaches the disk, as after a power cut.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::Error;

/// Counts writes down; at zero every further one fails.
#[derive(Debug, Clone, Default)]
pub struct Fuse {
    left: Option<Arc<AtomicU64>>,
}

impl Fuse {
    /// A fuse that never blows.
    pub const fn solid() -> Self {
        Fuse { left: None }
    }

    /// A fuse that lets `n` writes pass.
    pub fn after(n: u64) -> Self {
        Fuse { left: Some(Arc::new(AtomicU64::new(n))) }
    }

    /// Whether it has blown.
    pub fn is_blown(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.load(Ordering::SeqCst) == 0)
    }

    pub(crate) fn burn_io(&self) -> io::Result<()> {
        let Some(left) = &self.left else { return Ok(()) };
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(io::Error::other("the power is cut")),
        }
    }

    pub(crate) fn burn(&self, action: &str) -> Result<(), Error> {
        self.burn_io().map_err(Error::system(action))
    }
}
