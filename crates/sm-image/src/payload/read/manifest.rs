//! The manifest's fields, with their shapes checked but not yet their sense.

use sm_model::Sha256;

use super::{
    Content, Limits, Malformed, ReadError,
    protobuf::{Field, Fields, set_once},
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
        let mut budget = Budget { left: limits.max_operations, limit: limits.max_operations };
        let mut fields = ManifestFields::default();
        for field in Fields::new(bytes) {
            fields.take(&field.map_err(in_manifest)?, &mut budget)?;
        }
        fields.finish().map_err(in_manifest)
    }
}

fn in_manifest(source: Malformed) -> ReadError {
    source.in_message("manifest")
}

/// A manifest of which not every field has come.
#[derive(Default)]
struct ManifestFields {
    partition_operations: Vec<RawOperation>,
    procedures: Vec<RawProcedure>,
    block_size: Option<u64>,
    signatures_offset: Option<u64>,
    signatures_size: Option<u64>,
    has_old_partition: bool,
    partition: Option<Content>,
}

impl ManifestFields {
    fn take(&mut self, field: &Field<'_>, budget: &mut Budget) -> Result<(), ReadError> {
        match field.number {
            manifest::PARTITION_OPERATIONS => {
                let message = field.bytes("partition_operations").map_err(in_manifest)?;
                self.partition_operations.push(RawOperation::parse(message, budget)?);
            }
            manifest::PROCEDURES => {
                let message = field.bytes("procedures").map_err(in_manifest)?;
                self.procedures.push(RawProcedure::parse(message, budget)?);
            }
            _ => self.take_single(field).map_err(in_manifest)?,
        }
        Ok(())
    }

    fn take_single(&mut self, field: &Field<'_>) -> Result<(), Malformed> {
        match field.number {
            manifest::BLOCK_SIZE => {
                set_once(&mut self.block_size, field.number_u64("block_size")?, "block_size")
            }
            manifest::SIGNATURES_OFFSET => {
                let name = "signatures_offset";
                set_once(&mut self.signatures_offset, field.number_u64(name)?, name)
            }
            manifest::SIGNATURES_SIZE => {
                set_once(&mut self.signatures_size, field.number_u64("signatures_size")?, "signatures_size")
            }
            manifest::OLD_PARTITION_INFO => {
                self.has_old_partition = true;
                Ok(())
            }
            manifest::NEW_PARTITION_INFO => {
                let name = "new_partition_info";
                set_once(&mut self.partition, content(field.bytes(name)?)?, name)
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<RawManifest, Malformed> {
        if self.procedures.iter().filter(|procedure| procedure.kernel.is_some()).count() > 1 {
            return Err(Malformed::Twice("procedures[KERNEL]"));
        }
        Ok(RawManifest {
            partition_operations: self.partition_operations,
            procedures: self.procedures,
            block_size: self.block_size.unwrap_or(BLOCK_LEN),
            signatures: self.signatures_offset.zip(self.signatures_size),
            has_old_partition: self.has_old_partition,
            partition: self.partition.ok_or(Malformed::Missing("new_partition_info"))?,
        })
    }
}

/// How many more operations may come. Procedures pay too, so that empty ones cannot fill memory.
struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    fn spend(&mut self) -> Result<(), ReadError> {
        self.left = self.left.checked_sub(1).ok_or(ReadError::TooManyOperations { limit: self.limit })?;
        Ok(())
    }
}

impl RawProcedure {
    fn parse(bytes: &[u8], budget: &mut Budget) -> Result<Self, ReadError> {
        let malformed = |source: Malformed| source.in_message("procedure");
        budget.spend()?;
        let (mut kind, mut has_old, mut new, mut operations) = (None, false, None, Vec::new());
        for field in Fields::new(bytes) {
            let field = field.map_err(malformed)?;
            match field.number {
                procedure::TYPE => {
                    let number = field.number_u64("type").map_err(malformed)?;
                    set_once(&mut kind, number, "type").map_err(malformed)?;
                }
                procedure::OPERATIONS => {
                    let message = field.bytes("operations").map_err(malformed)?;
                    operations.push(RawOperation::parse(message, budget)?);
                }
                procedure::OLD_INFO => has_old = true,
                procedure::NEW_INFO => {
                    let info = field.bytes("new_info").and_then(content).map_err(malformed)?;
                    set_once(&mut new, info, "new_info").map_err(malformed)?;
                }
                _ => {}
            }
        }
        if kind != Some(procedure_type::KERNEL) {
            return Ok(RawProcedure { operations, kernel: None });
        }
        if has_old {
            return Err(ReadError::Delta { reason: "it names the old kernel".to_owned() });
        }
        let kernel = new.ok_or(Malformed::Missing("new_info")).map_err(malformed)?;
        Ok(RawProcedure { operations, kernel: Some(kernel) })
    }
}

impl RawOperation {
    fn parse(bytes: &[u8], budget: &mut Budget) -> Result<Self, ReadError> {
        budget.spend()?;
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
