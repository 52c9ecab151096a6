//! Two compositions of one release, compared: the same inputs must give the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;
use sm_model::{Artifact, FileName, Manifest};

/// How two compositions of one release compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Twice {
    /// How many artifacts were compared.
    pub n_artifacts: usize,
    /// Names of those that are not the same in both, in order.
    pub differing: Vec<String>,
    /// Whether everything else in the manifests is the same.
    pub same_description: bool,
}

impl Twice {
    /// Whether every byte is the same.
    pub fn is_same(&self) -> bool {
        self.differing.is_empty() && self.same_description
    }
}

impl fmt::Display for Twice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return write!(f, "composed twice: all {} artifacts are the same", self.n_artifacts);
        }
        let n = self.differing.len();
        write!(f, "composed twice: {n} of {} artifacts differ", self.n_artifacts)?;
        self.differing.iter().try_for_each(|name| write!(f, "\n  {name}"))?;
        if !self.same_description {
            f.write_str("\n  manifest.json, beyond its artifacts")?;
        }
        Ok(())
    }
}

/// Compares two manifests of one release, artifact by artifact.
pub fn compare(one: &Manifest, other: &Manifest) -> Twice {
    let by_name = |manifest: &Manifest| -> BTreeMap<FileName, Artifact> {
        manifest.artifacts.iter().map(|artifact| (artifact.name.clone(), artifact.clone())).collect()
    };
    let (ours, theirs) = (by_name(one), by_name(other));
    let names: BTreeSet<&FileName> = ours.keys().chain(theirs.keys()).collect();
    let differs = |name: &&&FileName| ours.get(**name) != theirs.get(**name);
    let differing = names.iter().filter(differs).map(ToString::to_string).collect();
    let description = |manifest: &Manifest| Manifest { artifacts: Vec::new(), ..manifest.clone() };
    Twice { n_artifacts: names.len(), differing, same_description: description(one) == description(other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::tests::Fixture;

    #[test]
    fn what_differs_is_named() {
        let one = Fixture::new("4893.2.0").publish().unwrap().manifest;
        let mut other = one.clone();
        assert!(compare(&one, &other).is_same());
        assert_eq!(compare(&one, &other).to_string(), "composed twice: all 13 artifacts are the same");
        other.artifacts[1].sha256.0[0] ^= 1;
        other.artifacts.pop();
        other.kernel = "another".into();
        assert_eq!(
            compare(&one, &other).to_string(),
            "composed twice: 2 of 13 artifacts differ\n  boxcar_production_image.vmlinuz\n  version.txt\n  \
             manifest.json, beyond its artifacts"
        );
    }
}
