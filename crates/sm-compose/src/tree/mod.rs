//! The file tree of an image as a value: every file with its owner, mode, content and origin; nothing is on a disk.
//!
//! The builder's own user, umask, clock and directory order cannot reach it. Times are not kept: an image has one.

mod blob;
mod error;
mod glob;
mod write;

use std::{collections::BTreeMap, ops::Bound};

use sm_model::PackageName;

use crate::recipe::Mode;

pub use blob::Blob;
pub use error::TreeError;
pub use glob::{InvalidPattern, Patterns};
pub(crate) use write::write_tar;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file.
    File(Blob),
    /// A symbolic link with its target as written.
    Symlink(String),
}

/// Where an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A package, unchanged but for declared modes.
    Package(PackageName),
    /// The recipe, or a file beside it.
    Recipe,
    /// Composing itself: indexes, links and identity files made from the other two.
    Composed,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub node: Node,
    /// Owner and permission bits.
    pub mode: Mode,
    /// Where it comes from.
    pub origin: Origin,
}

impl Entry {
    /// A directory of root's, mode 0755.
    pub fn directory(origin: Origin) -> Self {
        Entry { node: Node::Directory, mode: Mode { mode: 0o755, uid: 0, gid: 0 }, origin }
    }

    /// A file of root's, mode 0644.
    pub fn file(content: impl Into<Blob>, origin: Origin) -> Self {
        Entry { node: Node::File(content.into()), mode: Mode { mode: 0o644, uid: 0, gid: 0 }, origin }
    }

    /// A symbolic link of root's.
    pub fn symlink(target: impl Into<String>, origin: Origin) -> Self {
        Entry { node: Node::Symlink(target.into()), mode: Mode { mode: 0o777, uid: 0, gid: 0 }, origin }
    }

    /// Size of the content in bytes, as `stat` tells it.
    pub fn size_bytes(&self) -> u64 {
        match &self.node {
            Node::Directory => 0,
            Node::File(blob) => blob.len() as u64,
            Node::Symlink(target) => target.len() as u64,
        }
    }
}

/// A file tree: absolute normal paths, and every entry below the top has a directory as its parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Every entry by path, parents before children.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at a path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The entry at a path, to be changed in place.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut Entry> {
        self.entries.get_mut(path)
    }

    /// The content of the regular file at a path; symbolic links are not followed.
    pub fn file(&self, path: &str) -> Option<&Blob> {
        match &self.get(path)?.node {
            Node::File(blob) => Some(blob),
            Node::Directory | Node::Symlink(_) => None,
        }
    }

    /// Everything below a directory, without the directory itself.
    pub fn below(&self, directory: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let prefix = format!("{directory}/");
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        self.entries
            .range::<str, _>(from)
            .map(|(path, entry)| (path.as_str(), entry))
            .take_while(move |(path, _)| path.starts_with(&prefix))
    }

    /// Adds an entry of a package. Two packages may bring the same directory, nothing else twice.
    ///
    /// # Errors
    /// When another package brings the path, a parent is no directory, or the path is not absolute and normal.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        self.make_parents(path, &entry.origin)?;
        match self.get(path) {
            Some(old) if old.node != Node::Directory || entry.node != Node::Directory => {
                Err(TreeError::Conflict {
                    path: path.to_owned(),
                    first: old.origin.clone(),
                    second: entry.origin,
                })
            }
            Some(old) if old.origin != Origin::Composed => Ok(()),
            _ => {
                self.entries.insert(path.to_owned(), entry);
                Ok(())
            }
        }
    }

    /// Puts an entry in place of whatever is there, making missing parents.
    ///
    /// # Errors
    /// When a parent is no directory, a filled directory would become something else, or the path is not absolute and
    /// normal.
    pub fn put(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        self.make_parents(path, &entry.origin)?;
        if entry.node != Node::Directory && self.below(path).next().is_some() {
            return Err(TreeError::FilledDirectory { path: path.to_owned() });
        }
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Removes a path and everything below it; returns what was removed.
    pub fn take(&mut self, path: &str) -> Tree {
        let prefix = format!("{path}/");
        let mut taken = self.entries.split_off(path);
        let mut after = taken.split_off(&format!("{path}0"));
        let (inside, beside) =
            taken.into_iter().partition(|(found, _)| found == path || found.starts_with(&prefix));
        let mut beside: BTreeMap<String, Entry> = beside;
        self.entries.append(&mut beside);
        self.entries.append(&mut after);
        Tree { entries: inside }
    }

    /// Gives the entries away, parents before children.
    pub fn into_entries(self) -> impl Iterator<Item = (String, Entry)> {
        self.entries.into_iter()
    }

    /// Keeps the entries that a predicate accepts. Directories left without content by it go too.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Entry) -> bool) {
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.entries).into_iter().partition(|(path, entry)| keep(path, entry));
        self.entries = kept;
        for (path, entry) in gone {
            if self.below(&path).next().is_some() {
                self.entries.insert(path, entry);
            } else {
                self.prune_parents(&path);
            }
        }
    }

    fn prune_parents(&mut self, path: &str) {
        let mut path = path;
        while let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            if self.below(parent).next().is_some() {
                return;
            }
            self.entries.remove(parent);
            path = parent;
        }
    }

    /// Moves a directory and everything below it to another place.
    ///
    /// # Errors
    /// As for [`Tree::put`].
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), TreeError> {
        for (path, entry) in self.take(from).entries {
            self.put(&format!("{to}{}", &path[from.len()..]), entry)?;
        }
        Ok(())
    }

    fn make_parents(&mut self, path: &str, origin: &Origin) -> Result<(), TreeError> {
        check_path(path)?;
        for parent in parents(path) {
            match self.get(parent) {
                Some(Entry { node: Node::Directory, .. }) => {}
                Some(Entry { origin: owner, .. }) => {
                    return Err(TreeError::NotADirectory {
                        path: path.to_owned(),
                        parent: parent.to_owned(),
                        owner: owner.clone(),
                        origin: origin.clone(),
                    });
                }
                None => {
                    self.entries.insert(parent.to_owned(), Entry::directory(Origin::Composed));
                }
            }
        }
        Ok(())
    }
}

/// `/a`, `/a/b` for `/a/b/c`.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).filter(|parent| !parent.is_empty())
}

/// Longest path below the top, in bytes: Linux's `PATH_MAX` without the terminating zero.
const MAX_PATH: usize = 4095;
/// Longest component, in bytes: `NAME_MAX`.
const MAX_NAME: usize = 255;

fn check_path(path: &str) -> Result<(), TreeError> {
    let refused = |why| Err(TreeError::Path { path: path.chars().take(200).collect(), why });
    let Some(below) = path.strip_prefix('/') else { return refused("it is not absolute") };
    if path.len() > MAX_PATH {
        return refused("it is longer than 4095 bytes");
    }
    if path.chars().any(char::is_control) {
        return refused("it has control characters");
    }
    for name in below.split('/') {
        match name {
            "" | "." => return refused("it is not normal"),
            ".." => return refused("it leaves its directory"),
            name if name.len() > MAX_NAME => return refused("a component is longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
