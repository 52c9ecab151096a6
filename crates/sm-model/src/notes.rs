//! Release notes: the fragments they are made of, the document they become, and what people said about them on the way.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Channel, CveId, Date, PackageVersion, Sha256, Version, evidence::PackageChangeKind, text::serde_as_text,
};

/// Where in the notes a fragment goes: the folder it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Vulnerabilities that are fixed.
    Security,
    /// Other faults that are mended.
    Bugfixes,
    /// What behaves otherwise than before.
    Changes,
    /// Newer versions of what is shipped.
    Updates,
}

impl Section {
    /// Every section, in the order of the notes.
    pub const ALL: [Section; 4] = [Section::Security, Section::Bugfixes, Section::Changes, Section::Updates];

    /// The name of its folder.
    pub const fn folder(self) -> &'static str {
        match self {
            Section::Security => "security",
            Section::Bugfixes => "bugfixes",
            Section::Changes => "changes",
            Section::Updates => "updates",
        }
    }

    /// Its heading in the notes.
    pub const fn title(self) -> &'static str {
        match self {
            Section::Security => "Security fixes",
            Section::Bugfixes => "Bug fixes",
            Section::Changes => "Changes",
            Section::Updates => "Updates",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

/// A text that names no section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown section `{}`: expected `security`, `bugfixes`, `changes` or `updates`", .0.escape_debug())]
pub struct UnknownSection(String);

impl FromStr for Section {
    type Err = UnknownSection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Section::ALL.into_iter().find(|section| section.folder() == text);
        known.ok_or_else(|| UnknownSection(text.chars().take(32).collect()))
    }
}

/// A changelog fragment, by its path below `changelog/`: `security/2026-11-20-openssl.md`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FragmentId {
    section: Section,
    date: Date,
    name: String,
}

/// A text that is no path of a fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a fragment: expected SECTION/DATE-name.md, for example `security/2026-11-20-openssl.md`", .0.escape_debug())]
pub struct InvalidFragmentId(String);

impl FragmentId {
    /// Longest name, in bytes: it has to fit a line.
    pub const MAX_NAME_LEN: usize = 60;

    /// From its parts. A name is words of `a-z` and `0-9` with single dashes between them.
    ///
    /// # Errors
    /// When the name is not of that form.
    pub fn new(section: Section, date: Date, name: &str) -> Result<Self, InvalidFragmentId> {
        let clean = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if name.len() <= FragmentId::MAX_NAME_LEN && name.split('-').all(clean) {
            Ok(FragmentId { section, date, name: name.to_owned() })
        } else {
            let name: String = name.chars().take(FragmentId::MAX_NAME_LEN).collect();
            Err(InvalidFragmentId(format!("{section}/{date}-{name}.md")))
        }
    }

    /// Where it goes.
    pub fn section(&self) -> Section {
        self.section
    }

    /// When it was written.
    pub fn date(&self) -> Date {
        self.date
    }

    /// Its name without section and date.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for FragmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}-{}.md", self.section, self.date, self.name)
    }
}

impl FromStr for FragmentId {
    type Err = InvalidFragmentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const DATE_LEN: usize = "2026-11-20".len();
        let parse = || {
            let (section, file) = text.split_once('/')?;
            let (date, name) = file.split_at_checked(DATE_LEN)?;
            let name = name.strip_prefix('-')?.strip_suffix(".md")?;
            FragmentId::new(section.parse().ok()?, date.parse().ok()?, name).ok()
        };
        // One spelling for every fragment.
        parse()
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| InvalidFragmentId(text.chars().take(120).collect()))
    }
}

serde_as_text!(FragmentId);

/// The notes of one release of one channel. Accepted notes are frozen by the digest of their canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseNotes {
    /// Format of this document: [`ReleaseNotes::FORMAT`].
    pub format: u32,
    /// Name of the operating system, as people read it.
    pub os: String,
    /// Channel.
    pub channel: Channel,
    /// Version.
    pub version: Version,
    /// What differs from earlier releases: from the channel's last, and in a promotion also from the last of the channel below.
    pub changes: Vec<Changes>,
    /// Every fragment there was when the notes were made: what a later release adds to them is new.
    pub inventory: BTreeSet<FragmentId>,
}

impl ReleaseNotes {
    /// The format written today.
    pub const FORMAT: u32 = 1;
}

/// What differs from one earlier release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The earlier release; `None` when this is the first.
    pub since: Option<Since>,
    /// What fragments tell, by section, then date and name.
    pub items: Vec<NoteItem>,
    /// What the packages tell, by source package.
    pub packages: Vec<SourceUpdate>,
}

/// An earlier release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Its channel.
    pub channel: Channel,
    /// Its version.
    pub version: Version,
}

/// What one fragment tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteItem {
    /// The fragment.
    pub fragment: FragmentId,
    /// Digest of the fragment's file.
    pub digest: Sha256,
    /// Its entries, each in the Markdown of fragments.
    pub entries: Vec<String>,
    /// CVE ids that it names.
    pub cves: BTreeSet<CveId>,
    /// Source packages that it is about.
    pub packages: BTreeSet<String>,
    /// What an operator has to do, in the Markdown of fragments.
    pub action: Option<String>,
    /// Whether it tells of something that is not mended.
    pub known_issue: bool,
}

/// A source package that is not the same in both releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceUpdate {
    /// Its name.
    pub source: String,
    /// What happened to it.
    pub change: PackageChangeKind,
    /// Version in the older release; `None` where it is new.
    pub from: Option<PackageVersion>,
    /// Version in the newer release; `None` where it is gone.
    pub to: Option<PackageVersion>,
    /// CVE ids that its changelog names between the two.
    pub cves: BTreeSet<CveId>,
    /// Whether the changelog reaches back to the older version: if not, ids may be missing.
    pub is_complete: bool,
}

/// What was said about fragments before they were accepted. A comment or suggestion is known by its number in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NotesEvent {
    /// Somebody has a comment.
    Commented {
        /// On which fragment.
        fragment: FragmentId,
        /// Digest of the file that they read.
        digest: Sha256,
        /// The words it is about; empty for the whole.
        quote: String,
        /// The comment.
        text: String,
    },
    /// Somebody would write it otherwise.
    Suggested {
        /// Which fragment.
        fragment: FragmentId,
        /// Digest of the file that they read; zeros for a fragment that they would add.
        base: Sha256,
        /// The whole file as they would have it.
        text: String,
        /// Why.
        reason: String,
    },
    /// A comment was answered, or a suggestion taken or not.
    Settled {
        /// Number of the comment or suggestion.
        item: u64,
        /// How.
        outcome: Outcome,
        /// Why, or the answer.
        reason: String,
    },
}

/// How a comment or suggestion was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done as was said.
    Accepted,
    /// Not done.
    Declined,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_have_one_spelling() {
        for text in ["security/2026-11-20-openssl.md", "updates/2026-01-01-weekly-updates-2.md"] {
            assert_eq!(text.parse::<FragmentId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "security",
            "security/",
            "security/openssl.md",
            "Security/2026-11-20-openssl.md",
            "fixes/2026-11-20-openssl.md",
            "security/2026-11-20.md",
            "security/2026-11-20-.md",
            "security/2026-11-20-a--b.md",
            "security/2026-11-20-OpenSSL.md",
            "security/2026-11-20-openssl.txt",
            "security/2026-13-20-openssl.md",
            "security/2026-11-20-../../etc/x.md",
            "security/20261120-0-openssl.md",
            "security/é026-11-20-openssl.md",
            &format!("security/2026-11-20-{}.md", "a".repeat(61)),
        ] {
            assert!(text.parse::<FragmentId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn fragments_sort_by_section_then_date_then_name() {
        let mut ids: Vec<FragmentId> = [
            "updates/2026-01-01-a.md",
            "security/2026-02-01-a.md",
            "security/2026-01-01-b.md",
            "security/2026-01-01-a.md",
        ]
        .map(|text| text.parse().unwrap())
        .to_vec();
        ids.sort();
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "security/2026-01-01-a.md",
                "security/2026-01-01-b.md",
                "security/2026-02-01-a.md",
                "updates/2026-01-01-a.md"
            ]
        );
    }
}
