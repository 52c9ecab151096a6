//! CVE ids between two releases, as the newer one's changelogs name them.
//!
//! By source package, because the kernel's binary packages carry their version in their names: their source does not.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use serde::Serialize;
use sm_debian::version;
use sm_model::{CveId, Lock, PackageVersion, evidence::PackageChangeKind, notes::SourceUpdate};

use super::source_version;
use crate::release::changelogs::{Changelogs, source_name};

/// A source package whose version is not the same in both releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceChange {
    /// Name of the source package.
    pub source: String,
    /// Version in the older release.
    pub old: PackageVersion,
    /// Version in the newer release.
    pub new: PackageVersion,
    /// CVE ids that the changelog names in entries after the old version, up to the new one. Empty after a downgrade.
    pub cves: BTreeSet<CveId>,
    /// Whether the changelog reaches back to the old version: if not, ids may be missing. Nothing is missing after a
    /// downgrade.
    pub is_complete: bool,
}

/// Source packages of both locks whose versions differ, by name.
pub fn source_changes(old: &Lock, new: &Lock, changelogs: &Changelogs) -> Vec<SourceChange> {
    let (old, new) = (versions(old), versions(new));
    let both = new.into_iter().filter_map(|(source, new)| Some((old.get(&source)?.clone(), source, new)));
    both.filter(|(old, _, new)| version::compare(old, new) != Ordering::Equal)
        .map(|(old, source, new)| source_change(source, old, new, changelogs))
        .collect()
}

/// The same as release notes tell it: source packages that are new or gone are in it too.
pub fn source_updates(old: &Lock, new: &Lock, changelogs: &Changelogs) -> Vec<SourceUpdate> {
    let (before, after) = (versions(old), versions(new));
    let both = source_changes(old, new, changelogs).into_iter().map(|changed| SourceUpdate {
        change: match version::compare(&changed.old, &changed.new) {
            Ordering::Greater => PackageChangeKind::Downgraded,
            Ordering::Less | Ordering::Equal => PackageChangeKind::Upgraded,
        },
        source: changed.source,
        from: Some(changed.old),
        to: Some(changed.new),
        cves: changed.cves,
        is_complete: changed.is_complete,
    });
    let added = after.iter().filter(|(source, _)| !before.contains_key(*source));
    let added = added.map(|(source, version)| come_or_gone(source, None, Some(version)));
    let removed = before.iter().filter(|(source, _)| !after.contains_key(*source));
    let removed = removed.map(|(source, version)| come_or_gone(source, Some(version), None));
    let mut updates: Vec<SourceUpdate> = both.chain(added).chain(removed).collect();
    updates.sort_by(|a, b| a.source.cmp(&b.source));
    updates
}

fn come_or_gone(source: &str, from: Option<&PackageVersion>, to: Option<&PackageVersion>) -> SourceUpdate {
    SourceUpdate {
        source: source.to_owned(),
        change: if to.is_some() { PackageChangeKind::Added } else { PackageChangeKind::Removed },
        from: from.cloned(),
        to: to.cloned(),
        cves: BTreeSet::new(),
        is_complete: true,
    }
}

/// Version of each source package; the highest where binary packages come from several.
fn versions(lock: &Lock) -> BTreeMap<String, PackageVersion> {
    let mut versions: BTreeMap<String, PackageVersion> = BTreeMap::new();
    for package in &lock.packages {
        let found = source_version(package);
        let known = versions.entry(source_name(&package.source).to_owned()).or_insert_with(|| found.clone());
        if version::compare(known, &found) == Ordering::Less {
            *known = found;
        }
    }
    versions
}

fn source_change(
    source: String,
    old: PackageVersion,
    new: PackageVersion,
    changelogs: &Changelogs,
) -> SourceChange {
    let entries = changelogs.sources.get(&source).map_or(&[][..], Vec::as_slice);
    let between = entries.iter().filter(|entry| {
        version::compare(&entry.version, &old) == Ordering::Greater
            && version::compare(&entry.version, &new) != Ordering::Greater
    });
    let cves = between.flat_map(|entry| entry.cves.iter().copied()).collect();
    let is_downgrade = version::compare(&old, &new) == Ordering::Greater;
    let is_complete = is_downgrade
        || entries.iter().any(|entry| version::compare(&entry.version, &old) != Ordering::Greater);
    SourceChange { source, old, new, cves, is_complete }
}
