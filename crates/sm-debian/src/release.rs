//! The fields of a `Release` file (the repository format of Debian): what a suite is called, how old it is, and the
//! digests of its indexes. Reading them proves nothing: only [`crate::verified::VerifiedRelease`] does.

use std::collections::BTreeMap;

use sm_model::{Arch, Sha256, Timestamp};

use crate::{
    control::{MalformedField, Stanza, stanzas},
    names::{ComponentName, SuiteName},
};

/// A `Release` text that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Not exactly one stanza.
    #[error("the release file holds {0} stanzas, expected exactly one")]
    Stanzas(usize),
    /// A line that is no field.
    #[error("the release file is malformed")]
    Malformed(#[from] MalformedField),
    /// A field is absent or wrong.
    #[error("release field `{field}` is missing or wrong: `{}`", .value.escape_debug())]
    Field {
        /// The field.
        field: &'static str,
        /// What was found; empty when absent.
        value: String,
    },
}

/// What a `Release` file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `Suite:`, such as `stable`; empty when absent.
    pub suite: String,
    /// `Codename:`, such as `trixie`; empty when absent.
    pub codename: String,
    /// `Version:`, such as `13.7`; empty when absent.
    pub version: String,
    /// `Date:`
    pub date: Timestamp,
    /// `Valid-Until:`; Debian's stable suites have none.
    pub valid_until: Option<Timestamp>,
    /// `Architectures:`
    pub architectures: Vec<String>,
    /// `Components:`, some as `updates/main`.
    pub components: Vec<String>,
    /// Whether indexes are also stored under their digest (`Acquire-By-Hash`).
    pub by_hash: bool,
    files: BTreeMap<String, IndexFile>,
}

/// Size and digest of one index file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexFile {
    /// Size.
    pub size_bytes: u64,
    /// SHA-256.
    pub sha256: Sha256,
}

/// How an index file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// XZ.
    Xz,
    /// gzip.
    Gzip,
    /// Not at all.
    None,
}

/// One index to fetch: where, what it must be, and what it unpacks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexToFetch {
    /// Paths below `dists/SUITE/` in the order to try: the one that never changes its content first.
    pub paths: Vec<String>,
    /// The file at any of these paths.
    pub file: IndexFile,
    /// How to unpack it.
    pub compression: Compression,
    /// The unpacked index.
    pub unpacked: IndexFile,
}

impl Release {
    /// Reads the fields of a release text.
    ///
    /// # Errors
    /// When it is no control data, or a field that every archive must give is missing or wrong.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let all: Vec<Stanza<'_>> = stanzas(text).collect();
        let [stanza] = all[..] else {
            return Err(ReleaseError::Stanzas(all.len()));
        };
        let text_of = |field: &str| Ok::<_, MalformedField>(stanza.get(field)?.unwrap_or_default());
        let words = |field: &str| {
            Ok::<_, MalformedField>(text_of(field)?.split_ascii_whitespace().map(str::to_owned).collect())
        };
        Ok(Release {
            suite: text_of("Suite")?.to_owned(),
            codename: text_of("Codename")?.to_owned(),
            version: text_of("Version")?.to_owned(),
            date: parse_date("Date", text_of("Date")?)?,
            valid_until: stanza
                .get("Valid-Until")?
                .map(|date| parse_date("Valid-Until", date))
                .transpose()?,
            architectures: words("Architectures")?,
            components: words("Components")?,
            by_hash: text_of("Acquire-By-Hash")? == "yes",
            files: parse_files(text_of("SHA256")?)?,
        })
    }

    /// Whether the release is the suite asked for, by suite or by codename.
    pub fn is_called(&self, name: &SuiteName) -> bool {
        self.suite == name.as_str() || self.codename == name.as_str()
    }

    /// Whether the suite has a component: `main` is there as `main` or as `updates/main`.
    pub fn has_component(&self, name: &ComponentName) -> bool {
        self.components.iter().any(|found| found.rsplit('/').next() == Some(name.as_str()))
    }

    /// The smallest form of the package index of a component, or `None` when the release lists none.
    pub fn package_index(&self, component: &ComponentName, arch: Arch) -> Option<IndexToFetch> {
        let directory = format!("{component}/binary-{arch}");
        let unpacked = *self.files.get(&format!("{directory}/Packages"))?;
        let forms = [(".xz", Compression::Xz), (".gz", Compression::Gzip), ("", Compression::None)];
        forms.into_iter().find_map(|(suffix, compression)| {
            let path = format!("{directory}/Packages{suffix}");
            let file = *self.files.get(&path)?;
            let by_hash = self.by_hash.then(|| format!("{directory}/by-hash/SHA256/{}", file.sha256));
            Some(IndexToFetch {
                paths: by_hash.into_iter().chain([path]).collect(),
                file,
                compression,
                unpacked,
            })
        })
    }
}

/// Lines of `DIGEST SIZE PATH`.
fn parse_files(value: &str) -> Result<BTreeMap<String, IndexFile>, ReleaseError> {
    value.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse_file).collect()
}

fn parse_file(line: &str) -> Result<(String, IndexFile), ReleaseError> {
    let wrong = || ReleaseError::Field { field: "SHA256", value: line.chars().take(160).collect() };
    let mut words = line.split_ascii_whitespace();
    let (Some(digest), Some(size), Some(path), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(wrong());
    };
    let sha256 = digest.parse().map_err(|_| wrong())?;
    let size_bytes = size.parse().map_err(|_| wrong())?;
    Ok((path.to_owned(), IndexFile { size_bytes, sha256 }))
}

pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sat, 12 Sep 2026 07:55:41 UTC`: RFC 5322 with the zone always UTC, as archives write it.
fn parse_date(field: &'static str, text: &str) -> Result<Timestamp, ReleaseError> {
    let parse = || {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [_weekday, day, month, year, time, "UTC" | "GMT" | "+0000"] = words[..] else {
            return None;
        };
        let day: u8 = day.parse().ok()?;
        let month = MONTHS.iter().position(|name| *name == month)? + 1;
        // A time may have one digit of hours (`2:10:46`), which RFC 3339 does not know.
        format!("{year}-{month:02}-{day:02}T{time:0>8}Z").parse().ok()
    };
    parse().ok_or_else(|| ReleaseError::Field { field, value: text.chars().take(80).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn text() -> String {
        format!(
            "Origin: Debian\nSuite: stable\nVersion: 13.7\nCodename: trixie\n\
             Date: Sat, 12 Sep 2026 07:55:41 UTC\nAcquire-By-Hash: yes\nArchitectures: all amd64 arm64\n\
             Components: main updates/contrib\nSHA256:\n {DIGEST} 30 main/binary-amd64/Packages\n \
             {DIGEST} 20 main/binary-amd64/Packages.gz\n {DIGEST}        10 main/binary-amd64/Packages.xz\n \
             {DIGEST} 30 contrib/binary-amd64/Packages\n"
        )
    }

    #[test]
    fn the_fields_of_debian_are_read() {
        let release = Release::parse(&text()).unwrap();
        assert_eq!(release.date.to_string(), "2026-09-12T07:55:41Z");
        assert_eq!(release.valid_until, None);
        for name in ["stable", "trixie"] {
            assert!(release.is_called(&name.parse().unwrap()));
        }
        assert!(!release.is_called(&"sid".parse().unwrap()));
        assert!(release.has_component(&"main".parse().unwrap()));
        assert!(release.has_component(&"contrib".parse().unwrap()));
        assert!(!release.has_component(&"updates".parse().unwrap()));
    }

    #[test]
    fn the_smallest_index_is_fetched_by_its_digest_first() {
        let release = Release::parse(&text()).unwrap();
        let index = release.package_index(&"main".parse().unwrap(), Arch::Amd64).unwrap();
        assert_eq!(
            index.paths,
            [
                format!("main/binary-amd64/by-hash/SHA256/{DIGEST}"),
                "main/binary-amd64/Packages.xz".to_owned()
            ]
        );
        assert_eq!((index.file.size_bytes, index.unpacked.size_bytes), (10, 30));
        let plain = release.package_index(&"contrib".parse().unwrap(), Arch::Amd64).unwrap();
        assert_eq!(plain.compression, Compression::None);
        assert_eq!(release.package_index(&"main".parse().unwrap(), Arch::Arm64), None);
    }

    #[test]
    fn archives_without_by_hash_are_asked_by_name() {
        let release = Release::parse(&text().replace("Acquire-By-Hash: yes", "Acquire-By-Hash: no")).unwrap();
        let index = release.package_index(&"main".parse().unwrap(), Arch::Amd64).unwrap();
        assert_eq!(index.paths, ["main/binary-amd64/Packages.xz"]);
    }

    #[test]
    fn dates_with_one_digit_are_read_and_other_zones_refused() {
        let date = |text| parse_date("Date", text).map(|date| date.to_string()).ok();
        assert_eq!(date("Sun, 1 Feb 2026  2:03:04 UTC").unwrap(), "2026-02-01T02:03:04Z");
        for text in
            ["", "Sun, 1 Feb 2026 02:03:04 CET", "1 Feb 2026 02:03:04 UTC", "Sun, 31 Feb 2026 02:03:04 UTC"]
        {
            assert_eq!(date(text), None, "{text:?}");
        }
    }

    #[test]
    fn malformed_releases_are_refused_with_the_field() {
        let refused =
            |from: &str, to: &str| Release::parse(&text().replace(from, to)).unwrap_err().to_string();
        assert_eq!(
            refused("Date: Sat", "Date: x, Sat"),
            "release field `Date` is missing or wrong: `x, Sat, 12 Sep 2026 07:55:41 UTC`"
        );
        assert!(refused(" 30 main", " x main").contains("field `SHA256`"));
        assert!(refused(" 30 main", " 30 x main").contains("field `SHA256`"));
        assert!(refused("SHA256:", "\nSHA256:").contains("2 stanzas"));
        assert!(Release::parse("").unwrap_err().to_string().contains("0 stanzas"));
    }
}
