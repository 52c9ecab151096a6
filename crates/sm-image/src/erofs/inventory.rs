//! What an EROFS image holds: every entry with its mode, owner, size and extended attributes, read from the image's own inodes.
//!
//! Only what names and describes files is read; the bytes of compressed files are not
//! (Linux, `fs/erofs/erofs_fs.h`; `Documentation/filesystems/erofs.rst`).

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Seek, SeekFrom},
};

use super::{Error, SUPERBLOCK_LEN, SUPERBLOCK_OFFSET, Superblock};
use crate::bytes::{array, u16_le, u32_le, u64_le};

/// Size of the unit that inode numbers count (`EROFS_ISLOTBITS`).
const SLOT_BYTES: u64 = 32;
const EXTENDED_BYTES: usize = 64;
const DIRENT_BYTES: usize = 12;
/// Fixed part of the extended attributes beside an inode (`struct erofs_xattr_ibody_header`).
const XATTR_HEADER_BYTES: usize = 12;
const XATTR_ENTRY_BYTES: usize = 4;
/// Set in a name's index when its prefix lies in the image instead of in the table below.
const LONG_PREFIX: u8 = 0x80;
/// Beginnings of attribute names, by index (`EROFS_XATTR_INDEX_*`).
const PREFIXES: [&str; 7] =
    ["", "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", "lustre.", "security."];

/// Bounds that stop an image made to exhaust whoever looks into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Against endless trees: entries at most.
    pub max_entries: usize,
    /// Against names that grow by nesting: bytes of a path at most.
    pub max_path_bytes: usize,
    /// Against directories and links of absurd sizes: bytes of either at most.
    pub max_directory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_entries: 1 << 20, max_path_bytes: 4095, max_directory_bytes: 16 << 20 }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with its target.
    Symlink(String),
    /// A device, socket or pipe; its type bits are those of stat(2).
    Special(u16),
}

/// One entry of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// What it is.
    pub kind: Kind,
    /// Permission, SUID, SGID and sticky bits.
    pub mode: u16,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// Every entry of the image below its root, by path with a leading `/`. Bytes of names that are not UTF-8 become U+FFFD.
///
/// # Errors
/// When it is no EROFS image, contradicts itself, exceeds a limit, or cannot be read.
pub fn inventory<R: Read + Seek>(image: &mut R, limits: &Limits) -> Result<BTreeMap<String, Inode>, Error> {
    let mut reader = Reader::open(image, limits)?;
    let mut entries = BTreeMap::new();
    let mut seen = BTreeSet::from([reader.root]);
    let mut open = vec![(String::new(), reader.root)];
    while let Some((directory, number)) = open.pop() {
        for (name, child) in reader.directory(&directory, number)? {
            let path = format!("{directory}/{name}");
            if path.len() > limits.max_path_bytes || entries.len() >= limits.max_entries {
                return Err(Error::TooLarge { path });
            }
            let (inode, _) = reader.inode(&path, child)?;
            if inode.kind == Kind::Directory {
                // A directory has one parent: a second one would make a ring.
                if !seen.insert(child) {
                    return Err(malformed(&path, "the directory has two places"));
                }
                open.push((path.clone(), child));
            }
            if entries.insert(path.clone(), inode).is_some() {
                return Err(malformed(&path, "its directory names it twice"));
            }
        }
    }
    Ok(entries)
}

fn malformed(path: &str, what: &'static str) -> Error {
    Error::Malformed { path: if path.is_empty() { "/".to_owned() } else { path.to_owned() }, what }
}

/// Where an inode's own bytes lie.
#[derive(Debug, Clone, Copy)]
struct Data {
    layout: Layout,
    /// First block of what lies in whole blocks.
    block: u32,
    /// Where a tail beside the inode begins.
    inline_at: u64,
    size_bytes: u64,
}

/// How bytes are stored (`EROFS_INODE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// In whole blocks.
    Plain,
    /// In whole blocks, the tail beside the inode.
    Inline,
    /// Compressed or in chunks: not read here.
    Other,
}

struct Reader<'a, R> {
    image: &'a mut R,
    limits: &'a Limits,
    block_bytes: u64,
    meta_at: u64,
    xattrs_at: u64,
    root: u64,
}

impl<'a, R: Read + Seek> Reader<'a, R> {
    fn open(image: &'a mut R, limits: &'a Limits) -> Result<Self, Error> {
        let block_bytes = u64::from(Superblock::read(image)?.block_bytes);
        let mut fixed = [0; SUPERBLOCK_LEN];
        image.seek(SeekFrom::Start(SUPERBLOCK_OFFSET)).map_err(Error::Io)?;
        image.read_exact(&mut fixed).map_err(Error::Io)?;
        if fixed[90] != 0 {
            return Err(malformed("", "directory blocks differ in size from data blocks"));
        }
        Ok(Reader {
            image,
            limits,
            block_bytes,
            meta_at: u64::from(u32_le(&fixed, 40)) * block_bytes,
            xattrs_at: u64::from(u32_le(&fixed, 44)) * block_bytes,
            root: u64::from(u16_le(&fixed, 14)),
        })
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.image.seek(SeekFrom::Start(at)).map_err(Error::Io)?;
        self.image.read_exact(buffer).map_err(Error::Io)
    }

    fn inode(&mut self, path: &str, number: u64) -> Result<(Inode, Data), Error> {
        let outside = || malformed(path, "its inode lies outside the image");
        let offset = number.checked_mul(SLOT_BYTES).ok_or_else(outside)?;
        let at = self.meta_at.checked_add(offset).filter(|&at| at < u64::MAX / 2).ok_or_else(outside)?;
        let mut raw = [0; EXTENDED_BYTES];
        self.read_at(at, &mut raw[..32])?;
        let is_extended = raw[0] & 1 != 0;
        if is_extended {
            self.read_at(at, &mut raw)?;
        }
        let (uid, gid, size_bytes) = if is_extended {
            (u32_le(&raw, 24), u32_le(&raw, 28), u64_le(&raw, 8))
        } else {
            (u32::from(u16_le(&raw, 24)), u32::from(u16_le(&raw, 26)), u64::from(u32_le(&raw, 8)))
        };
        let xattrs_at = at + if is_extended { EXTENDED_BYTES as u64 } else { SLOT_BYTES };
        let xattr_bytes = xattr_bytes(u16_le(&raw, 2));
        let data = Data {
            layout: layout(u16_le(&raw, 0)),
            block: u32_le(&raw, 16),
            inline_at: xattrs_at + xattr_bytes as u64,
            size_bytes,
        };
        let mode = u16_le(&raw, 4);
        let kind = match mode >> 12 {
            0o10 => Kind::File,
            0o04 => Kind::Directory,
            0o12 if size_bytes > self.limits.max_path_bytes as u64 => {
                return Err(Error::TooLarge { path: path.to_owned() });
            }
            0o12 => Kind::Symlink(String::from_utf8_lossy(&self.data(path, &data)?).into_owned()),
            other => Kind::Special(other << 12),
        };
        let xattrs = self.xattrs(path, xattrs_at, xattr_bytes)?;
        Ok((Inode { kind, mode: mode & 0o7777, uid, gid, size_bytes, xattrs }, data))
    }

    /// The bytes of a directory or link.
    fn data(&mut self, path: &str, data: &Data) -> Result<Vec<u8>, Error> {
        if data.size_bytes > self.limits.max_directory_bytes {
            return Err(Error::TooLarge { path: path.to_owned() });
        }
        let mut bytes = vec![0; data.size_bytes as usize];
        let in_blocks = match data.layout {
            Layout::Plain => bytes.len(),
            Layout::Inline => {
                (data.size_bytes.div_ceil(self.block_bytes).saturating_sub(1) * self.block_bytes) as usize
            }
            Layout::Other => return Err(malformed(path, "the names in it are compressed")),
        };
        let (blocks, tail) = bytes.split_at_mut(in_blocks);
        self.read_at(u64::from(data.block) * self.block_bytes, blocks)?;
        self.read_at(data.inline_at, tail)?;
        Ok(bytes)
    }

    /// Names and inode numbers of a directory, without `.` and `..`.
    fn directory(&mut self, path: &str, number: u64) -> Result<Vec<(String, u64)>, Error> {
        let (inode, data) = self.inode(path, number)?;
        if inode.kind != Kind::Directory {
            return Err(malformed(path, "it is no directory"));
        }
        let bytes = self.data(path, &data)?;
        let mut children = Vec::new();
        for block in bytes.chunks(self.block_bytes as usize) {
            children.extend(names_of(block).ok_or_else(|| malformed(path, "the names in it are damaged"))?);
        }
        children.retain(|(name, _)| name != "." && name != "..");
        Ok(children)
    }

    fn xattrs(&mut self, path: &str, at: u64, n_bytes: usize) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut xattrs = BTreeMap::new();
        if n_bytes == 0 {
            return Ok(xattrs);
        }
        let damaged = || malformed(path, "its extended attributes are damaged");
        let mut body = vec![0; n_bytes];
        self.read_at(at, &mut body)?;
        let n_shared = usize::from(body[4]);
        let own_at = XATTR_HEADER_BYTES + 4 * n_shared;
        for index in 0..n_shared {
            let slot = body.get(XATTR_HEADER_BYTES + 4 * index..).filter(|rest| rest.len() >= 4);
            let place = self.xattrs_at + 4 * u64::from(u32_le(slot.ok_or_else(damaged)?, 0));
            let mut header = [0; XATTR_ENTRY_BYTES];
            self.read_at(place, &mut header)?;
            let mut entry = vec![0; xattr_entry_bytes(&header)];
            self.read_at(place, &mut entry)?;
            xattrs.extend([xattr(&entry).ok_or_else(damaged)?]);
        }
        let mut own = body.get(own_at..).ok_or_else(damaged)?;
        while own.len() >= XATTR_ENTRY_BYTES && own[..4] != [0; 4] {
            let entry = own.get(..xattr_entry_bytes(own)).ok_or_else(damaged)?;
            xattrs.extend([xattr(entry).ok_or_else(damaged)?]);
            own = own.get(entry.len().next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(xattrs)
    }
}

fn layout(format: u16) -> Layout {
    match format >> 1 & 7 {
        0 => Layout::Plain,
        2 => Layout::Inline,
        _ => Layout::Other,
    }
}

/// Bytes of attributes beside an inode, by its count field (`erofs_xattr_ibody_size`).
fn xattr_bytes(count: u16) -> usize {
    if count == 0 { 0 } else { XATTR_HEADER_BYTES + 4 * (usize::from(count) - 1) }
}

/// Bytes of one attribute without padding; `header` holds at least its fixed part.
fn xattr_entry_bytes(header: &[u8]) -> usize {
    XATTR_ENTRY_BYTES + usize::from(header[0]) + usize::from(u16_le(header, 2))
}

fn xattr(entry: &[u8]) -> Option<(String, Vec<u8>)> {
    let (name_bytes, index) = (usize::from(entry[0]), entry[1]);
    let prefix = if index & LONG_PREFIX == 0 { PREFIXES.get(usize::from(index))? } else { "?." };
    let (name, value) = entry[XATTR_ENTRY_BYTES..].split_at_checked(name_bytes)?;
    Some((format!("{prefix}{}", String::from_utf8_lossy(name)), value.to_vec()))
}

/// Names and inode numbers of one block of a directory; [`None`] when they do not lie in it.
fn names_of(block: &[u8]) -> Option<Vec<(String, u64)>> {
    if block.len() < DIRENT_BYTES {
        return None;
    }
    let first_name = usize::from(u16_le(block, 8));
    if first_name < DIRENT_BYTES || first_name % DIRENT_BYTES != 0 || first_name > block.len() {
        return None;
    }
    let dirents: Vec<&[u8]> = block[..first_name].chunks_exact(DIRENT_BYTES).collect();
    let starts: Vec<usize> = dirents.iter().map(|dirent| usize::from(u16_le(dirent, 8))).collect();
    let ends = starts.iter().copied().skip(1).chain([block.len()]);
    let named = dirents.iter().zip(starts.iter().zip(ends)).map(|(dirent, (&start, end))| {
        let name = block.get(start..end)?.split(|&byte| byte == 0).next()?;
        let is_name = !name.is_empty() && !name.contains(&b'/');
        is_name.then(|| (String::from_utf8_lossy(name).into_owned(), u64::from_le_bytes(array(dirent, 0))))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
