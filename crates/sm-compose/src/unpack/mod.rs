//! Packages to a tree: all in parallel, merged in the lock's order, with what the recipe drops left out on the way.

mod ar;
mod deb;
#[cfg(test)]
pub(crate) mod tests;

use std::{collections::BTreeMap, io, path::PathBuf};

use rayon::prelude::*;
use sm_host::progress::{Progress, Unit};
use sm_model::PackageName;

use crate::{
    image::PackageFile,
    recipe::DropRules,
    tree::{InvalidPattern, Patterns, Tree, TreeError},
};

pub use ar::ArError;
pub use deb::Limits;

/// Packages that could not be unpacked into one tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// A package file is not there.
    #[error("cannot open package `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A package file is no `.deb`.
    #[error("cannot unpack package `{package}`")]
    Archive {
        /// The package.
        package: PackageName,
        /// What is wrong with it.
        source: ArError,
    },
    /// The file tree inside a package is damaged or too large.
    #[error("cannot decode the files of package `{package}`")]
    Data {
        /// The package.
        package: PackageName,
        /// What the decoder says.
        source: io::Error,
    },
    /// A package brings something that no image may have.
    #[error("package `{package}` brings `{}`: {why}", path.escape_debug())]
    Refused {
        /// The package.
        package: PackageName,
        /// The path, shortened.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Packages do not fit together.
    #[error("cannot put the packages into one tree")]
    Tree(#[from] TreeError),
    /// The recipe's patterns are wrong.
    #[error("cannot read the recipe's drop rules")]
    Pattern(#[from] InvalidPattern),
}

impl UnpackError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            UnpackError::Open { path, .. } => Some(format!(
                "remove `{}` and run the same command again: it is then downloaded anew",
                path.display()
            )),
            UnpackError::Archive { .. }
            | UnpackError::Data { .. }
            | UnpackError::Refused { .. }
            | UnpackError::Pattern(_) => None,
            UnpackError::Tree(error) => error.hint(),
        }
    }
}

/// What all packages bring together.
#[derive(Debug, Default)]
pub struct UnpackedSet {
    /// Their files, merged.
    pub tree: Tree,
    /// Compressed Debian changelog of each package that brings one.
    pub changelogs: BTreeMap<PackageName, Vec<u8>>,
}

/// Unpacks every package but the files that the rules leave out.
///
/// # Errors
/// When a package is damaged or hostile, or two bring the same file.
pub fn unpack_all(
    packages: &[PackageFile],
    rules: &DropRules,
    progress: &dyn Progress,
) -> Result<UnpackedSet, UnpackError> {
    let (drop, keep) = (Patterns::new(&rules.paths)?, Patterns::new(&rules.keep)?);
    let wanted = |path: &str| !drop.matches(path) || keep.matches(path);
    let task = progress.begin("unpack", Unit::Bytes, Some(total_bytes(packages)));
    // The largest first: the longest single-threaded decode must not start last.
    let mut by_size: Vec<(usize, &PackageFile)> = packages.iter().enumerate().collect();
    by_size.sort_by_key(|(index, file)| (std::cmp::Reverse(file.package.size_bytes), *index));
    let mut unpacked: Vec<(usize, deb::Unpacked)> = by_size
        .into_par_iter()
        .with_max_len(1)
        .map(|(index, file)| {
            let unpacked = deb::unpack(&file.path, &file.package.name, &wanted, Limits::DEFAULT)?;
            task.advance(file.package.size_bytes);
            Ok((index, unpacked))
        })
        .collect::<Result<_, UnpackError>>()?;
    unpacked.sort_by_key(|(index, _)| *index);
    merge(packages, unpacked.into_iter().map(|(_, unpacked)| unpacked))
}

fn merge(
    packages: &[PackageFile],
    unpacked: impl Iterator<Item = deb::Unpacked>,
) -> Result<UnpackedSet, UnpackError> {
    let mut set = UnpackedSet::default();
    for (file, unpacked) in packages.iter().zip(unpacked) {
        for (path, entry) in unpacked.entries {
            set.tree.add(&path, entry)?;
        }
        set.changelogs.extend(unpacked.changelog.map(|bytes| (file.package.name.clone(), bytes)));
    }
    Ok(set)
}

fn total_bytes(packages: &[PackageFile]) -> u64 {
    packages.iter().map(|file| file.package.size_bytes).sum()
}
