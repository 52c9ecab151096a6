//! What the benchmarks of releases start from: release programs, a signing key and locks, in a place of their own below the build output.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::measure::pinned;
use crate::cargo::{must, program, release_programs, remove, target_dir};

/// The release that is composed, again and again.
const VERSION: &str = "4000.0.0";
/// Its time stamp: a version has one anyway, but the benchmark's inputs are not to depend on how it is found.
const SOURCE_DATE: &str = "2026-01-01T00:00:00Z";

/// Programs, keys and locks.
pub(super) struct Workplace {
    stationmaster: PathBuf,
    root: PathBuf,
    mirrors: Vec<String>,
}

impl Workplace {
    /// Builds the release programs and makes keys and locks that are not there.
    pub(super) fn open(mirrors: &[String]) -> Result<Self> {
        let stationmaster = release_programs()?.join("stationmaster");
        let root = target_dir()?.join("bench");
        fs::create_dir_all(&root).with_context(|| format!("cannot create `{}`", root.display()))?;
        let workplace = Workplace { stationmaster, root, mirrors: mirrors.to_vec() };
        if !workplace.key().exists() {
            let mut keygen = program(&workplace.stationmaster);
            keygen.args(["payload", "keygen"]).arg(workplace.root.join("keys")).stdout(Stdio::null());
            must(keygen, "stationmaster payload keygen")?;
        }
        for (kind, path) in [(None, workplace.lock()), (Some("--tools"), workplace.tools_lock())] {
            must(workplace.locking(kind, &path), "stationmaster lock")?;
        }
        Ok(workplace)
    }

    /// Where something of the benchmark's own lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The packages that are composed.
    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("image.lock")
    }

    /// The private key that signs payloads.
    pub(super) fn key(&self) -> PathBuf {
        self.root.join("keys/update-payload-key.key.pem")
    }

    /// The composed release.
    pub(super) fn release(&self) -> PathBuf {
        self.root.join("out/alpha").join(format!("{}-usr", debian_arch())).join(VERSION)
    }

    /// A run of our program on the given processors.
    pub(super) fn stationmaster(&self, cpus: &str) -> Command {
        let mut command = pinned(cpus, &self.stationmaster);
        command.arg("--quiet").stdout(Stdio::null());
        command
    }

    /// Composes the release.
    pub(super) fn compose(&self, cpus: &str) -> Command {
        let mut compose = self.stationmaster(cpus);
        compose.args(["compose", "--version", VERSION, "--source-date", SOURCE_DATE, "--key"]);
        compose.arg(self.key()).arg("--lock").arg(self.lock()).arg("--tools-lock").arg(self.tools_lock());
        compose.arg("--out").arg(self.root.join("out"));
        self.with_mirrors(compose)
    }

    /// The composed release: an earlier run's, or one composed now.
    pub(super) fn composed(&self, cpus: &str) -> Result<PathBuf> {
        let release = self.release();
        if !release.exists() {
            must(self.compose(cpus), "stationmaster compose")?;
        }
        Ok(release)
    }

    /// Removes the composed release.
    pub(super) fn clear(&self) -> Result<()> {
        remove(&self.root.join("out"))
    }

    fn tools_lock(&self) -> PathBuf {
        self.root.join("tools.lock")
    }

    fn locking(&self, kind: Option<&str>, path: &Path) -> Command {
        let mut lock = program(&self.stationmaster);
        lock.args(["--quiet", "lock", "--arch", debian_arch()]).args(kind).arg("--output").arg(path);
        lock.stdout(Stdio::null());
        self.with_mirrors(lock)
    }

    /// `command`, told where the archives are.
    pub(super) fn with_mirrors(&self, mut command: Command) -> Command {
        for mirror in &self.mirrors {
            command.arg("--mirror").arg(mirror);
        }
        command
    }
}

/// This machine's architecture as Debian names it.
pub(super) fn debian_arch() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}
