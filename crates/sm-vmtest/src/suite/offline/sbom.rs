//! `image.sbom-complete`: the bill of materials names every file of the image, once, with its true digest.

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::suite::{
    facts::{BilledFile, Facts, known},
    finding::{Findings, Looked, Stop},
    usr::Usr,
};

/// Largest file of an image.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// Every file belongs to exactly one component and has the digest that the bill names; every package is a component.
///
/// # Errors
/// When image, bill or lock could not be looked at.
pub fn sbom_complete(facts: &Facts) -> Looked {
    let (usr, bill, packages) = (known(&facts.usr)?, known(&facts.bill)?, known(&facts.packages)?);
    let files: Vec<&str> = usr.files().map(|(path, _)| path).collect();
    let per_file: Result<Vec<_>, Stop> =
        files.par_iter().map(|path| check(usr, path, bill.files.get(*path))).collect();
    let mut findings = Findings::with(
        format!("{} files, {} components", files.len(), bill.components.len()),
        per_file?.into_iter().flatten(),
    );
    let others = bill.files.keys().filter(|path| usr.get(path).is_none());
    findings
        .problems
        .extend(others.map(|path| format!("the bill names `{path}`, which is not in the image")));
    let unnamed = packages.keys().filter(|name| !bill.components.contains(*name));
    findings.problems.extend(unnamed.map(|name| format!("the package `{name}` is no component of the bill")));
    Ok(findings)
}

fn check(usr: &Usr, path: &str, billed: Option<&BilledFile>) -> Result<Option<String>, Stop> {
    let Some(billed) = billed else { return Ok(Some(format!("`{path}` is not in the bill"))) };
    if billed.owners.len() != 1 {
        return Ok(Some(format!("`{path}` belongs to {} components, expected 1", billed.owners.len())));
    }
    let digest = sm_model::Sha256(Sha256::digest(usr.bytes(path, MAX_FILE_BYTES)?).into());
    let is_named = billed.sha256.as_deref() == Some(&digest.to_string());
    Ok((!is_named).then(|| format!("`{path}` has another digest than the bill names")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{
        facts::Bill,
        sample::{self, problems},
    };

    fn broken(break_it: impl FnOnce(&mut Bill)) -> String {
        let mut facts = sample::facts();
        break_it(facts.bill.as_mut().unwrap());
        problems(sbom_complete(&facts))
    }

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(sbom_complete(&sample::facts())), "");
    }

    #[test]
    fn files_without_a_component_or_with_several_are_caught() {
        let gone = broken(|bill| drop(bill.files.remove("/usr/bin/su")));
        assert_eq!(gone, "`/usr/bin/su` is not in the bill");
        for n_owners in [0, 2] {
            let owners = vec!["bash".to_owned(); n_owners];
            let found = broken(|bill| bill.files.get_mut("/usr/bin/su").unwrap().owners = owners);
            assert_eq!(found, format!("`/usr/bin/su` belongs to {n_owners} components, expected 1"));
        }
    }

    #[test]
    fn digests_that_are_not_the_files_own_are_caught() {
        for sha256 in [None, Some("0".repeat(64))] {
            let found = broken(|bill| bill.files.get_mut("/usr/bin/su").unwrap().sha256 = sha256);
            assert_eq!(found, "`/usr/bin/su` has another digest than the bill names");
        }
    }

    #[test]
    fn a_bill_of_another_image_is_caught() {
        let more = BilledFile { sha256: None, owners: vec!["bash".to_owned()] };
        let found = broken(|bill| drop(bill.files.insert("/usr/other".into(), more)));
        assert_eq!(found, "the bill names `/usr/other`, which is not in the image");
        assert_eq!(broken(|bill| bill.components.clear()), "the package `bash` is no component of the bill");
    }
}
