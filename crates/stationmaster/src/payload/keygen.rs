//! `stationmaster payload keygen`: a key pair in a folder.

use std::{
    fmt,
    fs::Permissions,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use rand_core::OsRng;
use sm_host::files::{AtomicFile, FileError, remove, write_atomic};
use sm_trust::PrivateKey;

use crate::context::{Context, Outcome};

/// File name of the half that signs.
pub(super) const PRIVATE_NAME: &str = "update-payload-key.key.pem";
/// File name of the half that hosts get; the same as in the image.
pub(super) const PUBLIC_NAME: &str = "update-payload-key.pub.pem";

/// Where to put the pair.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  stationmaster payload keygen keys/
makes
  keys/update-payload-key.key.pem   private: keep it, and keep it secret
  keys/update-payload-key.pub.pem   public: goes into the image

A pair that is there is never overwritten: hosts that hold the old public
key would refuse everything signed with a new one.")]
pub(crate) struct Args {
    /// Folder that gets the pair; made if missing.
    dir: PathBuf,
}

#[derive(serde::Serialize)]
struct KeyPair {
    #[serde(serialize_with = "crate::context::path")]
    private: PathBuf,
    #[serde(serialize_with = "crate::context::path")]
    public: PathBuf,
    fingerprint_sha256: String,
}

impl fmt::Display for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "private      {}", self.private.display())?;
        writeln!(f, "public       {}", self.public.display())?;
        write!(f, "fingerprint  {}", self.fingerprint_sha256)
    }
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let (private, public) = (args.dir.join(PRIVATE_NAME), args.dir.join(PUBLIC_NAME));
    for path in [&private, &public] {
        ensure!(
            !path.exists(),
            "`{}` exists: expected a folder without a key pair; name another folder, or use this pair",
            path.display()
        );
    }
    let key = make(&private, &public)?;
    ctx.data(&KeyPair { private, public, fingerprint_sha256: key.public().fingerprint().to_string() })?;
    Ok(Outcome::Done)
}

/// The private key of a folder, made with its public half when there is none.
pub(crate) fn read_or_make(dir: &Path) -> anyhow::Result<PrivateKey> {
    let private = dir.join(PRIVATE_NAME);
    if private.exists() {
        return super::build::read_key(&private);
    }
    make(&private, &dir.join(PUBLIC_NAME))
}

fn make(private: &Path, public: &Path) -> anyhow::Result<PrivateKey> {
    let key = PrivateKey::generate(&mut OsRng)?;
    write_secret(private, key.to_pem()?.as_bytes())?;
    let public_pem = key.public().to_pem()?;
    if let Err(error) = write_atomic(public, public_pem.as_bytes()) {
        // Half a pair would keep the next attempt from making a whole one.
        remove(private)?;
        return Err(error.into());
    }
    Ok(key)
}

/// Writes a file that only its owner can read, at no moment otherwise.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.file().set_permissions(Permissions::from_mode(0o600)).map_err(FileError::io("protect", path))?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    file.commit()
}
