//! The tools tree: a locked package set, unpacked once per lock into the cache, for programs that are run and not shipped.
//!
//! A tree is whole or absent: it is unpacked beside its place and renamed. Links never lead out of it to the build host's
//! own files, and no file in it is set-id.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use sha2::{Digest, Sha256 as Hasher};
use sm_host::{
    files::{self, FileError},
    progress::Progress,
    tools::{ToolsError, ToolsTree},
};
use sm_model::{Lock, Sha256};

use crate::{
    image::PackageFile,
    recipe::DropRules,
    tree::{Entry, Node, Tree},
    unpack::{self, UnpackError},
};

/// What no program reads.
const UNREAD: [&str; 2] = [
    "/usr/share/{bash-completion,doc,doc-base,icons,info,lintian,locale,man}/**",
    "/{boot,dev,etc/init.d,home,proc,root,run,srv,sys,tmp,var}/**",
];

/// A tools tree that could not be provided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolsTreeError {
    /// Its packages.
    #[error("cannot unpack the tools' packages")]
    Unpack(#[from] UnpackError),
    /// Its files.
    #[error("cannot write the tools tree")]
    File(#[from] FileError),
    /// What was unpacked is no tools tree.
    #[error("the tools' packages make no tools tree")]
    Tools(#[from] ToolsError),
}

impl ToolsTreeError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            ToolsTreeError::Unpack(error) => error.hint(),
            ToolsTreeError::File(error) => error.hint(),
            ToolsTreeError::Tools(error) => error.hint(),
        }
    }

    /// Exit code of a program that fails with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            ToolsTreeError::Unpack(_) => sm_model::exit::INVALID_INPUT,
            ToolsTreeError::File(error) => error.exit_code(),
            ToolsTreeError::Tools(_) => sm_model::exit::FAILURE,
        }
    }
}

/// The tree of a lock if the cache has it: then not even its packages are needed.
pub fn find(cache: &Path, lock: &Lock) -> Option<ToolsTree> {
    ToolsTree::open(place(cache, lock), lock.arch).ok()
}

/// The tree of a lock, unpacked from its packages unless the cache has it.
///
/// # Errors
/// When a package is damaged, the cache cannot be written, or the packages hold no C library.
pub fn provide(
    cache: &Path,
    lock: &Lock,
    packages: &[PackageFile],
    progress: &dyn Progress,
) -> Result<ToolsTree, ToolsTreeError> {
    if let Some(found) = find(cache, lock) {
        return Ok(found);
    }
    let rules = DropRules { paths: UNREAD.map(str::to_owned).to_vec(), keep: Vec::new() };
    let tree = unpack::unpack_all(packages, &rules, progress)?.tree;
    let place = place(cache, lock);
    let parent = place.parent().unwrap_or(cache);
    files::create_dir_all(parent)?;
    let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(parent);
    let partial = partial.map_err(FileError::io("create a directory in", parent))?;
    let root = partial.path().join("tree");
    write_out(&tree, &root)?;
    match fs::rename(&root, &place) {
        // Another process was faster: its tree has the same packages.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {}
        other => other.map_err(FileError::io("rename the finished tree to", &place))?,
    }
    Ok(ToolsTree::open(place, lock.arch)?)
}

/// Where the tree of a lock lies: the same packages, the same place.
fn place(cache: &Path, lock: &Lock) -> PathBuf {
    let mut hasher = Hasher::new();
    for package in &lock.packages {
        hasher.update(package.sha256.as_bytes());
    }
    cache.join("tools").join(Sha256(hasher.finalize().into()).to_string())
}

fn write_out(tree: &Tree, root: &Path) -> Result<(), FileError> {
    files::create_dir_all(root)?;
    let (directories, rest): (Vec<_>, Vec<_>) =
        tree.entries().partition(|(_, entry)| entry.node == Node::Directory);
    for (path, _) in directories {
        files::create_dir_all(&root.join(&path[1..]))?;
    }
    rest.par_iter().try_for_each(|(path, entry)| write_entry(&root.join(&path[1..]), path, entry))?;
    merge_usr(root)
}

/// The links that `base-files` brings where it is installed: linker scripts name libraries as `/lib/…`.
fn merge_usr(root: &Path) -> Result<(), FileError> {
    for name in ["bin", "lib", "lib64", "sbin"] {
        let (link, to) = (root.join(name), format!("usr/{name}"));
        if root.join(&to).is_dir() && fs::symlink_metadata(&link).is_err() {
            symlink(to, &link).map_err(FileError::io("make link", &link))?;
        }
    }
    Ok(())
}

fn write_entry(to: &Path, path: &str, entry: &Entry) -> Result<(), FileError> {
    match &entry.node {
        Node::Directory => Ok(()),
        Node::Symlink(target) => symlink(inside(path, target), to).map_err(FileError::io("make link", to)),
        Node::File(blob) => {
            fs::write(to, &**blob).map_err(FileError::io("write", to))?;
            let mode = if entry.mode.mode & 0o111 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(to, fs::Permissions::from_mode(mode))
                .map_err(FileError::io("set mode of", to))
        }
    }
}

/// A link's target relative to the link, so that `/etc/x` means the tree's and not the build host's.
fn inside(path: &str, target: &str) -> String {
    let Some(below) = target.strip_prefix('/') else { return target.to_owned() };
    let depth = path.matches('/').count() - 1;
    format!("{}{below}", "../".repeat(depth))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Origin;

    #[test]
    fn absolute_links_stay_inside_the_tree() {
        assert_eq!(inside("/usr/bin/vi", "/etc/alternatives/vi"), "../../etc/alternatives/vi");
        assert_eq!(inside("/lib", "usr/lib"), "usr/lib");
        assert_eq!(inside("/x", "/y"), "y");
    }

    #[test]
    fn no_file_is_set_id_whatever_the_package_says() {
        let mut tree = Tree::default();
        for (path, mode) in [("/usr/bin/su", 0o4755), ("/usr/lib/x", 0o2664)] {
            let mut entry = Entry::file("x", Origin::Recipe);
            entry.mode.mode = mode;
            tree.put(path, entry).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        write_out(&tree, &dir.path().join("t")).unwrap();
        assert_eq!(fs::read_link(dir.path().join("t/lib")).unwrap(), Path::new("usr/lib"));
        let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("t/usr/bin/su"), mode("t/usr/lib/x")), (0o755, 0o644));
    }
}
