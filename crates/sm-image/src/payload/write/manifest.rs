//! The manifest as delta_generator would write it, down to the order of fields and the operations for old clients.

use sm_model::Sha256;

use super::{CHUNK_LEN, encode::Message};
use crate::payload::{
    BLOCK_LEN,
    schema::{extent, install_info, manifest, operation, operation_type, procedure, procedure_type},
};

/// Everything that the manifest says.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) partition: PackedPart,
    pub(super) kernel: Option<PackedPart>,
    pub(super) data_len: u64,
    pub(super) signatures_len: u64,
}

/// One target: its operations, in order, and what they add up to.
#[derive(Debug)]
pub(super) struct PackedPart {
    pub(super) operations: Vec<PackedOperation>,
    pub(super) size_bytes: u64,
    pub(super) sha256: Sha256,
}

/// One chunk in the spool.
#[derive(Debug)]
pub(super) struct PackedOperation {
    pub(super) kind: Kind,
    pub(super) data_offset: u32,
    pub(super) data_len: u32,
    pub(super) data_sha256: Sha256,
}

/// How a chunk is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Replace,
    ReplaceBz,
}

impl Manifest {
    pub(super) fn parts(&self) -> impl Iterator<Item = &PackedPart> {
        std::iter::once(&self.partition).chain(&self.kernel)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let kernel_procedure = |part: &PackedPart| {
            Message::default()
                .number(procedure::TYPE, procedure_type::KERNEL)
                .messages(procedure::OPERATIONS, part.operations())
                .message(procedure::NEW_INFO, part.info())
        };
        Message::default()
            .messages(manifest::PARTITION_OPERATIONS, self.partition.operations())
            .messages(manifest::NOOP_OPERATIONS, self.noops())
            .number(manifest::BLOCK_SIZE, BLOCK_LEN)
            .number(manifest::SIGNATURES_OFFSET, self.data_len)
            .number(manifest::SIGNATURES_SIZE, self.signatures_len)
            .message(manifest::NEW_PARTITION_INFO, self.partition.info())
            .messages(manifest::PROCEDURES, self.kernel.iter().map(kernel_procedure))
            .into_bytes()
    }

    /// Operations that put the kernel's data and the signatures into a hole. Clients that know procedures ignore them;
    /// older ones would take that data for the partition's (comment in `update_metadata.proto`).
    fn noops(&self) -> impl Iterator<Item = Message> {
        let kernel = self.kernel.iter().flat_map(|part| &part.operations).map(|packed| {
            data(Message::default(), Kind::Replace, packed.data_offset.into(), packed.data_len.into())
                .message(operation::DST_EXTENTS, hole(packed.data_len.into()))
                .bytes(operation::DATA_SHA256_HASH, packed.data_sha256.as_bytes())
        });
        let signatures = data(Message::default(), Kind::Replace, self.data_len, self.signatures_len)
            .message(operation::DST_EXTENTS, hole(self.signatures_len));
        kernel.chain([signatures])
    }
}

impl PackedPart {
    fn operations(&self) -> impl Iterator<Item = Message> {
        let chunk_blocks = CHUNK_LEN as u64 / BLOCK_LEN;
        self.operations.iter().zip(0..).map(move |(packed, index): (_, u64)| {
            data(Message::default(), packed.kind, packed.data_offset.into(), packed.data_len.into())
                // A shorter last chunk has the full number of blocks too: delta_generator does so, and clients cut.
                .message(operation::DST_EXTENTS, blocks(index * chunk_blocks, chunk_blocks))
                .bytes(operation::DATA_SHA256_HASH, packed.data_sha256.as_bytes())
        })
    }

    fn info(&self) -> Message {
        Message::default()
            .number(install_info::SIZE, self.size_bytes)
            .bytes(install_info::HASH, self.sha256.as_bytes())
    }
}

fn data(message: Message, kind: Kind, offset: u64, len: u64) -> Message {
    let kind = match kind {
        Kind::Replace => operation_type::REPLACE,
        Kind::ReplaceBz => operation_type::REPLACE_BZ,
    };
    message
        .number(operation::TYPE, kind)
        .number(operation::DATA_OFFSET, offset)
        .number(operation::DATA_LENGTH, len)
}

fn hole(n_bytes: u64) -> Message {
    blocks(extent::SPARSE_HOLE, n_bytes.div_ceil(BLOCK_LEN))
}

fn blocks(start: u64, count: u64) -> Message {
    Message::default().number(extent::START_BLOCK, start).number(extent::NUM_BLOCKS, count)
}
