//! Locks as TOML files: stable order, one line per fact, so that a change reads well in version control.

use std::path::Path;

use sm_debian::{MirrorName, SuiteName, packages};
use sm_host::files::{read_limited, write_atomic};
use sm_model::{Lock, LockedPackage};

use super::ArchiveError;

/// Largest lock file: a thousand times Boxcar's.
const MAX_LOCK_BYTES: u64 = 64 << 20;

const HEADER: &str =
    "# Written by `stationmaster lock`: the exact packages. Renew it with `stationmaster lock update`.\n\n";

/// Reads and checks a lock.
///
/// # Errors
/// When there is none, the file cannot be read, or is not a lock that we can use.
pub fn read(path: &Path) -> Result<Lock, ArchiveError> {
    let bytes = match read_limited(path, MAX_LOCK_BYTES) {
        Err(error) if error.is_not_found() => return Err(ArchiveError::NoLock(path.to_owned())),
        other => other?,
    };
    parse(&bytes).map_err(|reason| ArchiveError::InvalidLock { path: path.to_owned(), reason })
}

/// Reads and checks a lock; `None` when there is no such file.
///
/// # Errors
/// As [`read`].
pub fn read_if_present(path: &Path) -> Result<Option<Lock>, ArchiveError> {
    match read(path) {
        Err(ArchiveError::NoLock(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// Writes a lock; the file is whole or unchanged.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, lock: &Lock) -> Result<(), ArchiveError> {
    let text = to_text(lock).map_err(|reason| ArchiveError::InvalidLock { path: path.to_owned(), reason })?;
    Ok(write_atomic(path, text.as_bytes())?)
}

/// The text of a lock file.
///
/// # Errors
/// When TOML cannot hold a value; no checked lock has one.
pub fn to_text(lock: &Lock) -> Result<String, String> {
    let body = toml::to_string(lock).map_err(|error| error.to_string())?;
    Ok(format!("{HEADER}{body}"))
}

/// Parses and checks the bytes of a lock file.
///
/// # Errors
/// When they are not a lock, or one that would lead outside the archive or the cache.
pub fn parse(bytes: &[u8]) -> Result<Lock, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let lock: Lock = toml::from_str(text).map_err(|error| error.to_string())?;
    check(&lock)?;
    Ok(lock)
}

/// Checks what the types do not say. A lock may come from anywhere: its paths become URLs.
pub(super) fn check(lock: &Lock) -> Result<(), String> {
    if lock.format != Lock::FORMAT {
        return Err(format!("format {} is unknown, expected {}", lock.format, Lock::FORMAT));
    }
    for archive in &lock.archives {
        archive.suite.parse::<SuiteName>().map_err(|error| error.to_string())?;
        archive.mirror.parse::<MirrorName>().map_err(|error| error.to_string())?;
    }
    lock.packages.iter().try_for_each(|package| check_package(lock, package))?;
    let is_sorted = lock.packages.is_sorted_by(|a, b| (&a.name, &a.arch) < (&b.name, &b.arch));
    if is_sorted { Ok(()) } else { Err("packages are not sorted by name, or one is there twice".to_owned()) }
}

/// Refuses a lock whose archives are older than those of the lock that it is to replace. Their signatures are good for ever where a
/// suite names no end, so a mirror could go back to a day before a fix.
///
/// # Errors
/// [`ArchiveError::Older`], for the first such suite.
pub fn refuse_older(old: &Lock, new: &Lock) -> Result<(), ArchiveError> {
    for offered in &new.archives {
        let known = old.archives.iter().find(|archive| archive.suite == offered.suite);
        if let Some(locked) = known.filter(|locked| offered.date < locked.date) {
            let suite = offered.suite.clone();
            return Err(ArchiveError::Older { suite, locked: locked.date, offered: offered.date });
        }
    }
    Ok(())
}

fn check_package(lock: &Lock, package: &LockedPackage) -> Result<(), String> {
    let name = &package.name;
    if package.arch != "all" && package.arch != lock.arch.debian() {
        return Err(format!("package `{name}` is for another architecture than `{}`", lock.arch));
    }
    if !lock.archives.iter().any(|archive| archive.suite == package.suite) {
        return Err(format!("package `{name}` is from a suite that the lock does not list"));
    }
    if !packages::is_pool_path(&package.path) {
        return Err(format!("package `{name}` has a path that leaves the archive's pool"));
    }
    if !(1..=packages::MAX_PACKAGE_BYTES).contains(&package.size_bytes) {
        return Err(format!("package `{name}` has an absurd size"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_model::{Arch, LockedArchive, Sha256};

    fn lock() -> Lock {
        let package = |name: &str| LockedPackage {
            name: name.parse().unwrap(),
            version: "5.2-1".parse().unwrap(),
            arch: "amd64".to_owned(),
            source: name.to_owned(),
            suite: "trixie".to_owned(),
            path: format!("pool/main/b/{name}.deb"),
            size_bytes: 7,
            sha256: Sha256([1; 32]),
        };
        Lock {
            format: Lock::FORMAT,
            arch: Arch::Amd64,
            request: Sha256([2; 32]),
            archives: vec![LockedArchive {
                suite: "trixie".to_owned(),
                mirror: "debian".to_owned(),
                release_sha256: Sha256([3; 32]),
                date: "2026-09-12T07:55:41Z".parse().unwrap(),
            }],
            packages: vec![package("bash"), package("dash")],
        }
    }

    #[test]
    fn an_archive_does_not_go_back_behind_a_lock() {
        let (old, mut new) = (lock(), lock());
        refuse_older(&old, &new).unwrap();
        new.archives[0].date = "2026-09-12T07:55:40Z".parse().unwrap();
        let error = refuse_older(&old, &new).unwrap_err();
        assert_eq!(
            error.to_string(),
            "suite `trixie` is of 2026-09-12T07:55:40Z, but the lock knows it of 2026-09-12T07:55:41Z"
        );
        assert_eq!(error.exit_code(), sm_model::exit::VERIFICATION);
        new.archives[0].suite = "forky".to_owned();
        refuse_older(&old, &new).unwrap();
    }

    #[test]
    fn the_file_format_is_pinned_and_reads_back() {
        let mut lock = lock();
        lock.packages.pop();
        let text = to_text(&lock).unwrap();
        let expected = format!(
            "{HEADER}format = 1\narch = \"amd64\"\nrequest = \"{}\"\n\n[[archives]]\nsuite = \"trixie\"\nmirror = \"debian\"\n\
             release_sha256 = \"{}\"\ndate = \"2026-09-12T07:55:41Z\"\n\n[[packages]]\nname = \"bash\"\nversion = \"5.2-1\"\n\
             arch = \"amd64\"\nsource = \"bash\"\nsuite = \"trixie\"\npath = \"pool/main/b/bash.deb\"\nsize_bytes = 7\n\
             sha256 = \"{}\"\n",
            "02".repeat(32),
            "03".repeat(32),
            "01".repeat(32)
        );
        assert_eq!(text, expected);
        assert_eq!(parse(text.as_bytes()), Ok(lock));
    }

    #[test]
    fn locks_that_would_lead_astray_are_refused() {
        type Change = fn(&mut Lock);
        let changes: [(Change, &str); 9] = [
            (|lock| lock.format = 2, "format 2 is unknown"),
            (|lock| lock.packages[0].path = "pool/../../etc/passwd".to_owned(), "leaves the archive's pool"),
            (|lock| lock.packages[0].path = "pool/x?y".to_owned(), "leaves the archive's pool"),
            (|lock| lock.packages[0].suite = "sid".to_owned(), "does not list"),
            (|lock| lock.packages[0].arch = "arm64".to_owned(), "another architecture"),
            (|lock| lock.packages[0].size_bytes = u64::from(u32::MAX) * 4, "absurd size"),
            (|lock| lock.packages[0].name = "dash".parse().unwrap(), "there twice"),
            (|lock| lock.packages.reverse(), "not sorted"),
            (|lock| lock.archives[0].mirror = "../x".to_owned(), "is not a mirror name"),
        ];
        for (change, reason) in changes {
            let mut lock = lock();
            change(&mut lock);
            assert!(check(&lock).unwrap_err().contains(reason), "{reason}");
        }
        assert_eq!(check(&lock()), Ok(()));
    }

    #[test]
    fn a_file_that_is_no_lock_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        assert_eq!(read_if_present(&path).unwrap(), None);
        assert_eq!(read(&path).unwrap_err().hint().unwrap(), "make one: stationmaster lock");
        write_atomic(&path, b"format = 1\nwhat = 2\n").unwrap();
        let error = read_if_present(&path).unwrap_err();
        assert!(error.to_string().contains("x.lock` is not a usable lock"), "{error}");
        assert_eq!(error.hint().unwrap(), "make a fresh one: stationmaster lock");
    }
}
