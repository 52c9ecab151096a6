//! The version-1 superblock in front of a tree (cryptsetup, `verity` on-disk format).

use super::{BLOCK_BYTES, Error};
use crate::{
    Guid,
    bytes::{array, put, u16_le, u32_le, u64_le},
};

const SIGNATURE: [u8; 8] = *b"verity\0\0";
const VERSION: u32 = 1;
/// Hash type 1 puts the salt before the block; type 0 was Chromium OS's.
const HASH_TYPE: u32 = 1;
const ALGORITHM: [u8; 32] = *b"sha256\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Parameters of a tree: SHA-256, 4096-byte blocks, and what is said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    uuid: Guid,
    n_data_blocks: u64,
    salt: Vec<u8>,
}

/// What makes a superblock unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSuperblock {
    /// Too few bytes.
    #[error("it has {0} bytes: expected {len}", len = Superblock::LEN)]
    Length(usize),
    /// No superblock at all.
    #[error("no `verity` signature")]
    Signature,
    /// A format we do not know.
    #[error("version {version} with hash type {hash_type}: expected 1 and 1")]
    Version {
        /// Version of the superblock.
        version: u32,
        /// How salt and block are hashed.
        hash_type: u32,
    },
    /// A hash algorithm other than SHA-256.
    #[error("hash algorithm other than sha256")]
    Algorithm,
    /// Blocks of another size.
    #[error("data blocks of {data} and hash blocks of {hash} bytes: expected {BLOCK_BYTES} for both")]
    BlockSize {
        /// Size of data blocks.
        data: u32,
        /// Size of hash blocks.
        hash: u32,
    },
    /// No data, or more than 64-bit byte addresses reach.
    #[error("{0} data blocks: expected 1 to {max}", max = Superblock::MAX_DATA_BLOCKS)]
    DataBlocks(u64),
    /// A salt longer than its field.
    #[error("salt of {0} bytes: expected at most {max}", max = Superblock::MAX_SALT_BYTES)]
    Salt(usize),
}

impl Superblock {
    /// Size of the encoded superblock; the rest of its block is zero.
    pub const LEN: usize = 512;
    /// Longest salt.
    pub const MAX_SALT_BYTES: usize = 256;
    /// Most data blocks: byte addresses of data and tree stay far inside 63 bits.
    pub const MAX_DATA_BLOCKS: u64 = 1 << 48;

    /// Parameters of a tree over `data_bytes` of data.
    ///
    /// # Errors
    /// When the data is no whole number of blocks, or the salt is too long.
    pub fn new(data_bytes: u64, salt: &[u8], uuid: Guid) -> Result<Self, Error> {
        if !data_bytes.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(Error::DataSize { data_bytes });
        }
        let superblock =
            Superblock { uuid, n_data_blocks: data_bytes / BLOCK_BYTES as u64, salt: salt.to_vec() };
        match superblock.check() {
            Ok(()) => Ok(superblock),
            Err(InvalidSuperblock::DataBlocks(_)) => Err(Error::DataSize { data_bytes }),
            Err(invalid) => Err(Error::Superblock(invalid)),
        }
    }

    /// Parameters of the tree over a /usr image, which follow from the image alone: its SHA-256 is the salt, and names the
    /// tree. Hosts recompute trees instead of downloading them; changing this breaks every update.
    ///
    /// # Errors
    /// When the image is no whole number of blocks.
    pub fn of_image(image_bytes: u64, image_sha256: &sm_model::Sha256) -> Result<Self, Error> {
        let digest = image_sha256.as_bytes();
        Superblock::new(image_bytes, digest, Guid::derived(crate::bytes::array(digest, 0)))
    }

    /// Identity of the tree.
    pub fn uuid(&self) -> Guid {
        self.uuid
    }

    /// Data blocks under the tree.
    pub fn n_data_blocks(&self) -> u64 {
        self.n_data_blocks
    }

    /// Size of the data under the tree, in bytes.
    pub fn data_bytes(&self) -> u64 {
        self.n_data_blocks * BLOCK_BYTES as u64
    }

    /// What every block is hashed behind.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The bytes on disk.
    pub fn encode(&self) -> [u8; Superblock::LEN] {
        let mut bytes = [0; Superblock::LEN];
        put(&mut bytes, 0, SIGNATURE);
        put(&mut bytes, 8, VERSION.to_le_bytes());
        put(&mut bytes, 12, HASH_TYPE.to_le_bytes());
        put(&mut bytes, 16, *self.uuid.as_bytes());
        put(&mut bytes, 32, ALGORITHM);
        put(&mut bytes, 64, (BLOCK_BYTES as u32).to_le_bytes());
        put(&mut bytes, 68, (BLOCK_BYTES as u32).to_le_bytes());
        put(&mut bytes, 72, self.n_data_blocks.to_le_bytes());
        put(&mut bytes, 80, (self.salt.len() as u16).to_le_bytes());
        bytes[88..88 + self.salt.len()].copy_from_slice(&self.salt);
        bytes
    }

    /// From the bytes on disk.
    ///
    /// # Errors
    /// When they describe no tree, or one that we do not make.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidSuperblock> {
        if bytes.len() < Superblock::LEN {
            return Err(InvalidSuperblock::Length(bytes.len()));
        }
        check_format(bytes)?;
        let salt_bytes = usize::from(u16_le(bytes, 80));
        let salt = bytes[88..344].get(..salt_bytes).ok_or(InvalidSuperblock::Salt(salt_bytes))?;
        let superblock = Superblock {
            uuid: Guid::from_bytes(array(bytes, 16)),
            n_data_blocks: u64_le(bytes, 72),
            salt: salt.to_vec(),
        };
        superblock.check().map(|()| superblock)
    }

    fn check(&self) -> Result<(), InvalidSuperblock> {
        if !(1..=Superblock::MAX_DATA_BLOCKS).contains(&self.n_data_blocks) {
            return Err(InvalidSuperblock::DataBlocks(self.n_data_blocks));
        }
        if self.salt.len() > Superblock::MAX_SALT_BYTES {
            return Err(InvalidSuperblock::Salt(self.salt.len()));
        }
        Ok(())
    }
}

fn check_format(bytes: &[u8]) -> Result<(), InvalidSuperblock> {
    if array(bytes, 0) != SIGNATURE {
        return Err(InvalidSuperblock::Signature);
    }
    let (version, hash_type) = (u32_le(bytes, 8), u32_le(bytes, 12));
    if (version, hash_type) != (VERSION, HASH_TYPE) {
        return Err(InvalidSuperblock::Version { version, hash_type });
    }
    if array(bytes, 32) != ALGORITHM {
        return Err(InvalidSuperblock::Algorithm);
    }
    let (data, hash) = (u32_le(bytes, 64), u32_le(bytes, 68));
    if (data, hash) != (BLOCK_BYTES as u32, BLOCK_BYTES as u32) {
        return Err(InvalidSuperblock::BlockSize { data, hash });
    }
    Ok(())
}
