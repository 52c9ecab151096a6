//! Byte formats of an image and of its updates, as pure codecs over `Read`, `Write` and `Seek`.
//!
//! Nothing here opens a file, starts a program or asks for the time: callers bring streams, identities and sizes.
//! Whatever is read may be hostile, so every reader has limits that are checked before anything is allocated.
//!
//! | module | format |
//! |---|---|
//! | [`gpt`] | GUID partition tables, new and edited in place |
//! | [`slots`] | which /usr slot runs, which may be overwritten, and the legal changes between |
//! | [`verity`] | dm-verity hash trees |
//! | [`erofs`] | the superblock of an EROFS image, and what the image holds |
//! | [`cpio`] | initial RAM disk archives |
//! | [`uki`] | unified kernel images |
//! | [`boot_entry`] | names of kernel images with boot counters |
//! | [`payload`] | update payloads, read while they arrive and written |
//! | [`esp`] | the EFI system partition's file system |
//! | [`qcow2`] | QEMU's disk image format |
//! | [`guid`] | the identifiers that tie these together |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod boot_entry;
pub mod cpio;
pub mod erofs;
pub mod esp;
pub mod gpt;
pub mod guid;
pub mod payload;
pub mod qcow2;
pub mod slots;
pub mod uki;
pub mod verity;

mod bytes;
mod crc;
mod error;

pub use error::Error;
pub use guid::Guid;
