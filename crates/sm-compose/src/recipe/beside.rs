//! The files beside a recipe: read once, within limits, and remembered so that the recipe's digest covers each of them.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Largest single file beside a recipe: stops a recipe that names a disk image, or a device that never ends.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Most files below one directory that a recipe names: stops one that names the root of a disk.
const MAX_FILES: usize = 4096;

/// One file beside a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BesideFile {
    pub(crate) bytes: Arc<[u8]>,
    /// Whether its owner may execute it. No other permission bit survives a checkout, so no other counts.
    pub(crate) executable: bool,
}

/// Why a file beside a recipe was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BesideError {
    #[error("`{0}` leaves the recipe's directory")]
    Leaves(String),
    #[error("`{0}` does not exist beside `{1}`")]
    Missing(String, String),
    #[error("`{0}` is neither a file nor a directory")]
    Special(String),
    #[error("`{0}` has {1} bytes: at most {MAX_FILE_BYTES} are taken")]
    TooLarge(String, u64),
    #[error("`{0}` holds more than {MAX_FILES} files")]
    TooMany(String),
    #[error("`{0}` cannot be read: {1}")]
    Unreadable(String, io::Error),
}

/// Directories of the documents, and every file taken from them so far.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// By document: its directory, and the name complaints call it by.
    documents: Vec<(PathBuf, String)>,
    taken: BTreeMap<(usize, PathBuf), BesideFile>,
}

impl Beside {
    /// Adds the next document, in the order of [`super::place::Documents`].
    pub(crate) fn add(&mut self, directory: PathBuf, name: String) {
        self.documents.push((directory, name));
    }

    /// Every file taken, by document and relative path.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&(usize, PathBuf), &BesideFile)> {
        self.taken.iter()
    }

    /// Takes one file.
    pub(crate) fn file(&mut self, document: usize, source: &str) -> Result<BesideFile, BesideError> {
        let relative = inside(source)?;
        self.take(document, relative)
    }

    /// Takes a file, or every file below a directory. Paths are relative to `source`; a file's own is empty.
    pub(crate) fn tree(
        &mut self,
        document: usize,
        source: &str,
    ) -> Result<Vec<(PathBuf, BesideFile)>, BesideError> {
        let relative = inside(source)?;
        let (directory, _) = self.document(document);
        let top = directory.join(&relative);
        let mut files = Vec::new();
        if top.is_dir() {
            list(&top, Path::new(""), &mut files)
                .map_err(|error| BesideError::Unreadable(source.to_owned(), error))?;
        } else {
            files.push(PathBuf::new());
        }
        if files.len() > MAX_FILES {
            return Err(BesideError::TooMany(source.to_owned()));
        }
        files.sort();
        let taken = files.into_iter().map(|below| {
            let relative =
                if below.as_os_str().is_empty() { relative.clone() } else { relative.join(&below) };
            Ok((below, self.take(document, relative)?))
        });
        taken.collect()
    }

    fn document(&self, document: usize) -> (&Path, &str) {
        self.documents.get(document).map_or((Path::new(""), ""), |(directory, name)| (directory, name))
    }

    fn take(&mut self, document: usize, relative: PathBuf) -> Result<BesideFile, BesideError> {
        if let Some(file) = self.taken.get(&(document, relative.clone())) {
            return Ok(file.clone());
        }
        let (directory, name) = self.document(document);
        let file = read(&directory.join(&relative), &relative, name)?;
        self.taken.insert((document, relative), file.clone());
        Ok(file)
    }
}

/// The source as a path that stays below the recipe's directory.
fn inside(source: &str) -> Result<PathBuf, BesideError> {
    let path = Path::new(source);
    let plain =
        path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    if source.is_empty() || source.contains('\0') || !plain {
        return Err(BesideError::Leaves(source.escape_debug().to_string()));
    }
    Ok(path.components().filter(|component| matches!(component, Component::Normal(_))).collect())
}

fn read(path: &Path, relative: &Path, document: &str) -> Result<BesideFile, BesideError> {
    let shown = || relative.display().to_string();
    let metadata = fs::symlink_metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => BesideError::Missing(shown(), document.to_owned()),
        _ => BesideError::Unreadable(shown(), error),
    })?;
    if !metadata.is_file() {
        return Err(BesideError::Special(shown()));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(BesideError::TooLarge(shown(), metadata.len()));
    }
    let bytes = fs::read(path).map_err(|error| BesideError::Unreadable(shown(), error))?;
    Ok(BesideFile { bytes: bytes.into(), executable: metadata.permissions().mode() & 0o100 != 0 })
}

/// Adds every file below `directory`; stops early once there are too many.
fn list(directory: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if files.len() > MAX_FILES {
            return Ok(());
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside() -> (tempfile::TempDir, Beside) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/ssh")).unwrap();
        fs::write(dir.path().join("etc/hosts"), "hosts").unwrap();
        fs::write(dir.path().join("etc/ssh/config"), "config").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let mut beside = Beside::default();
        beside.add(dir.path().to_owned(), "recipe.toml".into());
        (dir, beside)
    }

    #[test]
    fn a_directory_gives_its_files_in_order_and_a_file_gives_itself() {
        let (_dir, mut beside) = beside();
        let names = |tree: Vec<(PathBuf, BesideFile)>| {
            tree.into_iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(beside.tree(0, "etc").unwrap()), ["hosts", "ssh/config"]);
        assert_eq!(names(beside.tree(0, "./etc/hosts").unwrap()), [""]);
        assert_eq!(beside.taken().count(), 2);
    }

    #[test]
    fn sources_that_leave_the_directory_are_refused() {
        let (_dir, mut beside) = beside();
        for source in ["", "/etc/passwd", "../x", "etc/../../x", "a\0b"] {
            assert!(matches!(beside.file(0, source), Err(BesideError::Leaves(_))), "{source:?}");
        }
        assert!(matches!(beside.file(0, "link"), Err(BesideError::Special(_))));
        assert!(matches!(beside.file(0, "etc"), Err(BesideError::Special(_))));
        assert!(matches!(beside.file(0, "absent"), Err(BesideError::Missing(..))));
    }

    #[test]
    fn a_file_over_the_limit_is_refused_unread() {
        let (dir, mut beside) = beside();
        let large = fs::File::create(dir.path().join("large")).unwrap();
        large.set_len(MAX_FILE_BYTES + 1).unwrap();
        assert!(matches!(beside.file(0, "large"), Err(BesideError::TooLarge(..))));
    }
}
