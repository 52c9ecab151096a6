//! All package files of a lock: what is cached is checked, what is not is fetched, several at a time.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rayon::prelude::*;
use sm_host::{
    files::{self, FileError},
    progress::{Task, Unit},
};
use sm_model::{Lock, LockedPackage};

use super::{
    Archive, ArchiveError, Vanished,
    download::{Wanted, download, is_whole, partial_path},
    lock_file,
};

/// Connections at a time: enough to hide latency, few enough to be a polite guest of a public mirror.
const N_CONNECTIONS: usize = 6;

pub(super) fn fetch_all(archive: &Archive<'_>, lock: &Lock) -> Result<Vec<PathBuf>, ArchiveError> {
    lock_file::check(lock)
        .map_err(|reason| ArchiveError::InvalidLock { path: "the given lock".into(), reason })?;
    let missing = missing(archive, lock)?;
    if !missing.is_empty() {
        let guard = archive.cache.guard(archive.progress)?;
        // Another process may have fetched some of them while we waited.
        let missing = self::missing(archive, lock)?;
        let root = archive.cache.root();
        check_room(root, bytes_to_fetch(archive, &missing), files::free_bytes(root)?)?;
        fetch_missing(archive, lock, &missing)?;
        drop(guard);
    }
    Ok(lock.packages.iter().map(|package| archive.cache.deb(&package.sha256)).collect())
}

/// Packages whose file is not in the cache, or not what it should be.
fn missing<'l>(archive: &Archive<'_>, lock: &'l Lock) -> Result<Vec<&'l LockedPackage>, ArchiveError> {
    let is_missing = |package: &&LockedPackage| {
        let path = archive.cache.deb(&package.sha256);
        is_whole(&path, package.size_bytes, package.sha256).map(|whole| !whole)
    };
    let checked: Vec<(&LockedPackage, bool)> = lock
        .packages
        .par_iter()
        .map(|package| Ok((package, is_missing(&package)?)))
        .collect::<Result<_, FileError>>()?;
    Ok(checked.into_iter().filter_map(|(package, missing)| missing.then_some(package)).collect())
}

/// Makes sure of room for everything before anything is fetched.
fn check_room(cache: &Path, needed_bytes: u64, free_bytes: u64) -> Result<(), ArchiveError> {
    if needed_bytes > free_bytes {
        return Err(ArchiveError::NoRoom { path: cache.to_owned(), free_bytes, needed_bytes });
    }
    Ok(())
}

/// What is left to fetch: parts of earlier attempts count as there.
fn bytes_to_fetch(archive: &Archive<'_>, missing: &[&LockedPackage]) -> u64 {
    let left = missing.iter().map(|package| {
        let partial = partial_path(&archive.cache.deb(&package.sha256));
        let there = std::fs::metadata(partial).map_or(0, |metadata| metadata.len());
        package.size_bytes.saturating_sub(there)
    });
    left.sum()
}

/// What several connections have to tell each other.
struct Shared<'m> {
    missing: &'m [&'m LockedPackage],
    next: AtomicUsize,
    vanished: Mutex<Vec<Vanished>>,
    failure: Mutex<Option<ArchiveError>>,
}

fn fetch_missing(archive: &Archive<'_>, lock: &Lock, missing: &[&LockedPackage]) -> Result<(), ArchiveError> {
    files::create_dir_all(archive.cache.deb(&sm_model::Sha256([0; 32])).parent().unwrap_or(Path::new(".")))?;
    let total_bytes = bytes_to_fetch(archive, missing);
    let task = archive.progress.begin("Fetching packages", Unit::Bytes, Some(total_bytes));
    let shared =
        Shared { missing, next: AtomicUsize::new(0), vanished: Mutex::default(), failure: Mutex::default() };
    std::thread::scope(|scope| {
        for _ in 0..N_CONNECTIONS.min(missing.len()) {
            scope.spawn(|| work(archive, lock, &shared, task.as_ref()));
        }
    });
    if let Some(failure) = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let mut vanished = shared.vanished.into_inner().unwrap_or_else(PoisonError::into_inner);
    vanished.sort_by(|a, b| a.name.cmp(&b.name));
    if vanished.is_empty() { Ok(()) } else { Err(ArchiveError::Vanished(vanished)) }
}

/// Takes the next package until none is left or one has failed. A vanished one does not end the work: all are told together.
fn work(archive: &Archive<'_>, lock: &Lock, shared: &Shared<'_>, task: &dyn Task) {
    while locked(&shared.failure).is_none() {
        let Some(package) = shared.missing.get(shared.next.fetch_add(1, Ordering::Relaxed)) else { return };
        task.detail(package.name.as_str());
        match fetch_one(archive, lock, package, task) {
            Ok(()) => {}
            Err(ArchiveError::Fetch { source, .. }) if source.status() == Some(404) => {
                locked(&shared.vanished)
                    .push(Vanished { name: package.name.clone(), version: package.version.clone() });
            }
            Err(failure) => {
                locked(&shared.failure).get_or_insert(failure);
            }
        }
    }
}

fn fetch_one(
    archive: &Archive<'_>,
    lock: &Lock,
    package: &LockedPackage,
    task: &dyn Task,
) -> Result<(), ArchiveError> {
    let mirror = lock
        .archives
        .iter()
        .find(|locked| locked.suite == package.suite)
        .map(|locked| locked.mirror.as_str());
    let bases = archive.mirrors.of(mirror.unwrap_or_default())?;
    let wanted = Wanted {
        what: format!("package `{} {}`", package.name, package.version),
        urls: bases.iter().map(|base| format!("{base}/{}", package.path)).collect(),
        size_bytes: package.size_bytes,
        sha256: package.sha256,
    };
    download(archive.fetch, &wanted, &archive.cache.deb(&package.sha256), task)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_would_fill_the_disk_are_not_begun() {
        let cache = Path::new("/cache");
        assert!(check_room(cache, 100, 100).is_ok());
        let error = check_room(cache, 101, 100).unwrap_err();
        assert_eq!(error.to_string(), "`/cache` has room for 100 bytes, the packages need 101");
        assert!(error.hint().unwrap().starts_with("make room"));
        assert_eq!(error.exit_code(), sm_model::exit::STORAGE);
    }
}
