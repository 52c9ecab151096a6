//! Update payloads in the CrAU format, version 1, as update_engine and its relatives read them.
//!
//! ```text
//!    0   4  "CrAU"
//!    4   8  version, big-endian: 1
//!   12   8  size M of the manifest, big-endian
//!   20   M  DeltaArchiveManifest, protobuf, not compressed        } the head
//! 20+M   …  data of the operations, contiguous, in their order
//!    …   …  Signatures, protobuf: RSASSA-PKCS1-v1_5 over SHA-256 of every byte before
//! ```
//!
//! A payload says how to fill one partition and, as its *kernel procedure*, one file. [`mod@write`] makes full payloads;
//! [`read`] takes them apart while they arrive. The two share this page's numbers and nothing else, so that each can
//! find the other's mistakes; protobuf is written and read by hand, because the format has four message types and a
//! generated reader would let a hostile manifest of one megabyte allocate a hundred.
//!
//! Nothing here knows keys: digests go out, signatures or evidence come in.
//!
//! Source: flatcar/update_engine `update_metadata.proto`, `delta_metadata.cc`, `full_update_generator.cc`.

pub mod read;
pub mod write;

mod schema;

/// The first four bytes of every payload.
pub const MAGIC: [u8; 4] = *b"CrAU";
/// The only version of the format.
pub const VERSION: u64 = 1;
/// Bytes before the manifest: magic, version, manifest size.
pub const HEADER_LEN: usize = 20;
/// The unit in which extents count. Every known generator and client uses 4096.
pub const BLOCK_LEN: u64 = 4096;

#[cfg(test)]
mod tests;
