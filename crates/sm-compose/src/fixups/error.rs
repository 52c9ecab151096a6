//! Why a set of packages and a recipe do not make an OS.

use std::io;

use super::sysusers::SysusersError;
use crate::tree::TreeError;

/// A fix-up that cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixupError {
    /// The tree refuses an entry.
    #[error("cannot lay the recipe's files over the packages'")]
    Tree(#[from] TreeError),
    /// A file that a fix-up starts from is absent.
    #[error("the packages bring no `{path}`, which comes from `{package}`")]
    Missing {
        /// The path.
        path: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// A file for booting is absent.
    #[error("the packages bring no `{path}`, which comes from `{package}`")]
    NoBootFile {
        /// The path.
        path: String,
        /// The package that has it.
        package: &'static str,
    },
    /// There is not exactly one kernel.
    #[error("expected the modules of one kernel in `/usr/lib/modules`, found {}", counted(.found))]
    Kernels {
        /// The kernel releases found.
        found: Vec<String>,
    },
    /// A line of a master file is damaged.
    #[error("line {line} of `{path}` is damaged")]
    BadLine {
        /// The file.
        path: &'static str,
        /// The line, from 1.
        line: usize,
    },
    /// A package's sysusers.d file is not understood.
    #[error("cannot read `{path}`")]
    Sysusers {
        /// The file.
        path: String,
        /// Where it is wrong.
        source: SysusersError,
    },
    /// Packages declare accounts without a number, and the recipe has none for them.
    #[error("packages declare accounts that the recipe gives no number: {}", .names.join(", "))]
    Unnumbered {
        /// Kind, name and origin of each.
        names: Vec<String>,
    },
    /// Two accounts share a number.
    #[error("{kind} number {number} belongs to `{first}` and to `{second}`")]
    SameNumber {
        /// `user` or `group`.
        kind: &'static str,
        /// The number.
        number: u32,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// The recipe sets the mode of a file that is not there.
    #[error("the recipe sets the mode of `{path}`, which the image does not have")]
    NoFile {
        /// The path.
        path: String,
    },
    /// A unit is not in the image.
    #[error("the image has no unit `{unit}`")]
    NoUnit {
        /// The unit.
        unit: String,
    },
    /// A unit cannot be enabled.
    #[error("unit `{unit}` has no `[Install]` section to follow")]
    NothingToInstall {
        /// The unit.
        unit: String,
    },
    /// A template is enabled without an instance.
    #[error("unit `{unit}` is a template without a default instance")]
    NoInstance {
        /// The unit.
        unit: String,
    },
    /// An `[Install]` section names something that is no plain unit name.
    #[error("unit `{unit}` installs itself as `{}`, which is no plain unit name", name.escape_debug())]
    InstallName {
        /// The unit.
        unit: String,
        /// The name.
        name: String,
    },
    /// A kernel module cannot be decompressed.
    #[error("cannot decompress kernel module `{path}`")]
    Module {
        /// The module.
        path: String,
        /// What the decoder says.
        source: io::Error,
    },
}

impl FixupError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            FixupError::Tree(error) => error.hint(),
            FixupError::Missing { path, package } => Some(wanted_or_dropped(path, package)),
            FixupError::NoBootFile { path, package } => Some(wanted_or_dropped(path, package)),
            FixupError::Kernels { .. } => Some("name exactly one kernel package in the recipe".to_owned()),
            FixupError::Unnumbered { .. } => {
                Some("add each to `[users]` or `[groups]` of the recipe with a number of its own".to_owned())
            }
            FixupError::SameNumber { .. } => Some("change one of them in the recipe".to_owned()),
            FixupError::NoFile { .. } => Some("correct `[[modes]]`, or the package list".to_owned()),
            FixupError::NoUnit { .. } => Some("correct `[units]`, or add the unit's package".to_owned()),
            FixupError::NothingToInstall { unit } => {
                Some(format!("remove `{unit}` from `enabled`: other units start it, or nothing does"))
            }
            FixupError::NoInstance { unit } => {
                Some(format!("name an instance in the recipe: `{}`", unit.replace("@.", "@NAME.")))
            }
            FixupError::BadLine { .. }
            | FixupError::Sysusers { .. }
            | FixupError::InstallName { .. }
            | FixupError::Module { .. } => None,
        }
    }
}

fn wanted_or_dropped(path: &str, package: &str) -> String {
    format!("add `{package}` to the recipe's packages, and check that `drop` does not match `{path}`")
}

fn counted(found: &[String]) -> String {
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}
