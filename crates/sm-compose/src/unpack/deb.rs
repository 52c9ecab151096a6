//! One `.deb` to entries of a tree: decoded as a stream, within limits, with nothing executed and nothing written.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use sm_model::PackageName;

use super::{
    UnpackError,
    ar::{self, Compression},
};
use crate::{
    recipe::Mode,
    tree::{Blob, Entry, Node, Origin},
};

/// Bounds on what one package may make us hold. Debian's largest are far below.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Stops archives of endless empty entries.
    pub entries: usize,
    /// Stops decompression bombs: the whole decoded archive, skipped files included.
    pub decoded_bytes: u64,
    /// Stops xz and zstd headers that ask for a dictionary larger than memory.
    pub decoder_memory_bytes: u64,
}

impl Limits {
    /// What images and tools trees are unpacked with.
    pub const DEFAULT: Limits =
        Limits { entries: 200_000, decoded_bytes: 1 << 30, decoder_memory_bytes: 256 << 20 };
}

/// What one package brings.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Path and entry, in the archive's order. Files the caller did not want are absent.
    pub(crate) entries: Vec<(String, Entry)>,
    /// Paths that were left out.
    pub(crate) n_dropped: usize,
    /// `changelog.Debian.gz` or, of a native package, `changelog.gz`, as compressed.
    pub(crate) changelog: Option<Vec<u8>>,
}

/// Unpacks a `.deb` file. `wanted` decides by path which files, links and directories are kept.
pub(crate) fn unpack(
    deb: &Path,
    package: &PackageName,
    wanted: &dyn Fn(&str) -> bool,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let file = File::open(deb).map_err(|source| UnpackError::Open { path: deb.to_owned(), source })?;
    unpack_stream(BufReader::with_capacity(1 << 16, file), package, wanted, limits)
}

/// Unpacks a `.deb` from a stream of bytes: the entry for hostile input.
pub(crate) fn unpack_stream(
    deb: impl Read,
    package: &PackageName,
    wanted: &dyn Fn(&str) -> bool,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let (compression, data) =
        ar::data_member(deb).map_err(|source| UnpackError::Archive { package: package.clone(), source })?;
    let decoder = decoder(compression, data, limits.decoder_memory_bytes)
        .map_err(|source| UnpackError::Data { package: package.clone(), source })?;
    let bounded = Bounded { inner: decoder, left: limits.decoded_bytes };
    Collector { package, wanted, limits, files: HashMap::new(), unpacked: Unpacked::default() }
        .collect(bounded)
}

fn decoder<'a>(
    compression: Compression,
    data: impl Read + 'a,
    memory_bytes: u64,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(data),
        Compression::Gzip => Box::new(flate2::read::GzDecoder::new(data)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(memory_bytes, 0)?;
            Box::new(liblzma::read::XzDecoder::new_stream(data, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::new(data)?;
            decoder.window_log_max(memory_bytes.ilog2())?;
            Box::new(decoder)
        }
    })
}

/// A reader that fails, instead of ending, when more than the expected bytes come out.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n_read as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the archive decodes to more than is allowed")
        })?;
        Ok(n_read)
    }
}

struct Collector<'a> {
    package: &'a PackageName,
    wanted: &'a dyn Fn(&str) -> bool,
    limits: Limits,
    /// Content of every regular file kept, for hard links.
    files: HashMap<String, (Blob, Mode)>,
    unpacked: Unpacked,
}

impl Collector<'_> {
    fn collect(mut self, data: impl Read) -> Result<Unpacked, UnpackError> {
        let mut archive = tar::Archive::new(data);
        let entries = archive.entries().map_err(|source| self.data_error(source))?;
        for (index, entry) in entries.enumerate() {
            if index >= self.limits.entries {
                return Err(self.refused("/", "the package has too many files"));
            }
            let entry = entry.map_err(|source| self.data_error(source))?;
            self.take_in(entry)?;
        }
        // The decoder tells only at its end whether what it gave was what was packed.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|source| self.data_error(source))?;
        Ok(self.unpacked)
    }

    fn take_in(&mut self, mut entry: tar::Entry<'_, impl Read>) -> Result<(), UnpackError> {
        let Some(path) = self.image_path(&entry.path_bytes())? else { return Ok(()) };
        let is_changelog = is_changelog(&path, self.package);
        // A directory is wanted unless everything in it is unwanted: it is asked for as `/path/`.
        let asked = if entry.header().entry_type().is_dir() { format!("{path}/") } else { path.clone() };
        let is_wanted = (self.wanted)(&asked);
        if !is_changelog && !is_wanted {
            self.unpacked.n_dropped += 1;
            return Ok(());
        }
        let node = self.node(&path, &mut entry)?;
        if let (true, Node::File(blob)) = (is_changelog, &node) {
            // Beside a Debian changelog, `changelog.gz` is upstream's, whatever their order in the archive.
            if self.unpacked.changelog.is_none() || path.ends_with(".Debian.gz") {
                self.unpacked.changelog = Some(blob.to_vec());
            }
            if !is_wanted {
                return Ok(());
            }
        }
        let mode = match &node {
            Node::Symlink(_) => Mode { mode: 0o777, uid: 0, gid: 0 },
            _ => self.mode(&path, entry.header())?,
        };
        if let Node::File(blob) = &node {
            self.files.insert(path.clone(), (blob.clone(), mode.clone()));
        }
        let origin = Origin::Package(self.package.clone());
        self.unpacked.entries.push((path, Entry { node, mode, origin }));
        Ok(())
    }

    /// `/usr/bin/x` for `./usr/bin/x`; nothing for the archive's own root.
    fn image_path(&self, raw: &[u8]) -> Result<Option<String>, UnpackError> {
        let shown = String::from_utf8_lossy(raw).into_owned();
        let path = std::str::from_utf8(raw).map_err(|_| self.refused(&shown, "it is not UTF-8"))?;
        let path = path.strip_suffix('/').unwrap_or(path);
        if path == "." || path.is_empty() {
            return Ok(None);
        }
        if path.starts_with('/') {
            return Err(self.refused(&shown, "it is absolute"));
        }
        let path = path.strip_prefix("./").unwrap_or(path);
        if path.split('/').any(|name| name == "..") {
            return Err(self.refused(&shown, "it leaves the image"));
        }
        Ok(Some(format!("/{path}")))
    }

    fn node(&self, path: &str, entry: &mut tar::Entry<'_, impl Read>) -> Result<Node, UnpackError> {
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                // The size in the header is the archive's word: reserve no more than it can be believed.
                bytes.reserve_exact(usize::try_from(entry.size()).unwrap_or_default().min(64 << 20));
                entry.read_to_end(&mut bytes).map_err(|source| self.data_error(source))?;
                Ok(Node::File(bytes.into()))
            }
            tar::EntryType::Directory => Ok(Node::Directory),
            tar::EntryType::Symlink => self.link_target(path, entry).map(Node::Symlink),
            tar::EntryType::Link => {
                let target = self.link_target(path, entry)?;
                let target = self.image_path(target.as_bytes())?.unwrap_or_default();
                let found = self.files.get(&target).map(|(blob, _)| Node::File(blob.clone()));
                found.ok_or_else(|| {
                    self.refused(path, "it is a hard link to a file that the package does not have")
                })
            }
            _ => Err(self.refused(path, "it is a device, pipe or other special file")),
        }
    }

    fn link_target(&self, path: &str, entry: &tar::Entry<'_, impl Read>) -> Result<String, UnpackError> {
        let target = entry.link_name_bytes().unwrap_or_default();
        match std::str::from_utf8(&target) {
            Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text.to_owned()),
            _ => Err(self.refused(path, "its link target is not clean text")),
        }
    }

    fn mode(&self, path: &str, header: &tar::Header) -> Result<Mode, UnpackError> {
        let number = |value: io::Result<u64>| {
            value
                .ok()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| self.refused(path, "its owner is no number"))
        };
        let mode = header.mode().map_err(|source| self.data_error(source))? & 0o7777;
        Ok(Mode { mode, uid: number(header.uid())?, gid: number(header.gid())? })
    }

    fn refused(&self, path: &str, why: &'static str) -> UnpackError {
        let path = path.chars().take(200).collect();
        UnpackError::Refused { package: self.package.clone(), path, why }
    }

    fn data_error(&self, source: io::Error) -> UnpackError {
        UnpackError::Data { package: self.package.clone(), source }
    }
}

/// Whether the path is the Debian changelog of the package (Debian Policy 12.7).
fn is_changelog(path: &str, package: &PackageName) -> bool {
    path.strip_prefix("/usr/share/doc/")
        .and_then(|path| path.strip_prefix(package.as_str()))
        .is_some_and(|name| matches!(name, "/changelog.Debian.gz" | "/changelog.gz"))
}
