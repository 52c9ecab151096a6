//! The superblock of an EROFS image: is it one, how large is it, is its checksum right. What it holds: [`inventory`](mod@inventory).
//!
//! Only what composing and verifying need; the bytes of compressed files are not read here
//! (Linux, `fs/erofs/erofs_fs.h`, `struct erofs_super_block`).

mod inventory;

use std::io::{self, Read, Seek, SeekFrom};

use sm_model::exit;

use crate::{
    Guid,
    bytes::{array, put, u32_le, u64_le},
    crc::crc32c_raw,
};

pub use inventory::{Inode, Kind, Limits, inventory};

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
    /// An entry contradicts itself or another.
    #[error("EROFS entry `{}`: {what}", path.escape_debug())]
    Malformed {
        /// Which entry.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// More than any real image holds.
    #[error("EROFS entry `{}` exceeds a limit: too many entries, too long a path, or too large a directory", path.escape_debug())]
    TooLarge {
        /// Where the limit was reached.
        path: String,
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// What `mkfs.erofs` 1.5 made of an empty directory, with `-T 1700000000 -U 01234567-89ab-cdef-0123-456789abcdef`:
    /// every run of bytes that is not zero, with its offset.
    const EMPTY_DIRECTORY: [(usize, &[u8]); 11] = [
        (1024, b"\xe2\xe1\xf5\xe0\x44\x57\xb6\xf7\x03"),
        (1036, b"\x0c\x00\x24\x00\x01"),
        (1049, b"\xf1\x53\x65"),
        (1060, b"\x01"),
        (1072, b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"),
        (1152, b"\x04"),
        (1156, b"\xed\x41\x02\x00\x1b"),
        (1168, b"\xff\xff\xff\xff"),
        (1184, b"\x24"),
        (1192, b"\x18\x00\x02\x00\x24"),
        (1204, b"\x19\x00\x02\x00..."),
    ];

    fn image() -> Vec<u8> {
        let mut image = vec![0; 4096];
        for (at, bytes) in EMPTY_DIRECTORY {
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        image
    }

    fn read(image: &[u8]) -> Result<Superblock, Error> {
        Superblock::read(&mut Cursor::new(image))
    }

    #[test]
    fn a_real_image_is_understood() {
        let superblock = read(&image()).unwrap();
        assert_eq!(
            (superblock.size_bytes(), superblock.n_inodes, superblock.build_time),
            (4096, 1, 1_700_000_000)
        );
        assert_eq!(superblock.uuid.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
    }

    #[test]
    fn a_change_anywhere_in_the_superblocks_block_is_noticed() {
        for at in [1033, 1060, 1200, 4095] {
            let mut image = image();
            image[at] ^= 1;
            assert!(matches!(read(&image), Err(Error::Checksum { .. })), "{at}");
        }
    }

    #[test]
    fn hostile_superblocks_are_refused_by_name() {
        let cases: [(usize, &[u8], &str); 5] = [
            (1024, b"\x7fELF", "not an EROFS image: magic 0x464c457f"),
            (1036, &[8], "EROFS blocks of 2^8 bytes: expected 2^9 to 2^16"),
            (1036, &[255], "EROFS blocks of 2^255 bytes: expected 2^9 to 2^16"),
            (1104, &[0x80], "EROFS features 0x80 are not understood"),
            (1036, &[16], "cannot read the EROFS superblock"),
        ];
        for (at, bytes, expected) in cases {
            let mut image = image();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(read(&image).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn short_files_are_errors() {
        for len in [0, 1024, 1151, 2000] {
            assert!(matches!(read(&image()[..len]), Err(Error::Io(_))), "{len}");
        }
    }

    proptest! {
        #[test]
        fn reading_survives_any_bytes(noise in proptest::collection::vec(any::<u8>(), 1..128)) {
            let mut image = image();
            image[1028..1028 + noise.len()].copy_from_slice(&noise);
            let _ = read(&image);
        }
    }
}
