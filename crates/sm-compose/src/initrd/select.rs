//! Which of the image's files the initial RAM disk takes: those named, and everything those lead to.

use std::collections::BTreeMap;

use super::{InitrdError, elf};
use crate::{
    recipe::Initrd,
    tree::{Blob, Entry, Node, Patterns, Tree},
};

const UNIT_DIR: &str = "/usr/lib/systemd/system";
/// Longest chain of symbolic links: Linux's own (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A growing selection from a tree. Each entry is taken once; whatever it leads to is taken with it.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    tree: &'a Tree,
    library_dirs: Vec<String>,
    taken: BTreeMap<String, Entry>,
}

impl<'a> Selection<'a> {
    /// Nothing yet, from `tree`, with libraries looked for in Debian's default directories.
    pub(super) fn new(tree: &'a Tree, triplet: &str) -> Self {
        Selection {
            tree,
            library_dirs: vec![format!("/usr/lib/{triplet}"), "/usr/lib".to_owned()],
            taken: BTreeMap::new(),
        }
    }

    /// What was taken.
    pub(super) fn into_taken(self) -> BTreeMap<String, Entry> {
        self.taken
    }

    /// Takes every file and link that a pattern matches. A pattern that matches nothing is an error: a misspelt name
    /// would otherwise be found out by a machine that does not boot.
    pub(super) fn add_patterns(&mut self, patterns: &[String]) -> Result<(), InitrdError> {
        for pattern in patterns {
            let compiled = Patterns::new(std::slice::from_ref(pattern))?;
            let matched: Vec<&str> = self
                .tree
                .entries()
                .filter(|(path, entry)| entry.node != Node::Directory && compiled.matches(path))
                .map(|(path, _)| path)
                .collect();
            if matched.is_empty() {
                return Err(InitrdError::NoMatch { pattern: pattern.clone() });
            }
            matched.into_iter().try_for_each(|path| self.add(path))?;
        }
        Ok(())
    }

    /// Takes units, and the links by which taken units pull each other in.
    pub(super) fn add_units(&mut self, initrd: &Initrd) -> Result<(), InitrdError> {
        for unit in &initrd.units {
            let path = format!("{UNIT_DIR}/{unit}");
            if self.tree.get(&path).is_none() {
                return Err(InitrdError::NoUnit { unit: unit.clone() });
            }
            self.add(&path)?;
        }
        let placed =
            initrd.placed.keys().filter_map(|path| path.as_str().strip_prefix(UNIT_DIR)?.strip_prefix('/'));
        let known: Vec<&str> = initrd.units.iter().map(String::as_str).chain(placed).collect();
        let links = self.tree.below(UNIT_DIR).filter(|(path, _)| is_link_between(path, &known));
        let links: Vec<&str> = links.map(|(path, _)| path).collect();
        links.into_iter().try_for_each(|path| self.add(path))
    }

    /// Takes one path, following links and libraries.
    pub(super) fn add(&mut self, path: &str) -> Result<(), InitrdError> {
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            if self.taken.contains_key(&path) {
                continue;
            }
            let entry = self.tree.get(&path).ok_or_else(|| InitrdError::NoFile { path: path.clone() })?;
            match &entry.node {
                Node::Directory => {}
                Node::Symlink(target) => pending.extend(self.link_target(&path, target)),
                Node::File(blob) if elf::is_elf(blob) => pending.extend(self.libraries_of(&path, blob)?),
                Node::File(_) => {}
            }
            self.taken.insert(path, entry.clone());
        }
        Ok(())
    }

    /// Where a link leads inside the tree; nothing for `/dev/null`, `/run/…` and whatever else a running system makes.
    fn link_target(&self, path: &str, target: &str) -> Option<String> {
        resolve(self.tree, &joined(path, target))
    }

    fn libraries_of(&self, path: &str, bytes: &[u8]) -> Result<Vec<String>, InitrdError> {
        let needs = elf::needs(bytes).map_err(|source| InitrdError::Elf { path: path.to_owned(), source })?;
        let mut found = Vec::new();
        for library in &needs.libraries {
            found.push(
                self.library(path, library, &needs.search).ok_or_else(|| InitrdError::NoLibrary {
                    library: library.clone(),
                    path: path.to_owned(),
                })?,
            );
        }
        found.extend(needs.on_demand.iter().filter_map(|library| self.library(path, library, &needs.search)));
        if let Some(loader) = &needs.interpreter {
            let loader_path = resolve(self.tree, loader)
                .ok_or_else(|| InitrdError::NoLibrary { library: loader.clone(), path: path.to_owned() })?;
            found.push(loader_path);
        }
        Ok(found)
    }

    /// Where a library lies. The directory of whoever needs it counts too: a private library's own dependencies lie
    /// beside it, loaded already by the program that knows their directory.
    fn library(&self, needed_by: &str, name: &str, search: &[String]) -> Option<String> {
        let beside = needed_by.rsplit_once('/').map(|(dir, _)| dir);
        let dirs = search.iter().chain(&self.library_dirs).map(String::as_str).chain(beside);
        dirs.map(|dir| format!("{dir}/{name}")).find(|path| self.tree.get(path).is_some())
    }
}

/// Whether the path is `X.wants/Y` (or `.requires`, `.upholds`) and both X and Y are known.
fn is_link_between(path: &str, known: &[&str]) -> bool {
    let Some((dir, unit)) = path.strip_prefix(UNIT_DIR).and_then(|path| path[1..].split_once('/')) else {
        return false;
    };
    let Some((target, "wants" | "requires" | "upholds")) = dir.rsplit_once('.') else { return false };
    known.contains(&target) && known.contains(&unit)
}

/// A link's target as an absolute path, not yet normal.
fn joined(link: &str, target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let dir = link.rsplit_once('/').map_or("", |(dir, _)| dir);
    format!("{dir}/{target}")
}

/// The entry that a path means, with `..` and links to directories followed; its last component is not followed.
pub(crate) fn resolve(tree: &Tree, path: &str) -> Option<String> {
    let mut pending: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut at = String::new();
    let mut n_links = 0;
    while let Some(name) = pending.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => at.truncate(at.rfind('/').unwrap_or(0)),
            name => at = format!("{at}/{name}"),
        }
        let is_last = pending.iter().all(|rest| rest.is_empty());
        if let (Some(Entry { node: Node::Symlink(target), .. }), false) = (tree.get(&at), is_last) {
            n_links += 1;
            if n_links > MAX_LINKS {
                return None;
            }
            let followed = joined(&at, target);
            pending.extend(followed.split('/').rev().map(str::to_owned));
            at.clear();
        }
    }
    tree.get(&at).is_some().then_some(at)
}

/// The regular file that a path means, with every link followed.
pub(crate) fn final_file<'a>(tree: &'a Tree, path: &str) -> Option<&'a Blob> {
    let mut path = resolve(tree, path)?;
    for _ in 0..MAX_LINKS {
        match &tree.get(&path)?.node {
            Node::File(blob) => return Some(blob),
            Node::Symlink(target) => path = resolve(tree, &joined(&path, target))?,
            Node::Directory => return None,
        }
    }
    None
}
