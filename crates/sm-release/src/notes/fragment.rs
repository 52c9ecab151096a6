//! One file of the changelog: optional facts in TOML between two lines `+++`, then a list of entries, each beginning with `- `.
//!
//! ```text
//! +++
//! packages = ["openssl"]
//! action = "Restart services that hold old connections open."
//! +++
//! - openssl ([CVE-2025-9230](https://example.org/CVE-2025-9230))
//! ```

use std::{collections::BTreeSet, convert::Infallible, str::FromStr};

use sm_model::{CveId, FragmentId, Sha256, cve::cve_ids, notes::Section};

use super::prose::{self, Prose, Span};
use crate::{
    proof::digest_bytes,
    rules::text::{Problem, Reader},
};

/// Largest fragment, in bytes: stops a file that is none.
pub const MAX_FRAGMENT_BYTES: usize = 64 << 10;
/// Most entries of one fragment: notes are read by people.
pub const MAX_ENTRIES: usize = 200;
/// Longest entry in characters that are read, lists of ids not counted.
pub const MAX_ENTRY_CHARS: usize = 500;

/// One fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Where it lies.
    pub id: FragmentId,
    /// Digest of its file.
    pub digest: Sha256,
    /// Its entries.
    pub entries: Vec<Prose>,
    /// CVE ids that it names.
    pub cves: BTreeSet<CveId>,
    /// Source packages that it is about.
    pub packages: BTreeSet<String>,
    /// What an operator has to do.
    pub action: Option<Prose>,
    /// Whether it tells of something that is not mended.
    pub known_issue: bool,
}

/// Facts before the entries.
#[derive(Debug, Default)]
struct Facts {
    packages: BTreeSet<String>,
    action: Option<Prose>,
    known_issue: bool,
}

impl Fragment {
    /// Reads a fragment.
    ///
    /// # Errors
    /// Everything that is wrong with it, with lines.
    pub fn parse(id: &FragmentId, bytes: &[u8]) -> Result<Fragment, Vec<Problem>> {
        let text = text_of(bytes)?;
        let mut problems = deceptive(text);
        let (facts, body) = split(text).unwrap_or_else(|problem| {
            problems.push(problem);
            ("", Body { text: "", first_line: 1 })
        });
        let facts = read_facts(facts).unwrap_or_else(|mut found| {
            problems.append(&mut found);
            Facts::default()
        });
        let entries = entries(&body, &mut problems);
        let prose: Vec<Prose> = entries.iter().map(|entry| Prose::parse(&entry.text)).collect();
        for (entry, prose) in entries.iter().zip(&prose) {
            check_entry(id.section(), entry, prose, &mut problems);
        }
        problems.sort();
        if !problems.is_empty() {
            return Err(problems);
        }
        let Facts { packages, action, known_issue } = facts;
        Ok(Fragment {
            id: id.clone(),
            digest: digest_bytes(bytes),
            cves: entries.iter().flat_map(|entry| cve_ids(&entry.text)).collect(),
            entries: prose,
            packages,
            action,
            known_issue,
        })
    }

    /// Whether it tells about a package: by its facts, or by naming it.
    pub fn is_about(&self, package: &str) -> bool {
        self.packages.contains(package) || self.entries.iter().any(|entry| names(&entry.words(), package))
    }
}

/// Whether a word of a text is that name.
pub(super) fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+');
    text.split(|c| !(is_part(c) || c == '.')).any(|word| word.trim_matches('.') == name)
}

fn problem(line: usize, what: impl Into<String>) -> Problem {
    Problem { line, column: 1, what: what.into() }
}

fn text_of(bytes: &[u8]) -> Result<&str, Vec<Problem>> {
    if bytes.len() > MAX_FRAGMENT_BYTES {
        let what = format!("the file has {} bytes: expected at most {MAX_FRAGMENT_BYTES}", bytes.len());
        return Err(vec![problem(1, what)]);
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        vec![problem(line, "the text is not UTF-8")]
    })
}

fn deceptive(text: &str) -> Vec<Problem> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(idx, line)| {
            let (at, c) = line.chars().enumerate().find(|(_, c)| prose::is_deceptive(*c))?;
            let what = format!("U+{:04X} is not seen, or turns the direction of the text", u32::from(c));
            Some(Problem { line: idx + 1, column: at + 1, what })
        })
        .collect()
}

/// Entries, and the line of the file they begin on.
struct Body<'t> {
    text: &'t str,
    first_line: usize,
}

/// Facts (as many lines from the beginning of the file) and entries.
fn split(text: &str) -> Result<(&str, Body<'_>), Problem> {
    let Some(facts) = text.strip_prefix("+++\n") else { return Ok(("", Body { text, first_line: 1 })) };
    let mut lines = facts.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    });
    let (at, mark) = lines
        .find(|(_, line)| line.trim_end() == "+++")
        .ok_or_else(|| problem(1, "the facts do not end: expected a second line `+++`"))?;
    let first_line = facts[..at].matches('\n').count() + 3;
    Ok((&facts[..at], Body { text: &facts[at + mark.len()..], first_line }))
}

/// A word of prose in TOML.
struct Words(Prose);

impl FromStr for Words {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Words(Prose::parse(text)))
    }
}

/// Name of a source package (Debian Policy 5.6.1: as those of binary packages).
struct Source(String);

impl FromStr for Source {
    type Err = sm_model::package::InvalidPackageName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<sm_model::PackageName>().map(|name| Source(name.to_string()))
    }
}

fn read_facts(text: &str) -> Result<Facts, Vec<Problem>> {
    // The first line of the file is `+++`: with an empty one in its place, lines count as in the file.
    let text = format!("\n{text}");
    Reader::read(&text, |root, reader| Facts {
        packages: root.list::<Source>("packages", reader).into_iter().map(|at| at.value.0).collect(),
        action: root.parsed::<Words>("action", reader).map(|at| at.value.0),
        known_issue: root.flag("known-issue", reader).unwrap_or(false),
    })
}

/// One entry as it stands in the file.
struct Entry {
    text: String,
    line: usize,
}

fn entries(body: &Body<'_>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (idx, line) in body.text.lines().enumerate() {
        let number = body.first_line + idx;
        if let Some(text) = line.strip_prefix("- ") {
            entries.push(Entry { text: text.to_owned(), line: number });
        } else if let Some(text) = line.strip_prefix("  ") {
            match entries.last_mut() {
                Some(_) if text.trim_start().starts_with("- ") => {
                    problems.push(problem(number, "an entry within an entry: expected one list"));
                }
                Some(entry) => entry.text = format!("{}\n{text}", entry.text),
                None => problems.push(problem(number, "expected an entry, beginning with `- `")),
            }
        } else if !line.trim().is_empty() {
            let what =
                "expected an entry, beginning with `- `, or two spaces and more words of the one above";
            problems.push(problem(number, what));
        }
    }
    if entries.is_empty() && problems.is_empty() {
        problems
            .push(problem(body.first_line, "the fragment is empty: expected an entry, beginning with `- `"));
    }
    if entries.len() > MAX_ENTRIES {
        problems.push(problem(entries[MAX_ENTRIES].line, format!("more than {MAX_ENTRIES} entries")));
        entries.truncate(MAX_ENTRIES);
    }
    entries
}

fn check_entry(section: Section, entry: &Entry, prose: &Prose, problems: &mut Vec<Problem>) {
    let words = prose.words();
    let is_id = |word: &&str| cve_ids(word).next().is_some() || word.contains("GHSA-");
    let n_chars: usize =
        words.split(' ').filter(|word| !is_id(word)).map(|word| word.chars().count() + 1).sum();
    let names_id = words.split(' ').any(|word| is_id(&word));
    let text = |span: &Span| matches!(span, Span::Text(text) if text.contains("](") );
    let checks = [
        (words.trim().is_empty(), "the entry is empty"),
        (n_chars > MAX_ENTRY_CHARS, "the entry is longer than 500 characters: say it in three sentences"),
        (
            section == Section::Security && !names_id,
            "the entry names no vulnerability: expected for example `CVE-2026-1234` or `GHSA-…`",
        ),
        (
            prose.spans().iter().any(text),
            "a link that leads nowhere: expected `[words](https://…)` without brackets in the address",
        ),
        (
            ["<script", "<img", "<a ", "<br", "</"].iter().any(|tag| words.to_lowercase().contains(tag)),
            "HTML is shown as it is written: expected Markdown",
        ),
    ];
    let broken = checks.into_iter().filter(|(broken, _)| *broken);
    problems.extend(broken.map(|(_, what)| problem(entry.line, what)));
    problems.extend(malformed_ids(&words).map(|id| {
        problem(
            entry.line,
            format!("`{id}` is not a CVE id: expected CVE-YEAR-NUMBER with four digits or more"),
        )
    }));
}

/// Words that look like CVE ids and are none.
fn malformed_ids(words: &str) -> impl Iterator<Item = String> + '_ {
    let trimmed = |word: &'_ str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let looks = |word: &String| {
        let upper = word.to_ascii_uppercase();
        upper.starts_with("CVE-") || upper.starts_with("CVE2")
    };
    words.split([' ', ',', '/']).map(trimmed).filter(looks).filter(|word| word.parse::<CveId>().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(section: &str, text: &str) -> Result<Fragment, Vec<String>> {
        let id = format!("{section}/2026-11-20-x.md").parse().unwrap();
        Fragment::parse(&id, text.as_bytes()).map_err(|problems| {
            problems.into_iter().map(|problem| format!("{}: {}", problem.line, problem.what)).collect()
        })
    }

    const FULL: &str = "\
+++
packages = [\"openssl\", \"curl\"]
action = \"Restart `sshd`.\"
known-issue = true
+++

- openssl ([CVE-2025-9230](https://example.org/CVE-2025-9230),
  CVE-2025-9231)
- curl: CVE-2025-0001
";

    #[test]
    fn facts_and_entries_are_read() {
        let fragment = parse("security", FULL).unwrap();
        assert_eq!(fragment.packages.iter().map(String::as_str).collect::<Vec<_>>(), ["curl", "openssl"]);
        assert_eq!(fragment.action.unwrap().to_html(), "Restart <code>sshd</code>.");
        assert!(fragment.known_issue);
        let words: Vec<String> = fragment.entries.iter().map(Prose::words).collect();
        assert_eq!(words, ["openssl (CVE-2025-9230, CVE-2025-9231)", "curl: CVE-2025-0001"]);
        assert_eq!(fragment.cves.len(), 3);
        assert_eq!(fragment.digest, digest_bytes(FULL.as_bytes()));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "\
+++
packages = [\"Open SSL\"]
colour = \"red\"
+++
words before
- no id
  - nested
- [x](javascript:1) CVE-25-1
- CVE-2025-0001 <img src=x>
- \u{202e}CVE-2025-0001
";
        let problems = parse("security", text).unwrap_err();
        let starts: Vec<&str> = problems.iter().map(|problem| &problem[..problem.len().min(28)]).collect();
        assert_eq!(
            starts,
            [
                "2: `Open SSL` is not a packa",
                "3: unknown key `colour`, exp",
                "5: expected an entry, beginn",
                "6: the entry names no vulner",
                "7: an entry within an entry:",
                "8: `CVE-25-1` is not a CVE i",
                "8: a link that leads nowhere",
                "8: the entry names no vulner",
                "9: HTML is shown as it is wr",
                "10: U+202E is not seen, or t"
            ],
            "{problems:#?}"
        );
    }

    #[test]
    fn files_that_are_none_are_refused() {
        assert_eq!(parse("changes", "").unwrap_err().len(), 1);
        assert!(parse("changes", "+++\na = 1\n").unwrap_err()[0].contains("do not end"));
        assert!(parse("changes", &"x".repeat(MAX_FRAGMENT_BYTES + 1)).unwrap_err()[0].contains("at most"));
        assert!(parse("changes", &"- x\n".repeat(MAX_ENTRIES + 1)).unwrap_err()[0].contains("entries"));
        assert!(parse("changes", &format!("- {}", "word ".repeat(101))).unwrap_err()[0].contains("500"));
        let id = "changes/2026-11-20-x.md".parse().unwrap();
        let problems = Fragment::parse(&id, b"- a\n- \xff\n").unwrap_err();
        assert_eq!(problems[0].to_string(), "2:1: the text is not UTF-8");
    }

    #[test]
    fn a_fragment_is_about_the_packages_that_it_names() {
        let fragment = parse("updates", "- Updated libssh2-1. And `vim-tiny`, too.").unwrap();
        for (package, expected) in
            [("libssh2-1", true), ("vim-tiny", true), ("vim", false), ("libssh2", false), ("too", true)]
        {
            assert_eq!(fragment.is_about(package), expected, "{package}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_lines_exist(bytes: Vec<u8>, text in "(\\+\\+\\+\n)?[-+ a\n=\"]{0,30}(\n\\+\\+\\+\n)?[- a\n]{0,20}") {
            let id = "security/2026-11-20-x.md".parse().unwrap();
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let n_lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
                for problem in Fragment::parse(&id, bytes).err().unwrap_or_default() {
                    prop_assert!((1..=n_lines).contains(&problem.line), "{:?}", problem);
                }
            }
        }
    }
}
