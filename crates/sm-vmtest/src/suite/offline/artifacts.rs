//! `image.artifacts`: every artifact is the one that the manifest names.

use sm_model::ArtifactKind;

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked},
};

/// What lies in the release's folder has the sizes and digests that its manifest says.
///
/// # Errors
/// When an artifact could not be read.
pub fn artifacts(facts: &Facts) -> Looked {
    let artifacts = known(&facts.artifacts)?;
    let mut findings = Findings::of(format!("{} artifacts", artifacts.len()));
    findings.require(!artifacts.is_empty(), || "the manifest names no artifact".to_owned());
    let problem = |(name, health): (&String, &Result<(), String>)| {
        health.as_ref().err().map(|flaw| format!("`{name}` {flaw}"))
    };
    findings.problems.extend(artifacts.iter().filter_map(problem));
    // What the manifest says twice, and what a text says again.
    let manifest = &facts.manifest;
    if let Some(lock) = manifest.artifact(ArtifactKind::Lock) {
        findings.expect_equal("the digest of the lock", lock.sha256, manifest.inputs.lock_sha256);
    }
    let root_hash = known(&facts.root_hash_text)?.trim();
    findings.expect_equal("the root hash in its text", root_hash, &manifest.usr_root_hash.to_string());
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(artifacts(&sample::facts())), "");
    }

    #[test]
    fn damaged_artifacts_are_named() {
        let mut facts = sample::facts();
        facts.artifacts.as_mut().unwrap().insert("a.img".into(), Err("is absent".into()));
        assert_eq!(problems(artifacts(&facts)), "`a.img` is absent");
    }

    #[test]
    fn a_release_of_nothing_is_caught() {
        let mut facts = sample::facts();
        facts.artifacts.as_mut().unwrap().clear();
        assert_eq!(problems(artifacts(&facts)), "the manifest names no artifact");
    }
}
