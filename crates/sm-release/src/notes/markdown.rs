//! The notes as Markdown, for a forge and its readers. Long lists of ids are folded away where the reader can fold.

use std::fmt::Write as _;

use sm_model::notes::{Changes, ReleaseNotes, Section, SourceUpdate};

use super::{Prose, figures, prose::markdown_text};

/// The notes as Markdown.
pub fn render(notes: &ReleaseNotes) -> String {
    let mut out = format!("# {}\n", markdown_text(&figures::title(notes)));
    list(&mut out, "## Action required", &figures::actions(notes));
    list(&mut out, "## Known issues", &figures::known_issues(notes));
    for changes in &notes.changes {
        block(&mut out, changes);
    }
    out
}

fn block(out: &mut String, changes: &Changes) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n## {}", markdown_text(&figures::since(changes.since)));
    for section in Section::ALL {
        let entries = figures::entries(changes, section);
        let has_packages = match section {
            Section::Security => figures::fixes(changes).next().is_some(),
            Section::Updates => !changes.packages.is_empty(),
            Section::Bugfixes | Section::Changes => false,
        };
        if entries.is_empty() && !has_packages {
            continue;
        }
        let _ = writeln!(out, "\n### {}\n", section.title());
        entries.iter().for_each(|entry| item(out, entry));
        match section {
            Section::Security => fixes(out, changes),
            Section::Updates => updates(out, changes),
            Section::Bugfixes | Section::Changes => {}
        }
    }
}

fn list(out: &mut String, heading: &str, entries: &[&str]) {
    if !entries.is_empty() {
        let _ = writeln!(out, "\n{heading}\n");
        entries.iter().for_each(|entry| item(out, entry));
    }
}

/// What a document holds was escaped when it was made; a document of somebody else's making may not be, so it is done again.
fn item(out: &mut String, entry: &str) {
    let _ = writeln!(out, "- {}", Prose::parse(entry).to_markdown());
}

fn fixes(out: &mut String, changes: &Changes) {
    for (update, is_short) in figures::fixes(changes) {
        let (package, ids) = (package(update), figures::ids(&update.cves));
        let counted = figures::vulnerabilities(update);
        let _ = if is_short {
            writeln!(out, "- {package}: {ids}")
        } else {
            writeln!(out, "- {package}: <details><summary>{counted}</summary>{ids}</details>")
        };
    }
}

fn updates(out: &mut String, changes: &Changes) {
    for update in &changes.packages {
        let _ = writeln!(out, "- {}", package(update));
    }
}

fn package(update: &SourceUpdate) -> String {
    markdown_text(&format!("{} {}", update.source, figures::versions(update)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notes::draft::tests::sample;

    #[test]
    fn the_notes_read_as_notes() {
        let text = render(&sample()).replace(&figures::ids(&sample().changes[0].packages[0].cves), "IDS");
        assert_eq!(text, include_str!("../../tests/data/notes/notes.md"));
    }
}
