//! The changelogs artifact: what the packages' own changelogs say, kept because the image keeps none of them.
//!
//! One entry per source package, so that comparing two releases can name the CVE ids that lie between two versions. A
//! compact JSON document in a zstd frame; the bytes follow from the packages alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use serde::{Deserialize, Serialize};
use sm_debian::changelog;
use sm_model::{CveId, Lock, PackageName, PackageVersion};

/// Entries kept of each source package: years of point releases.
const MAX_ENTRIES: usize = 40;
/// Newest entries that keep their text; older ones keep version, date and CVE ids.
const MAX_TEXTS: usize = 12;
/// Longest text kept of one entry. Kernel releases list thousands of commits; their CVE ids are kept all the same.
const MAX_TEXT_BYTES: usize = 8 << 10;
/// Largest changelog unpacked: stops a small compressed file that unpacks to a disk full.
const MAX_UNPACKED_BYTES: u64 = 64 << 20;
/// Compression level of the document: written once, a few hundred KiB.
const LEVEL: i32 = 12;
/// Largest document decoded, for the same reason.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// The changelogs of an image, by source package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changelogs {
    /// Format of this document: 1.
    pub format: u32,
    /// Entries by source package, newest first.
    pub sources: BTreeMap<String, Vec<Entry>>,
}

/// One entry of a changelog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Version of the source package.
    pub version: PackageVersion,
    /// When it was made, as written (RFC 5322).
    pub date: String,
    /// CVE ids it names, sorted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cves: BTreeSet<CveId>,
    /// Its text, cut where it was too long; empty in older entries.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Changelogs {
    const FORMAT: u32 = 1;

    /// Collects the changelogs of an image, compressed as the packages bring them, by binary package. Of several binary
    /// packages of one source the first that has a readable changelog speaks for it.
    pub fn collect(lock: &Lock, compressed: &BTreeMap<PackageName, Vec<u8>>) -> Self {
        let mut sources = BTreeMap::new();
        for package in &lock.packages {
            let source = source_name(&package.source).to_owned();
            if sources.contains_key(&source) {
                continue;
            }
            let entries = compressed.get(&package.name).and_then(|bytes| entries(bytes));
            if let Some(entries) = entries {
                sources.insert(source, entries);
            }
        }
        Changelogs { format: Changelogs::FORMAT, sources }
    }

    /// The document as its file holds it.
    ///
    /// # Errors
    /// When the compressor refuses.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        zstd::encode_all(&*serde_json::to_vec(self)?, LEVEL)
    }

    /// Reads the document back.
    ///
    /// # Errors
    /// When it is not one, of another format, or larger than any real one.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidChangelogs> {
        let mut json = Vec::new();
        zstd::Decoder::new(bytes)?.take(MAX_DOCUMENT_BYTES).read_to_end(&mut json)?;
        let decoded: Changelogs = serde_json::from_slice(&json)?;
        if decoded.format != Changelogs::FORMAT {
            return Err(InvalidChangelogs::Format(decoded.format));
        }
        Ok(decoded)
    }
}

/// Bytes that are no collection of changelogs.
#[derive(Debug, thiserror::Error)]
pub enum InvalidChangelogs {
    /// Not a zstd frame.
    #[error("the frame cannot be unpacked")]
    Frame(#[from] io::Error),
    /// Not the JSON document.
    #[error("the document does not parse")]
    Json(#[from] serde_json::Error),
    /// Of another format.
    #[error("format {0}: expected 1")]
    Format(u32),
}

/// `linux-signed-amd64` of `linux-signed-amd64 (6.12.57+1)`.
pub(crate) fn source_name(source: &str) -> &str {
    source.split_once(' ').map_or(source, |(name, _)| name)
}

/// Entries of a compressed changelog, newest first.
fn entries(compressed: &[u8]) -> Option<Vec<Entry>> {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(compressed).take(MAX_UNPACKED_BYTES).read_to_end(&mut text).ok()?;
    let entries: Vec<Entry> = changelog::parse(&text, MAX_ENTRIES)
        .into_iter()
        .enumerate()
        .map(|(index, entry)| Entry {
            version: entry.version,
            date: entry.date,
            cves: entry.cves,
            text: if index < MAX_TEXTS { shortened(&entry.text) } else { String::new() },
        })
        .collect();
    (!entries.is_empty()).then_some(entries)
}

/// The text, cut at a line's end where it is too long.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES {
        return text.to_owned();
    }
    let boundary = (0..=MAX_TEXT_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let whole_lines = text[..boundary].rfind('\n').unwrap_or(boundary);
    format!("{}\n  [...]", &text[..whole_lines])
}
