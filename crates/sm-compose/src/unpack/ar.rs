//! The outer shell of a `.deb`: an `ar` archive (deb(5)) of which one member matters here.

use std::io::{self, Read, Take};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_LEN: usize = 60;
/// Most members looked at before giving up: a `.deb` has three, dpkg tolerates a few more.
const MAX_MEMBERS: usize = 16;

/// How the file tree inside a `.deb` is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// zstd.
    Zstd,
}

/// A `.deb` that is not one.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// It could not be read, or ends early.
    #[error("cannot read the archive's members")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("it is no Debian package: expected an `ar` archive whose first member is `debian-binary` 2.x")]
    NotADeb,
    /// It has no file tree.
    #[error("it has no member `data.tar`, plain or with `.gz`, `.xz` or `.zst`")]
    NoData,
    /// A member's header is damaged.
    #[error("the header of an archive member is damaged")]
    BadHeader,
}

/// Moves to the file tree inside a `.deb`; returns its compression and a reader that ends where it ends.
pub(crate) fn data_member<R: Read>(mut deb: R) -> Result<(Compression, Take<R>), ArError> {
    let mut magic = [0; MAGIC.len()];
    deb.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(ArError::NotADeb);
    }
    for index in 0..MAX_MEMBERS {
        let mut header = [0; HEADER_LEN];
        deb.read_exact(&mut header)?;
        let (name, size) = parse_header(&header)?;
        if index == 0 {
            check_format(&name, size, &mut deb)?;
        } else if let Some(compression) = data_compression(&name) {
            return Ok((compression, deb.take(size)));
        } else {
            skip(&mut deb, size + size % 2)?;
        }
    }
    Err(ArError::NoData)
}

fn parse_header(header: &[u8; HEADER_LEN]) -> Result<(String, u64), ArError> {
    if &header[58..] != b"`\n" {
        return Err(ArError::BadHeader);
    }
    let text = |range| std::str::from_utf8(&header[range]).map(str::trim_end).map_err(|_| ArError::BadHeader);
    let name = text(0..16)?.trim_end_matches('/').to_owned();
    let size = text(48..58)?.parse().map_err(|_| ArError::BadHeader)?;
    Ok((name, size))
}

fn check_format(name: &str, size: u64, deb: &mut impl Read) -> Result<(), ArError> {
    let mut version = [0; 4];
    if name != "debian-binary" || size != version.len() as u64 {
        return Err(ArError::NotADeb);
    }
    deb.read_exact(&mut version)?;
    if version.starts_with(b"2.") { Ok(()) } else { Err(ArError::NotADeb) }
}

fn data_compression(name: &str) -> Option<Compression> {
    match name.strip_prefix("data.tar")? {
        "" => Some(Compression::None),
        ".gz" => Some(Compression::Gzip),
        ".xz" => Some(Compression::Xz),
        ".zst" => Some(Compression::Zstd),
        _ => None,
    }
}

fn skip(from: &mut impl Read, n_bytes: u64) -> Result<(), ArError> {
    let skipped = io::copy(&mut from.by_ref().take(n_bytes), &mut io::sink())?;
    if skipped == n_bytes { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
}
