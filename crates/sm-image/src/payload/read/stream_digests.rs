//! Checking a payload's contents without a disk: the digests of what would be written.

use std::io;

use sha2::{Digest, Sha256 as Hasher};
use sm_model::Sha256;

use super::{Content, Part, Plan, ReadError, Target};

/// A [`Target`] that keeps nothing but digests. Operations of a full payload write in order, so this suffices.
#[derive(Debug, Clone, Default)]
pub struct StreamDigests {
    partition: Hasher,
    kernel: Hasher,
}

impl StreamDigests {
    /// Compares with what the payload promises.
    ///
    /// # Errors
    /// [`ReadError::ContentDigest`] for the first difference.
    pub fn check(self, plan: &Plan) -> Result<(), ReadError> {
        same(Part::Partition, plan.partition(), self.partition)?;
        plan.kernel().map_or(Ok(()), |kernel| same(Part::Kernel, kernel, self.kernel))
    }
}

impl Target for StreamDigests {
    fn write_at(&mut self, part: Part, _offset: u64, bytes: &[u8]) -> io::Result<()> {
        match part {
            Part::Partition => self.partition.update(bytes),
            Part::Kernel => self.kernel.update(bytes),
            Part::Skipped => {}
        }
        Ok(())
    }
}

/// Compares the digest of what is in `part` with what it should be.
pub(super) fn same(part: Part, content: Content, found: Hasher) -> Result<(), ReadError> {
    let found = Sha256(found.finalize().into());
    if found == content.sha256 {
        Ok(())
    } else {
        Err(ReadError::ContentDigest { part, found, expected: content.sha256 })
    }
}
