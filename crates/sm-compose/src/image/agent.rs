//! Whether the update agent's binary can start in the image: checked here, in words, not by a machine that cannot update.

use sm_model::Arch;

use super::ComposeError;
use crate::{
    initrd::elf,
    tree::{Blob, Tree},
};

/// Checks machine, libraries and symbol versions of the agent against the image's own libraries.
pub(super) fn check(agent: &Blob, tree: &Tree, arch: Arch) -> Result<(), ComposeError> {
    if elf::machine(agent).map_err(ComposeError::Agent)? != Some(arch) {
        return Err(ComposeError::AgentArch { arch });
    }
    let needs = elf::needs(agent).map_err(ComposeError::Agent)?;
    for library in &needs.libraries {
        let file = library_file(tree, arch, library);
        let file = file.ok_or_else(|| ComposeError::AgentLibrary { library: library.clone() })?;
        let wanted =
            needs.versions.iter().filter(|(from, _)| from == library).map(|(_, version)| version.clone());
        check_versions(library, wanted.collect(), &file)?;
    }
    Ok(())
}

fn check_versions(library: &str, wanted: Vec<String>, file: &Blob) -> Result<(), ComposeError> {
    let provided = elf::provided_versions(file).map_err(ComposeError::Agent)?;
    let missing: Vec<String> = wanted.into_iter().filter(|version| !provided.contains(version)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let newest =
        provided.into_iter().filter(|name| !name.ends_with("_PRIVATE")).max_by_key(|name| numbers(name));
    let newest = newest.unwrap_or_else(|| "none".to_owned());
    Err(ComposeError::AgentTooNew { library: library.to_owned(), missing, newest })
}

/// `GLIBC_2.38` as `[2, 38]`.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn library_file(tree: &Tree, arch: Arch, name: &str) -> Option<Blob> {
    let path = crate::initrd::resolve(tree, &format!("/usr/lib/{}/{name}", arch.triplet()))?;
    crate::initrd::final_file(tree, &path).cloned()
}
