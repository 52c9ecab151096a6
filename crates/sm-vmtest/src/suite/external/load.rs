//! Finds external tests in a directory.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256 as Hasher};
use sm_host::files::{self, FileError};
use sm_model::{Arch, Sha256, test_report::TestId};

use super::{External, header::wishes};
use crate::suite::{
    catalog::{Class, Gate, Means, Test},
    machine::Limit,
};

/// Largest program that is sent into a guest.
const MAX_PROGRAM_BYTES: u64 = 16 << 20;
/// How deep tests lie at most: stops a link that leads around.
const MAX_DEPTH: usize = 8;
/// Longest description kept: it has to fit a line.
const MAX_DESCRIPTION: usize = 78;

/// External tests that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// A directory or program cannot be read.
    #[error("cannot read external tests")]
    File(#[from] FileError),
    /// What a test says about itself is not understood.
    #[error("the external test `{}` says what is not understood: {reason}", path.display())]
    Metadata {
        /// The program.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl ExternalError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            ExternalError::File(source) => source.hint(),
            ExternalError::Metadata { .. } => {
                Some("see `docs/testing.md` for the keys, or make the file not executable".to_owned())
            }
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            ExternalError::File(source) => source.exit_code(),
            ExternalError::Metadata { .. } => sm_model::exit::INVALID_INPUT,
        }
    }
}

/// The external tests of a suite.
#[derive(Debug, Clone)]
pub struct ExternalTests {
    /// They, sorted by name. They are kept until the process ends, as the built-in ones are.
    pub tests: Vec<&'static Test>,
    /// Digest of their names and programs.
    pub sha256: Sha256,
}

/// The external tests below `directory`, for images of `arch`; none where there is no such directory.
///
/// # Errors
/// When one cannot be read or understood: a test that is passed over in silence would count as none.
pub fn load(directory: &Path, arch: Arch) -> Result<ExternalTests, ExternalError> {
    let mut found = Vec::new();
    if directory.exists() {
        walk(directory, &mut Vec::new(), arch, &mut found)?;
    }
    found.sort_by(|one: &(Test, _), other| one.0.name.cmp(other.0.name));
    let mut hash = Hasher::new();
    for (test, sha256) in &found {
        hash.update(test.name);
        hash.update(sha256.as_bytes());
    }
    let tests = found.into_iter().map(|(test, _)| &*Box::leak(Box::new(test))).collect();
    Ok(ExternalTests { tests, sha256: Sha256(hash.finalize().into()) })
}

fn walk(
    directory: &Path,
    words: &mut Vec<String>,
    arch: Arch,
    found: &mut Vec<(Test, Sha256)>,
) -> Result<(), ExternalError> {
    let beside = metadata_beside(directory)?;
    for entry in sorted(directory)? {
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let status = fs::symlink_metadata(&entry).map_err(FileError::io("look at", &entry))?;
        words.push(name.clone());
        if status.is_dir() && name != "data" && words.len() < MAX_DEPTH {
            walk(&entry, words, arch, found)?;
        } else if status.is_file() && status.permissions().mode() & 0o111 != 0 {
            found.push(test(&entry, words, beside.as_deref(), arch)?);
        }
        words.pop();
    }
    Ok(())
}

fn sorted(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = fs::read_dir(directory).map_err(FileError::io("list", directory))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(FileError::io("list", directory))?;
    paths.sort();
    Ok(paths)
}

fn metadata_beside(directory: &Path) -> Result<Option<String>, ExternalError> {
    const MAX_METADATA_BYTES: u64 = 64 << 10;
    match files::read_limited(&directory.join("kola.json"), MAX_METADATA_BYTES) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn test(
    path: &Path,
    words: &[String],
    beside: Option<&str>,
    arch: Arch,
) -> Result<(Test, Sha256), ExternalError> {
    let refused = |reason| ExternalError::Metadata { path: path.to_owned(), reason };
    let program = files::read_limited(path, MAX_PROGRAM_BYTES)?;
    let wishes = wishes(&program, beside, arch).map_err(refused)?;
    let id: TestId = name(words).parse().map_err(|error| refused(format!("{error}")))?;
    let data = path.parent().map(|parent| parent.join("data")).filter(|data| data.is_dir());
    let asserts = wishes.description.as_deref().unwrap_or("exits with 0");
    let asserts = asserts.chars().take(MAX_DESCRIPTION).collect::<String>();
    let class = match (wishes.needs_own_boot(), wishes.is_exclusive) {
        (true, _) => Class::Boot,
        (false, true) => Class::Clone,
        (false, false) => Class::Shared,
    };
    let test = Test {
        name: Box::leak(id.to_string().into_boxed_str()),
        class,
        gate: if wishes.tags.iter().any(|tag| tag == "informing") { Gate::Informing } else { Gate::Blocking },
        asserts: Box::leak(asserts.into_boxed_str()),
        limit: Limit::Here(wishes.limit),
        needs: wishes.needs,
        means: Means::External(Box::leak(Box::new(External { program: path.to_owned(), data, wishes }))),
    };
    Ok((test, Sha256(Hasher::digest(&program).into())))
}

/// `ext.DIRECTORY.EXECUTABLE`, in the letters of test names and without the ending.
fn name(words: &[String]) -> String {
    let clean = |word: &String| {
        let stem = word.split('.').next().unwrap_or(word);
        stem.to_ascii_lowercase().replace('_', "-")
    };
    let words: Vec<String> = words.iter().map(clean).collect();
    format!("ext.{}", words.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(path: &Path, text: &str) {
        files::write_atomic(path, text.as_bytes()).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn executables_are_tests_and_data_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let below = |path: &str| dir.path().join(path);
        executable(&below("net/Resolves_Names.sh"), "#!/bin/sh\n# kola: {\"exclusive\": false}\n");
        executable(&below("disk/grows"), "#!/bin/sh\n# kola: {\"minMemory\": 4096}\n");
        executable(&below("net/data/helper"), "#!/bin/sh\n");
        files::write_atomic(&below("net/README"), b"not a test").unwrap();
        let tests = load(dir.path(), Arch::Amd64).unwrap().tests;
        let brief: Vec<_> = tests.iter().map(|test| (test.name, test.class)).collect();
        assert_eq!(brief, [("ext.disk.grows", Class::Boot), ("ext.net.resolves-names", Class::Shared)]);
        let Means::External(external) = tests[1].means else { panic!("{:?}", tests[1].means) };
        assert_eq!(external.data, Some(below("net/data")));
    }

    #[test]
    fn another_program_makes_another_suite() {
        let dir = tempfile::tempdir().unwrap();
        let digest = |text| {
            executable(&dir.path().join("a"), text);
            load(dir.path(), Arch::Amd64).unwrap().sha256
        };
        assert_ne!(digest("#!/bin/sh\n"), digest("#!/bin/sh\ntrue\n"));
    }

    #[test]
    fn a_test_that_is_not_understood_stops_the_suite() {
        let dir = tempfile::tempdir().unwrap();
        executable(&dir.path().join("a"), "# kola: {\"unheard\": 1}\n");
        let refused = load(dir.path(), Arch::Amd64).unwrap_err();
        assert!(refused.to_string().contains("unknown field `unheard`"), "{refused}");
        assert_eq!(refused.exit_code(), sm_model::exit::INVALID_INPUT);
    }
}
