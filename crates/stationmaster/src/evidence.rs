//! Where the evidence about a release lies: `reports/VERSION-DIGEST/` beside it, for every verb that writes or reads some.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sm_host::files;
use sm_model::{Manifest, Sha256, Version};

/// Largest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// The manifest of a second composition of the same release.
const SECOND: &str = "second-composition.json";

/// The folder of the evidence about the release in `directory`; below `reports` where that is given.
pub(crate) fn folder(
    directory: &Path,
    version: Version,
    manifest_sha256: &Sha256,
    reports: Option<&Path>,
) -> anyhow::Result<PathBuf> {
    let own = format!("{version}-{:.12}", manifest_sha256.to_string());
    if let Some(reports) = reports {
        return Ok(reports.join(own));
    }
    let place = directory.canonicalize().context("cannot tell where the release lies")?;
    Ok(place.parent().unwrap_or(&place).join("reports").join(own))
}

/// Keeps the manifest that a second composition gave.
pub(crate) fn keep_second(folder: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(manifest)?;
    Ok(files::write_atomic(&folder.join(SECOND), text.as_bytes())?)
}

/// The manifest that a second composition gave, if there was one.
pub(crate) fn second(folder: &Path) -> anyhow::Result<Option<Manifest>> {
    match files::read_limited(&folder.join(SECOND), MAX_MANIFEST_BYTES) {
        Ok(bytes) => {
            Ok(Some(serde_json::from_slice(&bytes).context("the second composition's manifest is none")?))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_lies_beside_its_release_or_where_it_is_wanted() {
        let board = tempfile::tempdir().unwrap();
        let directory = board.path().join("4893.0.1");
        files::create_dir_all(&directory).unwrap();
        let of =
            |reports| folder(&directory, "4893.0.1".parse().unwrap(), &Sha256([0xab; 32]), reports).unwrap();
        let beside = board.path().canonicalize().unwrap().join("reports/4893.0.1-abababababab");
        assert_eq!(of(None), beside);
        assert_eq!(of(Some(Path::new("/elsewhere"))), Path::new("/elsewhere/4893.0.1-abababababab"));
        assert!(second(&beside).unwrap().is_none());
        files::write_atomic(&beside.join(SECOND), b"{}").unwrap();
        assert!(second(&beside).is_err());
    }
}
