//! What `compose` tells at its end.

use std::{fmt, path::PathBuf};

use serde::Serialize;
use sm_compose::{
    build::{StepTime, Steps, Twice},
    recipe::{PlanError, Recipe},
    release::Published,
};
use sm_model::{Arch, Board, Channel, Manifest, Sha256, Version};
use sm_pipeline::table::{in_units, seconds};

/// A recipe that is right.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    os: String,
    version: Version,
    channel: Channel,
    board: Board,
    digest: Sha256,
    variants: Vec<String>,
    n_packages_wanted: usize,
    n_files: usize,
    suites: Vec<String>,
}

impl Checked {
    pub(super) fn of(
        recipe: &Recipe,
        arch: Arch,
        channel: Channel,
        version: Version,
    ) -> Result<Self, PlanError> {
        let target = recipe.target(arch)?;
        Ok(Checked {
            os: recipe.os.name.clone(),
            version,
            channel,
            board: Board(arch),
            digest: recipe.digest,
            variants: recipe.variants.clone(),
            n_packages_wanted: target.packages.wanted.len(),
            n_files: target.files.len(),
            suites: target.packages.suites.iter().map(|suite| suite.suite.to_string()).collect(),
        })
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the recipe is right")?;
        writeln!(f, "  makes     {} {} for {} {}", self.os, self.version, self.channel, self.board)?;
        writeln!(f, "  packages  {} wanted, from {}", self.n_packages_wanted, self.suites.join(", "))?;
        writeln!(f, "  files     {} of its own", self.n_files)?;
        if !self.variants.is_empty() {
            writeln!(f, "  variants  {}", self.variants.join(", "))?;
        }
        write!(f, "  digest    {}", self.digest)
    }
}

/// A release that was composed.
#[derive(Debug, Serialize)]
pub(super) struct Composed {
    #[serde(serialize_with = "crate::context::path")]
    pub(super) directory: PathBuf,
    pub(super) is_current: bool,
    pub(super) manifest_sha256: Sha256,
    pub(super) manifest: Manifest,
    pub(super) steps: Vec<StepTime>,
    pub(super) verified: Option<Twice>,
}

impl Composed {
    pub(super) fn of(published: Published, steps: &Steps, verified: Option<Twice>) -> Self {
        let Published { directory, is_current, manifest, manifest_sha256 } = published;
        Composed { directory, is_current, manifest_sha256, manifest, steps: steps.ended().to_vec(), verified }
    }
}

impl fmt::Display for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.manifest;
        writeln!(f, "{} {} for {} {}", manifest.os, manifest.version, manifest.channel, manifest.board)?;
        writeln!(f, "  in        {}", self.directory.display())?;
        if !self.is_current {
            writeln!(f, "            a newer version is there: `current` still points to it")?;
        }
        writeln!(f, "  manifest  {}", self.manifest_sha256)?;
        writeln!(f, "  /usr      {}", manifest.usr_root_hash)?;
        writeln!(f, "  kernel    {}\n", manifest.kernel)?;
        writeln!(f, "{:<44} {:>12}", "ARTIFACT", "BYTES")?;
        for artifact in &manifest.artifacts {
            writeln!(f, "{:<44} {:>12}", artifact.name.as_str(), in_units(artifact.size_bytes))?;
        }
        write!(f, "\n{:<30} {:>13} {:>12}", "STEP", "TIME", "BYTES")?;
        for step in &self.steps {
            write!(f, "\n{:<30} {:>13} {:>12}", step.step, seconds(step.millis), in_units(step.bytes))?;
        }
        let total = self.steps.iter().map(|step| step.millis).sum();
        write!(f, "\n{:<30} {:>13}", "total", seconds(total))?;
        self.verified.iter().try_for_each(|twice| write!(f, "\n\n{twice}"))
    }
}
