//! Publishing a staged release: its files appear below the public root whole or not at all, every byte is read back there, and
//! only then the channel points to it. Whatever is interrupted is done again from where it was; nothing is done twice.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sm_compose::release::ReleaseDir;
use sm_host::{
    files::{FileError, create_dir_all, sync_dir},
    progress::{Progress, Unit},
};

use crate::Error;

/// What publishing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// Where the release lies.
    pub directory: PathBuf,
    /// Whether its files were there already.
    pub was_there: bool,
}

/// Publishes a release below `root`, in `CHANNEL/BOARD/VERSION`.
///
/// # Errors
/// When a file cannot be read or written, has another digest than its manifest says, or another release of that version is there.
pub fn publish(staged: &ReleaseDir, root: &Path, progress: &dyn Progress) -> Result<Public, Error> {
    let manifest = staged.manifest();
    let board = root.join(manifest.channel.to_string()).join(manifest.board.to_string());
    let directory = board.join(manifest.version.to_string());
    let was_there = directory.exists();
    if was_there {
        let there = ReleaseDir::open(&directory)?;
        if there.manifest() != manifest {
            let expected = format!("release {} as it was decided on", manifest.version);
            return Err(Error::unexpected(&expected, "another one of that version"));
        }
    } else {
        staged.verify()?;
        appear(staged.path(), &board, &directory, progress)?;
    }
    let public = ReleaseDir::open(&directory)?;
    let task = progress.begin("read every byte back", Unit::Waiting, None);
    public.verify()?;
    drop(task);
    public.make_current()?;
    Ok(Public { directory, was_there })
}

/// Copies a folder of files beside its place, then moves it there in one step.
fn appear(from: &Path, board: &Path, to: &Path, progress: &dyn Progress) -> Result<(), Error> {
    let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let parts = board.join(format!(".{name}.part"));
    // What an interrupted run left is not trusted.
    match fs::remove_dir_all(&parts) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(FileError::io("remove", &parts)(error).into());
        }
        _ => {}
    }
    create_dir_all(&parts)?;
    let entries = fs::read_dir(from).map_err(FileError::io("list", from))?;
    for entry in entries {
        let path = entry.map_err(FileError::io("list", from))?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
        copy(&path, &parts.join(name), progress)?;
    }
    sync_dir(&parts)?;
    fs::rename(&parts, to).map_err(FileError::io("rename", &parts))?;
    Ok(sync_dir(board)?)
}

fn copy(from: &Path, to: &Path, progress: &dyn Progress) -> Result<(), Error> {
    let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let task = progress.begin(&format!("copy {name}"), Unit::Bytes, None);
    let n_bytes = fs::copy(from, to).map_err(FileError::io("copy", from))?;
    fs::File::open(to).and_then(|file| file.sync_all()).map_err(FileError::io("sync", to))?;
    task.advance(n_bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;
    use sm_host::progress::Silent;
    use sm_model::{Artifact, ArtifactKind, Manifest, Sha256};

    use super::*;

    /// A release with one artifact.
    fn stage(root: &Path, payload: &[u8]) -> ReleaseDir {
        let dir = root.join("staged/4902.0.0");
        fs::create_dir_all(&dir).unwrap();
        let artifact = Artifact::sample(
            "update.gz".parse().unwrap(),
            ArtifactKind::Payload,
            payload.len() as u64,
            Sha256(sha2::Sha256::digest(payload).into()),
        );
        let manifest = Manifest::sample("4902.0.0".parse().unwrap(), vec![artifact]);
        fs::write(dir.join("update.gz"), payload).unwrap();
        fs::write(dir.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        ReleaseDir::open(&dir).unwrap()
    }

    fn current(root: &Path) -> PathBuf {
        fs::read_link(root.join("alpha/amd64-usr/current")).unwrap()
    }

    #[test]
    fn a_release_appears_whole_and_the_channel_points_to_it() {
        let place = tempfile::tempdir().unwrap();
        let staged = stage(place.path(), b"payload");
        let root = place.path().join("public");
        let public = publish(&staged, &root, &Silent).unwrap();
        assert!(!public.was_there);
        assert_eq!(fs::read(public.directory.join("update.gz")).unwrap(), b"payload");
        assert_eq!(current(&root), Path::new("4902.0.0"));
        assert!(publish(&staged, &root, &Silent).unwrap().was_there, "nothing is copied twice");
    }

    #[test]
    fn what_an_interrupted_run_left_is_not_trusted() {
        let place = tempfile::tempdir().unwrap();
        let staged = stage(place.path(), b"payload");
        let root = place.path().join("public");
        let parts = root.join("alpha/amd64-usr/.4902.0.0.part");
        fs::create_dir_all(&parts).unwrap();
        fs::write(parts.join("update.gz"), b"pay").unwrap();
        fs::write(parts.join("stray"), b"x").unwrap();
        let public = publish(&staged, &root, &Silent).unwrap();
        assert!(!public.directory.join("stray").exists() && !parts.exists());
    }

    #[test]
    fn changed_bytes_are_not_published_and_not_pointed_to() {
        let place = tempfile::tempdir().unwrap();
        let staged = stage(place.path(), b"payload");
        let root = place.path().join("public");
        let good = publish(&staged, &root, &Silent).unwrap().directory;
        fs::remove_file(root.join("alpha/amd64-usr/current")).unwrap();
        fs::write(good.join("update.gz"), b"paYload").unwrap();
        assert!(publish(&staged, &root, &Silent).is_err());
        assert!(!root.join("alpha/amd64-usr/current").exists());
        fs::write(staged.path().join("update.gz"), b"paYload").unwrap();
        let elsewhere = place.path().join("elsewhere");
        assert!(publish(&staged, &elsewhere, &Silent).is_err());
        assert!(!elsewhere.exists());
    }
}
