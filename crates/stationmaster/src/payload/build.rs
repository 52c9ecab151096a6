//! `stationmaster payload build`: from /usr image and kernel image to a signed payload.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rand_core::OsRng;
use sm_host::{
    files::{AtomicFile, FileError, read_limited},
    progress::{Task, Unit},
};
use sm_image::payload::write::{Compression, Signer, Source, Written, write};
use sm_model::Sha256;
use sm_trust::PrivateKey;

use super::text::grouped;
use crate::context::{Context, Outcome};

/// Longest key file that is read.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Inputs and output.
#[derive(Debug, clap::Args)]
#[command(override_usage = "\
stationmaster payload build [OPTIONS] --image <FILE> --kernel <FILE>
         --key <FILE>... --output <FILE>")]
#[command(after_help = "\
Example:
  stationmaster payload build --image usr.erofs --kernel boxcar.efi \\
      --key keys/update-payload-key.key.pem --output update.gz

The output appears whole or not at all; its folder needs room for it twice.
The same inputs give the same bytes, on any number of cores.")]
pub(crate) struct Args {
    /// The /usr image without its verity tree; whole blocks of 4096 bytes.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The kernel image, as it goes to the boot partition.
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// Private key that signs. Repeat it to sign with several: update_engine
    /// looks at the last signature only, our agent at all.
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Where the payload goes.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Which chunks to compress.
    #[arg(long, value_enum, default_value = "auto")]
    compression: CompressionArg,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CompressionArg {
    /// Those whose bytes promise to shrink: quick when the image is compressed
    Auto,
    /// All that shrink: the bytes of update_engine's delta_generator
    Bzip2,
}

#[derive(serde::Serialize)]
struct Built {
    #[serde(serialize_with = "crate::context::path")]
    payload: PathBuf,
    size_bytes: u64,
    sha256: Sha256,
    signed_sha256: Sha256,
    partition_sha256: Sha256,
    kernel_sha256: Option<Sha256>,
    operations_replace: usize,
    operations_replace_bz: usize,
    signed_by: Vec<String>,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "payload     {}, {} bytes", self.payload.display(), grouped(self.size_bytes))?;
        writeln!(f, "SHA-256     {}", self.sha256)?;
        writeln!(
            f,
            "operations  {} compressed, {} as they are",
            self.operations_replace_bz, self.operations_replace
        )?;
        write!(f, "signed by   {}", self.signed_by.join("\n            "))
    }
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let keys = args.keys.iter().map(|path| read_key(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let (image, image_len) = open(&args.image)?;
    let (kernel, kernel_len) = open(&args.kernel)?;
    let task = ctx.progress.begin("pack payload", Unit::Bytes, Some(image_len + kernel_len));
    let mut image = Counted { file: image, task: task.as_ref() };
    let mut kernel = Counted { file: kernel, task: task.as_ref() };

    let written = write_file(
        &args.output,
        args.compression.into(),
        &keys,
        Source { reader: &mut image, size_bytes: image_len },
        Source { reader: &mut kernel, size_bytes: kernel_len },
    )
    .with_context(|| format!("cannot make the payload `{}`", args.output.display()))?;
    drop(task);
    ctx.data(&Built {
        payload: args.output.clone(),
        size_bytes: written.size_bytes,
        sha256: written.sha256,
        signed_sha256: written.signed_sha256,
        partition_sha256: written.partition_sha256,
        kernel_sha256: written.kernel_sha256,
        operations_replace: written.n_replace,
        operations_replace_bz: written.n_replace_bz,
        signed_by: keys.iter().map(|key| key.public().fingerprint().to_string()).collect(),
    })?;
    Ok(Outcome::Done)
}

fn write_file(
    path: &Path,
    compression: Compression,
    keys: &[PrivateKey],
    image: Source<'_>,
    kernel: Source<'_>,
) -> anyhow::Result<Written> {
    let mut output = AtomicFile::create(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut spool = tempfile::tempfile_in(folder).map_err(FileError::io("create a spool file in", folder))?;
    let mut signers: Vec<_> = keys.iter().map(|key| |digest: &Sha256| key.sign(digest, &mut OsRng)).collect();
    let mut signers: Vec<&mut dyn Signer> = signers.iter_mut().map(|signer| signer as _).collect();
    let written = write(image, Some(kernel), compression, &mut signers, &mut spool, &mut output)?;
    output.commit()?;
    Ok(written)
}

pub(super) fn read_key(path: &Path) -> anyhow::Result<PrivateKey> {
    let bytes = read_limited(path, MAX_KEY_BYTES)?;
    PrivateKey::from_pem(&String::from_utf8_lossy(&bytes))
        .with_context(|| format!("cannot use the key `{}`", path.display()))
}

fn open(path: &Path) -> Result<(File, u64), FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let metadata = file.metadata().map_err(FileError::io("measure", path))?;
    Ok((file, metadata.len()))
}

/// A file whose reading is shown.
struct Counted<'a> {
    file: File,
    task: &'a dyn Task,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.file.read(buffer)?;
        self.task.advance(n_bytes as u64);
        Ok(n_bytes)
    }
}

impl From<CompressionArg> for Compression {
    fn from(arg: CompressionArg) -> Compression {
        match arg {
            CompressionArg::Auto => Compression::Auto,
            CompressionArg::Bzip2 => Compression::Bzip2Always,
        }
    }
}
