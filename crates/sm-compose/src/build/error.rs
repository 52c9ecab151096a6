//! Why a release could not be built: the steps' own errors, side by side.

use sm_host::files::FileError;
use sm_model::exit;

use crate::{archive::ArchiveError, image::ComposeError, release::ReleaseError, tools::ToolsTreeError};

/// A release that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Locking or fetching packages.
    #[error("cannot get the packages")]
    Archive(#[from] ArchiveError),
    /// The recipe's keyring.
    #[error("cannot use the recipe's keyring")]
    Keyring(#[from] sm_debian::signature::SignatureError),
    /// The tools tree.
    #[error("cannot make the tools ready")]
    Tools(#[from] ToolsTreeError),
    /// The image.
    #[error("cannot compose the image")]
    Image(#[from] ComposeError),
    /// The release directory.
    #[error("cannot write the release")]
    Release(#[from] ReleaseError),
    /// A file or directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock cannot be written as text.
    #[error("cannot write the lock as text: {0}")]
    LockText(String),
    /// No threads.
    #[error("cannot start working threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl BuildError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            BuildError::Archive(error) => error.hint(),
            BuildError::Keyring(error) => error.hint(),
            BuildError::Tools(error) => error.hint(),
            BuildError::Image(error) => error.hint(),
            BuildError::Release(error) => error.hint(),
            BuildError::File(error) => error.hint(),
            BuildError::LockText(_) | BuildError::Threads(_) => None,
        }
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            BuildError::Archive(error) => error.exit_code(),
            BuildError::Keyring(error) => error.exit_code(),
            BuildError::Tools(error) => error.exit_code(),
            BuildError::Image(error) => error.exit_code(),
            BuildError::Release(error) => error.exit_code(),
            BuildError::File(error) => error.exit_code(),
            BuildError::LockText(_) | BuildError::Threads(_) => exit::FAILURE,
        }
    }
}
