//! Files that are either whole or absent, and reads that cannot exhaust memory.
//!
//! A file that others look for is written under a temporary name beside its place, flushed to the disk, and renamed; the
//! directory is flushed last. Whatever is cut at whatever moment, the old content or the new one is there, whole.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use sm_model::exit;
use tempfile::NamedTempFile;

/// An operation on a file or directory that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {operation} `{}`", path.display())]
    Io {
        /// What was tried: `read`, `create`, `write`, `rename` …
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is larger than the caller is ready to hold.
    #[error("`{}` is larger than the {limit_bytes} bytes expected at most", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The caller's limit.
        limit_bytes: u64,
    },
    /// The file is no text.
    #[error("`{}` is not UTF-8: expected a text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// Wraps an error of the operating system with what was tried on which path.
    pub fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError::Io { operation, path, source }
    }

    /// The next step, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        match self {
            FileError::Io { source, path, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(format!(
                    "make room on the file system that holds `{}`, then run the same command again",
                    path.display()
                )),
                io::ErrorKind::PermissionDenied => {
                    Some("check who owns the path and its directory".to_owned())
                }
                io::ErrorKind::IsADirectory => {
                    Some(format!("name a file: `{}` is a directory", path.display()))
                }
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    Some(format!("a part of `{}` is a file where a directory is needed", path.display()))
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    Some(format!("the file system that holds `{}` is read-only", path.display()))
                }
                io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename => {
                    Some("check the spelling of the path".to_owned())
                }
                // `ErrorKind::FilesystemLoop` is not stable.
                _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                    Some(format!("`{}` is a link that leads back to itself", path.display()))
                }
                _ => None,
            },
            FileError::TooLarge { path, .. } | FileError::NotText { path } => {
                Some(format!("check that `{}` is the file that is meant", path.display()))
            }
        }
    }

    /// Whether the reason is that the path does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, FileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            FileError::Io { .. } => exit::STORAGE,
            FileError::TooLarge { .. } | FileError::NotText { .. } => exit::INVALID_INPUT,
        }
    }
}

/// A file being written that appears under its name only by [`AtomicFile::commit`], and vanishes when dropped before.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will appear at `path`, with mode 0644. Missing parent directories are made.
    ///
    /// # Errors
    /// When the directory cannot be made or written to.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        use std::os::unix::fs::PermissionsExt;
        let path = path.into();
        let parent = parent_of(&path);
        create_dir_all(parent)?;
        let temporary = tempfile::Builder::new()
            .prefix(".partial-")
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(parent)
            .map_err(FileError::io("create a file in", parent))?;
        Ok(AtomicFile { temporary, path })
    }

    /// Where the file will appear.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for readers and writers that need more than `Write`.
    pub fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Flushes the content, gives it its name, and flushes what the name leads to, and the directory. On a FAT file system (vfat) the
    /// new name is written without a place and a size, which follow only when the file itself is flushed once more.
    ///
    /// # Errors
    /// When the system refuses one of these; the file then does not appear.
    pub fn commit(self) -> Result<(), FileError> {
        self.temporary.as_file().sync_all().map_err(FileError::io("flush", &self.path))?;
        let path = self.path;
        let named = self
            .temporary
            .persist(&path)
            .map_err(|refused| FileError::io("rename a finished file to", &path)(refused.error))?;
        named.sync_all().map_err(FileError::io("flush", &path))?;
        sync_dir(parent_of(&path))
    }
}

/// Gives a file another name in the same directory, durably: whatever file system it is on, the power may go right after.
///
/// # Errors
/// When the system refuses to rename or to flush.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    let file = File::open(from).map_err(FileError::io("open", from))?;
    fs::rename(from, to).map_err(FileError::io("rename", from))?;
    // See `AtomicFile::commit` for why the file, too.
    file.sync_all().map_err(FileError::io("flush", to))?;
    sync_dir(parent_of(to))
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

impl Read for AtomicFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.temporary.read(buffer)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.temporary.seek(position)
    }
}

/// Replaces the file at `path` with `bytes`, whole or not at all.
///
/// # Errors
/// When the system refuses; the old content then stays.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    file.commit()
}

/// Writes `bytes` to `path` unless something is there already, whole or not at all; tells whether nothing was there.
///
/// # Errors
/// When the system refuses.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    file.temporary.as_file().sync_all().map_err(FileError::io("flush", path))?;
    match file.temporary.persist_noclobber(path) {
        Ok(_) => sync_dir(parent_of(path)).map(|()| true),
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(refused) => Err(FileError::io("rename a finished file to", path)(refused.error)),
    }
}

/// Reads a whole file of at most `limit_bytes`.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read_limited(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(FileError::TooLarge { path: path.to_owned(), limit_bytes });
    }
    Ok(bytes)
}

/// Reads a whole text of at most `limit_bytes`.
///
/// # Errors
/// When it cannot be read, is larger, or is not UTF-8.
pub fn read_text(path: &Path, limit_bytes: u64) -> Result<String, FileError> {
    let bytes = read_limited(path, limit_bytes)?;
    String::from_utf8(bytes).map_err(|_| FileError::NotText { path: path.to_owned() })
}

/// Makes a directory and its parents; it is fine if it exists.
///
/// # Errors
/// When the system refuses.
pub fn create_dir_all(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::io("create directory", path))
}

/// Removes a file or a whole directory; it is fine if there is none.
///
/// # Errors
/// When the system refuses.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Flushes a directory, so that names made or removed in it survive a power cut.
///
/// # Errors
/// When the system refuses.
pub fn sync_dir(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(FileError::io("flush directory", path))
}

/// Bytes that an unprivileged writer can still use on the file system that holds `path`.
///
/// # Errors
/// When the system cannot tell.
pub fn free_bytes(path: &Path) -> Result<u64, FileError> {
    rustix::fs::statvfs(path)
        .map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
        .map_err(|errno| FileError::io("measure free space at", path)(errno.into()))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert!(write_new(&path, b"first").unwrap() && !write_new(&path, b"second").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_appears_only_when_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names_in(path.parent().unwrap()), ["b.txt"]);
    }

    #[test]
    fn an_abandoned_file_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(dir.path().join("x")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(names_in(dir.path()), [""; 0]);
    }

    #[test]
    fn a_file_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write_atomic(&path, b"12345").unwrap();
        assert_eq!(read_limited(&path, 5).unwrap(), b"12345");
        assert!(matches!(read_limited(&path, 4), Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn a_path_that_cannot_be_read_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("noise"), [0xff]).unwrap();
        std::os::unix::fs::symlink("loop", path("loop")).unwrap();
        let hint = |path: &Path| read_text(path, 10).unwrap_err().hint().unwrap();
        for (what, words) in [
            (path("noise"), "is the file that is meant"),
            (path("noise/x"), "is a file where a directory is needed"),
            (path("loop"), "leads back to itself"),
            (dir.path().to_owned(), "is a directory"),
            (path(&"a".repeat(300)), "check the spelling"),
        ] {
            assert!(hint(&what).contains(words), "{}", hint(&what));
        }
    }

    #[test]
    fn a_missing_file_is_named_with_a_hint() {
        let error = read_limited(Path::new("/nonexistent/recipe.toml"), 10).unwrap_err();
        assert_eq!(error.to_string(), "cannot open `/nonexistent/recipe.toml`");
        assert!(error.is_not_found());
        assert_eq!(error.hint().unwrap(), "check the spelling of the path");
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        remove(&dir.path().join("nothing")).unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        remove(&dir.path().join("a")).unwrap();
        assert_eq!(names_in(dir.path()), [""; 0]);
    }
}
