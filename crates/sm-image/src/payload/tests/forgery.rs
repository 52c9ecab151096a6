//! Payloads that no writer makes: each test changes one thing in an otherwise good one.

use sha2::Digest;

use super::*;
use crate::payload::{
    MAGIC,
    schema::{extent, install_info, manifest, operation, operation_type, procedure, signature, signatures},
    write::encode::Message,
};

/// One operation with all its fields open.
#[derive(Clone)]
pub(super) struct ForgedOperation {
    pub(super) kind: u64,
    pub(super) data: Vec<u8>,
    /// Where the data is said to be; where it really is when `None`.
    pub(super) data_offset: Option<u64>,
    pub(super) extents: Vec<(u64, u64)>,
    pub(super) src_extents: Vec<(u64, u64)>,
    pub(super) sha256: Option<[u8; 32]>,
}

/// A payload with all its fields open.
#[derive(Clone)]
pub(super) struct Forgery {
    pub(super) partition: Vec<ForgedOperation>,
    pub(super) partition_size: u64,
    pub(super) partition_sha256: Vec<u8>,
    /// Type, size and operations.
    pub(super) procedures: Vec<(Option<u64>, Option<u64>, Vec<ForgedOperation>)>,
    pub(super) block_size: u64,
    pub(super) old_partition: bool,
    pub(super) signatures_offset: Option<u64>,
    pub(super) signatures_len: Option<u64>,
    /// More fields at the end of the manifest.
    pub(super) extra: Vec<u8>,
}

impl ForgedOperation {
    pub(super) fn replace(start: u64, data: Vec<u8>) -> Self {
        let n_blocks = (data.len() as u64).div_ceil(4096);
        ForgedOperation {
            kind: operation_type::REPLACE,
            data,
            data_offset: None,
            extents: vec![(start, n_blocks)],
            src_extents: Vec::new(),
            sha256: None,
        }
    }

    pub(super) fn replace_bz(start: u64, n_blocks: u64, data: Vec<u8>) -> Self {
        let kind = operation_type::REPLACE_BZ;
        ForgedOperation { kind, extents: vec![(start, n_blocks)], ..ForgedOperation::replace(start, data) }
    }

    fn encode(&self, data_end: u64) -> Message {
        let blocks = |&(start, count): &(u64, u64)| {
            Message::default().number(extent::START_BLOCK, start).number(extent::NUM_BLOCKS, count)
        };
        let sha256 = self.sha256.unwrap_or_else(|| sha2::Sha256::digest(&self.data).into());
        Message::default()
            .number(operation::TYPE, self.kind)
            .number(operation::DATA_OFFSET, self.data_offset.unwrap_or(data_end))
            .number(operation::DATA_LENGTH, self.data.len() as u64)
            .messages(operation::SRC_EXTENTS, self.src_extents.iter().map(blocks))
            .messages(operation::DST_EXTENTS, self.extents.iter().map(blocks))
            .bytes(operation::DATA_SHA256_HASH, &sha256)
    }
}

impl Forgery {
    /// A good payload: two operations of one block each, a kernel of three bytes.
    pub(super) fn good() -> Self {
        let (first, second) = (noise(4096, 20), noise(4096, 21));
        Forgery {
            partition_sha256: sha2::Sha256::digest([&first[..], &second[..]].concat()).to_vec(),
            partition: vec![ForgedOperation::replace(0, first), ForgedOperation::replace(1, second)],
            partition_size: 8192,
            procedures: vec![(Some(0), Some(3), vec![ForgedOperation::replace(0, b"uki".to_vec())])],
            block_size: 4096,
            old_partition: false,
            signatures_offset: None,
            signatures_len: None,
            extra: Vec::new(),
        }
    }

    /// The head, and the data that follows it.
    fn parts(&self) -> (Vec<u8>, Vec<u8>) {
        let mut data = Vec::new();
        let mut encode = |operations: &[ForgedOperation]| {
            let encode = |operation: &ForgedOperation| {
                let message = operation.encode(data.len() as u64);
                data.extend_from_slice(&operation.data);
                message
            };
            operations.iter().map(encode).collect::<Vec<_>>()
        };
        let partition = encode(&self.partition);
        let procedures: Vec<_> =
            self.procedures.iter().map(|(kind, size, operations)| (kind, size, encode(operations))).collect();
        let info = |size: u64, hash: &[u8]| {
            Message::default().number(install_info::SIZE, size).bytes(install_info::HASH, hash)
        };
        let mut message = Message::default()
            .messages(manifest::PARTITION_OPERATIONS, partition)
            .number(manifest::BLOCK_SIZE, self.block_size);
        if let Some(offset) = self.signatures_offset.or(Some(data.len() as u64)).filter(|&n| n != u64::MAX) {
            message = message
                .number(manifest::SIGNATURES_OFFSET, offset)
                .number(manifest::SIGNATURES_SIZE, self.signatures_len.unwrap_or(264));
        }
        if self.old_partition {
            message = message.message(manifest::OLD_PARTITION_INFO, info(4096, &[1; 32]));
        }
        message =
            message.message(manifest::NEW_PARTITION_INFO, info(self.partition_size, &self.partition_sha256));
        for (kind, size, operations) in procedures {
            let mut procedure = Message::default();
            if let Some(kind) = kind {
                procedure = procedure.number(procedure::TYPE, *kind);
            }
            procedure = procedure.messages(procedure::OPERATIONS, operations);
            if let Some(size) = size {
                procedure =
                    procedure.message(procedure::NEW_INFO, info(*size, &sha2::Sha256::digest(b"uki")));
            }
            message = message.message(manifest::PROCEDURES, procedure);
        }
        let encoded = [message.into_bytes(), self.extra.clone()].concat();
        let header = [&MAGIC[..], &1u64.to_be_bytes(), &(encoded.len() as u64).to_be_bytes()].concat();
        ([header, encoded].concat(), data)
    }

    /// The whole payload, signed by [`sign`].
    pub(super) fn payload(&self) -> Vec<u8> {
        let (head, data) = self.parts();
        let signed = [head, data].concat();
        let digest = Sha256(sha2::Sha256::digest(&signed).into());
        let one = Message::default()
            .number(signature::VERSION, 2)
            .bytes(signature::DATA, &sign(&digest).expect("signing a digest cannot fail"));
        [signed, Message::default().message(signatures::SIGNATURES, one).into_bytes()].concat()
    }
}
