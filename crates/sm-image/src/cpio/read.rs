//! Reading an archive within limits.

use std::io::{self, Read};

use super::{
    Content, Entry, Error, HEADER_LEN, MAGIC, TRAILER, TYPE_CHARACTER_DEVICE, TYPE_DIRECTORY, TYPE_FILE,
    TYPE_MASK, TYPE_SYMLINK, check_path, padding,
};

/// What an archive may ask of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Against archives that never end: most members.
    pub max_entries: u64,
    /// Against members that exhaust memory: largest content of one.
    pub max_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_entries: 100_000, max_file_bytes: 256 << 20 }
    }
}

/// Reads an archive member by member; ends at its trailer or with the first error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    limits: Limits,
    position: u64,
    n_entries: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from `input` within `limits`.
    pub fn new(input: R, limits: Limits) -> Self {
        Reader { input, limits, position: 0, n_entries: 0, ended: false }
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let fields = self.header()?;
        let [_, mode, _, _, _, _, size_bytes, _, _, major, minor, path_bytes, _] = fields;
        let path = self.path(path_bytes)?;
        if path == TRAILER {
            return Ok(None);
        }
        check_path(&path)?;
        if self.n_entries == self.limits.max_entries {
            return Err(Error::TooManyEntries(self.limits.max_entries));
        }
        let bytes = self.content(&path, u64::from(size_bytes))?;
        let content = match mode & TYPE_MASK {
            TYPE_DIRECTORY => Content::Directory,
            TYPE_FILE => Content::File(bytes),
            TYPE_SYMLINK => Content::Symlink(self.text(bytes, "link target is not UTF-8")?),
            TYPE_CHARACTER_DEVICE => Content::CharacterDevice { major, minor },
            _ => return Err(self.broken("member of unknown type")),
        };
        self.n_entries += 1;
        Ok(Some(Entry { path, permissions: (mode & 0o7777) as u16, content }))
    }

    fn header(&mut self) -> Result<[u32; 13], Error> {
        let mut header = [0; HEADER_LEN];
        self.fill(&mut header)?;
        let Some(digits) = header.strip_prefix(MAGIC) else {
            return Err(self.broken("no newc header"));
        };
        let mut fields = [0; 13];
        for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(8)) {
            *field = hexadecimal(digits).ok_or_else(|| self.broken("header field is not hexadecimal"))?;
        }
        Ok(fields)
    }

    fn path(&mut self, path_bytes: u32) -> Result<String, Error> {
        if !(2..=Error::MAX_PATH_BYTES as u32 + 1).contains(&path_bytes) {
            return Err(self.broken("path is empty or too long"));
        }
        let mut path = vec![0; path_bytes as usize];
        self.fill(&mut path)?;
        if path.pop() != Some(0) {
            return Err(self.broken("path does not end with NUL"));
        }
        self.skip_padding()?;
        self.text(path, "path is not UTF-8")
    }

    fn content(&mut self, path: &str, size_bytes: u64) -> Result<Vec<u8>, Error> {
        let max = self.limits.max_file_bytes;
        if size_bytes > max {
            return Err(Error::TooLarge { path: path.to_owned(), size_bytes, max });
        }
        // Grows with what is really there: a header alone cannot make us allocate.
        let mut bytes = Vec::new();
        self.input.by_ref().take(size_bytes).read_to_end(&mut bytes).map_err(reading)?;
        self.position += bytes.len() as u64;
        if (bytes.len() as u64) < size_bytes {
            return Err(self.broken("it ends inside a member"));
        }
        self.skip_padding()?;
        Ok(bytes)
    }

    fn skip_padding(&mut self) -> Result<(), Error> {
        let n = padding(self.position);
        self.fill(&mut [0; 3][..n])
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(bytes).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.broken("it ends without a trailer"),
            _ => reading(source),
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn text(&self, bytes: Vec<u8>, problem: &'static str) -> Result<String, Error> {
        String::from_utf8(bytes).map_err(|_| self.broken(problem))
    }

    fn broken(&self, problem: &'static str) -> Error {
        Error::Broken { n_entries: self.n_entries, problem }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.next_entry().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

fn reading(source: io::Error) -> Error {
    Error::Io { action: "read", source }
}
