//! The manifest's fields, with their shapes checked but not yet their sense.

use sm_model::Sha256;

use super::{
    Content, Limits, Malformed, ReadError,
    protobuf::{Fields, set_once},
};
use crate::payload::{
    BLOCK_LEN,
    schema::{extent, install_info, manifest, operation, procedure, procedure_type},
};

/// `DeltaArchiveManifest`, without `noop_operations`: those only repeat what the others say, for clients of 2013.
#[derive(Debug)]
pub(super) struct RawManifest {
    pub(super) partition_operations: Vec<RawOperation>,
    pub(super) procedures: Vec<RawProcedure>,
    pub(super) block_size: u64,
    /// Offset from the end of the head, and length.
    pub(super) signatures: Option<(u64, u64)>,
    pub(super) has_old_partition: bool,
    pub(super) partition: Content,
}

/// `InstallProcedure`.
#[derive(Debug)]
pub(super) struct RawProcedure {
    pub(super) operations: Vec<RawOperation>,
    /// What the kernel is to be; `None` for procedures of other or no type.
    pub(super) kernel: Option<Content>,
}

/// `InstallOperation`.
#[derive(Debug)]
pub(super) struct RawOperation {
    pub(super) kind: u64,
    pub(super) data_offset: u32,
    pub(super) data_len: u32,
    pub(super) data_sha256: Sha256,
    pub(super) has_src_extents: bool,
    pub(super) n_dst_extents: usize,
    /// Of the first destination extent.
    pub(super) start_block: u64,
    pub(super) n_blocks: u64,
}

impl RawManifest {
    pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let malformed = |source: Malformed| source.in_message("manifest");
        let mut budget = limits.max_operations;
        let (mut partition_operations, mut procedures) = (Vec::new(), Vec::new());
        let (mut block_size, mut signatures_offset, mut signatures_len) = (None, None, None);
        let (mut old_partition, mut partition) = (None, None);
        for field in Fields::new(bytes) {
            let field = field.map_err(malformed)?;
            match field.number {
                manifest::PARTITION_OPERATIONS => {
                    spend(&mut budget, limits)?;
                    let message = field.bytes("partition_operations").map_err(malformed)?;
                    partition_operations.push(RawOperation::parse(message)?);
                }
                manifest::BLOCK_SIZE => field
                    .number_u64("block_size")
                    .and_then(|n| set_once(&mut block_size, n, "block_size"))
                    .map_err(malformed)?,
                manifest::SIGNATURES_OFFSET => field
                    .number_u64("signatures_offset")
                    .and_then(|n| set_once(&mut signatures_offset, n, "signatures_offset"))
                    .map_err(malformed)?,
                manifest::SIGNATURES_SIZE => field
                    .number_u64("signatures_size")
                    .and_then(|n| set_once(&mut signatures_len, n, "signatures_size"))
                    .map_err(malformed)?,
                manifest::OLD_PARTITION_INFO => old_partition = Some(()),
                manifest::NEW_PARTITION_INFO => field
                    .bytes("new_partition_info")
                    .and_then(content)
                    .and_then(|info| set_once(&mut partition, info, "new_partition_info"))
                    .map_err(malformed)?,
                manifest::PROCEDURES => {
                    let message = field.bytes("procedures").map_err(malformed)?;
                    procedures.push(RawProcedure::parse(message, &mut budget, limits)?);
                }
                _ => {}
            }
        }
        if procedures.iter().filter(|procedure| procedure.kernel.is_some()).count() > 1 {
            return Err(malformed(Malformed::Twice("procedures[KERNEL]")));
        }
        Ok(RawManifest {
            partition_operations,
            procedures,
            block_size: block_size.unwrap_or(BLOCK_LEN),
            signatures: signatures_offset.zip(signatures_len),
            has_old_partition: old_partition.is_some(),
            partition: partition.ok_or(Malformed::Missing("new_partition_info")).map_err(malformed)?,
        })
    }
}

/// Takes one operation from the budget. Also procedures pay, so that empty ones cannot fill memory.
fn spend(budget: &mut usize, limits: &Limits) -> Result<(), ReadError> {
    *budget = budget.checked_sub(1).ok_or(ReadError::TooManyOperations { limit: limits.max_operations })?;
    Ok(())
}

impl RawProcedure {
    fn parse(bytes: &[u8], budget: &mut usize, limits: &Limits) -> Result<Self, ReadError> {
        let malformed = |source: Malformed| source.in_message("procedure");
        spend(budget, limits)?;
        let (mut kind, mut old, mut new, mut operations) = (None, None, None, Vec::new());
        for field in Fields::new(bytes) {
            let field = field.map_err(malformed)?;
            match field.number {
                procedure::TYPE => field
                    .number_u64("type")
                    .and_then(|n| set_once(&mut kind, n, "type"))
                    .map_err(malformed)?,
                procedure::OPERATIONS => {
                    spend(budget, limits)?;
                    operations.push(RawOperation::parse(field.bytes("operations").map_err(malformed)?)?);
                }
                procedure::OLD_INFO => old = Some(()),
                procedure::NEW_INFO => field
                    .bytes("new_info")
                    .and_then(content)
                    .and_then(|info| set_once(&mut new, info, "new_info"))
                    .map_err(malformed)?,
                _ => {}
            }
        }
        if kind != Some(procedure_type::KERNEL) {
            return Ok(RawProcedure { operations, kernel: None });
        }
        if old.is_some() {
            return Err(ReadError::Delta { reason: "it names the old kernel".to_owned() });
        }
        let kernel = new.ok_or(Malformed::Missing("new_info")).map_err(malformed)?;
        Ok(RawProcedure { operations, kernel: Some(kernel) })
    }
}

impl RawOperation {
    fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        Self::fields(bytes).map_err(|source| source.in_message("operation"))
    }

    fn fields(bytes: &[u8]) -> Result<Self, Malformed> {
        let (mut kind, mut data_offset, mut data_len, mut data_sha256) = (None, None, None, None);
        let (mut has_src_extents, mut n_dst_extents, mut first_extent) = (false, 0, None);
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                operation::TYPE => set_once(&mut kind, field.number_u64("type")?, "type")?,
                operation::DATA_OFFSET => {
                    set_once(&mut data_offset, field.number_u32("data_offset")?, "data_offset")?;
                }
                operation::DATA_LENGTH => {
                    set_once(&mut data_len, field.number_u32("data_length")?, "data_length")?;
                }
                operation::SRC_EXTENTS => has_src_extents = true,
                operation::DST_EXTENTS => {
                    n_dst_extents += 1;
                    first_extent = first_extent.or(Some(blocks(field.bytes("dst_extents")?)?));
                }
                operation::DATA_SHA256_HASH => {
                    set_once(&mut data_sha256, field.sha256("data_sha256_hash")?, "data_sha256_hash")?;
                }
                _ => {}
            }
        }
        let (start_block, n_blocks) = first_extent.unwrap_or_default();
        Ok(RawOperation {
            kind: kind.ok_or(Malformed::Missing("type"))?,
            data_offset: data_offset.unwrap_or(0),
            data_len: data_len.unwrap_or(0),
            data_sha256: data_sha256.unwrap_or(Sha256([0; 32])),
            has_src_extents,
            n_dst_extents,
            start_block,
            n_blocks,
        })
    }
}

/// `Extent`: first block and number of blocks.
fn blocks(bytes: &[u8]) -> Result<(u64, u64), Malformed> {
    let (mut start, mut count) = (None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            extent::START_BLOCK => set_once(&mut start, field.number_u64("start_block")?, "start_block")?,
            extent::NUM_BLOCKS => set_once(&mut count, field.number_u64("num_blocks")?, "num_blocks")?,
            _ => {}
        }
    }
    Ok((start.unwrap_or(0), count.unwrap_or(0)))
}

/// `InstallInfo`.
fn content(bytes: &[u8]) -> Result<Content, Malformed> {
    let (mut size, mut hash) = (None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            install_info::SIZE => set_once(&mut size, field.number_u64("size")?, "size")?,
            install_info::HASH => set_once(&mut hash, field.sha256("hash")?, "hash")?,
            _ => {}
        }
    }
    Ok(Content {
        size_bytes: size.ok_or(Malformed::Missing("size"))?,
        sha256: hash.ok_or(Malformed::Missing("hash"))?,
    })
}
