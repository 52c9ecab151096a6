//! Files that differ between two images: how many, and the largest of each sort.

use std::collections::BTreeMap;

use serde::Serialize;
use sm_model::ArtifactKind;

use crate::release::{ReleaseDir, ReleaseError, sbom};

/// A file that is not the same in both images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Its path in the newer image, or in the older where the newer has none. The kernel's release stands as `KERNEL`.
    pub path: String,
    /// Size in the older image; `None` when it is not there.
    pub old_bytes: Option<u64>,
    /// Size in the newer image.
    pub new_bytes: Option<u64>,
}

impl FileChange {
    /// By how much the image grew.
    pub fn grown_bytes(&self) -> i64 {
        let bytes = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
        bytes(self.new_bytes).saturating_sub(bytes(self.old_bytes))
    }
}

/// Files that differ between two images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileChanges {
    /// Files that only the newer image has.
    pub n_added: usize,
    /// Files that only the older image has.
    pub n_removed: usize,
    /// Files that both have, with other content.
    pub n_changed: usize,
    /// Size of all files of the older image.
    pub old_bytes: u64,
    /// Size of all files of the newer image.
    pub new_bytes: u64,
    /// Largest of the added.
    pub added: Vec<FileChange>,
    /// Largest of the removed.
    pub removed: Vec<FileChange>,
    /// Those that grew most.
    pub grown: Vec<FileChange>,
    /// Those that shrank most.
    pub shrunk: Vec<FileChange>,
}

/// Size and SHA-256 of a file.
type Files = BTreeMap<String, (u64, Option<String>)>;

impl FileChanges {
    pub(super) fn between(old: &ReleaseDir, new: &ReleaseDir, top: usize) -> Result<Self, ReleaseError> {
        Ok(compare(&files(old)?, &files(new)?, top))
    }
}

/// Regular files by path, with the kernel's release masked: otherwise every module were removed and added.
fn files(release: &ReleaseDir) -> Result<Files, ReleaseError> {
    let text = release.text(ArtifactKind::Sbom)?;
    let bill: sbom::Document = serde_json::from_str(&text).map_err(|source| ReleaseError::Malformed {
        path: release.path().to_owned(),
        expected: "release with an SPDX bill of materials",
        source: source.into(),
    })?;
    let digest = |file: sbom::File| {
        let sha256 = file.checksums.into_iter().find(|sum| sum.algorithm == "SHA256")?;
        Some((file.file_name.trim_start_matches('.').to_owned(), sha256.checksum_value))
    };
    let mut digests: BTreeMap<String, String> = bill.files.into_iter().filter_map(digest).collect();
    let regular = release.contents()?.into_iter().filter(|(_, listed)| listed.mode.starts_with('-'));
    let kernel = release.manifest().kernel.clone();
    let masked = regular.map(|(path, listed)| {
        let digest = digests.remove(&path);
        let path = if kernel.is_empty() { path } else { path.replace(&kernel, "KERNEL") };
        (path, (listed.size_bytes, digest))
    });
    Ok(masked.collect())
}

fn compare(old: &Files, new: &Files, top: usize) -> FileChanges {
    let total = |files: &Files| files.values().map(|(size, _)| size).sum();
    let mut changes = FileChanges { old_bytes: total(old), new_bytes: total(new), ..FileChanges::default() };
    for (path, new_file) in new {
        let change = |old_bytes| FileChange { path: path.clone(), old_bytes, new_bytes: Some(new_file.0) };
        match old.get(path) {
            None => changes.added.push(change(None)),
            Some(old_file) if old_file == new_file => {}
            Some((old_bytes, _)) => {
                changes.n_changed += 1;
                let change = change(Some(*old_bytes));
                match change.grown_bytes() {
                    0 => {}
                    1.. => changes.grown.push(change),
                    _ => changes.shrunk.push(change),
                }
            }
        }
    }
    let gone = old.iter().filter(|(path, _)| !new.contains_key(*path));
    changes.removed.extend(gone.map(|(path, (size, _))| FileChange {
        path: path.clone(),
        old_bytes: Some(*size),
        new_bytes: None,
    }));
    (changes.n_added, changes.n_removed) = (changes.added.len(), changes.removed.len());
    for list in [&mut changes.added, &mut changes.removed, &mut changes.grown, &mut changes.shrunk] {
        keep_largest(list, top);
    }
    changes
}

/// Largest change first; of equal ones by path.
fn keep_largest(list: &mut Vec<FileChange>, top: usize) {
    list.sort_by(|a, b| {
        let size = |change: &FileChange| change.grown_bytes().unsigned_abs();
        size(b).cmp(&size(a)).then_with(|| a.path.cmp(&b.path))
    });
    list.truncate(top);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files(of: &[(u8, u16)]) -> Files {
        of.iter()
            .map(|(name, size)| (format!("/usr/{name}"), (u64::from(*size), Some(size.to_string()))))
            .collect()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_sizes_add_up(old: Vec<(u8, u16)>, new: Vec<(u8, u16)>) {
            let (old, new) = (files(&old), files(&new));
            let changes = compare(&old, &new, usize::MAX);
            let same = new.iter().filter(|(path, file)| old.get(*path) == Some(*file)).count();
            prop_assert_eq!(changes.n_added + changes.n_changed + same, new.len());
            prop_assert_eq!(changes.n_removed + changes.n_changed + same, old.len());
            let lists = [&changes.added, &changes.removed, &changes.grown, &changes.shrunk];
            let grown: i64 = lists.into_iter().flatten().map(FileChange::grown_bytes).sum();
            prop_assert_eq!(grown, changes.new_bytes as i64 - changes.old_bytes as i64);
        }
    }

    #[test]
    fn the_largest_come_first_and_the_rest_is_only_counted() {
        let changes = compare(&files(&[]), &files(&[(1, 5), (2, 9), (3, 9)]), 2);
        let paths: Vec<_> = changes.added.iter().map(|change| change.path.as_str()).collect();
        assert_eq!((paths, changes.n_added), (vec!["/usr/2", "/usr/3"], 3));
    }
}
