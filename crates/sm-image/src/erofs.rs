//! The superblock of an EROFS image: is it one, how large is it, is its checksum right.
//!
//! Only what composing and verifying need; files inside an image are not read here
//! (Linux, `fs/erofs/erofs_fs.h`, `struct erofs_super_block`).

use std::io::{self, Read, Seek, SeekFrom};

use sm_model::exit;

use crate::{
    Guid,
    bytes::{array, put, u32_le, u64_le},
    crc::crc32c_raw,
};

/// Where the superblock lies, in bytes.
pub const SUPERBLOCK_OFFSET: u64 = 1024;

const SUPERBLOCK_LEN: usize = 128;
const MAGIC: u32 = 0xe0f5_e1e2;
const FEATURE_COMPAT_CHECKSUM: u32 = 1;
/// Block addresses of 48 bits change the meaning of the fields read here.
const FEATURE_INCOMPAT_48BIT: u32 = 0x80;
/// Linux accepts blocks from 512 bytes to a page.
const BLOCK_BITS: std::ops::RangeInclusive<u8> = 9..=16;

/// What a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Size of a block.
    pub block_bytes: u32,
    /// Number of blocks.
    pub n_blocks: u32,
    /// Number of inodes.
    pub n_inodes: u64,
    /// Identity of the file system.
    pub uuid: Guid,
    /// The one time of every inode that has no own, in seconds of Unix time.
    pub build_time: u64,
}

/// Why an image is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image could not be read.
    #[error("cannot read the EROFS superblock")]
    Io(#[source] io::Error),
    /// Something else, or nothing.
    #[error("not an EROFS image: magic {0:#010x}")]
    Magic(u32),
    /// A block size that Linux does not mount.
    #[error("EROFS blocks of 2^{0} bytes: expected 2^9 to 2^16")]
    BlockSize(u8),
    /// A feature that changes what the fields mean.
    #[error("EROFS features {0:#x} are not understood")]
    Features(u32),
    /// The superblock was changed.
    #[error("EROFS superblock checksum is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Of the bytes read.
        found: u32,
        /// What the superblock says.
        expected: u32,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some("`fsck.erofs` tells more about the image".to_owned())
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Io(_) => exit::STORAGE,
            Error::Checksum { .. } => exit::VERIFICATION,
            _ => exit::INVALID_INPUT,
        }
    }
}

impl Superblock {
    /// Size of the file system, in bytes.
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.n_blocks) * u64::from(self.block_bytes)
    }

    /// Reads and checks the superblock of `image`.
    ///
    /// # Errors
    /// When there is none, it is damaged, or the image cannot be read.
    pub fn read<R: Read + Seek>(image: &mut R) -> Result<Self, Error> {
        let mut fixed = [0; SUPERBLOCK_LEN];
        image.seek(SeekFrom::Start(SUPERBLOCK_OFFSET)).map_err(Error::Io)?;
        image.read_exact(&mut fixed).map_err(Error::Io)?;
        let superblock = Superblock::parse(&fixed)?;
        if u32_le(&fixed, 8) & FEATURE_COMPAT_CHECKSUM != 0 {
            let mut covered = vec![0; checksummed_bytes(superblock.block_bytes)];
            covered[..SUPERBLOCK_LEN].copy_from_slice(&fixed);
            image.read_exact(&mut covered[SUPERBLOCK_LEN..]).map_err(Error::Io)?;
            check_checksum(&mut covered)?;
        }
        Ok(superblock)
    }

    fn parse(bytes: &[u8; SUPERBLOCK_LEN]) -> Result<Self, Error> {
        let magic = u32_le(bytes, 0);
        if magic != MAGIC {
            return Err(Error::Magic(magic));
        }
        let block_bits = bytes[12];
        if !BLOCK_BITS.contains(&block_bits) {
            return Err(Error::BlockSize(block_bits));
        }
        let incompatible = u32_le(bytes, 80);
        if incompatible & FEATURE_INCOMPAT_48BIT != 0 {
            return Err(Error::Features(incompatible));
        }
        Ok(Superblock {
            block_bytes: 1 << block_bits,
            n_blocks: u32_le(bytes, 36),
            n_inodes: u64_le(bytes, 16),
            uuid: Guid::from_bytes(array(bytes, 48)),
            build_time: u64_le(bytes, 24),
        })
    }
}

/// The checksum covers the superblock to the end of its block, or one whole block where blocks are tiny.
fn checksummed_bytes(block_bytes: u32) -> usize {
    let block_bytes = block_bytes as usize;
    block_bytes.checked_sub(SUPERBLOCK_OFFSET as usize).filter(|&rest| rest > 0).unwrap_or(block_bytes)
}

fn check_checksum(covered: &mut [u8]) -> Result<(), Error> {
    let expected = u32_le(covered, 4);
    put(covered, 4, [0; 4]);
    let found = crc32c_raw(covered);
    if found == expected { Ok(()) } else { Err(Error::Checksum { found, expected }) }
}
