//! How much a payload may ask for before its signature was checked.

/// Bounds on a payload. Each names what a hostile payload could do without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fill memory with a manifest: it is held whole. 4 GiB in operations of 1 MiB need 0.3 MiB.
    pub max_manifest_bytes: u64,
    /// Fill memory with operations: each takes 64 bytes once read, but may take three in the manifest.
    pub max_operations: usize,
    /// Fill memory with one operation, stored or unpacked: its data is held whole. Generators use 1 MiB.
    pub max_operation_bytes: u32,
    /// Fill memory with signatures: one takes 264 bytes.
    pub max_signatures_bytes: u64,
    /// Write past the end of the slot.
    pub max_partition_bytes: u64,
    /// Fill the boot partition.
    pub max_kernel_bytes: u64,
}

impl Limits {
    /// Bounds for a host whose slot has `max_partition_bytes` and that can store a kernel of `max_kernel_bytes`.
    pub const fn for_slot(max_partition_bytes: u64, max_kernel_bytes: u64) -> Self {
        Limits {
            max_manifest_bytes: 4 << 20,
            max_operations: 64 << 10,
            max_operation_bytes: 4 << 20,
            max_signatures_bytes: 8 << 10,
            max_partition_bytes,
            max_kernel_bytes,
        }
    }
}

/// Bounds for looking at a payload without installing it: 64 GiB for the partition, 1 GiB for the kernel.
impl Default for Limits {
    fn default() -> Self {
        Limits::for_slot(64 << 30, 1 << 30)
    }
}
