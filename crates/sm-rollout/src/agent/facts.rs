//! What a host can see about itself. Gathering it is the agent's work; nothing here looks.

use sm_model::Version;

/// The host, as far as updates are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version that runs.
    pub running: Version,
    /// The kernel's boot id: another one after every boot.
    pub boot_id: String,
    /// The kernel images that the boot loader would offer.
    pub entries: Vec<BootEntry>,
    /// Why a version failed its health check, if one left a note: the version and its words.
    pub health_notes: Vec<(Version, String)>,
}

/// One kernel image on the EFI system partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootEntry {
    /// The version it boots.
    pub version: Version,
    /// What its boot counter says.
    pub tries: Tries,
}

/// A boot counter (Automatic Boot Assessment, systemd.io/AUTOMATIC_BOOT_ASSESSMENT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tries {
    /// None left: it was tried and never marked good.
    Spent,
    /// So many left after some were used; not marked good yet.
    Left(u32),
    /// So many, and none used: no boot of it was counted.
    Fresh(u32),
    /// Marked good: no counter.
    Good,
}

impl Facts {
    /// What the boot loader knows about a version; `None` when it has no kernel image.
    pub fn tries(&self, version: Version) -> Option<Tries> {
        self.entries.iter().filter(|entry| entry.version == version).map(|entry| entry.tries).max()
    }

    /// What the boot counter of the running version says while it has one: it was not marked good yet, or it was given up. Then
    /// the other slot holds the only version that is known to work.
    pub fn unproven(&self) -> Option<Tries> {
        self.tries(self.running).filter(|&tries| tries != Tries::Good)
    }

    /// A version that was tried in vain: every entry's counter is spent, and another version runs.
    pub fn spent(&self) -> Option<Version> {
        self.entries
            .iter()
            .map(|entry| entry.version)
            .find(|&version| version != self.running && self.tries(version) == Some(Tries::Spent))
    }

    /// The words that a version's failed health check left behind.
    pub fn health_note(&self, version: Version) -> Option<&str> {
        self.health_notes.iter().find(|(noted, _)| *noted == version).map(|(_, words)| words.as_str())
    }
}
