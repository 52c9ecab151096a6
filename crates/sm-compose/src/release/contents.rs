//! The contents list: every file of the image, one a line, in the form of Flatcar's `image_contents.txt`.
//!
//! `MODE LINKS USER GROUP SIZE DATE TIME ./PATH [-> TARGET]`, as `find -printf` writes it. [`parse`] reads it back.

use std::{collections::BTreeMap, fmt::Write as _};

use sm_model::Timestamp;

use crate::tree::{Blob, Entry, Node, Tree};

/// Names of users and groups by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountNames {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl AccountNames {
    /// From the texts of passwd and group. Lines that are not of their form name nobody.
    pub fn new(passwd: &str, group: &str) -> Self {
        AccountNames { users: names(passwd), groups: names(group) }
    }
}

/// Third field to first field; the first line of a number wins.
fn names(text: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (name, id) = (fields.next(), fields.nth(1).and_then(|id| id.parse().ok()));
        if let (Some(name), Some(id)) = (name, id) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// The list of every entry of a tree, sorted by path.
pub fn contents(tree: &Tree, names: &AccountNames, time: Timestamp) -> String {
    let links = link_counts(tree);
    let date = time.to_string().replace('T', " ");
    let minute = date.get(..16).unwrap_or_default();
    let mut list = String::new();
    for (path, entry) in tree.entries() {
        let owner = |names: &BTreeMap<u32, String>, id: u32| {
            names.get(&id).cloned().unwrap_or_else(|| id.to_string())
        };
        let n_links = match &entry.node {
            Node::File(blob) => links.get(&identity(blob)).copied().unwrap_or(1),
            Node::Directory | Node::Symlink(_) => 1,
        };
        let target = match &entry.node {
            Node::Symlink(target) => format!(" -> {target}"),
            Node::Directory | Node::File(_) => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            list,
            "{} {n_links:2} {:<7} {:<7} {:>7} {minute} .{path}{target}",
            mode_text(entry),
            owner(&names.users, entry.mode.uid),
            owner(&names.groups, entry.mode.gid),
            entry.size_bytes(),
        );
    }
    list
}

fn identity(blob: &Blob) -> (usize, usize) {
    (blob.as_ptr() as usize, blob.len())
}

/// How many paths share each file. Empty files are never links of one another.
fn link_counts(tree: &Tree) -> BTreeMap<(usize, usize), usize> {
    let mut counts = BTreeMap::new();
    for (_, entry) in tree.entries() {
        if let Node::File(blob) = &entry.node
            && !blob.is_empty()
        {
            *counts.entry(identity(blob)).or_insert(0) += 1;
        }
    }
    counts
}

/// `-rwsr-xr-x`, as ls writes it.
fn mode_text(entry: &Entry) -> String {
    let kind = match entry.node {
        Node::Directory => 'd',
        Node::File(_) => '-',
        Node::Symlink(_) => 'l',
    };
    let bits = entry.mode.mode;
    let triple = |shift: u32, special: u32, letter: char| {
        let bit = |mask: u32, yes: char| if bits >> shift & mask != 0 { yes } else { '-' };
        let last = match (bits & special != 0, bits >> shift & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, _) => bit(1, 'x'),
        };
        [bit(4, 'r'), bit(2, 'w'), last]
    };
    let triples = [triple(6, 0o4000, 's'), triple(3, 0o2000, 's'), triple(0, 0o1000, 't')];
    std::iter::once(kind).chain(triples.into_iter().flatten()).collect()
}

/// One line of a contents list, as far as comparing needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What the entry is and who may do what: `-rwxr-xr-x`.
    pub mode: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// Longest line read: a path and a link's target of 4095 bytes each, and the columns.
const MAX_LINE_BYTES: usize = 8400;

/// A line that is not of a contents list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is not `MODE LINKS USER GROUP SIZE DATE TIME ./PATH`")]
pub struct InvalidContents(usize);

/// Reads a contents list: entries by path, without the leading dot.
///
/// # Errors
/// When a line is not of the form, or longer than any real one.
pub fn parse(text: &str) -> Result<BTreeMap<String, Listed>, InvalidContents> {
    let numbered = text.lines().enumerate();
    numbered.map(|(index, line)| parse_line(line).ok_or(InvalidContents(index + 1))).collect()
}

fn parse_line(line: &str) -> Option<(String, Listed)> {
    if line.len() > MAX_LINE_BYTES {
        return None;
    }
    let (columns, rest) = line.split_once(" ./")?;
    let mut columns = columns.split_ascii_whitespace();
    let mode = columns.next().filter(|mode| mode.len() == 10)?.to_owned();
    let size_bytes = columns.nth(3)?.parse().ok()?;
    let path = if mode.starts_with('l') { rest.split(" -> ").next()? } else { rest };
    Some((format!("/{path}"), Listed { mode, size_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{recipe::Mode, tree::Origin};

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let mut sudo = Entry::file("0123456789", Origin::Recipe);
        sudo.mode = Mode { mode: 0o4755, uid: 0, gid: 27 };
        tree.put("/usr/bin/sudo", sudo.clone()).unwrap();
        tree.put("/usr/bin/sudoedit", sudo).unwrap();
        tree.put("/usr/bin/sh", Entry::symlink("bash", Origin::Composed)).unwrap();
        tree
    }

    #[test]
    fn lines_are_those_of_find() {
        let names =
            AccountNames::new("root:x:0:0:root:/root:/bin/bash\nbad\n", "root:x:0:\nsudo:x:27:core\n");
        let time = "2026-11-23T05:26:00Z".parse().unwrap();
        assert_eq!(
            contents(&tree(), &names, time),
            "drwxr-xr-x  1 root    root          0 2026-11-23 05:26 ./usr\n\
             drwxr-xr-x  1 root    root          0 2026-11-23 05:26 ./usr/bin\n\
             lrwxrwxrwx  1 root    root          4 2026-11-23 05:26 ./usr/bin/sh -> bash\n\
             -rwsr-xr-x  2 root    sudo         10 2026-11-23 05:26 ./usr/bin/sudo\n\
             -rwsr-xr-x  2 root    sudo         10 2026-11-23 05:26 ./usr/bin/sudoedit\n"
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let time = "2026-11-23T05:26:00Z".parse().unwrap();
        let read = parse(&contents(&tree(), &AccountNames::default(), time)).unwrap();
        assert_eq!(read.len(), tree().len());
        assert_eq!(read["/usr/bin/sudo"], Listed { mode: "-rwsr-xr-x".into(), size_bytes: 10 });
        assert!(read.contains_key("/usr/bin/sh"));
    }

    #[test]
    fn foreign_lines_are_refused_by_number() {
        let good = "-rw-r--r--  1 root root 1 2026-11-23 05:26 ./a\n";
        for bad in ["x", "-rw-r--r-- 1 root root x 2026-11-23 05:26 ./a", &"a".repeat(9000)] {
            assert_eq!(parse(&format!("{good}{bad}\n")), Err(InvalidContents(2)), "{bad:.20}");
        }
    }
}
