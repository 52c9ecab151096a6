//! Takes a payload's bytes in pieces of any size, checks what can be checked, and writes operation after operation.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Hasher};
use sm_model::Sha256;

use super::{
    Limits, Midstate, Operation, Part, Plan, ReadError, Received, Signature, Structure, parse_signatures,
    plan, unpack::unpack,
};
use crate::payload::HEADER_LEN;

/// Where operations write.
pub trait Target {
    /// Writes `bytes` at `offset` of `part`. Calls for one part come in rising order without gaps.
    ///
    /// # Errors
    /// When they cannot be written; the payload is given up then.
    fn write_at(&mut self, part: Part, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// What was announced about a payload, for example by an update server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Size of the whole payload.
    pub size_bytes: u64,
    /// SHA-256 of the whole payload.
    pub sha256: Sha256,
}

/// The end of an operation, from which an installation can go on.
///
/// Store it only after everything written before it has reached the disk. It need not be protected: one that was tampered
/// with leads to a digest that nobody has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Operations that are done.
    pub operations_done: usize,
    /// SHA-256 of the head, so that a checkpoint is never used with another payload.
    pub head_sha256: Sha256,
    /// SHA-256 of the payload up to here, unfinished.
    pub hash: Midstate,
}

impl Checkpoint {
    /// The first byte of the payload that is still needed.
    pub fn offset(&self) -> u64 {
        self.hash.n_bytes()
    }
}

/// The consumer of a payload.
#[derive(Debug)]
pub struct Installer {
    limits: Limits,
    expected: Option<Expected>,
    stage: Stage,
    head: Vec<u8>,
    plan: Option<Plan>,
    hash: Midstate,
    signed_sha256: Option<Sha256>,
    /// What has come of the structure that is being collected.
    collected: Vec<u8>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Manifest { len: usize },
    Operation { index: usize },
    Signatures,
    Complete,
    Refused,
}

impl Installer {
    /// Starts at the first byte of a payload.
    pub fn new(limits: Limits, expected: Option<Expected>) -> Self {
        Installer {
            limits,
            expected,
            stage: Stage::Header,
            head: Vec::new(),
            plan: None,
            hash: Midstate::new(),
            signed_sha256: None,
            collected: Vec::new(),
            checkpoint: None,
        }
    }

    /// Goes on from a checkpoint: the next byte to push is the one at [`Checkpoint::offset`].
    ///
    /// # Errors
    /// When `head` is not a valid one within `limits`, or the checkpoint does not belong to it.
    pub fn resume(
        limits: Limits,
        expected: Option<Expected>,
        head: &[u8],
        checkpoint: &Checkpoint,
    ) -> Result<Self, ReadError> {
        let mut installer = Installer::new(limits, expected);
        installer.take_head(head.to_vec())?;
        let n_done = checkpoint.operations_done;
        let plan = installer.plan.as_ref().ok_or(ReadError::ForeignCheckpoint)?;
        let done = plan.operations().get(..n_done).ok_or(ReadError::ForeignCheckpoint)?;
        let data_end = done.last().map_or(0, |last| u64::from(last.data_offset) + u64::from(last.data_len));
        if digest(head) != checkpoint.head_sha256 || checkpoint.offset() != plan.head_len() + data_end {
            return Err(ReadError::ForeignCheckpoint);
        }
        installer.hash = checkpoint.hash.clone();
        installer.checkpoint = Some(checkpoint.clone());
        installer.enter_operation(n_done);
        Ok(installer)
    }

    /// Takes the next bytes and writes every operation that they complete.
    ///
    /// # Errors
    /// When the payload is wrong or the target cannot be written. Nothing more is taken afterwards.
    pub fn push(&mut self, bytes: &[u8], target: &mut dyn Target) -> Result<(), ReadError> {
        let result = self.take(bytes, target);
        if result.is_err() {
            self.stage = Stage::Refused;
        }
        result
    }

    /// What the payload does, once its head has come.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// The head's bytes, once they have come: what [`Installer::resume`] wants back.
    pub fn head(&self) -> Option<&[u8]> {
        self.plan.is_some().then_some(&self.head)
    }

    /// The first byte of the payload that has not come yet.
    pub fn offset(&self) -> u64 {
        self.hash.n_bytes()
    }

    /// The end of the last operation that was written, or of the head.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Whether every byte has come.
    pub fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// Checks that the payload came whole, is the one that was announced, and that its signature is good.
    ///
    /// `check` gets SHA-256 of all signed bytes and the signatures, and returns its evidence.
    ///
    /// # Errors
    /// When one of these is not so; the error of `check` becomes the source of [`ReadError::Signature`].
    pub fn finish<E, F>(
        self,
        check: impl FnOnce(&Sha256, &[Signature]) -> Result<E, F>,
    ) -> Result<Received<E>, ReadError>
    where
        F: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (Stage::Complete, Some(plan), Some(signed_sha256)) = (self.stage, &self.plan, self.signed_sha256)
        else {
            return Err(self.truncated());
        };
        let payload_sha256 = self.hash.digest();
        match self.expected {
            Some(Expected { sha256, .. }) if sha256 != payload_sha256 => {
                return Err(ReadError::PayloadDigest { found: payload_sha256, expected: sha256 });
            }
            _ => {}
        }
        let signatures = parse_signatures(&self.collected)?;
        let evidence =
            check(&signed_sha256, &signatures).map_err(|error| ReadError::Signature(error.into()))?;
        Ok(Received { plan: plan.clone(), payload_sha256, signatures, evidence })
    }

    fn take(&mut self, mut bytes: &[u8], target: &mut dyn Target) -> Result<(), ReadError> {
        while !bytes.is_empty() {
            let missing = self.structure_len()? - self.collected.len();
            let (piece, after) = bytes.split_at(missing.min(bytes.len()));
            self.hash.update(piece);
            self.collected.extend_from_slice(piece);
            bytes = after;
            if piece.len() == missing {
                self.complete_structure(target)?;
            }
        }
        Ok(())
    }

    /// Length of the structure that is being collected; never zero.
    fn structure_len(&self) -> Result<usize, ReadError> {
        let plan = self.plan.as_ref();
        match (self.stage, plan) {
            (Stage::Header, _) => Ok(HEADER_LEN),
            (Stage::Manifest { len }, _) => Ok(len),
            (Stage::Operation { index }, Some(plan)) => Ok(plan.operations()[index].data_len as usize),
            (Stage::Signatures, Some(plan)) => Ok(plan.signatures_len() as usize),
            (Stage::Complete, Some(plan)) => {
                Err(ReadError::TrailingBytes { expected_bytes: plan.total_len() })
            }
            _ => Err(ReadError::AlreadyRefused),
        }
    }

    fn complete_structure(&mut self, target: &mut dyn Target) -> Result<(), ReadError> {
        match self.stage {
            Stage::Header => self.complete_header(),
            Stage::Manifest { .. } => {
                let manifest = std::mem::take(&mut self.collected);
                let head = [std::mem::take(&mut self.head), manifest].concat();
                self.take_head(head)
            }
            Stage::Operation { index } => self.complete_operation(index, target),
            Stage::Signatures => {
                self.stage = Stage::Complete;
                Ok(())
            }
            Stage::Complete | Stage::Refused => Err(ReadError::AlreadyRefused),
        }
    }

    fn complete_header(&mut self) -> Result<(), ReadError> {
        let header = std::mem::take(&mut self.collected);
        let head_len =
            header.first_chunk().map_or(Ok(0), |header| plan::head_len(header, &self.limits))? as usize;
        if head_len <= HEADER_LEN {
            return self.take_head(header);
        }
        self.head = header;
        self.stage = Stage::Manifest { len: head_len - HEADER_LEN };
        Ok(())
    }

    fn take_head(&mut self, head: Vec<u8>) -> Result<(), ReadError> {
        let plan = Plan::parse(&head, &self.limits)?;
        match self.expected {
            Some(Expected { size_bytes, .. }) if size_bytes != plan.total_len() => {
                return Err(ReadError::PayloadSize {
                    found_bytes: plan.total_len(),
                    expected_bytes: size_bytes,
                });
            }
            _ => {}
        }
        self.head = head;
        self.plan = Some(plan);
        self.checkpoint =
            Some(Checkpoint { operations_done: 0, head_sha256: digest(&self.head), hash: self.hash.clone() });
        self.enter_operation(0);
        Ok(())
    }

    fn complete_operation(&mut self, index: usize, target: &mut dyn Target) -> Result<(), ReadError> {
        if let Some(operation) = self.plan.as_ref().and_then(|plan| plan.operations().get(index)) {
            apply(operation, &self.collected, target)?;
        }
        self.collected.clear();
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.operations_done = index + 1;
            checkpoint.hash.clone_from(&self.hash);
        }
        self.enter_operation(index + 1);
        Ok(())
    }

    /// Goes to the operation with that index, or behind the last one.
    fn enter_operation(&mut self, index: usize) {
        let n_operations = self.plan.as_ref().map_or(0, |plan| plan.operations().len());
        if index < n_operations {
            self.stage = Stage::Operation { index };
        } else {
            self.stage = Stage::Signatures;
            self.signed_sha256 = Some(self.hash.digest());
        }
    }

    fn truncated(&self) -> ReadError {
        let inside = match (self.stage, &self.plan) {
            (Stage::Header, _) => Structure::Header,
            (Stage::Manifest { .. }, _) => Structure::Manifest,
            (Stage::Operation { index }, Some(plan)) => Structure::Operation(plan.operations()[index].name),
            (Stage::Signatures, _) => Structure::Signatures,
            _ => return ReadError::AlreadyRefused,
        };
        ReadError::Truncated {
            found_bytes: self.offset(),
            inside,
            expected_bytes: self.plan.as_ref().map(Plan::total_len),
        }
    }
}

/// Checks an operation's data and writes what it unpacks to.
fn apply(operation: &Operation, data: &[u8], target: &mut dyn Target) -> Result<(), ReadError> {
    let found = digest(data);
    if found != operation.data_sha256 {
        return Err(ReadError::DataDigest {
            operation: operation.name,
            found,
            expected: operation.data_sha256,
        });
    }
    let part = operation.name.part;
    if part == Part::Skipped {
        return Ok(());
    }
    let bytes = unpack(operation, data)?;
    let offset = operation.target_offset;
    target.write_at(part, offset, &bytes).map_err(|source| ReadError::Write { part, offset, source })
}

fn digest(bytes: &[u8]) -> Sha256 {
    Sha256(Hasher::digest(bytes).into())
}
