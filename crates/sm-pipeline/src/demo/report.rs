//! What a demonstration showed, as one value for a person and for `--json`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sm_compose::{diff::Diff, release::ReleaseDir};
use sm_model::{Sha256, Version, report::Report};
use sm_vmtest::BootReport;

use crate::{
    journal::StepRecord,
    story::{Rejected, in_words},
    table::{StepTable, seconds},
};

/// What a demonstration showed, as far as it came.
#[derive(Debug, Default, Serialize)]
pub struct DemoReport {
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// The releases.
    pub made: Vec<Made>,
    /// What changed from A to B.
    pub changes: Option<Diff>,
    /// How the machine's guests ran.
    pub accelerator: Option<String>,
    /// The machine's boots into good releases.
    pub boots: Vec<Booted>,
    /// What it did with the broken one.
    pub rejected: Option<Rejected>,
    /// What it told the update server.
    pub events: Vec<Report>,
    /// Where `changes` lies as a file, whole.
    pub changes_file: Option<PathBuf>,
    /// Where its console was written.
    pub console: Option<PathBuf>,
    /// The update server's database.
    pub database: Option<PathBuf>,
    /// The journal.
    pub journal: Option<PathBuf>,
}

/// A release that was made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// Its version.
    pub version: Version,
    /// Its directory.
    pub directory: PathBuf,
    /// Root hash of its /usr.
    pub usr_root_hash: Sha256,
    /// Paths of its artifacts, relative to the directory.
    pub artifacts: Vec<String>,
}

impl Made {
    pub(super) fn of(release: &ReleaseDir) -> Self {
        let manifest = release.manifest();
        Made {
            version: manifest.version,
            directory: release.path().to_owned(),
            usr_root_hash: manifest.usr_root_hash,
            artifacts: manifest.artifacts.iter().map(|artifact| artifact.name.to_string()).collect(),
        }
    }
}

/// A boot into a good release.
#[derive(Debug, Serialize)]
pub struct Booted {
    /// The release.
    pub version: Version,
    /// How it went.
    pub boot: BootReport,
}

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(changes) = &self.changes {
            writeln!(f, "{changes}")?;
        }
        self.machine(f)?;
        self.places(f)?;
        write!(f, "\n{}", StepTable(&self.steps))
    }
}

impl DemoReport {
    fn machine(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(accelerator) = &self.accelerator {
            writeln!(f, "The machine ran by {accelerator}.")?;
        }
        for Booted { version, boot } in &self.boots {
            let BootReport { shell_millis, settled_millis, cpu_millis, state, .. } = boot;
            let [shell, settled, cpu] =
                [shell_millis, settled_millis, cpu_millis].map(|millis| seconds(*millis));
            writeln!(
                f,
                "  {version}: shell after {shell}, `{state}` after {settled}, {cpu} of processor time"
            )?;
        }
        if let Some(Rejected { version, boots, reason, why }) = &self.rejected {
            writeln!(f, "  {version}: booted {boots} times, given up, not tried again")?;
            writeln!(f, "\nWhy, as the machine told the update server:\n{}", indented(reason))?;
            writeln!(f, "\nWhy, as `stationmaster-agent why` says it:\n{}", indented(why))?;
        }
        if !self.events.is_empty() {
            writeln!(f, "\nWhat the update server recorded:")?;
        }
        self.events
            .iter()
            .try_for_each(|event| writeln!(f, "  {}  {}", event.received, first_line(&in_words(event))))
    }

    fn places(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhere everything is:")?;
        self.made
            .iter()
            .try_for_each(|made| writeln!(f, "  {}  {}", made.version, made.directory.display()))?;
        if let Some(made) = self.made.first() {
            writeln!(f, "  and in each of these directories:")?;
            made.artifacts.iter().try_for_each(|name| writeln!(f, "      {name}"))?;
        }
        let place = |f: &mut fmt::Formatter<'_>, what: &str, path: &Option<PathBuf>| match path
            .as_deref()
            .map(Path::display)
        {
            Some(path) => writeln!(f, "  {what}  {path}"),
            None => Ok(()),
        };
        place(f, "changes ", &self.changes_file)?;
        place(f, "console ", &self.console)?;
        place(f, "database", &self.database)?;
        place(f, "journal ", &self.journal)
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
