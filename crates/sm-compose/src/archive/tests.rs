//! The client against a fake archive: what it fetches, what it refuses, what it leaves behind.

use std::{
    fs,
    io::{Read, Write as _},
    path::{Path, PathBuf},
};

use sm_debian::{
    Keyring, Pin, Request, SuiteRef,
    lock::versions_to_keep,
    release::Release,
    test_archive::{KeyTraits, SignatureTraits, TestKey, TestSuite, sign},
};
use sm_host::{
    fetch::{Answer, FakeFetch},
    progress::Silent,
};
use sm_model::{Arch, Lock, Timestamp, exit};

use super::{Archive, ArchiveError, Mirrors, lock_file};

const BASE: &str = "http://mirror.example/debian";
const NOW: &str = "2026-11-23T06:00:00Z";
const YESTERDAY: &str = "2026-11-22T06:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut packed).unwrap();
    packed
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A mirror with one suite, a trusted key, a request, and an empty cache.
struct World {
    server: FakeFetch,
    suite: TestSuite,
    key: TestKey,
    mirrors: Mirrors,
    request: Request,
    cache: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let mut suite = TestSuite::new(
            "trixie",
            at(YESTERDAY),
            &["bash 5.2-1; Depends: libc6 (>= 2.41)", "libc6 2.41-12", "curl 8.14-2"],
        );
        suite.forms = vec![(".xz", xz), (".gz", gzip)];
        let world = World {
            server: FakeFetch::new(),
            suite,
            key: TestKey::new("Archive", KeyTraits::made(at("2025-01-01T00:00:00Z"))).unwrap(),
            mirrors: Mirrors::default().overridden(&[format!("debian={BASE}")]).unwrap(),
            request: Request {
                arch: Arch::Amd64,
                suites: vec![SuiteRef {
                    mirror: "debian".parse().unwrap(),
                    suite: "trixie".parse().unwrap(),
                    components: vec!["main".parse().unwrap()],
                }],
                wanted: ["bash", "curl"].map(|name| name.parse().unwrap()).into(),
                excluded: Default::default(),
                assumed: Default::default(),
                pins: Default::default(),
            },
            cache: tempfile::tempdir().unwrap(),
        };
        world.publish();
        world
    }

    /// Puts the suite, as it now is, on the server.
    fn publish(&self) {
        let traits = SignatureTraits::made(at(YESTERDAY));
        let inrelease = sign(&self.suite.release(Arch::Amd64), &[&self.key], traits).unwrap();
        for (path, bytes) in self.suite.files(Arch::Amd64, &inrelease) {
            self.server.serve(&format!("{BASE}/{path}"), Answer::Bytes(bytes));
        }
    }

    fn archive(&self) -> Archive<'_> {
        Archive::new(&self.server, &self.mirrors, self.cache.path(), &Silent)
    }

    fn keyring(&self) -> Keyring {
        Keyring::parse(&self.key.certificate().unwrap()).unwrap()
    }

    fn resolve(&self) -> Result<Lock, ArchiveError> {
        self.archive().resolve(&self.request, &self.keyring(), &Default::default(), at(NOW))
    }

    fn url_of(&self, package: &str) -> String {
        let found = self.suite.packages.iter().find(|other| other.path.contains(&format!("/{package}_")));
        format!("{BASE}/{}", found.unwrap().path)
    }

    fn file_of(&self, package: &str) -> Vec<u8> {
        let found = self.suite.packages.iter().find(|other| other.path.contains(&format!("/{package}_")));
        found.unwrap().file.clone()
    }

    /// Addresses of the index that the release names.
    fn index_urls(&self) -> Vec<String> {
        let release = Release::parse(&self.suite.release(Arch::Amd64)).unwrap();
        let index = release.package_index(&"main".parse().unwrap(), Arch::Amd64).unwrap();
        index.paths.iter().map(|path| format!("{BASE}/dists/trixie/{path}")).collect()
    }

    /// First bytes that were asked for of a package's file, request by request.
    fn starts(&self, package: &str) -> Vec<u64> {
        let url = self.url_of(package);
        let asked = self.server.asked();
        asked.iter().filter(|request| request.url == url).map(|request| request.start_bytes).collect()
    }

    /// Paths that were asked for, without the server's name.
    fn asked(&self) -> Vec<String> {
        self.server.asked().iter().map(|request| request.url.trim_start_matches(BASE).to_owned()).collect()
    }

    /// Names of the files that lie in the cache's package directory.
    fn cached(&self) -> Vec<String> {
        names_in(&self.cache.path().join("debs/sha256"))
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn contents(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn names(lock: &Lock) -> Vec<&str> {
    lock.packages.iter().map(|package| package.name.as_str()).collect()
}

#[test]
fn a_request_becomes_a_lock_and_a_lock_becomes_files_in_its_order() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    assert_eq!(names(&lock), ["bash", "curl", "libc6"]);
    assert_eq!(lock.request, world.request.digest());
    let paths = world.archive().fetch_all(&lock).unwrap();
    assert_eq!(contents(&paths), ["bash", "curl", "libc6"].map(|name| world.file_of(name)));
}

#[test]
fn indexes_are_fetched_compressed_and_by_their_digest() {
    let world = World::new();
    world.resolve().unwrap();
    let asked = world.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0], "/dists/trixie/InRelease");
    assert!(asked[1].starts_with("/dists/trixie/main/binary-amd64/by-hash/SHA256/"), "{asked:?}");
    assert_eq!(world.server.asked()[1].limit_bytes, xz(world.suite.index().as_bytes()).len() as u64);
}

#[test]
fn an_index_that_did_not_change_is_not_fetched_again() {
    let world = World::new();
    world.resolve().unwrap();
    world.resolve().unwrap();
    assert_eq!(world.asked().len(), 3);
}

#[test]
fn a_mirror_without_by_hash_is_asked_by_name() {
    let mut world = World::new();
    world.suite.by_hash = false;
    world.publish();
    world.resolve().unwrap();
    assert_eq!(world.asked()[1], "/dists/trixie/main/binary-amd64/Packages.xz");
}

#[test]
fn a_missing_digest_path_falls_back_to_the_name() {
    let world = World::new();
    world.server.serve(&world.index_urls()[0], Answer::Status(404));
    world.resolve().unwrap();
    assert_eq!(world.asked().last().unwrap(), "/dists/trixie/main/binary-amd64/Packages.xz");
}

#[test]
fn every_form_of_an_index_gives_the_same_lock() {
    let locks = [vec![(".xz", xz as fn(&[u8]) -> Vec<u8>)], vec![(".gz", gzip)], vec![]].map(|forms| {
        let mut world = World::new();
        world.suite.forms = forms;
        world.publish();
        world.resolve().unwrap().packages
    });
    assert!(locks[0] == locks[1] && locks[1] == locks[2]);
}

#[test]
fn a_second_run_touches_no_network() {
    let world = World::new();
    let lock_path = world.cache.path().join("amd64.lock");
    let run = || {
        let lock = world.archive().lock(&lock_path, &world.request, &world.keyring(), at(NOW)).unwrap();
        world.archive().fetch_all(&lock).unwrap()
    };
    let first = run();
    let n_asked = world.asked().len();
    assert_eq!(run(), first);
    assert_eq!(world.asked().len(), n_asked);
}

#[test]
fn a_changed_request_makes_a_fresh_lock() {
    let mut world = World::new();
    let lock_path = world.cache.path().join("amd64.lock");
    world.archive().lock(&lock_path, &world.request, &world.keyring(), at(NOW)).unwrap();
    world.request.wanted.remove(&"curl".parse().unwrap());
    world.archive().lock(&lock_path, &world.request, &world.keyring(), at(NOW)).unwrap();
    assert_eq!(names(&lock_file::read(&lock_path).unwrap()), ["bash", "libc6"]);
}

#[test]
fn renewing_one_package_leaves_the_others_where_they_are() {
    let mut world = World::new();
    let lock = world.resolve().unwrap();
    let newer = TestSuite::new("trixie", at(YESTERDAY), &["bash 5.3-1; Depends: libc6", "curl 8.15-1"]);
    world.suite.packages.extend(newer.packages);
    world.publish();
    let keep = versions_to_keep(&lock, &["curl".parse().unwrap()]);
    let renewed = world.archive().resolve(&world.request, &world.keyring(), &keep, at(NOW)).unwrap();
    assert_eq!(sm_debian::LockDiff::between(&lock, &renewed).to_string(), "↑ curl 8.14-2 → 8.15-1");
}

#[test]
fn a_tampered_release_ends_the_work() {
    let world = World::new();
    let traits = SignatureTraits::made(at(YESTERDAY));
    let honest = sign(&world.suite.release(Arch::Amd64), &[&world.key], traits).unwrap();
    let tampered = honest.replace("Version: 1.0", "Version: 1.1");
    assert_ne!(honest, tampered);
    world.server.serve(&format!("{BASE}/dists/trixie/InRelease"), Answer::Bytes(tampered.into_bytes()));
    let error = world.resolve().unwrap_err();
    assert_eq!(error.to_string(), "the release file of suite `trixie` is not trustworthy");
    assert_eq!(error.exit_code(), exit::VERIFICATION);
    assert!(error.hint().unwrap().contains("another mirror"));
}

#[test]
fn a_keyring_without_the_archives_key_ends_the_work() {
    let world = World::new();
    let other = TestKey::new("Other", KeyTraits::made(at("2025-01-01T00:00:00Z"))).unwrap();
    let keyring = Keyring::parse(&other.certificate().unwrap()).unwrap();
    let error = world.archive().resolve(&world.request, &keyring, &Default::default(), at(NOW)).unwrap_err();
    assert_eq!(error.exit_code(), exit::VERIFICATION);
    assert!(error.hint().unwrap().contains("keyring"));
}

#[test]
fn an_expired_archive_ends_the_work() {
    let mut world = World::new();
    world.suite.valid_until = Some(at("2026-11-23T00:00:00Z"));
    world.publish();
    let error = world.resolve().unwrap_err();
    assert!(error.to_string().contains("expired on 2026-11-23T00:00:00Z"), "{error}");
    assert!(error.hint().unwrap().contains("--mirror"));
}

#[test]
fn a_mirror_that_fails_is_followed_by_the_next_one() {
    let mut world = World::new();
    let named = ["debian=http://stale.example/debian".to_owned(), format!("debian={BASE}")];
    world.mirrors = Mirrors::default().overridden(&named).unwrap();
    let mut stale = world.suite.clone();
    stale.valid_until = Some(at("2026-11-23T00:00:00Z"));
    let stale =
        sign(&stale.release(Arch::Amd64), &[&world.key], SignatureTraits::made(at(YESTERDAY))).unwrap();
    let url = "http://stale.example/debian/dists/trixie/InRelease";
    world.server.serve(url, Answer::Bytes(stale.into_bytes()));
    let lock = world.resolve().unwrap();
    assert_eq!(world.archive().fetch_all(&lock).unwrap().len(), 3);
}

#[test]
fn a_tampered_index_is_refused_and_not_kept() {
    let world = World::new();
    let mut tampered = xz(world.suite.index().as_bytes());
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    for url in world.index_urls() {
        world.server.serve(&url, Answer::Bytes(tampered.clone()));
    }
    let error = world.resolve().unwrap_err();
    assert!(matches!(error, ArchiveError::Mismatch { .. }), "{error:?}");
    assert_eq!(error.exit_code(), exit::VERIFICATION);
    assert_eq!(names_in(&world.cache.path().join("indexes/sha256")), [""; 0]);
}

#[test]
fn an_index_that_unpacks_to_more_than_was_signed_is_stopped() {
    let mut world = World::new();
    world.suite.forms = vec![(".xz", |plain| xz(&[plain, &[b'\n'; 4096]].concat()))];
    world.publish();
    let error = world.resolve().unwrap_err();
    assert!(error.to_string().contains("does not unpack to the"), "{error}");
    world.suite.forms = vec![(".xz", |_| b"not xz at all".to_vec())];
    world.publish();
    assert!(matches!(world.resolve().unwrap_err(), ArchiveError::Unpack { .. }));
}

#[test]
fn a_hostile_path_in_a_signed_index_is_refused() {
    let mut world = World::new();
    world.suite.packages[0].path = "pool/../../../etc/passwd".to_owned();
    world.publish();
    let error = world.resolve().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "package `bash`: field `Filename` is missing or wrong: `pool/../../../etc/passwd`");
}

#[test]
fn an_unsatisfiable_request_says_why_and_what_to_do() {
    let mut world = World::new();
    world.request.pins.insert("libc6".parse().unwrap(), Pin::Version("2.40-1".parse().unwrap()));
    let error = world.resolve().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no set of packages answers the request:\n  - `bash 5.2-1` (wanted) needs `libc6 (>= 2.41)`, but no suite offers \
         the version 2.40-1 that `libc6` is pinned to"
    );
    assert_eq!(error.exit_code(), exit::UNRESOLVED);
    assert!(error.hint().unwrap().starts_with("change the recipe"));
}

#[test]
fn a_tampered_package_is_refused_and_not_kept() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    let mut tampered = world.file_of("curl");
    tampered[0] ^= 1;
    world.server.serve(&world.url_of("curl"), Answer::Bytes(tampered));
    let error = world.archive().fetch_all(&lock).unwrap_err();
    assert!(error.to_string().starts_with("package `curl 8.14-2` is not what was signed"), "{error}");
    assert_eq!(error.exit_code(), exit::VERIFICATION);
    let curl = lock.packages.iter().find(|package| package.name.as_str() == "curl").unwrap();
    assert!(!world.cached().iter().any(|name| name.contains(&curl.sha256.to_string())));
}

#[test]
fn a_package_longer_than_announced_is_refused_and_not_kept() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    let longer = [world.file_of("curl"), vec![0; 1 << 20]].concat();
    world.server.serve(&world.url_of("curl"), Answer::Bytes(longer));
    let error = world.archive().fetch_all(&lock).unwrap_err();
    assert!(matches!(error, ArchiveError::Fetch { .. } | ArchiveError::Mismatch { .. }), "{error:?}");
    assert!(world.cached().iter().all(|name| fs::metadata(world.cache.path().join("debs/sha256").join(name)).unwrap().len() < 1000));
}

#[test]
fn all_vanished_packages_are_named_with_the_command_that_renews_them() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    for package in ["libc6", "bash"] {
        world.server.serve(&world.url_of(package), Answer::Status(404));
    }
    let error = world.archive().fetch_all(&lock).unwrap_err();
    assert_eq!(error.to_string(), "the archive no longer has `bash 5.2-1`, `libc6 2.41-12`");
    assert!(error.hint().unwrap().ends_with("stationmaster lock update --only bash --only libc6"));
    assert_eq!(error.exit_code(), exit::UNRESOLVED);
    assert_eq!(world.cached().len(), 1);
}

#[test]
fn a_file_is_not_called_vanished_while_a_mirror_did_not_answer() {
    let mut world = World::new();
    let lock = world.resolve().unwrap();
    let named = [format!("debian={BASE}"), "debian=http://partial.example/debian".to_owned()];
    world.mirrors = Mirrors::default().overridden(&named).unwrap();
    world.server.serve(&world.url_of("bash"), Answer::Status(503));
    world.server.serve(&world.url_of("bash").replace("mirror.", "partial."), Answer::Status(404));
    let error = world.archive().fetch_all(&lock).unwrap_err();
    assert!(
        matches!(&error, ArchiveError::Fetch { source, .. } if source.status() == Some(503)),
        "{error:?}"
    );
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    let whole = world.file_of("curl");
    let answers = vec![Answer::BreaksAfter(whole.clone(), 5), Answer::Bytes(whole.clone())];
    world.server.serve_in_turn(&world.url_of("curl"), answers);
    let paths = world.archive().fetch_all(&lock).unwrap();
    assert_eq!(fs::read(&paths[1]).unwrap(), whole);
    assert_eq!(world.starts("curl"), [0, 5]);
}

#[test]
fn an_interrupted_run_leaves_a_part_that_the_next_run_goes_on_from() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    let whole = world.file_of("curl");
    let breaks = (1..=3).map(|_| Answer::BreaksAfter(whole.clone(), 2)).collect::<Vec<_>>();
    world.server.serve_in_turn(&world.url_of("curl"), breaks);
    let error = world.archive().fetch_all(&lock).unwrap_err();
    assert_eq!(error.to_string(), "cannot fetch package `curl 8.14-2`");
    assert_eq!(error.exit_code(), exit::NETWORK);
    assert_eq!(world.cached().iter().filter(|name| name.ends_with(".partial")).count(), 1);
    world.server.serve(&world.url_of("curl"), Answer::Bytes(whole.clone()));
    let paths = world.archive().fetch_all(&lock).unwrap();
    assert_eq!(fs::read(&paths[1]).unwrap(), whole);
    assert_eq!(*world.starts("curl").last().unwrap(), 6);
    assert!(world.cached().iter().all(|name| name.ends_with(".deb")));
}

#[test]
fn a_disk_that_fills_up_keeps_whole_packages_and_no_parts() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    let bash = lock.packages.iter().find(|package| package.name.as_str() == "bash").unwrap();
    let place = world.cache.path().join("debs/sha256").join(format!("{}.deb", bash.sha256));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    // Every write to this device is answered with "no space left" (full(4)).
    std::os::unix::fs::symlink("/dev/full", place.with_extension("deb.partial")).unwrap();
    let error = world.archive().fetch_all(&lock).unwrap_err();
    assert_eq!(error.exit_code(), exit::STORAGE);
    assert!(error.hint().unwrap().starts_with("make room"), "{error}");
    assert!(world.cached().iter().all(|name| name.ends_with(".deb")), "{:?}", world.cached());
    assert!(!place.exists());
    // Room was made.
    let files = world.archive().fetch_all(&lock).unwrap();
    assert_eq!(contents(&files)[0], world.file_of("bash"));
}

#[test]
fn a_server_without_ranges_starts_over() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    let whole = world.file_of("curl");
    let answers = vec![Answer::BreaksAfter(whole.clone(), 5), Answer::BytesIgnoringRange(whole.clone())];
    world.server.serve_in_turn(&world.url_of("curl"), answers);
    let paths = world.archive().fetch_all(&lock).unwrap();
    assert_eq!(fs::read(&paths[1]).unwrap(), whole);
}

#[test]
fn a_part_of_something_else_is_thrown_away() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    for package in &lock.packages {
        let path = world.cache.path().join("debs/sha256").join(format!("{}.deb.partial", package.sha256));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let junk = if package.name.as_str() == "bash" { vec![b'j'; 1 << 16] } else { b"junk".to_vec() };
        fs::write(path, junk).unwrap();
    }
    let paths = world.archive().fetch_all(&lock).unwrap();
    assert_eq!(contents(&paths), ["bash", "curl", "libc6"].map(|name| world.file_of(name)));
    assert_eq!(world.cached().len(), 3);
}

#[test]
fn a_cached_file_that_rotted_is_fetched_again() {
    let world = World::new();
    let lock = world.resolve().unwrap();
    let paths = world.archive().fetch_all(&lock).unwrap();
    let honest = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], vec![0; honest.len()]).unwrap();
    world.archive().fetch_all(&lock).unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), honest);
}

#[test]
fn a_lock_with_a_hostile_path_is_refused_before_anything_is_asked() {
    let world = World::new();
    let mut lock = world.resolve().unwrap();
    lock.packages[0].path = "pool/../../../etc/shadow".to_owned();
    let n_asked = world.asked().len();
    assert!(matches!(world.archive().fetch_all(&lock), Err(ArchiveError::InvalidLock { .. })));
    assert_eq!(world.asked().len(), n_asked);
}
