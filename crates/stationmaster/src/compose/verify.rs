//! The second composition of `compose --verify`: everything that must not matter is different.

use std::path::Path;

use anyhow::Context as _;
use sm_compose::{
    build::{Circumstances, Steps, Twice, compare},
    release::Published,
};

use super::Composing;
use crate::evidence;

/// Composes again with one thread less or more, below a longer path, under a umask that lets nobody else read, and later. What
/// came of it is kept beside the release, for `stationmaster test`.
pub(super) fn again(
    composing: &Composing<'_>,
    first: &Published,
    work: &Path,
    steps: &mut Steps,
) -> anyhow::Result<Twice> {
    let elsewhere = tempfile::Builder::new()
        .prefix("the-same-again-in-another-place-")
        .tempdir_in(work)
        .with_context(|| format!("cannot create a directory in `{}`", work.display()))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if cores > 1 { cores - 1 } else { 2 };
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let circumstances = Circumstances { work: elsewhere.path(), jobs };
    let composed = composing.compose(&elsewhere.path().join("out"), circumstances, steps);
    rustix::process::umask(before);
    let second = composed?.manifest;
    let folder = evidence::folder(&first.directory, second.version, &first.manifest_sha256, None)?;
    evidence::keep_second(&folder, &second)?;
    Ok(compare(&first.manifest, &second))
}
