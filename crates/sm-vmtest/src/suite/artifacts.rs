//! Whether the artifacts that lie in a release's folder are those that its manifest names.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use rayon::prelude::*;
use sha2::Digest as _;
use sm_model::{Artifact, Manifest, Sha256, Sha512};

use super::{facts::Fact, finding::Stop, gather::trouble};

const BUFFER_BYTES: usize = 1 << 20;

/// Every artifact by name, and what is wrong with it, if anything.
pub type Checked = BTreeMap<String, Result<(), String>>;

/// Reads every artifact; gives by name what is wrong with it, if anything.
///
/// # Errors
/// When this host cannot read one that is there.
pub fn checked(directory: &Path, manifest: &Manifest) -> Fact<Checked> {
    let checked = manifest.artifacts.par_iter().map(|artifact| {
        let health = health(&directory.join(&artifact.name), artifact)?;
        Ok((artifact.name.to_string(), health))
    });
    checked.collect()
}

fn health(path: &Path, artifact: &Artifact) -> Result<Result<(), String>, Stop> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err("is absent".to_owned())),
        Err(error) => return Err(trouble("open", path)(error)),
    };
    let (size_bytes, sha256, sha512) = digests(&mut file).map_err(trouble("read", path))?;
    let is_same = size_bytes == artifact.size_bytes && sha256 == artifact.sha256 && sha512 == artifact.sha512;
    Ok(if is_same {
        Ok(())
    } else {
        Err(format!("has {size_bytes} bytes and SHA-256 {sha256}, the manifest says other"))
    })
}

fn digests(from: &mut impl Read) -> io::Result<(u64, Sha256, Sha512)> {
    let (mut sha256, mut sha512) = (sha2::Sha256::new(), sha2::Sha512::new());
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size_bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n_read) => {
                sha256.update(&buffer[..n_read]);
                sha512.update(&buffer[..n_read]);
                size_bytes += n_read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((size_bytes, Sha256(sha256.finalize().into()), Sha512(sha512.finalize().into())))
}

/// What a report about these bytes is about: the manifest, or, where an artifact is not the one that it names, something else
/// that no manifest is. Evidence about a damaged copy is then no evidence about the release.
pub fn subject(manifest_sha256: Sha256, checked: &Checked) -> Sha256 {
    let flaws = checked.iter().filter_map(|(name, health)| Some((name, health.as_ref().err()?)));
    let flaws: String = flaws.map(|(name, flaw)| format!("{name} {flaw}\n")).collect();
    if flaws.is_empty() {
        return manifest_sha256;
    }
    Sha256(sha2::Sha256::digest(format!("{manifest_sha256}\n{flaws}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample;

    fn release(content: &[u8]) -> (tempfile::TempDir, Manifest) {
        let directory = tempfile::tempdir().unwrap();
        let mut manifest = sample::facts().manifest;
        let (size_bytes, sha256, sha512) = digests(&mut &content[..]).unwrap();
        let one = Artifact { size_bytes, sha256, sha512, ..manifest.artifacts[0].clone() };
        std::fs::write(directory.path().join(&one.name), content).unwrap();
        manifest.artifacts = vec![one];
        (directory, manifest)
    }

    fn health_after(change: impl FnOnce(&Path)) -> Result<(), String> {
        let (directory, manifest) = release(b"kernel");
        change(&directory.path().join(&manifest.artifacts[0].name));
        checked(directory.path(), &manifest).unwrap().into_values().next().unwrap()
    }

    #[test]
    fn what_the_manifest_names_is_sound() {
        assert_eq!(health_after(|_| ()), Ok(()));
    }

    #[test]
    fn an_artifact_that_is_gone_cut_or_changed_is_told() {
        let gone = health_after(|path| std::fs::remove_file(path).unwrap());
        assert_eq!(gone.unwrap_err(), "is absent");
        let cut = health_after(|path| std::fs::write(path, b"kerne").unwrap());
        assert!(cut.unwrap_err().starts_with("has 5 bytes and SHA-256 "));
        let changed = health_after(|path| std::fs::write(path, b"kernal").unwrap());
        assert!(changed.unwrap_err().ends_with(", the manifest says other"));
    }

    #[test]
    fn a_damaged_copy_is_another_subject_than_the_release_and_than_other_damage() {
        let of = |flaw: Option<&str>| {
            let health = flaw.map_or(Ok(()), |flaw| Err(flaw.to_owned()));
            subject(Sha256([1; 32]), &[("a.img".to_owned(), health)].into())
        };
        assert_eq!(of(None), Sha256([1; 32]));
        assert!(of(Some("is absent")) != of(None) && of(Some("is absent")) != of(Some("is cut")));
    }

    #[test]
    fn an_artifact_that_cannot_be_read_is_not_the_releases_fault() {
        let (directory, manifest) = release(b"kernel");
        let path = directory.path().join(&manifest.artifacts[0].name);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(checked(directory.path(), &manifest), Err(Stop::Trouble { .. })));
    }
}
