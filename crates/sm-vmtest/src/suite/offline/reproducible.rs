//! `image.reproducible`: two compositions from the same inputs gave the same bytes.

use std::collections::BTreeMap;

use sm_model::{Manifest, Sha256};

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked, Stop},
};

/// Every artifact and the description are the same in the twin, a composition of the same inputs made elsewhere.
///
/// # Errors
/// When there is no twin, or it was made from other inputs and so proves nothing.
pub fn reproducible(facts: &Facts) -> Looked {
    let (one, twin) = (&facts.manifest, known(&facts.twin)?);
    if one.inputs != twin.inputs
        || one.version != twin.version
        || one.channel != twin.channel
        || one.board != twin.board
    {
        return Err(Stop::Skip(
            "the second composition was made from other inputs or for another release".to_owned(),
        ));
    }
    let artifacts = |manifest: &Manifest| -> BTreeMap<String, Sha256> {
        manifest.artifacts.iter().map(|artifact| (artifact.name.to_string(), artifact.sha256)).collect()
    };
    let (ours, theirs) = (artifacts(one), artifacts(twin));
    let mut findings = Findings::of(format!("{} artifacts", ours.len()));
    let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
    let differing = names.filter(|name| ours.get(*name) != theirs.get(*name));
    findings.problems.extend(differing.map(|name| format!("`{name}` differs between the two compositions")));
    findings.expect_equal("the root hash of the second composition", twin.usr_root_hash, one.usr_root_hash);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(reproducible(&sample::facts())), "");
    }

    #[test]
    fn an_artifact_that_differs_or_is_absent_is_caught() {
        let mut facts = sample::facts();
        let twin = facts.twin.as_mut().unwrap();
        twin.artifacts[0].sha256.0[0] ^= 1;
        twin.usr_root_hash.0[0] ^= 1;
        let found = problems(reproducible(&facts));
        assert!(
            found.contains("boxcar_production_image.vmlinuz` differs") && found.contains("root hash"),
            "{found}"
        );
        facts.twin.as_mut().unwrap().artifacts.clear();
        assert!(problems(reproducible(&facts)).contains("differs between"));
    }

    #[test]
    fn no_twin_and_a_twin_of_something_else_are_no_pass() {
        let mut facts = sample::facts();
        facts.twin.as_mut().unwrap().inputs.stationmaster = "0.0.1".into();
        assert!(matches!(reproducible(&facts), Err(Stop::Skip(_))));
        facts.twin = Err(Stop::Skip("none".into()));
        assert!(matches!(reproducible(&facts), Err(Stop::Skip(_))));
    }
}
