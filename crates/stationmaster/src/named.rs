//! Releases as people name them: by a directory, by CHANNEL/BOARD/VERSION below a root, or by a version alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sm_compose::release::{MANIFEST, ReleaseDir};
use sm_model::exit;

/// A name that leads to no release, or to several.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownRelease {
    /// Nothing has this name.
    #[error("`{}` is no release, and there is none of that name below `{}`", named.display(), root.display())]
    None {
        /// The name.
        named: PathBuf,
        /// Where it was looked for.
        root: PathBuf,
        /// What is there instead: CHANNEL/BOARD/VERSION.
        there: Vec<String>,
    },
    /// A version that more than one channel or board has.
    #[error("`{named}` is the version of more than one release: {}", found.join(", "))]
    Several {
        /// The version.
        named: String,
        /// CHANNEL/BOARD/VERSION of each.
        found: Vec<String>,
    },
}

impl UnknownRelease {
    /// Most releases that a hint names.
    const NAMED_IN_HINTS: usize = 6;

    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            UnknownRelease::None { there, .. } if there.is_empty() => {
                "compose one with `stationmaster compose`, or name the folder that holds releases with `--root`".to_owned()
            }
            UnknownRelease::None { there, .. } => {
                let newest: Vec<&str> = there.iter().rev().take(Self::NAMED_IN_HINTS).map(String::as_str).collect();
                format!("there are {}", newest.join(", "))
            }
            UnknownRelease::Several { .. } => "name one of them whole".to_owned(),
        })
    }

    pub(crate) fn exit_code(&self) -> u8 {
        exit::STORAGE
    }
}

/// Opens the release that is named.
///
/// # Errors
/// When nothing, or more than one release, has that name; when its manifest cannot be read.
pub(crate) fn open(root: &Path, named: &Path) -> anyhow::Result<ReleaseDir> {
    Ok(ReleaseDir::open(&find(root, named)?)?)
}

/// The directory of the release that is named.
pub(crate) fn find(root: &Path, named: &Path) -> Result<PathBuf, UnknownRelease> {
    let below = root.join(named);
    if let Some(directory) = [named, &below].into_iter().find(|place| place.join(MANIFEST).is_file()) {
        return Ok(directory.to_owned());
    }
    let there = releases_below(root);
    let version = named.to_string_lossy();
    let found: Vec<&String> = there.iter().filter(|name| name.rsplit('/').next() == Some(&version)).collect();
    match found[..] {
        [one] => Ok(root.join(one)),
        [] => Err(UnknownRelease::None { named: named.to_owned(), root: root.to_owned(), there }),
        [..] => Err(UnknownRelease::Several {
            named: version.into_owned(),
            found: found.into_iter().cloned().collect(),
        }),
    }
}

/// CHANNEL/BOARD/VERSION of every release below `root`; none where it cannot be read.
fn releases_below(root: &Path) -> Vec<String> {
    let names = |directory: &Path| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    };
    let mut found = Vec::new();
    for channel in names(root) {
        for board in names(&root.join(&channel)) {
            let versions = names(&root.join(&channel).join(&board));
            found.extend(versions.iter().map(|version| format!("{channel}/{board}/{version}")));
        }
    }
    found.retain(|name| root.join(name).join(MANIFEST).is_file());
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_with(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir_all(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join(MANIFEST), "{}").unwrap();
        }
        root
    }

    #[test]
    fn a_release_is_found_by_directory_by_place_and_by_version() {
        let root = root_with(&["alpha/amd64-usr/4893.0.0", "beta/amd64-usr/4893.1.0"]);
        let place = root.path().join("beta/amd64-usr/4893.1.0");
        for named in [place.as_path(), Path::new("beta/amd64-usr/4893.1.0"), Path::new("4893.1.0")] {
            assert_eq!(find(root.path(), named).unwrap(), place);
        }
    }

    #[test]
    fn a_name_without_a_release_says_which_there_are() {
        let root = root_with(&["alpha/amd64-usr/4893.0.0"]);
        let error = find(root.path(), Path::new("4893.0.9")).unwrap_err();
        assert!(error.to_string().starts_with("`4893.0.9` is no release, and there is none"), "{error}");
        assert_eq!(error.hint().unwrap(), "there are alpha/amd64-usr/4893.0.0");
        let nowhere = find(Path::new("/nonexistent"), Path::new("4893.0.9")).unwrap_err();
        assert!(nowhere.hint().unwrap().starts_with("compose one"));
    }

    #[test]
    fn a_version_of_two_boards_has_to_be_named_whole() {
        let root = root_with(&["alpha/amd64-usr/4893.0.0", "alpha/arm64-usr/4893.0.0"]);
        let error = find(root.path(), Path::new("4893.0.0")).unwrap_err();
        assert!(error.to_string().ends_with("alpha/amd64-usr/4893.0.0, alpha/arm64-usr/4893.0.0"), "{error}");
    }
}
