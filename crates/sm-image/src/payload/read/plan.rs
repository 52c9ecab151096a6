//! What a payload does, checked: every operation has its data right behind that of the one before it, and writes its
//! target right behind what the one before it wrote, until the target is full.

use std::fmt;

use sm_model::Sha256;

use super::{
    Limits, ReadError,
    manifest::{RawManifest, RawOperation},
};
use crate::payload::{BLOCK_LEN, HEADER_LEN, MAGIC, VERSION, schema::operation_type};

/// The checked head of a full payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    operations: Vec<Operation>,
    partition: Content,
    kernel: Option<Content>,
    head_len: u64,
    data_len: u64,
    signatures_len: u64,
}

/// What a target holds after installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Size in bytes. The partition itself may be larger.
    pub size_bytes: u64,
    /// SHA-256 of that many bytes from the start.
    pub sha256: Sha256,
}

/// One piece of data and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Position in its part, for messages.
    pub name: OperationName,
    /// How the data is stored.
    pub kind: Kind,
    /// First byte of the target that it writes. Meaningless for [`Part::Skipped`].
    pub target_offset: u64,
    /// How many bytes of the target it writes; 0 for [`Part::Skipped`].
    pub target_len: u32,
    /// First byte of its data, counted from the end of the head.
    pub data_offset: u32,
    /// Length of its data as stored.
    pub data_len: u32,
    /// SHA-256 of its data as stored.
    pub data_sha256: Sha256,
}

/// How an operation's data is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// As it is (`REPLACE`).
    Replace,
    /// One bzip2 stream (`REPLACE_BZ`).
    ReplaceBzip2,
}

/// The target of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The partition: /usr without its verity tree.
    Partition,
    /// The kernel image, a file.
    Kernel,
    /// A procedure that we do not know: its data is checked and dropped, as update_engine does.
    Skipped,
}

/// Names an operation in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationName {
    /// Its target.
    pub part: Part,
    /// Its position among the operations of that target, from 0.
    pub index: usize,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Partition => "partition",
            Part::Kernel => "kernel",
            Part::Skipped => "unknown procedure",
        })
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {} of the {}", self.index, self.part)
    }
}

impl Plan {
    /// Reads and checks a head: header and manifest, and nothing after them.
    ///
    /// # Errors
    /// When it is no head of a signed full payload within `limits`.
    pub fn parse(head: &[u8], limits: &Limits) -> Result<Plan, ReadError> {
        let cut =
            |inside| ReadError::Truncated { found_bytes: head.len() as u64, inside, expected_bytes: None };
        let (header, manifest) = head.split_first_chunk().ok_or_else(|| cut(super::Structure::Header))?;
        let expected_len = head_len(header, limits)?;
        if (head.len() as u64) < expected_len {
            return Err(cut(super::Structure::Manifest));
        }
        if head.len() as u64 > expected_len {
            return Err(ReadError::TrailingBytes { expected_bytes: expected_len });
        }
        check(RawManifest::parse(manifest, limits)?, expected_len, limits)
    }

    /// Every operation, in the order of its data.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What the partition holds after installation.
    pub fn partition(&self) -> Content {
        self.partition
    }

    /// The kernel image, if the payload has one.
    pub fn kernel(&self) -> Option<Content> {
        self.kernel
    }

    /// Length of header and manifest: the data starts there.
    pub fn head_len(&self) -> u64 {
        self.head_len
    }

    /// Length of all that is signed: head and data. The signatures start there.
    pub fn signed_len(&self) -> u64 {
        self.head_len + self.data_len
    }

    /// Length of the signatures.
    pub fn signatures_len(&self) -> u64 {
        self.signatures_len
    }

    /// Length of the whole payload.
    pub fn total_len(&self) -> u64 {
        self.signed_len() + self.signatures_len
    }
}

/// Length of the head that starts with `header`: what [`Plan::parse`] wants.
///
/// # Errors
/// When `header` is that of no payload, or the head is larger than `limits` allow.
pub fn head_len(header: &[u8; HEADER_LEN], limits: &Limits) -> Result<u64, ReadError> {
    let [m0, m1, m2, m3, v @ .., _, _, _, _, _, _, _, _] = *header;
    let [.., s0, s1, s2, s3, s4, s5, s6, s7] = *header;
    let magic = [m0, m1, m2, m3];
    if magic != MAGIC {
        return Err(ReadError::WrongMagic { found: magic });
    }
    let version = u64::from_be_bytes(v);
    if version != VERSION {
        return Err(ReadError::UnsupportedVersion { found: version });
    }
    let manifest_len = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    at_most("manifest", manifest_len, limits.max_manifest_bytes)?;
    Ok(HEADER_LEN as u64 + manifest_len)
}

fn at_most(what: &'static str, found_bytes: u64, limit_bytes: u64) -> Result<(), ReadError> {
    if found_bytes > limit_bytes {
        Err(ReadError::TooLarge { what, found_bytes, limit_bytes })
    } else {
        Ok(())
    }
}

fn check(raw: RawManifest, head_len: u64, limits: &Limits) -> Result<Plan, ReadError> {
    if raw.block_size != BLOCK_LEN {
        return Err(ReadError::BlockSize { found: raw.block_size });
    }
    if raw.has_old_partition {
        return Err(ReadError::Delta { reason: "it names the old content of the partition".to_owned() });
    }
    at_most("partition", raw.partition.size_bytes, limits.max_partition_bytes)?;

    let mut checker = Checker { operations: Vec::new(), data_end: 0, max_len: limits.max_operation_bytes };
    checker.fill(Part::Partition, raw.partition, raw.partition_operations)?;
    let mut kernel = None;
    for procedure in raw.procedures {
        match procedure.kernel {
            Some(content) => {
                at_most("kernel", content.size_bytes, limits.max_kernel_bytes)?;
                checker.fill(Part::Kernel, content, procedure.operations)?;
                kernel = Some(content);
            }
            None => checker.skip(procedure.operations)?,
        }
    }
    let (signatures_offset, signatures_len) = raw.signatures.ok_or(ReadError::Unsigned)?;
    if signatures_offset != checker.data_end {
        return Err(ReadError::SignaturesOffset { found: signatures_offset, expected: checker.data_end });
    }
    at_most("signatures", signatures_len, limits.max_signatures_bytes)?;
    if signatures_len == 0 {
        return Err(ReadError::Unsigned);
    }
    Ok(Plan {
        operations: checker.operations,
        partition: raw.partition,
        kernel,
        head_len,
        data_len: checker.data_end,
        signatures_len,
    })
}

/// Checks operations one after another; all of a payload's data is one contiguous run.
struct Checker {
    operations: Vec<Operation>,
    data_end: u64,
    max_len: u32,
}

impl Checker {
    /// Operations that must write `content` from its first to its last byte, in order and without gaps.
    fn fill(&mut self, part: Part, content: Content, operations: Vec<RawOperation>) -> Result<(), ReadError> {
        let mut filled = 0;
        for (index, raw) in operations.into_iter().enumerate() {
            let name = OperationName { part, index };
            let target_len = self.target_len(name, &raw, filled, content.size_bytes)?;
            self.push(name, &raw, filled, target_len)?;
            filled += u64::from(target_len);
        }
        if filled != content.size_bytes {
            return Err(ReadError::NotFilled {
                part,
                found_bytes: filled,
                expected_bytes: content.size_bytes,
            });
        }
        Ok(())
    }

    fn skip(&mut self, operations: Vec<RawOperation>) -> Result<(), ReadError> {
        operations
            .into_iter()
            .enumerate()
            .try_for_each(|(index, raw)| self.push(OperationName { part: Part::Skipped, index }, &raw, 0, 0))
    }

    /// Bytes that an operation writes. The last one's range may go beyond the end of the target: delta_generator
    /// writes 256 blocks even for a shorter last chunk, and only the chunk's own bytes count.
    fn target_len(
        &self,
        name: OperationName,
        raw: &RawOperation,
        filled: u64,
        size: u64,
    ) -> Result<u32, ReadError> {
        if raw.n_dst_extents != 1 {
            return Err(ReadError::ExtentCount { operation: name, found: raw.n_dst_extents });
        }
        let starts_well = raw.start_block.checked_mul(BLOCK_LEN) == Some(filled) && filled < size;
        if !starts_well || raw.n_blocks == 0 {
            return Err(ReadError::Extent {
                operation: name,
                found: raw.start_block,
                n_blocks: raw.n_blocks,
                expected: filled.div_ceil(BLOCK_LEN),
                size_bytes: size,
            });
        }
        let len = raw.n_blocks.saturating_mul(BLOCK_LEN).min(size - filled);
        at_most("range of an operation", len, self.max_len.into())?;
        Ok(len as u32)
    }

    fn push(
        &mut self,
        name: OperationName,
        raw: &RawOperation,
        target_offset: u64,
        target_len: u32,
    ) -> Result<(), ReadError> {
        let kind = kind(name, raw)?;
        let data_len = u64::from(raw.data_len);
        if data_len == 0 || data_len > self.max_len.into() {
            return Err(ReadError::DataLength {
                operation: name,
                found_bytes: data_len,
                limit_bytes: self.max_len,
            });
        }
        if u64::from(raw.data_offset) != self.data_end {
            return Err(ReadError::DataOffset {
                operation: name,
                found: raw.data_offset.into(),
                expected: self.data_end,
            });
        }
        self.data_end += data_len;
        self.operations.push(Operation {
            name,
            kind,
            target_offset,
            target_len,
            data_offset: raw.data_offset,
            data_len: raw.data_len,
            data_sha256: raw.data_sha256,
        });
        Ok(())
    }
}

fn kind(name: OperationName, raw: &RawOperation) -> Result<Kind, ReadError> {
    let delta = |what: &str| ReadError::Delta { reason: format!("{name} {what}") };
    match raw.kind {
        operation_type::REPLACE | operation_type::REPLACE_BZ if raw.has_src_extents => {
            Err(delta("reads old content"))
        }
        operation_type::REPLACE => Ok(Kind::Replace),
        operation_type::REPLACE_BZ => Ok(Kind::ReplaceBzip2),
        operation_type::MOVE => Err(delta("is `MOVE`")),
        operation_type::BSDIFF => Err(delta("is `BSDIFF`")),
        found => Err(ReadError::UnknownOperation { operation: name, found }),
    }
}
