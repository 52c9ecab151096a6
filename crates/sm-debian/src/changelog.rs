//! Changelogs of packages (`debian/changelog`, deb-changelog(5)): versions with the CVE ids that their entries name.
//!
//! Old changelogs break every rule; what is not of an entry's form is passed over, never an error.

use std::collections::BTreeSet;

use sm_model::{CveId, PackageVersion, cve::cve_ids};

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
