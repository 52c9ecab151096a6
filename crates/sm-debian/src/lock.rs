//! The answer to a request as a lock, and what has changed between two locks.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use serde::Serialize;
use sm_model::{Lock, LockedArchive, LockedPackage, PackageName, PackageVersion, Sha256};

use crate::{request::Request, resolve::Chosen, verified::VerifiedRelease, version};

/// Writes down the chosen packages with the signed state of each of the request's suites, in the request's order.
pub fn lock(request: &Request, releases: &[VerifiedRelease], chosen: &[Chosen<'_>]) -> Lock {
    let archives = request.suites.iter().zip(releases).map(|(suite, verified)| LockedArchive {
        suite: suite.suite.to_string(),
        mirror: suite.mirror.to_string(),
        release_sha256: verified.sha256(),
        date: verified.release().date,
    });
    let mut packages: Vec<LockedPackage> =
        chosen.iter().map(|chosen| locked_package(request, chosen)).collect();
    packages.sort_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
    Lock {
        format: Lock::FORMAT,
        arch: request.arch,
        request: request.digest(),
        archives: archives.collect(),
        packages,
    }
}

fn locked_package(request: &Request, chosen: &Chosen<'_>) -> LockedPackage {
    let package = chosen.package;
    LockedPackage {
        name: package.name.clone(),
        version: package.version.clone(),
        arch: package.arch.to_owned(),
        source: package.source.unwrap_or(package.name.as_str()).to_owned(),
        suite: request.suites.get(chosen.suite).map(|suite| suite.suite.to_string()).unwrap_or_default(),
        path: package.path.to_owned(),
        size_bytes: package.size_bytes,
        sha256: package.sha256,
    }
}

/// Versions to keep when a lock is renewed only for some packages: those of all others.
pub fn versions_to_keep(lock: &Lock, renewed: &[PackageName]) -> BTreeMap<PackageName, PackageVersion> {
    let kept = lock.packages.iter().filter(|package| !renewed.contains(&package.name));
    kept.map(|package| (package.name.clone(), package.version.clone())).collect()
}

/// What differs between two locks, by package name. Prints one line per package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockDiff {
    /// Packages that differ, sorted by name.
    pub packages: Vec<PackageChange>,
}

/// One package that differs between two sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: PackageName,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Version in the older set.
    pub old: Option<PackageVersion>,
    /// Version in the newer set.
    pub new: Option<PackageVersion>,
}

/// What happened to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only the newer set has it.
    Added,
    /// Only the older set has it.
    Removed,
    /// Its version rose.
    Upgraded,
    /// Its version fell.
    Downgraded,
    /// Its version is the same and its file is not.
    Rebuilt,
}

impl LockDiff {
    /// Compares two locks.
    pub fn between(old: &Lock, new: &Lock) -> Self {
        let by_name = |lock: &'_ Lock| -> BTreeMap<PackageName, (PackageVersion, Sha256)> {
            let packages = lock.packages.iter();
            packages
                .map(|package| (package.name.clone(), (package.version.clone(), package.sha256)))
                .collect()
        };
        let (old, new) = (by_name(old), by_name(new));
        let mut names: Vec<&PackageName> = old.keys().chain(new.keys()).collect();
        names.sort_unstable();
        names.dedup();
        LockDiff {
            packages: names
                .into_iter()
                .filter_map(|name| change(name, old.get(name), new.get(name)))
                .collect(),
        }
    }
}

type Pinned = (PackageVersion, Sha256);

fn change(name: &PackageName, old: Option<&Pinned>, new: Option<&Pinned>) -> Option<PackageChange> {
    let kind = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Removed,
        (Some(old), Some(new)) => match version::compare(&old.0, &new.0) {
            Ordering::Less => ChangeKind::Upgraded,
            Ordering::Greater => ChangeKind::Downgraded,
            Ordering::Equal if old.1 == new.1 => return None,
            Ordering::Equal => ChangeKind::Rebuilt,
        },
    };
    let version = |pinned: Option<&Pinned>| pinned.map(|(version, _)| version.clone());
    Some(PackageChange { name: name.clone(), kind, old: version(old), new: version(new) })
}

impl fmt::Display for LockDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.packages.is_empty() {
            return f.write_str("the package sets are equal");
        }
        let lines: Vec<String> = self.packages.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        let version =
            |version: &Option<PackageVersion>| version.as_ref().map(ToString::to_string).unwrap_or_default();
        let (old, new) = (version(&self.old), version(&self.new));
        match self.kind {
            ChangeKind::Added => write!(f, "+ {name} {new}"),
            ChangeKind::Removed => write!(f, "- {name} {old}"),
            ChangeKind::Upgraded => write!(f, "↑ {name} {old} → {new}"),
            ChangeKind::Downgraded => write!(f, "↓ {name} {old} → {new}"),
            ChangeKind::Rebuilt => write!(f, "≠ {name} {new}, another file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_model::Arch;

    fn lock_of(packages: &[(&str, &str, u8)]) -> Lock {
        let locked = |(name, version, digest): &(&str, &str, u8)| LockedPackage {
            name: name.parse().unwrap(),
            version: version.parse().unwrap(),
            arch: "amd64".to_owned(),
            source: (*name).to_owned(),
            suite: "trixie".to_owned(),
            path: format!("pool/main/{name}.deb"),
            size_bytes: 1,
            sha256: Sha256([*digest; 32]),
        };
        Lock {
            format: Lock::FORMAT,
            arch: Arch::Amd64,
            request: Sha256([0; 32]),
            archives: Vec::new(),
            packages: packages.iter().map(locked).collect(),
        }
    }

    #[test]
    fn every_kind_of_change_is_told_apart() {
        let old = lock_of(&[
            ("bash", "5.2-1", 1),
            ("curl", "8.14", 1),
            ("dash", "1", 1),
            ("gawk", "1", 1),
            ("sed", "4", 1),
        ]);
        let new = lock_of(&[
            ("curl", "8.14-1", 2),
            ("dash", "1~rc1", 2),
            ("gawk", "1", 2),
            ("jq", "1", 1),
            ("sed", "4", 1),
        ]);
        assert_eq!(
            LockDiff::between(&old, &new).to_string(),
            "- bash 5.2-1\n↑ curl 8.14 → 8.14-1\n↓ dash 1 → 1~rc1\n≠ gawk 1, another file\n+ jq 1"
        );
    }

    #[test]
    fn a_lock_does_not_differ_from_itself() {
        let lock = lock_of(&[("bash", "5.2-1", 1)]);
        assert_eq!(LockDiff::between(&lock, &lock).to_string(), "the package sets are equal");
    }

    #[test]
    fn renewing_one_package_keeps_the_others() {
        let kept =
            versions_to_keep(&lock_of(&[("bash", "1", 1), ("curl", "2", 1)]), &["curl".parse().unwrap()]);
        assert_eq!(kept.into_keys().map(|name| name.to_string()).collect::<Vec<_>>(), ["bash"]);
    }
}
