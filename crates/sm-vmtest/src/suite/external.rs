//! External tests: any executable with metadata in kola's form (coreos-assembler, `docs/kola/external-tests.md`) is a test called
//! `ext.DIRECTORY.EXECUTABLE`. It runs as a systemd unit in a guest; an exit status but 0 is a failure, 77 says that it does
//! not apply. It may reboot its machine by autopkgtest's protocol ("Reboot during tests").

mod header;
mod load;
mod play;

use std::{path::PathBuf, time::Duration};

pub use header::wishes;
pub use load::{ExternalError, ExternalTests, load};
pub(super) use play::play;

use super::room::Needs;

/// An executable that is a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The executable here.
    pub program: PathBuf,
    /// Files that it finds below `$KOLA_EXT_DATA`: the directory `data` beside it.
    pub data: Option<PathBuf>,
    /// What its author says about it.
    pub wishes: Wishes,
}

/// What the author of an external test says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// What it asserts.
    pub description: Option<String>,
    /// Longest it may take on this host's clock.
    pub limit: Duration,
    /// It changes its machine: it gets one of its own.
    pub is_exclusive: bool,
    /// What its machine takes of this host.
    pub needs: Needs,
    /// Further disks of its machine, in MiB.
    pub further_disks_mib: Vec<u32>,
    /// Names of tests that must not share its machine.
    pub conflicts: Vec<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Why it cannot be carried out here, if so.
    pub cannot: Option<String>,
}

impl Wishes {
    /// Whether a copy of a machine that runs will not do.
    pub fn needs_own_boot(&self) -> bool {
        self.needs != Needs::ONE || !self.further_disks_mib.is_empty()
    }
}
