//! `stationmaster payload verify`: a payload read as a host reads it, only that nothing is written.

use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sm_host::{
    files::{FileError, read_limited},
    progress::Unit,
};
use sm_image::payload::read::{Content, Installer, Limits, Received, Signature, StreamDigests};
use sm_model::Sha256;
use sm_trust::{PublicKey, Verified};

use super::text::grouped;
use crate::context::{Context, Outcome};

/// Longest key file that is read.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// Bytes read at a time.
const PIECE_LEN: usize = 1 << 20;

/// Which payload, and by which key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  stationmaster payload verify boxcar_production_update.gz \\
      --key keys/update-payload-key.pub.pem

Exit code 4 when anything is wrong; the message says what.")]
pub(crate) struct Args {
    /// The payload.
    payload: PathBuf,
    /// Public key (PEM, `BEGIN PUBLIC KEY`) that must have signed it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(serde::Serialize)]
struct Checked {
    #[serde(serialize_with = "crate::context::path")]
    payload: PathBuf,
    size_bytes: u64,
    sha256: Sha256,
    signed_sha256: Sha256,
    signed_by: String,
    signatures: usize,
    operations: usize,
    partition_bytes: u64,
    partition_sha256: Sha256,
    kernel_bytes: Option<u64>,
    kernel_sha256: Option<Sha256>,
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let key = read_limited(&args.key, MAX_KEY_BYTES)?;
    let key = PublicKey::from_pem(&String::from_utf8_lossy(&key))
        .with_context(|| format!("cannot use the key `{}`", args.key.display()))?;
    let received = check(&args.payload, &key, ctx)
        .with_context(|| format!("`{}` is not good", args.payload.display()))?;
    let plan = received.plan();
    ctx.data(&Checked {
        payload: args.payload.clone(),
        size_bytes: plan.total_len(),
        sha256: received.payload_sha256(),
        signed_sha256: *received.evidence().get(),
        signed_by: received.evidence().by().to_string(),
        signatures: received.signatures().len(),
        operations: plan.operations().len(),
        partition_bytes: plan.partition().size_bytes,
        partition_sha256: plan.partition().sha256,
        kernel_bytes: plan.kernel().map(|Content { size_bytes, .. }| size_bytes),
        kernel_sha256: plan.kernel().map(|Content { sha256, .. }| sha256),
    })?;
    Ok(Outcome::Done)
}

fn check(path: &Path, key: &PublicKey, ctx: &Context<'_>) -> anyhow::Result<Received<Verified<Sha256>>> {
    let mut file = File::open(path).map_err(FileError::io("open", path))?;
    let file_bytes = file.metadata().map_err(FileError::io("measure", path))?.len();
    let task = ctx.progress.begin("verify payload", Unit::Bytes, Some(file_bytes));
    let mut contents = StreamDigests::default();
    let mut installer = Installer::new(Limits::default(), None);
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let n_bytes = file.read(&mut piece).map_err(FileError::io("read", path))?;
        if n_bytes == 0 {
            break;
        }
        installer.push(&piece[..n_bytes], &mut contents)?;
        task.advance(n_bytes as u64);
    }
    let signed = |digest: &Sha256, signatures: &[Signature]| {
        key.verify_any(digest, signatures.iter().map(|signature| &signature.data[..]))
    };
    let received = installer.finish(signed)?;
    contents.check(received.plan())?;
    Ok(received)
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "good: {}", self.payload.display())?;
        writeln!(f, "  size        {} bytes, all accounted for", grouped(self.size_bytes))?;
        writeln!(f, "  SHA-256     {}", self.sha256)?;
        writeln!(f, "  operations  {}: data unbroken, each digest right, targets filled", self.operations)?;
        writeln!(f, "  partition   {} bytes, SHA-256 as promised:", grouped(self.partition_bytes))?;
        writeln!(f, "              {}", self.partition_sha256)?;
        if let Some((bytes, sha256)) = self.kernel_bytes.zip(self.kernel_sha256) {
            writeln!(f, "  kernel      {} bytes, SHA-256 as promised:", grouped(bytes))?;
            writeln!(f, "              {sha256}")?;
        }
        writeln!(f, "  signature   one of {} is good, by the key", self.signatures)?;
        write!(f, "              {}", self.signed_by)
    }
}
