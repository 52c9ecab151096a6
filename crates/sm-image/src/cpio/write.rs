//! Writing an archive, member by member.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Content, Entry, Error, MAGIC, TRAILER, TYPE_CHARACTER_DEVICE, TYPE_DIRECTORY, TYPE_FILE, TYPE_SYMLINK,
    check_path, padding,
};

/// Writes an archive. Ends with [`Writer::finish`]; without it the archive has no trailer.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    written_bytes: u64,
    /// Every path so far, and whether it is a directory.
    paths: BTreeMap<String, bool>,
}

#[derive(Default)]
struct Header {
    inode: u32,
    mode: u32,
    n_links: u32,
    size_bytes: u32,
    device: (u32, u32),
}

impl<W: Write> Writer<W> {
    /// An empty archive on `out`.
    pub fn new(out: W) -> Self {
        Writer { out, written_bytes: 0, paths: BTreeMap::new() }
    }

    /// Adds a member.
    ///
    /// # Errors
    /// When its path is unusable, taken, or its directory missing, when it is too large, or `out` fails.
    pub fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let permissions = entry.permissions;
        match &entry.content {
            Content::Directory => self.directory(&entry.path, permissions),
            Content::File(bytes) => self.file(&entry.path, permissions, bytes),
            Content::Symlink(target) => self.symlink(&entry.path, target),
            Content::CharacterDevice { major, minor } => {
                self.character_device(&entry.path, permissions, *major, *minor)
            }
        }
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// See [`Writer::add`].
    pub fn directory(&mut self, path: &str, permissions: u16) -> Result<(), Error> {
        let mode = TYPE_DIRECTORY | u32::from(permissions);
        self.member(path, Header { mode, n_links: 2, ..Header::default() }, &[])
    }

    /// Adds a regular file.
    ///
    /// # Errors
    /// See [`Writer::add`].
    pub fn file(&mut self, path: &str, permissions: u16, content: &[u8]) -> Result<(), Error> {
        let mode = TYPE_FILE | u32::from(permissions);
        self.member(path, Header { mode, n_links: 1, ..Header::default() }, content)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// See [`Writer::add`].
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<(), Error> {
        let mode = TYPE_SYMLINK | 0o777;
        self.member(path, Header { mode, n_links: 1, ..Header::default() }, target.as_bytes())
    }

    /// Adds a character device.
    ///
    /// # Errors
    /// See [`Writer::add`].
    pub fn character_device(
        &mut self,
        path: &str,
        permissions: u16,
        major: u32,
        minor: u32,
    ) -> Result<(), Error> {
        let mode = TYPE_CHARACTER_DEVICE | u32::from(permissions);
        self.member(path, Header { mode, n_links: 1, device: (major, minor), ..Header::default() }, &[])
    }

    /// Writes the trailer and returns the stream.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn finish(mut self) -> Result<W, Error> {
        let header = Header { n_links: 1, ..Header::default() };
        self.write_member(TRAILER, &header, &[]).map_err(writing)?;
        self.out.flush().map_err(writing)?;
        Ok(self.out)
    }

    fn member(&mut self, path: &str, mut header: Header, content: &[u8]) -> Result<(), Error> {
        check_path(path)?;
        if let Some((parent, _)) = path.rsplit_once('/')
            && self.paths.get(parent) != Some(&true)
        {
            return Err(Error::NoParent(path.to_owned()));
        }
        header.size_bytes = u32::try_from(content.len()).map_err(|_| Error::TooLarge {
            path: path.to_owned(),
            size_bytes: content.len() as u64,
            max: u64::from(u32::MAX),
        })?;
        if self.paths.insert(path.to_owned(), header.mode & TYPE_DIRECTORY != 0).is_some() {
            return Err(Error::Twice(path.to_owned()));
        }
        header.inode = self.paths.len() as u32;
        self.write_member(path, &header, content).map_err(writing)
    }

    fn write_member(&mut self, path: &str, header: &Header, content: &[u8]) -> io::Result<()> {
        let Header { inode, mode, n_links, size_bytes, device: (major, minor) } = *header;
        let path_bytes = path.len() as u32 + 1;
        let fields = [inode, mode, 0, 0, n_links, 0, size_bytes, 0, 0, major, minor, path_bytes, 0];
        let digits: String = fields.iter().map(|field| format!("{field:08X}")).collect();
        for part in [MAGIC, digits.as_bytes(), path.as_bytes(), b"\0"] {
            self.write(part)?;
        }
        self.pad()?;
        self.write(content)?;
        self.pad()
    }

    fn pad(&mut self) -> io::Result<()> {
        let n = padding(self.written_bytes);
        self.write(&[0; 3][..n])
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written_bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn writing(source: io::Error) -> Error {
    Error::Io { action: "write", source }
}
