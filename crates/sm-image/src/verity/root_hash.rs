//! The root hash: 32 bytes that stand for every byte of a /usr image.

use std::{fmt, str::FromStr};

use sm_model::{Sha256, digest::InvalidDigest};

use crate::Guid;

/// The root of a verity tree. Prints and parses as 64 hexadecimal digits, as in `usrhash=` on a kernel command line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootHash(Sha256);

impl RootHash {
    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        RootHash(Sha256(bytes))
    }

    /// The hash as a digest.
    pub const fn digest(self) -> Sha256 {
        self.0
    }

    /// Identity of the partition that holds the data: the first half of the hash, read as GUID text
    /// (systemd-veritysetup-generator(8), `usrhash=`).
    pub fn data_guid(self) -> Guid {
        Guid::from_bytes(crate::bytes::array(self.0.as_bytes(), 0))
    }

    /// Identity of the partition that holds the tree: the second half.
    pub fn tree_guid(self) -> Guid {
        Guid::from_bytes(crate::bytes::array(self.0.as_bytes(), 16))
    }
}

impl From<Sha256> for RootHash {
    fn from(digest: Sha256) -> Self {
        RootHash(digest)
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootHash({self})")
    }
}

impl FromStr for RootHash {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(RootHash)
    }
}
