//! Words that must not stand in the tree: names of mirrors and registries, which are the host's business.

use anyhow::Result;

use super::{Problem, sources::SourceFile};

/// Spelled in pieces, so that this file does not break its own rule.
const FORBIDDEN: [(&str, &str); 5] = [
    (
        concat!("deb.", "debian.org"),
        "names a mirror: mirrors come from the host's APT configuration or an option",
    ),
    (
        concat!("security.", "debian.org"),
        "names a mirror: mirrors come from the host's APT configuration or an option",
    ),
    (concat!("static.", "crates.io"), "names a registry host"),
    (concat!("snapshot.", "debian.org"), "names a mirror"),
    (concat!("/", "work/"), "names a path of somebody's machine"),
];

pub(super) fn check(files: &[SourceFile]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.path != "Cargo.lock") {
        for (idx, line) in file.text.lines().enumerate() {
            let hits = FORBIDDEN.iter().filter(|(word, _)| line.contains(word));
            problems.extend(hits.map(|(_, why)| Problem {
                place: format!("{}:{}", file.path, idx + 1),
                what: (*why).to_owned(),
            }));
        }
    }
    Ok(problems)
}
