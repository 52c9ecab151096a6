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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, Origin};

    /// This test's own program: a real one, built for this machine.
    fn program() -> Blob {
        std::fs::read(std::env::current_exe().unwrap()).unwrap().into()
    }

    fn arch() -> Arch {
        elf::machine(&program()).unwrap().expect("tests run on an architecture that is composed for")
    }

    /// The libraries that this process has mapped, under the names by which programs ask for them.
    fn own_libraries() -> Tree {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut tree = Tree::default();
        for path in maps.lines().filter_map(|line| line.split_whitespace().nth(5)) {
            let name = path.rsplit('/').next().unwrap();
            if name.contains(".so") {
                put(&mut tree, name, std::fs::read(path).unwrap());
            }
        }
        tree
    }

    fn put(tree: &mut Tree, library: &str, bytes: Vec<u8>) {
        let path = format!("/usr/lib/{}/{library}", arch().triplet());
        tree.put(&path, Entry::file(bytes, Origin::Recipe)).unwrap();
    }

    #[test]
    fn a_program_fits_the_libraries_it_runs_with() {
        check(&program(), &own_libraries(), arch()).unwrap();
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let error = check(&program(), &Tree::default(), arch()).unwrap_err();
        assert!(error.to_string().starts_with("the update agent needs `lib"), "{error}");
    }

    #[test]
    fn a_c_library_that_is_too_old_is_told_in_words() {
        let mut tree = own_libraries();
        // A library of that name that provides nothing stands for one that is older than the program.
        let libc =
            elf::needs(&program()).unwrap().libraries.into_iter().find(|name| name.starts_with("libc."));
        put(&mut tree, &libc.unwrap(), program().to_vec());
        let error = check(&program(), &tree, arch()).unwrap_err();
        assert!(
            matches!(&error, ComposeError::AgentTooNew { missing, .. } if !missing.is_empty()),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("--agent"));
    }

    #[test]
    fn another_machines_program_and_no_program_are_refused() {
        let other = Arch::ALL.into_iter().find(|other| *other != arch()).unwrap();
        assert!(matches!(check(&program(), &Tree::default(), other), Err(ComposeError::AgentArch { .. })));
        let script: Blob = "#!/bin/sh\n".into();
        assert!(matches!(check(&script, &Tree::default(), arch()), Err(ComposeError::Agent(_))));
    }

    #[test]
    fn versions_order_by_their_numbers() {
        assert!(numbers("GLIBC_2.9") < numbers("GLIBC_2.38"));
    }
}
