//! Signed releases and package indexes: fetched within limits, checked, unpacked, resolved over.

use std::{collections::BTreeMap, io::Read};

use liblzma::{read::XzDecoder, stream::Stream};
use rayon::prelude::*;
use sm_debian::{
    ComponentName, Keyring, Package, Request, SuiteRef, VerifiedRelease, packages,
    release::{Compression, IndexToFetch},
    signature::MAX_SIGNED_BYTES,
};
use sm_host::{
    fetch,
    files::read_limited,
    progress::{Task, Unit},
};
use sm_model::{Lock, PackageName, PackageVersion, Timestamp};

use super::{
    Archive, ArchiveError,
    download::{Wanted, download, is_whole},
};

/// Memory that unpacking one XZ index may take: stops a stream made with an absurd dictionary.
const MAX_XZ_MEMORY_BYTES: u64 = 256 << 20;

/// One suite: its verified release and the unpacked indexes of its components.
pub(super) struct Suite {
    release: VerifiedRelease,
    indexes: Vec<Unpacked>,
}

struct Unpacked {
    suite: String,
    path: String,
    bytes: Vec<u8>,
}

/// Fetches what the request's suites offer, all at a time.
pub(super) fn fetch(
    archive: &Archive<'_>,
    request: &Request,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Vec<Suite>, ArchiveError> {
    let guard = archive.cache.guard(archive.progress)?;
    let task = archive.progress.begin("Reading archive indexes", Unit::Bytes, None);
    let suites = request
        .suites
        .par_iter()
        .map(|suite| fetch_suite(archive, request, suite, keyring, now, task.as_ref()));
    let suites = suites.collect::<Result<Vec<Suite>, ArchiveError>>()?;
    drop((guard, task));
    for suite in &suites {
        archive.progress.note(&suite.release.summary());
    }
    Ok(suites)
}

/// Resolves the request over indexes that [`fetch`](fn@fetch) brought.
pub(super) fn resolve(
    request: &Request,
    suites: Vec<Suite>,
    keep: &BTreeMap<PackageName, PackageVersion>,
) -> Result<Lock, ArchiveError> {
    let packages =
        suites.par_iter().map(parse_suite).collect::<Result<Vec<Vec<Package<'_>>>, ArchiveError>>()?;
    let chosen = sm_debian::resolve(request, &packages, keep)?;
    let releases: Vec<VerifiedRelease> = suites.iter().map(|suite| suite.release.clone()).collect();
    Ok(sm_debian::lock::lock(request, &releases, &chosen))
}

fn parse_suite(suite: &Suite) -> Result<Vec<Package<'_>>, ArchiveError> {
    let indexes =
        suite.indexes.iter().map(parse_index).collect::<Result<Vec<Vec<Package<'_>>>, ArchiveError>>()?;
    Ok(indexes.into_iter().flatten().collect())
}

fn parse_index(index: &Unpacked) -> Result<Vec<Package<'_>>, ArchiveError> {
    packages::parse(&index.bytes).map_err(|source| ArchiveError::Index {
        suite: index.suite.clone(),
        path: index.path.clone(),
        source,
    })
}

fn fetch_suite(
    archive: &Archive<'_>,
    request: &Request,
    wanted: &SuiteRef,
    keyring: &Keyring,
    now: Timestamp,
    task: &dyn Task,
) -> Result<Suite, ArchiveError> {
    let release = fetch_release(archive, request, wanted, keyring, now)?;
    let components = wanted.components.par_iter();
    let indexes =
        components.map(|component| fetch_index(archive, request, wanted, &release, component, task));
    Ok(Suite { indexes: indexes.collect::<Result<_, ArchiveError>>()?, release })
}

/// Asks each address in turn until one answers with a release that stands every check.
fn fetch_release(
    archive: &Archive<'_>,
    request: &Request,
    wanted: &SuiteRef,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<VerifiedRelease, ArchiveError> {
    let mut failure = ArchiveError::NoMirror(wanted.mirror.to_string());
    for base in archive.mirrors.of(wanted.mirror.as_str())? {
        let url = format!("{base}/dists/{}/InRelease", wanted.suite);
        let what = format!("the release file of suite `{}`", wanted.suite);
        match archive.fetch.bytes(&fetch::Request::get(url, MAX_SIGNED_BYTES as u64)) {
            Err(source) => failure = ArchiveError::Fetch { what, source },
            Ok(bytes) => match VerifiedRelease::open(&bytes, keyring, wanted, request.arch, now) {
                Ok(release) => return Ok(release),
                Err(error) => failure = error.into(),
            },
        }
    }
    Err(failure)
}

fn fetch_index(
    archive: &Archive<'_>,
    request: &Request,
    wanted: &SuiteRef,
    release: &VerifiedRelease,
    component: &ComponentName,
    task: &dyn Task,
) -> Result<Unpacked, ArchiveError> {
    let index = release.package_index(wanted, component, request.arch)?;
    let cached = archive.cache.index(&index.file.sha256);
    if !is_whole(&cached, index.file.size_bytes, index.file.sha256)? {
        sm_host::files::create_dir_all(cached.parent().unwrap_or(std::path::Path::new(".")))?;
        download(archive.fetch, &wanted_index(archive, wanted, &index)?, &cached, task)?;
    }
    let packed = read_limited(&cached, index.file.size_bytes)?;
    let path = format!("{component}/binary-{}/Packages", request.arch);
    let bytes = unpack(packed, &index).map_err(|reason| ArchiveError::Unpack {
        suite: wanted.suite.to_string(),
        path: path.clone(),
        reason,
    })?;
    Ok(Unpacked { suite: wanted.suite.to_string(), path, bytes })
}

/// By its digest from every mirror first: a mirror in the middle of an update still has it there.
fn wanted_index(
    archive: &Archive<'_>,
    suite: &SuiteRef,
    index: &IndexToFetch,
) -> Result<Wanted, ArchiveError> {
    let bases = archive.mirrors.of(suite.mirror.as_str())?;
    let of_path = |path: &String| {
        bases.iter().map(|base| format!("{base}/dists/{}/{path}", suite.suite)).collect::<Vec<_>>()
    };
    Ok(Wanted {
        what: format!("the package index of suite `{}`", suite.suite),
        urls: index.paths.iter().flat_map(of_path).collect(),
        size_bytes: index.file.size_bytes,
        sha256: index.file.sha256,
    })
}

/// Unpacks to exactly the announced size: a bomb is stopped one byte after it.
fn unpack(packed: Vec<u8>, index: &IndexToFetch) -> Result<Vec<u8>, String> {
    let expected_bytes = index.unpacked.size_bytes;
    let mut unpacked = Vec::with_capacity(usize::try_from(expected_bytes).unwrap_or(0));
    let read = match index.compression {
        Compression::None => return Ok(packed),
        Compression::Gzip => flate2::read::GzDecoder::new(packed.as_slice())
            .take(expected_bytes + 1)
            .read_to_end(&mut unpacked),
        Compression::Xz => {
            let stream =
                Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, 0).map_err(|error| error.to_string())?;
            XzDecoder::new_stream(packed.as_slice(), stream)
                .take(expected_bytes + 1)
                .read_to_end(&mut unpacked)
        }
    };
    read.map_err(|error| error.to_string())?;
    if unpacked.len() as u64 == expected_bytes {
        Ok(unpacked)
    } else {
        Err(format!("it does not unpack to the {expected_bytes} bytes that were signed"))
    }
}
