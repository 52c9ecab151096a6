//! Field numbers and enum values of `update_metadata.proto`. Changing one breaks the format.

pub(crate) mod manifest {
    pub(crate) const PARTITION_OPERATIONS: u32 = 1;
    pub(crate) const NOOP_OPERATIONS: u32 = 2;
    pub(crate) const BLOCK_SIZE: u32 = 3;
    pub(crate) const SIGNATURES_OFFSET: u32 = 4;
    pub(crate) const SIGNATURES_SIZE: u32 = 5;
    pub(crate) const OLD_PARTITION_INFO: u32 = 8;
    pub(crate) const NEW_PARTITION_INFO: u32 = 9;
    pub(crate) const PROCEDURES: u32 = 10;
}

pub(crate) mod operation {
    pub(crate) const TYPE: u32 = 1;
    pub(crate) const DATA_OFFSET: u32 = 2;
    pub(crate) const DATA_LENGTH: u32 = 3;
    pub(crate) const SRC_EXTENTS: u32 = 4;
    pub(crate) const DST_EXTENTS: u32 = 6;
    pub(crate) const DATA_SHA256_HASH: u32 = 8;
}

pub(crate) mod operation_type {
    pub(crate) const REPLACE: u64 = 0;
    pub(crate) const REPLACE_BZ: u64 = 1;
    pub(crate) const MOVE: u64 = 2;
    pub(crate) const BSDIFF: u64 = 3;
}

pub(crate) mod extent {
    pub(crate) const START_BLOCK: u32 = 1;
    pub(crate) const NUM_BLOCKS: u32 = 2;
    /// `START_BLOCK` of data that goes nowhere.
    pub(crate) const SPARSE_HOLE: u64 = u64::MAX;
}

pub(crate) mod install_info {
    pub(crate) const SIZE: u32 = 1;
    pub(crate) const HASH: u32 = 2;
}

pub(crate) mod procedure {
    pub(crate) const TYPE: u32 = 1;
    pub(crate) const OPERATIONS: u32 = 2;
    pub(crate) const OLD_INFO: u32 = 3;
    pub(crate) const NEW_INFO: u32 = 4;
}

pub(crate) mod procedure_type {
    pub(crate) const KERNEL: u64 = 0;
}

pub(crate) mod signatures {
    pub(crate) const SIGNATURES: u32 = 1;
}

pub(crate) mod signature {
    pub(crate) const VERSION: u32 = 1;
    pub(crate) const DATA: u32 = 2;
}
