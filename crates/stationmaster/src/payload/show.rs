//! `stationmaster payload show`: what a payload would do, read from its head and its signatures.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sm_host::files::FileError;
use sm_image::payload::{
    HEADER_LEN,
    read::{Content, Kind, Limits, Part, Plan, Signature, head_len, parse_signatures},
};
use sm_model::Sha256;

use super::text::grouped;
use crate::context::{Context, Outcome};

/// Which payload.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  stationmaster payload show boxcar_production_update.gz

Only the head and the signatures are read, and nothing is verified:
`stationmaster payload verify` does that.")]
pub(crate) struct Args {
    /// The payload.
    payload: PathBuf,
}

#[derive(serde::Serialize)]
struct Shown {
    #[serde(serialize_with = "crate::context::path")]
    payload: PathBuf,
    file_bytes: u64,
    payload_bytes: u64,
    head_bytes: u64,
    data_bytes: u64,
    parts: Vec<ShownPart>,
    signatures: Vec<ShownSignature>,
}

#[derive(serde::Serialize)]
struct ShownPart {
    part: String,
    size_bytes: Option<u64>,
    sha256: Option<Sha256>,
    replace: Operations,
    replace_bz: Operations,
}

/// Operations of one kind, added up.
#[derive(Default, serde::Serialize)]
struct Operations {
    count: usize,
    stored_bytes: u64,
    written_bytes: u64,
}

#[derive(serde::Serialize)]
struct ShownSignature {
    version: Option<u32>,
    size_bytes: usize,
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let (plan, signatures, file_bytes) =
        read(&args.payload).with_context(|| format!("cannot show `{}`", args.payload.display()))?;
    ctx.data(&Shown {
        payload: args.payload.clone(),
        file_bytes,
        payload_bytes: plan.total_len(),
        head_bytes: plan.head_len(),
        data_bytes: plan.signed_len() - plan.head_len(),
        parts: parts(&plan),
        signatures: signatures
            .iter()
            .map(|signature| ShownSignature { version: signature.version, size_bytes: signature.data.len() })
            .collect(),
    })?;
    Ok(Outcome::Done)
}

fn read(path: &Path) -> anyhow::Result<(Plan, Vec<Signature>, u64)> {
    let io_error = || FileError::io("read", path);
    let limits = Limits::default();
    let mut file = File::open(path).map_err(FileError::io("open", path))?;
    let file_bytes = file.metadata().map_err(io_error())?.len();

    let mut head = read_up_to(&mut file, HEADER_LEN as u64).map_err(io_error())?;
    if let Some(header) = head.first_chunk() {
        let manifest_len = head_len(header, &limits)? - HEADER_LEN as u64;
        head.extend(read_up_to(&mut file, manifest_len).map_err(io_error())?);
    }
    let plan = Plan::parse(&head, &limits)?;
    file.seek(SeekFrom::Start(plan.signed_len())).map_err(io_error())?;
    let signatures = read_up_to(&mut file, plan.signatures_len()).map_err(io_error())?;
    Ok((plan, parse_signatures(&signatures)?, file_bytes))
}

fn read_up_to(file: &mut File, n_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(n_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parts(plan: &Plan) -> Vec<ShownPart> {
    let shown = |part: Part, content: Option<Content>| ShownPart {
        part: part.to_string(),
        size_bytes: content.map(|content| content.size_bytes),
        sha256: content.map(|content| content.sha256),
        replace: add_up(plan, part, Kind::Replace),
        replace_bz: add_up(plan, part, Kind::ReplaceBzip2),
    };
    let mut parts = vec![shown(Part::Partition, Some(plan.partition()))];
    parts.extend(plan.kernel().map(|kernel| shown(Part::Kernel, Some(kernel))));
    if plan.operations().iter().any(|operation| operation.name.part == Part::Skipped) {
        parts.push(shown(Part::Skipped, None));
    }
    parts
}

fn add_up(plan: &Plan, part: Part, kind: Kind) -> Operations {
    let chosen = plan.operations().iter().filter(|one| one.name.part == part && one.kind == kind);
    chosen.fold(Operations::default(), |sum, one| Operations {
        count: sum.count + 1,
        stored_bytes: sum.stored_bytes + u64::from(one.data_len),
        written_bytes: sum.written_bytes + u64::from(one.target_len),
    })
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: full payload, CrAU version 1", self.payload.display())?;
        writeln!(
            f,
            "size        {} bytes: head {}, data {}, signatures {}",
            grouped(self.payload_bytes),
            grouped(self.head_bytes),
            grouped(self.data_bytes),
            grouped(self.payload_bytes - self.head_bytes - self.data_bytes)
        )?;
        if self.file_bytes != self.payload_bytes {
            writeln!(f, "            but the file has {} bytes: it is damaged", grouped(self.file_bytes))?;
        }
        for signature in &self.signatures {
            let version = signature.version.map_or("none".to_owned(), |version| version.to_string());
            writeln!(f, "signature   version {version}, {} bytes", signature.size_bytes)?;
        }
        for part in &self.parts {
            write!(f, "{part}")?;
        }
        write!(f, "\n\nNothing was verified; `stationmaster payload verify` does that.")
    }
}

impl fmt::Display for ShownPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.part)?;
        if let Some((size, sha256)) = self.size_bytes.zip(self.sha256) {
            write!(f, ": {} bytes\n  SHA-256 {sha256}", grouped(size))?;
        }
        write!(f, "\n  {:12}{:>10}{:>18}{:>18}", "operation", "count", "stored bytes", "written bytes")?;
        for (name, sum) in [("REPLACE", &self.replace), ("REPLACE_BZ", &self.replace_bz)] {
            let (stored, written) = (grouped(sum.stored_bytes), grouped(sum.written_bytes));
            write!(f, "\n  {name:12}{:>10}{stored:>18}{written:>18}", sum.count)?;
        }
        Ok(())
    }
}
