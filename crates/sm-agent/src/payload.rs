//! A spooled payload: first intact, then signed, then written. Three readings, none of which trusts the one before.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use sha2::Digest;
use sm_host::progress::{Progress, Task, Unit};
use sm_image::payload::read::{Expected, Installer, Limits, Part, ReadError, Received, Signature, Target};
use sm_model::Sha256;
use sm_rollout::{
    agent::{ErrorCode, InstallFailure},
    omaha::OfferedPackage,
};
use sm_trust::{PublicKey, Verified};

use crate::server::chain;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// A payload that arrived whole, with a good signature; the signature's evidence is inside.
pub type Signed = Received<Verified<Sha256>>;

/// Evidence that the spool held exactly the bytes that were offered.
#[derive(Debug)]
pub struct Intact {
    path: PathBuf,
    expected: Expected,
}

impl Intact {
    /// Compares size and SHA-256 of the spooled file with the offer.
    ///
    /// # Errors
    /// [`InstallFailure::Damaged`] when they differ or the file is gone.
    pub fn check(
        path: PathBuf,
        offered: &OfferedPackage,
        progress: &dyn Progress,
    ) -> Result<Self, InstallFailure> {
        let (size_bytes, sha256) = (offered.size_bytes, offered.sha256);
        let damaged = |words| Err(InstallFailure::Damaged(words));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return damaged(format!("the payload is not in the spool any more: {error}")),
        };
        let found_bytes = file.metadata().map_err(|error| storage(&error))?.len();
        if found_bytes != size_bytes {
            return damaged(format!("the payload has {found_bytes} bytes: expected {size_bytes}"));
        }
        let task = progress.begin("Checking the payload", Unit::Bytes, Some(size_bytes));
        let mut hasher = sha2::Sha256::new();
        for_each_chunk(&mut file, &*task, |chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        let found = Sha256(hasher.finalize().into());
        if found != sha256 {
            return damaged(format!("the payload has SHA-256 {found}: expected {sha256}"));
        }
        Ok(Intact { path, expected: Expected { size_bytes, sha256 } })
    }

    /// Takes the payload through a reader that writes nothing: structure, sizes, every operation's digest and the signature are
    /// good before anything on the host changes.
    ///
    /// # Errors
    /// [`InstallFailure::Rejected`] when one of them is not.
    pub fn check_signature(
        &self,
        limits: Limits,
        key: &PublicKey,
        progress: &dyn Progress,
    ) -> Result<Signed, InstallFailure> {
        struct Nowhere;
        impl Target for Nowhere {
            fn write_at(&mut self, _part: Part, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
                Ok(())
            }
        }
        self.receive(
            limits,
            key,
            &mut Nowhere,
            progress.begin("Verifying the payload", Unit::Bytes, self.total()),
        )
    }

    /// Writes what the payload holds, and checks all of it once more: the file may have changed since.
    ///
    /// # Errors
    /// When it has, or a target cannot be written.
    pub fn write(
        &self,
        limits: Limits,
        key: &PublicKey,
        target: &mut dyn Target,
        progress: &dyn Progress,
    ) -> Result<Signed, InstallFailure> {
        self.receive(
            limits,
            key,
            target,
            progress.begin("Writing the passive slot", Unit::Bytes, self.total()),
        )
    }

    fn total(&self) -> Option<u64> {
        Some(self.expected.size_bytes)
    }

    fn receive(
        &self,
        limits: Limits,
        key: &PublicKey,
        target: &mut dyn Target,
        task: Box<dyn Task>,
    ) -> Result<Signed, InstallFailure> {
        let mut installer = Installer::new(limits, Some(self.expected));
        let mut file = File::open(&self.path).map_err(|error| storage(&error))?;
        for_each_chunk(&mut file, &*task, |chunk| installer.push(chunk, target).map_err(refusal))?;
        installer.finish(|digest, signatures| verify(key, digest, signatures)).map_err(refusal)
    }
}

fn verify(
    key: &PublicKey,
    digest: &Sha256,
    signatures: &[Signature],
) -> Result<Verified<Sha256>, sm_trust::Error> {
    key.verify_any(digest, signatures.iter().map(|signature| signature.data.as_slice()))
}

fn for_each_chunk(
    file: &mut File,
    task: &dyn Task,
    mut take: impl FnMut(&[u8]) -> Result<(), InstallFailure>,
) -> Result<(), InstallFailure> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                take(&buffer[..n])?;
                task.advance(n as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(storage(&error)),
        }
    }
}

/// A disk's failure, in words.
pub(crate) fn storage(error: &dyn std::error::Error) -> InstallFailure {
    InstallFailure::Storage(chain(error))
}

/// The bytes are those that were offered, so whatever is wrong with them is the release's fault; only the disks are ours.
pub(crate) fn refusal(error: ReadError) -> InstallFailure {
    let words = chain(&error);
    let code = match error {
        // What the disk gives back is not what was written: not the release's fault either.
        ReadError::Write { .. } | ReadError::ReadBack { .. } | ReadError::ContentDigest { .. } => {
            return InstallFailure::Storage(words);
        }
        ReadError::Signature(_) | ReadError::Unsigned => ErrorCode::Signature,
        ReadError::PayloadSize { .. } => ErrorCode::PayloadSize,
        ReadError::PayloadDigest { .. } => ErrorCode::PayloadHash,
        ReadError::TooLarge { .. } => ErrorCode::NewPartitionInfo,
        ReadError::DataDigest { .. } | ReadError::Unpack { .. } | ReadError::UnpackedLength { .. } => {
            ErrorCode::Operation
        }
        _ => ErrorCode::Manifest,
    };
    InstallFailure::Rejected(code, words)
}
