//! Changelogs of packages (`debian/changelog`, deb-changelog(5)): versions with the CVE ids that their entries name.
//!
//! Old changelogs break every rule; what is not of an entry's form is passed over, never an error.

use std::{collections::BTreeSet, fmt, str::FromStr};

use sm_model::PackageVersion;

use crate::version::compare;

/// One entry: one version of the source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Version of the source package.
    pub version: PackageVersion,
    /// Suites it was uploaded to, as written: `trixie-security`.
    pub suites: String,
    /// `urgency=`, in lower case; empty when absent.
    pub urgency: String,
    /// When, as written (RFC 5322); empty when the entry has no trailer.
    pub date: String,
    /// What changed, as written, without blank lines around it.
    pub text: String,
    /// CVE ids that the text names.
    pub cves: BTreeSet<CveId>,
}

/// Longest line read; longer ones are cut. The longest real ones are under 1 KiB.
const MAX_LINE_BYTES: usize = 16 << 10;

/// The newest `max_entries` entries, newest first, as the file has them.
pub fn parse(bytes: &[u8], max_entries: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut is_open = false;
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE_BYTES)]);
        let line = line.trim_end();
        if let Some((version, suites, urgency)) = heading(line) {
            if entries.len() == max_entries {
                break;
            }
            is_open = true;
            let (date, text, cves) = (String::new(), String::new(), BTreeSet::new());
            entries.push(Entry { version, suites: suites.to_owned(), urgency, date, text, cves });
        } else if let Some(entry) = entries.last_mut().filter(|_| is_open) {
            is_open = !continue_entry(entry, line);
        }
    }
    for entry in &mut entries {
        entry.text = entry.text.trim_matches('\n').to_owned();
    }
    entries
}

/// Adds a line to the entry; whether it was the entry's last.
fn continue_entry(entry: &mut Entry, line: &str) -> bool {
    if let Some(trailer) = line.strip_prefix(" -- ") {
        entry.date = trailer.rsplit_once(">  ").map_or("", |(_, date)| date).to_owned();
        return true;
    }
    entry.cves.extend(cve_ids(line));
    entry.text.push_str(line);
    entry.text.push('\n');
    false
}

/// Version, suites and urgency of `NAME (VERSION) SUITES; urgency=…, …`.
fn heading(line: &str) -> Option<(PackageVersion, &str, String)> {
    let starts_well = line.starts_with(|c: char| c.is_ascii_alphanumeric());
    let (name, rest) = line.split_once(" (").filter(|_| starts_well)?;
    let (version, rest) = rest.split_once(')')?;
    let (suites, keys) = rest.split_once(';')?;
    let urgency = keys.split(',').find_map(|key| key.trim().strip_prefix("urgency=")).unwrap_or_default();
    let urgency = urgency.split_whitespace().next().unwrap_or_default().to_lowercase();
    (!name.contains(' ')).then_some(())?;
    Some((version.parse().ok()?, suites.trim(), urgency))
}

/// The CVE ids that entries later than `old`, up to `new`, name.
pub fn cves_between(entries: &[Entry], old: &PackageVersion, new: &PackageVersion) -> BTreeSet<CveId> {
    let lies_between =
        |entry: &&Entry| compare(&entry.version, old).is_gt() && compare(&entry.version, new).is_le();
    entries.iter().filter(lies_between).flat_map(|entry| entry.cves.iter().copied()).collect()
}

/// A CVE id: `CVE-2024-12345`. Orders by year, then number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CveId {
    /// Year it was assigned in.
    pub year: u16,
    /// Number within the year.
    pub number: u32,
}

/// A text that is no CVE id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a CVE id: expected CVE-YEAR-NUMBER with four digits or more in NUMBER", .0.escape_debug())]
pub struct InvalidCveId(String);

impl fmt::Display for CveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CVE-{}-{:04}", self.year, self.number)
    }
}

impl FromStr for CveId {
    type Err = InvalidCveId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = leading_cve_id(text).filter(|(_, length)| *length == text.len());
        whole.map(|(id, _)| id).ok_or_else(|| InvalidCveId(text.chars().take(40).collect()))
    }
}

/// Every CVE id in a text.
pub fn cve_ids(text: &str) -> impl Iterator<Item = CveId> {
    let word = |at: usize| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let starts = text.match_indices("CVE-").filter(move |(at, _)| word(*at));
    starts.filter_map(|(at, _)| leading_cve_id(&text[at..])).map(|(id, _)| id)
}

/// The CVE id that a text starts with, and its length.
fn leading_cve_id(text: &str) -> Option<(CveId, usize)> {
    let (year, rest) = text.strip_prefix("CVE-")?.split_once('-')?;
    let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if year.len() != 4 || !digits(year) || !(4..=9).contains(&n_digits) {
        return None;
    }
    let id = CveId { year: year.parse().ok()?, number: rest[..n_digits].parse().ok()? };
    Some((id, "CVE-".len() + 5 + n_digits))
}

impl serde::Serialize for CveId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for CveId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHANGELOG: &str = "\
openssl (3.5.1-1+deb13u1) trixie-security; urgency=medium

  * CVE-2025-9230 (Out-of-bounds read), see also
    CVE-2025-9231 and CVE-2025-9230.
  * Not an id: CVE-25-1, XCVE-2025-1234, CVE-2025-123

 -- Somebody <s@example.org>  Sat, 27 Sep 2025 20:37:42 +0200

openssl (3.5.1-1) unstable; urgency=medium

  * New upstream version

 -- Somebody <s@example.org>  Tue, 01 Jul 2025 18:11:01 +0200

Old prose after the last entry.
";

    #[test]
    fn entries_hold_version_date_text_and_ids() {
        let entries = parse(CHANGELOG.as_bytes(), 10);
        assert_eq!(entries.len(), 2);
        let [new, old] = entries.as_slice() else { panic!("two entries") };
        assert_eq!((new.version.as_str(), new.suites.as_str()), ("3.5.1-1+deb13u1", "trixie-security"));
        assert_eq!(new.urgency, "medium");
        assert_eq!(new.date, "Sat, 27 Sep 2025 20:37:42 +0200");
        let ids: Vec<_> = new.cves.iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["CVE-2025-9230", "CVE-2025-9231"]);
        assert_eq!(old.text, "  * New upstream version");
        assert_eq!(parse(CHANGELOG.as_bytes(), 1).len(), 1);
    }

    #[test]
    fn fixes_between_two_versions_leave_out_the_old_one_and_include_the_new() {
        let between = |old: &str, new: &str| {
            let entries = parse(CHANGELOG.as_bytes(), 10);
            cves_between(&entries, &old.parse().unwrap(), &new.parse().unwrap()).len()
        };
        assert_eq!(between("3.5.1-1", "3.5.1-1+deb13u1"), 2);
        assert_eq!(between("3.5.0-1", "3.5.1-1"), 0);
        assert_eq!(between("3.5.1-1+deb13u1", "3.6-1"), 0);
        assert_eq!(between("3.6-1", "3.5.1-1"), 0);
    }

    #[test]
    fn ids_have_one_spelling() {
        for text in ["CVE-2025-0001", "CVE-1999-123456789"] {
            assert_eq!(text.parse::<CveId>().unwrap().to_string(), text);
        }
        for text in
            ["CVE-2025-001", "cve-2025-0001", "CVE-2025-0001 ", "CVE-2025-1234567890", "CVE-20255-0001"]
        {
            assert!(text.parse::<CveId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_endless_line_is_cut() {
        let bytes = format!("a (1) x; urgency=low\n  * {}\n", "y".repeat(1 << 20));
        assert!(parse(bytes.as_bytes(), 1)[0].text.len() <= MAX_LINE_BYTES);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0..CHANGELOG.len()) {
            let mut text = CHANGELOG.as_bytes().to_vec();
            text.splice(at..at, bytes);
            parse(&text, 5);
        }

        #[test]
        fn every_id_reads_back(year in 1000..=9999u16, number in 0..=999_999_999u32) {
            let id = CveId { year, number };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
