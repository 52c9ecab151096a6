//! A folder for the working files of a run: gone when the run is, or when the next one finds that its owner died. Owners hold a lock
//! on a file in it, which the kernel drops when they end, however that is.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sm_host::files::{self, FileError};

/// What the folders' names begin with.
const PREFIX: &str = "stationmaster-test-";
/// The file that owners lock.
const LOCK: &str = "owner.lock";

/// The folder. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: tempfile::TempDir,
    /// Holds the lock as long as it is open.
    _lock: File,
}

impl Scratch {
    /// Makes a folder within `place`, which is made where it is missing; before that, removes those of dead owners there.
    ///
    /// # Errors
    /// When it cannot be made. What dead owners left and cannot be removed stays.
    pub(super) fn make(place: &Path) -> Result<Self, FileError> {
        files::create_dir_all(place)?;
        sweep(place);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(place);
        let folder = folder.map_err(FileError::io("make a folder for working files in", place))?;
        let lock = folder.path().join(LOCK);
        let file = File::create(&lock).map_err(FileError::io("create", &lock))?;
        file.lock().map_err(FileError::io("lock", &lock))?;
        Ok(Scratch { folder, _lock: file })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders within `place` whose owners are dead.
fn sweep(place: &Path) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in named.map(|entry| entry.path()).filter(|path| is_abandoned(path)) {
        // Somebody else may be just as quick.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Whether a folder is ours, and nobody holds its lock any more. One without a lock may be just being made.
fn is_abandoned(folder: &Path) -> bool {
    let is_ours = |path: &PathBuf| {
        let own = rustix::process::geteuid().as_raw();
        fs::symlink_metadata(path).is_ok_and(|status| status.uid() == own && !status.is_symlink())
    };
    let lock = folder.join(LOCK);
    if !is_ours(&folder.to_owned()) || !is_ours(&lock) {
        return false;
    }
    // The lock that this takes goes with the folder.
    File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(place: &Path) -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    }

    /// What a run leaves behind whose process was killed.
    fn abandon(scratch: Scratch) -> PathBuf {
        let Scratch { folder, _lock } = scratch;
        files::write_atomic(&folder.path().join("boot.uefi/disk.qcow2"), b"large").unwrap();
        folder.keep()
    }

    #[test]
    fn a_folder_is_gone_when_its_run_is() {
        let place = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(&place.path().join("new")).unwrap();
        assert!(scratch.path().exists());
        drop(scratch);
        assert!(folders(&place.path().join("new")).is_empty());
    }

    #[test]
    fn what_a_dead_owner_left_goes_with_the_next_run_and_nothing_else_does() {
        let place = tempfile::tempdir().unwrap();
        let others = ["stationmaster-test-new", "somebody-else"].map(|name| place.path().join(name));
        others.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let running = Scratch::make(place.path()).unwrap();
        let dead = abandon(Scratch::make(place.path()).unwrap());
        let next = Scratch::make(place.path()).unwrap();
        assert!(!dead.exists());
        let mut left = [&others[..], &[running.path().to_owned(), next.path().to_owned()]].concat();
        left.sort();
        assert_eq!(folders(place.path()), left);
    }

    #[test]
    fn a_link_leads_nobody_astray() {
        let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dead = abandon(Scratch::make(elsewhere.path()).unwrap());
        std::os::unix::fs::symlink(&dead, place.path().join("stationmaster-test-link")).unwrap();
        sweep(place.path());
        assert!(dead.join("boot.uefi/disk.qcow2").exists());
    }
}
