//! The tools tree: locked packages unpacked into the cache, so that every host builds with the same programs.
//!
//! A tree lies under the digest of its lock and appears whole or not at all; one that is there is used as it is.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use sha2::Digest as _;
use sm_host::{
    files::{self, FileError},
    progress::{Progress, Task, Unit},
    tools::{ToolsError, ToolsTree},
};
use sm_model::{Arch, Sha256, exit};

use crate::{
    image::PackageFile,
    recipe::DropRules,
    tree::{Entry, Node, Tree},
    unpack::{self, UnpackError},
};

/// A tools tree that could not be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolsTreeError {
    /// A package cannot be unpacked.
    #[error("cannot unpack the tools' packages")]
    Unpack(#[from] UnpackError),
    /// A file or directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was unpacked cannot run.
    #[error("cannot use the tools tree")]
    Tools(#[from] ToolsError),
}

impl ToolsTreeError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            ToolsTreeError::Unpack(error) => error.hint(),
            ToolsTreeError::File(error) => error.hint(),
            ToolsTreeError::Tools(error) => error.hint(),
        }
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            ToolsTreeError::File(error) => error.exit_code(),
            ToolsTreeError::Unpack(_) | ToolsTreeError::Tools(_) => exit::FAILURE,
        }
    }
}

/// What no tool reads. Everything else stays: these are programs, their data and their libraries.
const NEVER_READ: [&str; 7] = [
    "/usr/share/doc/**",
    "/usr/share/man/**",
    "/usr/share/info/**",
    "/usr/share/locale/**",
    "/usr/share/lintian/**",
    "/usr/share/icons/**",
    "/var/**",
];

/// The tree of these packages below `cache`; unpacks it when it is not there yet.
///
/// # Errors
/// When a package cannot be unpacked, the cache cannot be written, or the packages hold no C library for this host.
pub fn make_ready(
    packages: &[PackageFile],
    host: Arch,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<ToolsTree, ToolsTreeError> {
    let place = cache.join("tools").join(digest(packages).to_string());
    if !place.is_dir() {
        let rules = DropRules { paths: NEVER_READ.map(str::to_owned).to_vec(), keep: Vec::new() };
        let unpacked = unpack::unpack_all(packages, &rules, progress)?;
        write(&unpacked.tree, &place, progress)?;
    }
    Ok(ToolsTree::open(place, host)?)
}

/// Names the tree: by its packages' digests, and by what is left out of them.
fn digest(packages: &[PackageFile]) -> Sha256 {
    let mut hash = sha2::Sha256::new();
    for rule in NEVER_READ {
        hash.update(rule.as_bytes());
        hash.update([0]);
    }
    for file in packages {
        hash.update(file.package.sha256.as_bytes());
    }
    Sha256(hash.finalize().into())
}

fn write(tree: &Tree, place: &Path, progress: &dyn Progress) -> Result<(), ToolsTreeError> {
    let parent = place.parent().unwrap_or(place);
    files::create_dir_all(parent)?;
    let staged = tempfile::Builder::new()
        .prefix(".partial-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(FileError::io("create a directory in", parent))?;
    let total = tree.entries().map(|(_, entry)| entry.size_bytes()).sum();
    let task = progress.begin("write tools", Unit::Bytes, Some(total));
    for (path, entry) in tree.entries() {
        let path = staged.path().join(path.trim_start_matches('/'));
        write_entry(&path, entry, task.as_ref()).map_err(FileError::io("write", &path))?;
    }
    match fs::rename(staged.path(), place) {
        // Another process was quicker: its tree is as good.
        Err(_) if place.is_dir() => Ok(()),
        renamed => {
            renamed.map_err(FileError::io("rename a finished tree to", place))?;
            // What was renamed away is not the staging's to remove.
            let _ = staged.keep();
            Ok(())
        }
    }
}

fn write_entry(path: &Path, entry: &Entry, task: &dyn Task) -> io::Result<()> {
    match &entry.node {
        Node::Directory => fs::create_dir(path),
        Node::Symlink(target) => symlink(target, path),
        Node::File(blob) => {
            fs::write(path, &**blob)?;
            task.advance(blob.len() as u64);
            // Only what programs need of it: nothing of a tools tree is set-id or somebody else's.
            let mode = if entry.mode.mode & 0o111 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{recipe::Mode, tree::Origin};
    use sm_host::progress::Silent;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let program = Entry {
            mode: Mode { mode: 0o4755, uid: 0, gid: 5 },
            ..Entry::file("program", Origin::Composed)
        };
        tree.put("/usr/bin/tool", program).unwrap();
        tree.put("/usr/lib/libx.so", Entry::symlink("libx.so.1", Origin::Composed)).unwrap();
        tree
    }

    #[test]
    fn a_tree_appears_whole_without_set_id_bits() {
        let cache = tempfile::tempdir().unwrap();
        let place = cache.path().join("tools/x");
        write(&tree(), &place, &Silent).unwrap();
        let mode = fs::metadata(place.join("usr/bin/tool")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert_eq!(fs::read_link(place.join("usr/lib/libx.so")).unwrap().to_str(), Some("libx.so.1"));
        assert_eq!(fs::read_dir(cache.path().join("tools")).unwrap().count(), 1);
    }

    #[test]
    fn the_quicker_of_two_wins_and_nothing_else_stays() {
        let cache = tempfile::tempdir().unwrap();
        let place = cache.path().join("tools/x");
        write(&tree(), &place, &Silent).unwrap();
        write(&tree(), &place, &Silent).unwrap();
        assert_eq!(fs::read_dir(cache.path().join("tools")).unwrap().count(), 1);
    }

    #[test]
    fn packages_without_a_c_library_are_no_tools() {
        let cache = tempfile::tempdir().unwrap();
        let error = make_ready(&[], Arch::Amd64, cache.path(), &Silent).unwrap_err();
        assert!(matches!(error, ToolsTreeError::Tools(_)), "{error}");
    }
}
