//! What may be believed after reading a payload, as values that only the checks can make.

use std::io::{self, Read};

use sha2::{Digest, Sha256 as Hasher};
use sm_model::Sha256;

use super::{Content, Part, Plan, ReadError, Signature, stream_digests::same};

/// A payload that arrived whole, with a good signature. What was written is not read back yet.
///
/// `E` is the evidence that the signature check returned.
#[derive(Debug)]
pub struct Received<E> {
    pub(super) plan: Plan,
    pub(super) payload_sha256: Sha256,
    pub(super) signatures: Vec<Signature>,
    pub(super) evidence: E,
}

impl<E> Received<E> {
    /// What the payload does.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// SHA-256 of the whole payload, signatures included.
    pub fn payload_sha256(&self) -> Sha256 {
        self.payload_sha256
    }

    /// All signatures, good or not.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// What the signature check returned.
    pub fn evidence(&self) -> &E {
        &self.evidence
    }

    /// Reads both targets back from their first byte and compares them with what the signed manifest promises.
    ///
    /// Give streams that come from the medium, not from memory that was written: drop caches first where that matters.
    ///
    /// # Errors
    /// [`ReadError::ContentDigest`] when a target differs, [`ReadError::ReadBack`] when it cannot be read or is too
    /// short, [`ReadError::KernelPresence`] when `kernel` is given for a payload without one or missing for one with.
    pub fn read_back(
        self,
        partition: &mut dyn Read,
        kernel: Option<&mut dyn Read>,
    ) -> Result<Installed<E>, ReadError> {
        read_back(Part::Partition, self.plan.partition(), partition)?;
        match (self.plan.kernel(), kernel) {
            (Some(content), Some(kernel)) => read_back(Part::Kernel, content, kernel)?,
            (None, None) => {}
            (content, _) => return Err(ReadError::KernelPresence { in_payload: content.is_some() }),
        }
        Ok(Installed { plan: self.plan, evidence: self.evidence })
    }
}

/// A payload whose signed content was found in its targets. Only now may the new version be armed.
#[derive(Debug)]
pub struct Installed<E> {
    plan: Plan,
    evidence: E,
}

impl<E> Installed<E> {
    /// What the payload did.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the signature check returned.
    pub fn evidence(&self) -> &E {
        &self.evidence
    }
}

fn read_back(part: Part, content: Content, source: &mut dyn Read) -> Result<(), ReadError> {
    let io_error = |source| ReadError::ReadBack { part, source };
    let mut hasher = Hasher::new();
    let n_bytes = io::copy(&mut source.take(content.size_bytes), &mut hasher).map_err(io_error)?;
    if n_bytes != content.size_bytes {
        return Err(io_error(io::ErrorKind::UnexpectedEof.into()));
    }
    same(part, content, hasher)
}
