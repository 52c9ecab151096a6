//! Why a release directory could not be written or read.

use std::{
    io,
    path::{Path, PathBuf},
};

use sm_host::files::FileError;
use sm_image::payload::write::WriteError;
use sm_model::{ArtifactKind, Sha256, exit};

/// A release that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// A file or directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// An artifact could not be written.
    #[error("cannot write artifact `{name}` in `{}`", directory.display())]
    Write {
        /// Name of the artifact.
        name: String,
        /// The directory that would have become the release.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The payload could not be made.
    #[error("cannot make the update payload `{name}`")]
    Payload {
        /// Name of the artifact.
        name: String,
        /// Why.
        source: Box<WriteError>,
    },
    /// The manifest cannot be written as JSON.
    #[error("cannot write the manifest as JSON")]
    Manifest(#[source] io::Error),
    /// A name cannot be a file's.
    #[error("the artifact cannot be named")]
    Name(#[from] sm_model::file_name::UnsafeFileName),
    /// The version is there already, with other content.
    #[error("`{}` exists with other content: a version is used once, ever", directory.display())]
    AlreadyReleased {
        /// The release that is there.
        directory: PathBuf,
    },
    /// Something that is no link stands where the link to the newest version belongs.
    #[error("`{}` is not a symbolic link: expected the link to the newest version", .0.display())]
    CurrentIsNoLink(PathBuf),
    /// There is no release.
    #[error("`{}` is no release directory: it has no `manifest.json`", .0.display())]
    NoRelease(PathBuf),
    /// A document of the release does not parse.
    #[error("`{}` is no {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Why it is not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The manifest is of a later format.
    #[error("`{}` has manifest format {found}: expected {}", path.display(), sm_model::Manifest::FORMAT)]
    Format {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The directory is not where its version belongs.
    #[error("`{}` holds version {version}: expected it at `CHANNEL/BOARD/{version}`", directory.display())]
    Misplaced {
        /// The directory.
        directory: PathBuf,
        /// What it holds.
        version: sm_model::Version,
    },
    /// The release lacks an artifact.
    #[error("release `{}` lacks its artifact `{kind:?}`", directory.display())]
    Lacks {
        /// The release.
        directory: PathBuf,
        /// What it lacks.
        kind: ArtifactKind,
    },
    /// An artifact is not what the manifest says.
    #[error("`{}` has SHA-256 {found}: the manifest says {expected}", path.display())]
    Digest {
        /// The artifact.
        path: PathBuf,
        /// Its digest.
        found: Sha256,
        /// The manifest's.
        expected: Sha256,
    },
}

impl ReleaseError {
    /// Wraps an error met while writing an artifact.
    pub(super) fn write(name: &str, directory: &Path) -> impl FnOnce(io::Error) -> ReleaseError + use<> {
        let (name, directory) = (name.to_owned(), directory.to_owned());
        move |source| ReleaseError::Write { name, directory, source }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            ReleaseError::File(error) => error.hint(),
            ReleaseError::Write { source, directory, .. } if is_full(source) => Some(format!(
                "nothing half-written was left; make room on the file system that holds `{}`, then run the same command again",
                directory.display()
            )),
            ReleaseError::Payload { source, .. } => source.hint(),
            ReleaseError::AlreadyReleased { directory } => Some(format!(
                "choose another `--version`, or remove `{}` if nobody ever got it",
                directory.display()
            )),
            ReleaseError::CurrentIsNoLink(path) => Some(format!("move `{}` away", path.display())),
            ReleaseError::NoRelease(_) => {
                Some("give a directory CHANNEL/BOARD/VERSION that `stationmaster compose` wrote".to_owned())
            }
            ReleaseError::Digest { .. } => {
                Some("copy the release again from where it was composed, or compose it again".to_owned())
            }
            ReleaseError::Format { .. } => {
                Some("read it with the version of stationmaster that wrote it".to_owned())
            }
            ReleaseError::Write { .. }
            | ReleaseError::Misplaced { .. }
            | ReleaseError::Manifest(_)
            | ReleaseError::Name(_)
            | ReleaseError::Malformed { .. }
            | ReleaseError::Lacks { .. } => None,
        }
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            ReleaseError::File(_) | ReleaseError::Write { .. } | ReleaseError::CurrentIsNoLink(_) => {
                exit::STORAGE
            }
            ReleaseError::Payload { source, .. } => source.exit_code(),
            ReleaseError::Digest { .. } => exit::VERIFICATION,
            ReleaseError::Manifest(_)
            | ReleaseError::Name(_)
            | ReleaseError::AlreadyReleased { .. }
            | ReleaseError::NoRelease(_)
            | ReleaseError::Misplaced { .. }
            | ReleaseError::Malformed { .. }
            | ReleaseError::Format { .. }
            | ReleaseError::Lacks { .. } => exit::INVALID_INPUT,
        }
    }
}

/// Whether there was no room: a full disk, a quota, or a limit on the size of files.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
