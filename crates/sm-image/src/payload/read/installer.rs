//! Takes a payload's bytes in pieces of any size, checks what can be checked, and writes operation after operation.

use std::{io, mem};

use sha2::{Digest, Sha256 as Hasher};
use sm_model::Sha256;

use super::{
    Limits, Operation, Part, Plan, ReadError, Received, Signature, Structure, head_len, parse_signatures,
    unpack::unpack,
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

/// The consumer of a payload.
#[derive(Debug)]
pub struct Installer {
    limits: Limits,
    expected: Option<Expected>,
    stage: Stage,
    hasher: Hasher,
    n_bytes: u64,
    /// What has come of the structure that is being collected.
    collected: Vec<u8>,
}

/// Which structure is being collected.
#[derive(Debug)]
enum Stage {
    Header,
    /// Collected behind the header: the head is checked as one.
    Manifest {
        head_len: usize,
    },
    Operation {
        plan: Plan,
        index: usize,
    },
    Signatures {
        plan: Plan,
        signed_sha256: Sha256,
    },
    /// Nothing; the signatures stay collected.
    Complete {
        plan: Plan,
        signed_sha256: Sha256,
    },
    Refused,
}

impl Installer {
    /// Starts at the first byte of a payload.
    pub fn new(limits: Limits, expected: Option<Expected>) -> Self {
        Installer {
            limits,
            expected,
            stage: Stage::Header,
            hasher: Hasher::new(),
            n_bytes: 0,
            collected: Vec::new(),
        }
    }

    /// Takes the next bytes and writes every operation that they complete.
    ///
    /// # Errors
    /// When the payload is wrong or the target cannot be written. Nothing more is taken afterwards.
    pub fn push(&mut self, bytes: &[u8], target: &mut dyn Target) -> Result<(), ReadError> {
        let taken = self.take(bytes, target);
        if taken.is_err() {
            self.stage = Stage::Refused;
        }
        taken
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
        let (plan, signed_sha256) = match self.stage {
            Stage::Complete { plan, signed_sha256 } => (plan, signed_sha256),
            Stage::Header => return Err(truncated(self.n_bytes, Structure::Header, None)),
            Stage::Manifest { .. } => return Err(truncated(self.n_bytes, Structure::Manifest, None)),
            Stage::Operation { plan, index } => {
                let inside = Structure::Operation(plan.operations()[index].name);
                return Err(truncated(self.n_bytes, inside, Some(plan.total_len())));
            }
            Stage::Signatures { plan, .. } => {
                return Err(truncated(self.n_bytes, Structure::Signatures, Some(plan.total_len())));
            }
            Stage::Refused => return Err(ReadError::AlreadyRefused),
        };
        let payload_sha256 = digest(self.hasher);
        if let Some(Expected { sha256: expected, .. }) = self.expected
            && expected != payload_sha256
        {
            return Err(ReadError::PayloadDigest { found: payload_sha256, expected });
        }
        let signatures = parse_signatures(&self.collected)?;
        let evidence =
            check(&signed_sha256, &signatures).map_err(|error| ReadError::Signature(error.into()))?;
        Ok(Received { plan, payload_sha256, signatures, evidence })
    }

    fn take(&mut self, mut bytes: &[u8], target: &mut dyn Target) -> Result<(), ReadError> {
        while !bytes.is_empty() {
            let missing = self.structure_len()? - self.collected.len();
            let (piece, after) = bytes.split_at(missing.min(bytes.len()));
            self.hasher.update(piece);
            self.n_bytes += piece.len() as u64;
            self.collected.extend_from_slice(piece);
            bytes = after;
            if piece.len() == missing {
                self.complete_structure(target)?;
            }
        }
        Ok(())
    }

    /// Length of the structure that is being collected, as far as it is known.
    fn structure_len(&self) -> Result<usize, ReadError> {
        match &self.stage {
            Stage::Header => Ok(HEADER_LEN),
            Stage::Manifest { head_len } => Ok(*head_len),
            Stage::Operation { plan, index } => Ok(plan.operations()[*index].data_len as usize),
            Stage::Signatures { plan, .. } => Ok(plan.signatures_len() as usize),
            Stage::Complete { plan, .. } => {
                Err(ReadError::TrailingBytes { expected_bytes: plan.total_len() })
            }
            Stage::Refused => Err(ReadError::AlreadyRefused),
        }
    }

    fn complete_structure(&mut self, target: &mut dyn Target) -> Result<(), ReadError> {
        self.stage = match mem::replace(&mut self.stage, Stage::Refused) {
            Stage::Header => {
                let header = self.collected.first_chunk().ok_or(ReadError::AlreadyRefused)?;
                Stage::Manifest { head_len: head_len(header, &self.limits)? as usize }
            }
            Stage::Manifest { .. } => {
                let plan = self.parse_head()?;
                self.operation(plan, 0)
            }
            Stage::Operation { plan, index } => {
                apply(&plan.operations()[index], &self.collected, target)?;
                self.operation(plan, index + 1)
            }
            Stage::Signatures { plan, signed_sha256 } => Stage::Complete { plan, signed_sha256 },
            ended @ (Stage::Complete { .. } | Stage::Refused) => ended,
        };
        Ok(())
    }

    fn parse_head(&self) -> Result<Plan, ReadError> {
        let plan = Plan::parse(&self.collected, &self.limits)?;
        match self.expected {
            Some(Expected { size_bytes, .. }) if size_bytes != plan.total_len() => {
                Err(ReadError::PayloadSize { found_bytes: plan.total_len(), expected_bytes: size_bytes })
            }
            _ => Ok(plan),
        }
    }

    /// Begins to collect the data of the operation with that index, or what follows the last one.
    fn operation(&mut self, plan: Plan, index: usize) -> Stage {
        self.collected.clear();
        if index < plan.operations().len() {
            Stage::Operation { plan, index }
        } else {
            Stage::Signatures { plan, signed_sha256: digest(self.hasher.clone()) }
        }
    }
}

fn truncated(found_bytes: u64, inside: Structure, expected_bytes: Option<u64>) -> ReadError {
    ReadError::Truncated { found_bytes, inside, expected_bytes }
}

/// Checks an operation's data and writes what it unpacks to.
fn apply(operation: &Operation, data: &[u8], target: &mut dyn Target) -> Result<(), ReadError> {
    let found = digest(Hasher::new_with_prefix(data));
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

fn digest(hasher: Hasher) -> Sha256 {
    Sha256(hasher.finalize().into())
}
