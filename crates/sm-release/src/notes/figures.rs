//! What every rendering says in the same words: headings, counts, one line per package.

use std::collections::BTreeSet;

use sm_model::{
    CveId,
    notes::{Changes, NoteItem, ReleaseNotes, Section, Since, SourceUpdate},
};

/// More ids than this are not spelled out where people read.
pub(super) const MAX_IDS_SHOWN: usize = 8;

/// Source packages of the kernel: their ids are counted, never spelled out.
const KERNELS: [&str; 2] = ["linux", "linux-signed"];

pub(super) fn title(notes: &ReleaseNotes) -> String {
    format!("{} {} ({})", notes.os, notes.version, notes.channel)
}

pub(super) fn since(since: Option<Since>) -> String {
    match since {
        Some(Since { channel, version }) => format!("Changes since {channel} {version}"),
        None => "The first release".to_owned(),
    }
}

/// What an operator must know before anything else: actions and known issues of the first comparison, by fragment.
pub(super) fn actions(notes: &ReleaseNotes) -> Vec<&str> {
    let items = notes.changes.first().map(|changes| changes.items.as_slice()).unwrap_or_default();
    items.iter().filter_map(|item| item.action.as_deref()).collect()
}

pub(super) fn known_issues(notes: &ReleaseNotes) -> Vec<&str> {
    let items = notes.changes.first().map(|changes| changes.items.as_slice()).unwrap_or_default();
    items.iter().filter(|item| item.known_issue).flat_map(|item| &item.entries).map(String::as_str).collect()
}

/// Entries of a section, in order, known issues left out: they have their own place.
pub(super) fn entries(changes: &Changes, section: Section) -> Vec<&str> {
    let belongs = |item: &&NoteItem| item.fragment.section() == section && !item.known_issue;
    changes.items.iter().filter(belongs).flat_map(|item| &item.entries).map(String::as_str).collect()
}

/// Every vulnerability that is fixed, by fragments and changelogs, each once.
pub(super) fn fixed(changes: &Changes) -> BTreeSet<CveId> {
    let told = changes.items.iter().filter(|item| !item.known_issue).flat_map(|item| &item.cves);
    told.chain(changes.packages.iter().flat_map(|update| &update.cves)).copied().collect()
}

/// Packages that fix something, and whether their ids are spelled out.
pub(super) fn fixes(changes: &Changes) -> impl Iterator<Item = (&SourceUpdate, bool)> {
    let fixing = changes.packages.iter().filter(|update| !update.cves.is_empty());
    fixing.map(|update| {
        let is_short = update.cves.len() <= MAX_IDS_SHOWN && !KERNELS.contains(&update.source.as_str());
        (update, is_short)
    })
}

/// `3.5.1-1 → 3.5.2-1`, `3.5.1-1 (new)`, `3.5.1-1 (gone)`.
pub(super) fn versions(update: &SourceUpdate) -> String {
    match (&update.from, &update.to) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (None, Some(to)) => format!("{to} (new)"),
        (Some(from), None) => format!("{from} (gone)"),
        (None, None) => "(gone)".to_owned(),
    }
}

pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// `40 vulnerabilities`, and whether there may be more.
pub(super) fn vulnerabilities(update: &SourceUpdate) -> String {
    let counted = count(update.cves.len(), "vulnerability", "vulnerabilities");
    if update.is_complete { counted } else { format!("{counted}, perhaps more: its changelog is cut") }
}

pub(super) fn ids(cves: &BTreeSet<CveId>) -> String {
    let ids: Vec<String> = cves.iter().map(ToString::to_string).collect();
    ids.join(", ")
}
