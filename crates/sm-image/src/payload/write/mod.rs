//! Making full payloads: chunk after chunk is packed on all cores, then head, data and signatures go out in one stream.
//!
//! The manifest comes before the data but names the data's digests, so packed data waits in a *spool* that the caller
//! gives (an unnamed temporary file). Memory stays below 64 MiB whatever the size of the image: [`MAX_WORKERS`] chunks
//! are compressed at a time and [`MAX_IN_FLIGHT`] held.
//!
//! The bytes depend on the inputs only, never on the number of cores. With [`Compression::Bzip2Always`] they are those
//! of update_engine's own `delta_generator` for the same image, kernel and key.

pub(super) mod encode;
mod error;
mod manifest;
mod pack;
mod stream;

use std::{
    io::{Read, Seek, SeekFrom, Write},
    num::NonZeroUsize,
};

use sha2::{Digest, Sha256 as Hasher};
use sm_model::Sha256;

pub use error::WriteError;
pub use pack::{Compression, worth_compressing};
pub use stream::{MAX_IN_FLIGHT, MAX_WORKERS};

use manifest::{Kind, Manifest, PackedOperation, PackedPart};
use stream::Packer;

use super::{BLOCK_LEN, HEADER_LEN, MAGIC, VERSION};

/// Bytes of a target that one operation fills: what delta_generator uses.
pub const CHUNK_LEN: usize = 1 << 20;
/// Length of one RSA-2048 signature.
pub const SIGNATURE_LEN: usize = 256;

/// Bytes to put into a payload, and how many there are.
#[expect(missing_debug_implementations, reason = "a reader has nothing to show")]
pub struct Source<'a> {
    /// The bytes.
    pub reader: &'a mut dyn Read,
    /// How many `reader` gives; another number is an error.
    pub size_bytes: u64,
}

/// Whoever signs payloads: a key at hand, or a device that only takes digests.
pub trait Signer {
    /// RSASSA-PKCS1-v1_5 with RSA-2048 over a SHA-256 digest.
    ///
    /// # Errors
    /// When no signature can be made; it becomes the source of [`WriteError::Sign`].
    fn sign(
        &mut self,
        digest: &Sha256,
    ) -> Result<[u8; SIGNATURE_LEN], Box<dyn std::error::Error + Send + Sync>>;
}

impl<F, E> Signer for F
where
    F: FnMut(&Sha256) -> Result<[u8; SIGNATURE_LEN], E>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn sign(
        &mut self,
        digest: &Sha256,
    ) -> Result<[u8; SIGNATURE_LEN], Box<dyn std::error::Error + Send + Sync>> {
        self(digest).map_err(Into::into)
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Size of the payload.
    pub size_bytes: u64,
    /// SHA-256 of the payload, as update servers announce it.
    pub sha256: Sha256,
    /// SHA-256 of what the signatures cover.
    pub signed_sha256: Sha256,
    /// SHA-256 of the partition image.
    pub partition_sha256: Sha256,
    /// SHA-256 of the kernel image, if there is one.
    pub kernel_sha256: Option<Sha256>,
    /// Operations whose data is stored as it is.
    pub n_replace: usize,
    /// Operations whose data is stored compressed.
    pub n_replace_bz: usize,
}

/// Writes a full payload to `out`.
///
/// `spool` is empty scratch space at its current position, at most as large as all sources together. Signatures are
/// made in the order of `signers`, the last one being the one that update_engine looks at.
///
/// # Errors
/// When a source does not give its size, the partition image is not a multiple of [`BLOCK_LEN`], the data reaches 4 GiB
/// (the format's 32-bit offsets end there), there is no signer, or reading, writing or signing fails.
pub fn write<S: Read + Write + Seek>(
    partition: Source<'_>,
    kernel: Option<Source<'_>>,
    compression: Compression,
    signers: &mut [&mut dyn Signer],
    spool: &mut S,
    out: &mut dyn Write,
) -> Result<Written, WriteError> {
    let n_signers = NonZeroUsize::new(signers.len()).ok_or(WriteError::NoSigner)?;
    if !partition.size_bytes.is_multiple_of(BLOCK_LEN) || partition.size_bytes == 0 {
        return Err(WriteError::PartitionSize { found_bytes: partition.size_bytes });
    }
    let spool_start = spool.stream_position().map_err(WriteError::Spool)?;
    let mut packer = Packer::new(compression, spool)?;
    let partition = packer.pack("partition image", partition)?;
    let kernel = kernel.map(|source| packer.pack("kernel image", source)).transpose()?;
    let data_len = packer.data_len();
    let manifest =
        Manifest { partition, kernel, data_len, signatures_len: encode::signatures_len(n_signers.get()) };
    spool.seek(SeekFrom::Start(spool_start)).map_err(WriteError::Spool)?;

    let mut out = Hashing { out, hasher: Hasher::new(), n_bytes: 0 };
    out.write(&head(&manifest))?;
    out.copy(spool, data_len)?;
    let signed_sha256 = out.digest();
    out.write(&sign(signers, &signed_sha256)?)?;
    Ok(written(&manifest, signed_sha256, &out))
}

/// Header and manifest.
fn head(manifest: &Manifest) -> Vec<u8> {
    let encoded = manifest.encode();
    let mut head = Vec::with_capacity(HEADER_LEN + encoded.len());
    head.extend(MAGIC);
    head.extend(VERSION.to_be_bytes());
    head.extend((encoded.len() as u64).to_be_bytes());
    head.extend(encoded);
    head
}

fn sign(signers: &mut [&mut dyn Signer], digest: &Sha256) -> Result<Vec<u8>, WriteError> {
    let signatures: Vec<_> = signers
        .iter_mut()
        .map(|signer| signer.sign(digest).map_err(WriteError::Sign))
        .collect::<Result<_, _>>()?;
    Ok(encode::signatures(&signatures))
}

fn written(manifest: &Manifest, signed_sha256: Sha256, out: &Hashing<'_>) -> Written {
    let operations = || manifest.parts().flat_map(|part| &part.operations);
    let count = |kind: Kind| operations().filter(|operation| operation.kind == kind).count();
    Written {
        size_bytes: out.n_bytes,
        sha256: out.digest(),
        signed_sha256,
        partition_sha256: manifest.partition.sha256,
        kernel_sha256: manifest.kernel.as_ref().map(|kernel| kernel.sha256),
        n_replace: count(Kind::Replace),
        n_replace_bz: count(Kind::ReplaceBz),
    }
}

/// The payload on its way out, hashed as it goes.
struct Hashing<'a> {
    out: &'a mut dyn Write,
    hasher: Hasher,
    n_bytes: u64,
}

impl Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(WriteError::Output)
    }

    fn copy(&mut self, spool: &mut dyn Read, n_bytes: u64) -> Result<(), WriteError> {
        let mut buffer = vec![0; CHUNK_LEN];
        let mut left = n_bytes;
        while left > 0 {
            let piece = &mut buffer[..left.min(CHUNK_LEN as u64) as usize];
            spool.read_exact(piece).map_err(WriteError::Spool)?;
            self.write(piece)?;
            left -= piece.len() as u64;
        }
        Ok(())
    }

    fn digest(&self) -> Sha256 {
        Sha256(self.hasher.clone().finalize().into())
    }
}
