//! Everything that is wrong with a changelog, at once, with files and lines.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use sm_model::{CveId, Date, FragmentId};

use super::Fragment;
use crate::rules::Problem;

/// A file below `changelog/`, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path below `changelog/`: `security/2026-11-20-openssl.md`.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, below `changelog/`.
    pub path: String,
    /// What and where.
    #[serde(flatten)]
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.problem)
    }
}

/// What a changelog holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changelog {
    /// Fragments without fault, by section, date and name.
    pub fragments: Vec<Fragment>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

/// Names that may lie beside fragments.
const OTHER_FILES: [&str; 2] = ["README.md", ".gitkeep"];

/// Reads a changelog on a day. A file with a fault is in the findings and not among the fragments.
pub fn lint(files: &[File], today: Date) -> Changelog {
    let mut changelog = Changelog::default();
    for file in files.iter().filter(|file| !is_other(&file.path)) {
        match read(file, today) {
            Ok(fragment) => changelog.fragments.push(fragment),
            Err(problems) => {
                let finding = |problem| Finding { path: file.path.clone(), problem };
                changelog.findings.extend(problems.into_iter().map(finding));
            }
        }
    }
    changelog.fragments.sort_by(|a, b| a.id.cmp(&b.id));
    changelog.findings.extend(repeated_ids(&changelog.fragments));
    changelog.findings.sort();
    changelog
}

fn is_other(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    OTHER_FILES.contains(&name)
}

fn read(file: &File, today: Date) -> Result<Fragment, Vec<Problem>> {
    let problem = |what| Problem { line: 1, column: 1, what };
    let id: FragmentId = file.path.parse().map_err(|error| vec![problem(format!("{error}"))])?;
    let fragment = Fragment::parse(&id, &file.bytes);
    // A day of grace, because people live in other time zones.
    if id.date() > today.plus_days(1) {
        let what = format!("the date {} lies in the future: today is {today}", id.date());
        let mut problems = fragment.err().unwrap_or_default();
        problems.insert(0, problem(what));
        return Err(problems);
    }
    fragment
}

/// The same vulnerability is not fixed twice on one day, or in one section by two fragments.
fn repeated_ids(fragments: &[Fragment]) -> Vec<Finding> {
    let mut first: BTreeMap<(CveId, &str), &FragmentId> = BTreeMap::new();
    let mut findings = Vec::new();
    for fragment in fragments {
        for cve in &fragment.cves {
            for package in packages_of(fragment) {
                match first.get(&(*cve, package)) {
                    Some(earlier) => findings.push(Finding {
                        path: fragment.id.to_string(),
                        problem: Problem {
                            line: 1,
                            column: 1,
                            what: format!("{cve} is told by `{earlier}` already"),
                        },
                    }),
                    None => drop(first.insert((*cve, package), &fragment.id)),
                }
            }
        }
    }
    findings
}

/// A vulnerability may be fixed in several packages, one after another: that is no repetition.
fn packages_of(fragment: &Fragment) -> Vec<&str> {
    if fragment.packages.is_empty() {
        vec![""]
    } else {
        fragment.packages.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    fn findings(files: &[File]) -> Vec<String> {
        lint(files, "2026-11-23".parse().unwrap()).findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_files_are_told_about_at_once_in_order() {
        let found = findings(&[
            file("updates/3035-08-06-weekly-updates.md", "- x"),
            file("security/2026-11-20-a.md", "- no id\nwords"),
            file("fixes/2026-11-20-a.md", "- x"),
            file("changes/2026-11-20-good.md", "- x"),
            file("changes/README.md", "anything"),
        ]);
        assert_eq!(
            found,
            [
                "fixes/2026-11-20-a.md:1:1: `fixes/2026-11-20-a.md` is not a fragment: expected SECTION/DATE-name.md, for example `security/2026-11-20-openssl.md`",
                "security/2026-11-20-a.md:1:1: the entry names no vulnerability: expected for example `CVE-2026-1234` or `GHSA-…`",
                "security/2026-11-20-a.md:2:1: expected an entry, beginning with `- `, or two spaces and more words of the one above",
                "updates/3035-08-06-weekly-updates.md:1:1: the date 3035-08-06 lies in the future: today is 2026-11-23",
            ]
        );
    }

    #[test]
    fn one_vulnerability_of_one_package_is_told_once() {
        let facts = |package: &str| format!("+++\npackages = [\"{package}\"]\n+++\n- CVE-2026-0001\n");
        let a = file("security/2026-11-01-a.md", &facts("openssl"));
        assert_eq!(findings(&[a.clone(), file("security/2026-11-02-b.md", &facts("curl"))]), [""; 0]);
        assert_eq!(
            findings(&[file("security/2026-11-02-b.md", &facts("openssl")), a]),
            ["security/2026-11-02-b.md:1:1: CVE-2026-0001 is told by `security/2026-11-01-a.md` already"]
        );
    }

    #[test]
    fn a_fragment_of_tomorrow_is_from_another_time_zone() {
        assert_eq!(findings(&[file("changes/2026-11-24-a.md", "- x")]), [""; 0]);
        assert_eq!(findings(&[file("changes/2026-11-25-a.md", "- x")]).len(), 1);
    }
}
