//! The /usr half of an image: the tree as one EROFS file system.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256 as Sha256Hasher};
use sm_host::{
    files::{self, FileError},
    process::Runner,
};
use sm_image::Guid;
use sm_model::Sha256;

use super::{ComposeError, Inputs};
use crate::tree::{Tree, write_tar};

/// The file system and what is known about it.
#[derive(Debug)]
pub(super) struct UsrImage {
    pub(super) path: PathBuf,
    pub(super) size_bytes: u64,
    pub(super) sha256: Sha256,
}

/// Writes `/usr` of the tree as an EROFS image into the work directory.
pub(super) fn write(tree: &Tree, inputs: &Inputs<'_>, runner: &dyn Runner) -> Result<UsrImage, ComposeError> {
    let tar = inputs.work.join("usr.tar");
    let path = inputs.work.join("usr.erofs");
    write_tar_file(tree, inputs, &tar)?;
    let content_bytes = fs::metadata(&tar).map_err(FileError::io("measure", &tar))?.len();
    check_room(inputs.work, content_bytes, files::free_bytes(inputs.work)?)?;
    let disk = &inputs.plan.target.disk;
    let mut run = inputs.tools.invocation("mkfs.erofs")?.arg("--quiet");
    if let Some(compression) = &disk.compression {
        run = run.arg(format!("-z{compression}")).arg(format!("-C{}", disk.cluster_bytes));
        run = run.args(disk.extent_bytes.map(|bytes| format!("--max-extent-bytes={bytes}")));
    }
    let run = run
        .arg(format!("-T{}", inputs.plan.source_date.unix_secs()))
        .arg(format!("-U{}", uuid(inputs)))
        .arg("--tar=f")
        .arg(&path)
        .arg(&tar)
        .env("TMPDIR", inputs.work);
    runner.run(&run)?;
    files::remove(&tar)?;
    measure(path)
}

/// Makes sure of room before `mkfs.erofs` starts, because it never ends once a disk is full. Until the image is whole, it keeps
/// all files uncompressed beside it.
fn check_room(work: &Path, content_bytes: u64, free_bytes: u64) -> Result<(), FileError> {
    let needed_bytes = content_bytes.saturating_mul(2);
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    let shortage = format!("{needed_bytes} bytes are needed, {free_bytes} are free");
    Err(FileError::io("write the /usr image in", work)(io::Error::new(io::ErrorKind::StorageFull, shortage)))
}

fn write_tar_file(tree: &Tree, inputs: &Inputs<'_>, tar: &Path) -> Result<(), ComposeError> {
    let file = File::create(tar).map_err(FileError::io("create", tar))?;
    let buffered = BufWriter::with_capacity(1 << 20, file);
    write_tar(tree, "/usr", inputs.plan.source_date, buffered).map_err(FileError::io("write", tar))?;
    Ok(())
}

/// Identity of the file system: the same for the same release of the same recipe.
fn uuid(inputs: &Inputs<'_>) -> Guid {
    let plan = inputs.plan;
    let text = format!("erofs {} {} {} {}", plan.os.id, plan.version, plan.target.arch, plan.recipe_digest);
    derived_guid(&text)
}

/// A GUID that follows from a text.
pub(super) fn derived_guid(text: &str) -> Guid {
    let digest: [u8; 32] = Sha256Hasher::digest(text).into();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    Guid::derived(first)
}

fn measure(path: PathBuf) -> Result<UsrImage, ComposeError> {
    let mut file = File::open(&path).map_err(FileError::io("open", &path))?;
    let mut hasher = Sha256Hasher::new();
    std::io::copy(&mut file, &mut hasher).map_err(FileError::io("read", &path))?;
    let size_bytes = fs::metadata(&path).map_err(FileError::io("measure", &path))?.len();
    Ok(UsrImage { path, size_bytes, sha256: Sha256(hasher.finalize().into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_would_fill_up_is_refused_with_what_to_do() {
        let work = Path::new("/work");
        assert!(check_room(work, 100, 200).is_ok());
        let error = check_room(work, 100, 199).unwrap_err();
        assert_eq!(error.to_string(), "cannot write the /usr image in `/work`");
        assert!(error.hint().unwrap().starts_with("make room"));
    }
}
