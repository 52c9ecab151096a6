//! Directories and their entries, before and after files have found their place.

use super::{
    Error,
    names::{self, ShortName},
};
use crate::bytes::put;

const ENTRY_LEN: usize = 32;
const ATTRIBUTE_LABEL: u8 = 0x08;
const ATTRIBUTE_DIRECTORY: u8 = 0x10;
const ATTRIBUTE_FILE: u8 = 0x20;
/// 1980-01-01: year 0, month 1, day 1.
const FIRST_DAY: u16 = 1 << 5 | 1;
const DOT: ShortName = *b".          ";
const DOT_DOT: ShortName = *b"..         ";

/// Every directory; the first is the root.
pub(super) struct Tree {
    directories: Vec<Directory>,
}

/// A directory.
pub(super) struct Directory {
    pub(super) first_cluster: u32,
    parent: usize,
    children: Vec<Child>,
}

struct Child {
    name: String,
    alias: ShortName,
    node: Node,
}

#[derive(Clone, Copy)]
enum Node {
    Directory { index: usize },
    File { index: usize, first_cluster: u32, size_bytes: u32 },
}

impl Directory {
    fn new(parent: usize) -> Self {
        Directory { first_cluster: 0, parent, children: Vec::new() }
    }

    /// What its entries take: each child's, and the label in the root or `.` and `..` elsewhere.
    pub(super) fn size_bytes(&self) -> u64 {
        let own = 2;
        let of_children =
            self.children.iter().map(|child| 1 + names::n_long_entries(&child.name, &child.alias));
        ((own + of_children.sum::<usize>()) * ENTRY_LEN) as u64
    }

    fn find(&self, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.name.eq_ignore_ascii_case(name))
    }

    fn add(&mut self, name: &str, node: Node) {
        let alias = names::alias(name, |alias| self.children.iter().any(|child| &child.alias == alias));
        self.children.push(Child { name: name.to_owned(), alias, node });
    }
}

impl Tree {
    /// The tree that these files need, with entries in the order of the files.
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Result<Self, Error> {
        let mut tree = Tree { directories: vec![Directory::new(0)] };
        for (index, path) in paths.enumerate() {
            check_path(path)?;
            tree.add_file(index, path)?;
        }
        Ok(tree)
    }

    fn add_file(&mut self, index: usize, path: &str) -> Result<(), Error> {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut current = 0;
        for part in parents.split('/').filter(|part| !part.is_empty()) {
            current = self.directory(current, part).ok_or_else(|| Error::Twice(path.to_owned()))?;
        }
        if self.directories[current].find(name).is_some() {
            return Err(Error::Twice(path.to_owned()));
        }
        self.directories[current].add(name, Node::File { index, first_cluster: 0, size_bytes: 0 });
        Ok(())
    }

    /// The directory `name` in the directory `parent`, made if missing; `None` if that is a file.
    fn directory(&mut self, parent: usize, name: &str) -> Option<usize> {
        match self.directories[parent].find(name).map(|child| child.node) {
            Some(Node::Directory { index }) => Some(index),
            Some(Node::File { .. }) => None,
            None => {
                let index = self.directories.len();
                self.directories.push(Directory::new(parent));
                self.directories[parent].add(name, Node::Directory { index });
                Some(index)
            }
        }
    }

    pub(super) fn directories_mut(&mut self) -> impl Iterator<Item = &mut Directory> {
        self.directories.iter_mut()
    }

    /// Notes where the file given as the `wanted`th lies.
    pub(super) fn place_file(&mut self, wanted: usize, cluster: u32, size: u32) {
        for child in self.directories.iter_mut().flat_map(|directory| &mut directory.children) {
            if let Node::File { index, first_cluster, size_bytes } = &mut child.node
                && *index == wanted
            {
                (*first_cluster, *size_bytes) = (cluster, size);
            }
        }
    }

    /// First cluster and bytes of every directory.
    pub(super) fn encode(&self, label: ShortName) -> Vec<(u32, Vec<u8>)> {
        let encode = |(index, directory): (usize, &Directory)| {
            let mut bytes = match index {
                0 => entry(label, ATTRIBUTE_LABEL, 0, 0).to_vec(),
                _ => {
                    // The root is cluster 0 here, whatever its number (section 6.5).
                    let parent = match directory.parent {
                        0 => 0,
                        parent => self.directories[parent].first_cluster,
                    };
                    let own = entry(DOT, ATTRIBUTE_DIRECTORY, directory.first_cluster, 0);
                    [own, entry(DOT_DOT, ATTRIBUTE_DIRECTORY, parent, 0)].concat()
                }
            };
            for child in &directory.children {
                bytes.extend(names::long_entries(&child.name, &child.alias));
                bytes.extend(match child.node {
                    Node::Directory { index } => {
                        entry(child.alias, ATTRIBUTE_DIRECTORY, self.directories[index].first_cluster, 0)
                    }
                    Node::File { first_cluster, size_bytes, .. } => {
                        entry(child.alias, ATTRIBUTE_FILE, first_cluster, size_bytes)
                    }
                });
            }
            (directory.first_cluster, bytes)
        };
        self.directories.iter().enumerate().map(encode).collect()
    }
}

/// A directory entry (section 6).
fn entry(name: ShortName, attribute: u8, first_cluster: u32, size_bytes: u32) -> [u8; ENTRY_LEN] {
    let cluster = first_cluster.to_le_bytes();
    let mut entry = [0; ENTRY_LEN];
    put(&mut entry, 0, name);
    entry[11] = attribute;
    for date in [16, 18, 24] {
        put(&mut entry, date, FIRST_DAY.to_le_bytes());
    }
    put(&mut entry, 20, [cluster[2], cluster[3]]);
    put(&mut entry, 26, [cluster[0], cluster[1]]);
    put(&mut entry, 28, size_bytes.to_le_bytes());
    entry
}

fn check_path(path: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    let good =
        |part: &str| (1..=255).contains(&part.len()) && part.bytes().all(allowed) && !part.ends_with('.');
    if path.split('/').all(good) { Ok(()) } else { Err(Error::Path(path.chars().take(200).collect())) }
}
