//! Why a tree refuses an entry.

use std::fmt;

use super::Origin;

/// An entry that does not fit into a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The path itself is no good.
    #[error("`{}` cannot be a path of the image: {why}", path.escape_debug())]
    Path {
        /// The path, shortened.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two packages bring the same path.
    #[error("`{path}` comes from {first} and from {second}")]
    Conflict {
        /// The path.
        path: String,
        /// Who had it.
        first: Origin,
        /// Who brings it again.
        second: Origin,
    },
    /// Something above the path is a file or a link.
    #[error("{origin} puts `{path}` below `{parent}`, which {owner} made something else than a directory")]
    NotADirectory {
        /// The path.
        path: String,
        /// The entry above it.
        parent: String,
        /// Who brings that.
        owner: Origin,
        /// Who brings the path.
        origin: Origin,
    },
    /// A directory with content would be replaced.
    #[error("`{path}` is a directory with content and cannot be replaced")]
    FilledDirectory {
        /// The directory.
        path: String,
    },
}

impl TreeError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            TreeError::Path { .. } => None,
            TreeError::Conflict { path, .. } | TreeError::NotADirectory { path, .. } => {
                Some(format!("leave one of the packages out, or add `{path}` to `drop` in the recipe"))
            }
            TreeError::FilledDirectory { path } => {
                Some(format!("add `{path}/**` to `drop` in the recipe, or choose another path"))
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Package(name) => write!(f, "package `{name}`"),
            Origin::Recipe => f.write_str("the recipe"),
            Origin::Composed => f.write_str("composing"),
        }
    }
}
