//! A tree as one sorted tar stream: the only form in which it leaves memory.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use sm_model::Timestamp;
use tar::{EntryType, Header};

use super::{Entry, Node, Tree};

/// Writes everything below `top` as a tar archive with paths relative to it; `top` itself is the archive's root.
///
/// Owner, mode and the one time are in the archive whatever the builder is allowed to do on its own disk. Hard links stay
/// hard links.
pub(crate) fn write_tar(tree: &Tree, top: &str, time: Timestamp, to: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    let mtime = u64::try_from(time.unix_secs()).unwrap_or_default();
    let mut first_names: HashMap<(usize, u32, u32, u32), &str> = HashMap::new();
    if let Some(entry) = tree.get(top) {
        append(&mut archive, ".", entry, mtime, None)?;
    }
    for (path, entry) in tree.below(top) {
        let name = &path[top.len() + 1..];
        let first = match &entry.node {
            Node::File(blob) if !blob.is_empty() => *first_names
                .entry((blob.identity(), entry.mode.mode, entry.mode.uid, entry.mode.gid))
                .or_insert(name),
            _ => name,
        };
        append(&mut archive, name, entry, mtime, (first != name).then_some(first))?;
    }
    archive.into_inner()?.flush()
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    entry: &Entry,
    mtime: u64,
    hard_link_to: Option<&str>,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode.mode);
    header.set_uid(entry.mode.uid.into());
    header.set_gid(entry.mode.gid.into());
    header.set_mtime(mtime);
    header.set_size(0);
    match (&entry.node, hard_link_to) {
        (Node::File(_), Some(first)) => append_link(archive, header, EntryType::Link, name, first),
        (Node::File(blob), None) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(blob.len() as u64);
            archive.append_data(&mut header, name, &**blob)
        }
        (Node::Directory, _) => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, name, io::empty())
        }
        (Node::Symlink(target), _) => append_link(archive, header, EntryType::Symlink, name, target),
    }
}

/// Adds a link with its target exactly as written: the library would make it normal.
fn append_link(
    archive: &mut tar::Builder<impl Write>,
    mut header: Header,
    kind: EntryType,
    name: &str,
    target: &str,
) -> io::Result<()> {
    if header.set_link_name_literal(target).is_err() {
        append_long_target(archive, target)?;
    }
    header.set_entry_type(kind);
    archive.append_data(&mut header, name, io::empty())
}

/// The GNU way to give the next entry a target too long for its header: an entry of its own.
fn append_long_target(archive: &mut tar::Builder<impl Write>, target: &str) -> io::Result<()> {
    let content = [target.as_bytes(), b"\0"].concat();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongLink);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    archive.append_data(&mut header, "././@LongLink", &*content)
}
