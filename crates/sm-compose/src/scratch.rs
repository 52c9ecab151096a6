//! Working directories that vanish with their work, even when the process that made them was killed.
//!
//! The owner holds a lock on its directory for as long as it lives. Whoever comes next to the same place removes those
//! whose lock nobody holds.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use sm_host::files::{self, FileError};
use tempfile::TempDir;

/// A working directory of this process.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: TempDir,
    _owned: File,
}

impl Scratch {
    /// Makes a directory below `parent`, which is made when missing, and removes what dead processes left there under
    /// the same prefix.
    pub(crate) fn create(parent: &Path, prefix: &str) -> Result<Self, FileError> {
        files::create_dir_all(parent)?;
        let failed = || FileError::io("create a directory in", parent);
        // Nobody sweeps between the making of a directory and its locking.
        let guard = File::open(parent).map_err(failed())?;
        guard.lock().map_err(failed())?;
        sweep(parent, prefix).map_err(failed())?;
        let directory = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .map_err(failed())?;
        let owned = File::open(directory.path()).map_err(failed())?;
        owned.lock().map_err(failed())?;
        Ok(Scratch { directory, _owned: owned })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Gives the directory a name of its own beside it, by which it stays.
    ///
    /// # Errors
    /// When the system refuses; the directory is then removed.
    pub(crate) fn rename(self, place: &Path) -> Result<(), FileError> {
        fs::rename(self.path(), place).map_err(FileError::io("rename a finished directory to", place))?;
        // Under its old name there is nothing left to remove.
        let _: PathBuf = self.directory.keep();
        Ok(())
    }
}

fn sweep(parent: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(prefix) && entry.file_type()?.is_dir();
        if is_ours && is_abandoned(&entry.path()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Whether no living process holds the directory. One that cannot be asked about is left alone.
fn is_abandoned(directory: &Path) -> bool {
    let asked = File::open(directory).map(|file| file.try_lock());
    !matches!(asked, Err(_) | Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_the_dead_left_goes_and_what_the_living_hold_stays() {
        let parent = tempfile::tempdir().unwrap();
        let living = Scratch::create(parent.path(), ".work-").unwrap();
        fs::create_dir_all(parent.path().join(".work-dead/with/files")).unwrap();
        fs::create_dir_all(parent.path().join("other")).unwrap();
        fs::write(parent.path().join(".work-file"), "").unwrap();
        let mine = Scratch::create(parent.path(), ".work-").unwrap();
        assert!(living.path().is_dir() && mine.path().is_dir());
        assert!(!parent.path().join(".work-dead").exists());
        drop((living, mine));
        assert_eq!(names_in(parent.path()), [".work-file", "other"]);
    }

    #[test]
    fn a_renamed_directory_stays() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(parent.path(), ".work-").unwrap();
        fs::write(scratch.path().join("x"), "").unwrap();
        scratch.rename(&parent.path().join("done")).unwrap();
        assert_eq!(names_in(parent.path()), ["done"]);
        assert_eq!(names_in(&parent.path().join("done")), ["x"]);
    }

    #[test]
    fn a_refused_rename_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir_all(parent.path().join("full/x")).unwrap();
        let scratch = Scratch::create(parent.path(), ".work-").unwrap();
        assert!(scratch.rename(&parent.path().join("full")).is_err());
        assert_eq!(names_in(parent.path()), ["full"]);
    }
}
