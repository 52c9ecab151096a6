//! What can go wrong in the chain: the error of one of its links, or a machine that is not as it should be.

use sm_compose::{
    archive::ArchiveError,
    build::BuildError,
    recipe::{PlanError, RecipeError},
    release::ReleaseError,
};
use sm_host::files::FileError;
use sm_vmtest::VmError;

/// A chain that did not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A virtual machine did not do what it should.
    #[error("the virtual machine did not do what it should")]
    Vm(#[from] VmError),
    /// A file could not be read or written.
    #[error("a file of the run cannot be read or written")]
    File(#[from] FileError),
    /// The fleet's database could not be read.
    #[error("cannot read what the update server recorded")]
    Store(#[from] sm_store::Error),
    /// The update server could not be started.
    #[error("cannot start the update server")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The release train does not let the release go, or could not be asked.
    #[error("the release train does not go on")]
    Train(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe does not allow the release.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The archive did not deliver.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A release could not be composed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A release could not be written or read.
    #[error("a release cannot be written or read")]
    Release(#[from] ReleaseError),
    /// The work was done and its result is not what it should be.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What should have been.
        expected: String,
        /// What was.
        found: String,
    },
}

impl Error {
    /// A result that is not what it should be.
    pub(crate) fn unexpected(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Error::Unexpected { expected: expected.into(), found: found.into() }
    }

    /// The error and its causes in one line.
    pub(crate) fn in_one_line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Vm(source) => source.hint(),
            Error::File(source) => source.hint(),
            Error::Recipe(source) => source.hint(),
            Error::Plan(source) => source.hint(),
            Error::Archive(source) => source.hint(),
            Error::Build(source) => source.hint(),
            Error::Release(source) => source.hint(),
            Error::Store(_) | Error::Server(_) | Error::Train(_) | Error::Unexpected { .. } => None,
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Vm(source) => source.exit_code(),
            Error::File(source) => source.exit_code(),
            Error::Store(_) => sm_model::exit::STORAGE,
            Error::Server(_) => sm_model::exit::NETWORK,
            Error::Recipe(source) => source.exit_code(),
            Error::Plan(source) => source.exit_code(),
            Error::Archive(source) => source.exit_code(),
            Error::Build(source) => source.exit_code(),
            Error::Release(source) => source.exit_code(),
            Error::Train(_) | Error::Unexpected { .. } => sm_model::exit::NEGATIVE,
        }
    }
}
