//! Reading an image: where its sections lie, and the few that are text.

use std::{
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use sm_model::Arch;

use super::{Error, pe::Headers};
use crate::verity::RootHash;

/// Against sections that exhaust memory: largest text that is read or written.
pub(super) const MAX_TEXT_BYTES: u64 = 64 << 10;

/// A kernel image whose headers and texts were read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    arch: Arch,
    sections: Vec<Section>,
    cmdline: String,
    os_release: String,
    uname: String,
}

/// A section of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name, such as `.initrd`.
    pub name: String,
    /// Where its bytes lie in the file, without padding.
    pub bytes: Range<u64>,
}

impl Image {
    /// Reads headers and texts of the image in `file`.
    ///
    /// # Errors
    /// When it is no PE file, lacks a section that every image has, a text is unusable, or reading fails.
    pub fn read<R: Read + Seek>(file: &mut R) -> Result<Image, Error> {
        let headers = Headers::read(file).map_err(|source| Error::Io { action: "read", source })?;
        let headers = headers.map_err(|source| Error::Malformed { what: "kernel image", source })?;
        let sections: Vec<_> = headers
            .sections
            .iter()
            .map(|header| {
                let start = u64::from(header.raw_offset);
                let len = u64::from(header.raw_bytes.min(header.virtual_bytes));
                Section { name: header.name(), bytes: start..start + len }
            })
            .collect();
        for required in [".linux", ".initrd"] {
            find(&sections, required)?;
        }
        Ok(Image {
            arch: headers.arch,
            cmdline: read_text(file, &sections, ".cmdline")?,
            os_release: read_text(file, &sections, ".osrel")?,
            uname: read_text(file, &sections, ".uname")?,
            sections,
        })
    }

    /// The machine it boots on.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Every section in the order of the file's table, the stub's own among them.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of that name; the first if there are several, as the stub takes it.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The kernel command line.
    pub fn cmdline(&self) -> &str {
        &self.cmdline
    }

    /// The kernel's release (`uname -r`).
    pub fn uname(&self) -> &str {
        &self.uname
    }

    /// The value of a field of os-release(5), without quotes.
    pub fn os_release(&self, key: &str) -> Option<&str> {
        let value = self.os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        let unquoted =
            ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        Some(unquoted.unwrap_or(value))
    }

    /// The root hash of the /usr image that this kernel starts: the `usrhash=` of its command line.
    ///
    /// # Errors
    /// When there is none, several, or it is no hash: such an image is not one of ours.
    pub fn usrhash(&self) -> Result<RootHash, Error> {
        let values = self.cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix("usrhash="));
        match &values.map(str::parse).collect::<Vec<_>>()[..] {
            [Ok(root_hash)] => Ok(*root_hash),
            _ => Err(Error::UsrHash),
        }
    }
}

fn find<'a>(sections: &'a [Section], name: &'static str) -> Result<&'a Section, Error> {
    sections.iter().find(|section| section.name == name).ok_or(Error::NoSection(name))
}

fn read_text<R: Read + Seek>(
    file: &mut R,
    sections: &[Section],
    name: &'static str,
) -> Result<String, Error> {
    let Range { start, end } = find(sections, name)?.bytes;
    let unusable = || Error::Text { section: name, max: MAX_TEXT_BYTES };
    if end - start > MAX_TEXT_BYTES {
        return Err(unusable());
    }
    let mut bytes = vec![0; (end - start) as usize];
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|source| Error::Io { action: "read", source })?;
    let text = String::from_utf8(bytes).map_err(|_| unusable())?;
    // ukify and objcopy users end texts with a newline or NUL, which is not part of them.
    let text = text.trim_end_matches(['\0', '\n']);
    is_text(text, LineBreaks::Allowed).then(|| text.to_owned()).ok_or_else(unusable)
}

/// Whether a text may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineBreaks {
    Allowed,
    Refused,
}

/// Whether stub and kernel read `text` as it was meant: not empty, not too large, no control characters.
pub(super) fn is_text(text: &str, line_breaks: LineBreaks) -> bool {
    let allowed =
        |c: char| !c.is_control() || (line_breaks == LineBreaks::Allowed && matches!(c, '\n' | '\t'));
    !text.is_empty() && text.len() as u64 <= MAX_TEXT_BYTES && text.chars().all(allowed)
}
