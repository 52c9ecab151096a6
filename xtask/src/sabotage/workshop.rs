//! The programs that make and look at an image: `stationmaster compose` and `stationmaster test`, with what they need beside them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Args, edit,
    image::Image,
    judge::{Line, Told},
};
use crate::cargo::{must, program, release_programs, remove, root};

/// What the VM step leaves, whose locks serve here too.
const SMOKE_LOCKS: &str = "out/smoke/locks";
/// Versions of the sound release, and of those that are composed broken.
const SOUND: &str = "4893.0.0";
const BROKEN: &str = "4893.0.1";
const BOARD: &str = "alpha/amd64-usr";
const LISTS: &str = "os/boxcar/tests";
const EXTERNAL: &str = "os/boxcar/tests/external";

/// Where images are made and looked at.
#[derive(Debug)]
pub(super) struct Workshop {
    stationmaster: PathBuf,
    out: PathBuf,
    lock: PathBuf,
    tools_lock: PathBuf,
    key: PathBuf,
    is_kept: bool,
}

impl Workshop {
    /// Builds the programs and makes what is missing: a key, a folder.
    pub(super) fn set_up(args: &Args) -> Result<Self> {
        let stationmaster = match &args.stationmaster {
            Some(path) => path.clone(),
            None => release_programs()?.join("stationmaster"),
        };
        let out = root().join(&args.out);
        let lock = |named: &Option<PathBuf>, name: &str| {
            let smoke = root().join(SMOKE_LOCKS).join(name);
            let own = || if smoke.is_file() { smoke } else { out.join("locks").join(name) };
            named.clone().unwrap_or_else(own)
        };
        let (lock, tools_lock) = (lock(&args.lock, "B.lock"), lock(&args.tools_lock, "tools.lock"));
        let keys = out.join("keys");
        let key = keys.join("update-payload-key.key.pem");
        if !key.is_file() {
            let mut keygen = program(&stationmaster);
            keygen.args(["--quiet", "payload", "keygen"]).arg(&keys);
            must(keygen, "stationmaster payload keygen")?;
        }
        for made in ["locks", "work"] {
            fs::create_dir_all(out.join(made))?;
        }
        Ok(Workshop { stationmaster, out, lock, tools_lock, key, is_kept: args.keep })
    }

    /// Every test that exists.
    pub(super) fn existing_tests(&self) -> Result<BTreeSet<String>> {
        let mut list = program(&self.stationmaster);
        let output = list.args(["--json", "test", "list"]).output().context("cannot list the tests")?;
        let entries: Vec<Value> = serde_json::from_slice(&output.stdout).context("the list is no JSON")?;
        let existing = entries.iter().filter(|entry| entry["not_yet"].is_null());
        Ok(existing.filter_map(|entry| Some(entry["test"].as_str()?.to_owned())).collect())
    }

    /// Composes the release that nothing is wrong with.
    pub(super) fn sound(&self) -> Result<PathBuf> {
        let releases = self.out.join("unbroken");
        remove(&releases)?;
        self.compose(SOUND, &releases, &[])
    }

    /// Makes a broken image, has it looked at, and gives what was said.
    pub(super) fn look(&self, image: &Image, sound: &Path) -> Result<Told> {
        let folder = self.out.join(&image.name);
        remove(&folder)?;
        let release = self.make(image, sound, &folder)?;
        let told = self.test(image, sound, &release, &folder)?;
        if !self.is_kept {
            remove(&folder.join("releases"))?;
        }
        Ok(told)
    }

    /// Removes the sound release, unless all are kept.
    pub(super) fn tidy_up(&self, sound: &Path) -> Result<()> {
        if self.is_kept { Ok(()) } else { remove(sound) }
    }

    fn make(&self, image: &Image, sound: &Path, folder: &Path) -> Result<PathBuf> {
        let releases = folder.join("releases");
        let release = if image.is_edited_only() {
            let release = releases.join(BOARD).join(SOUND);
            edit::link(sound, &release)?;
            release
        } else {
            self.compose(BROKEN, &releases, &variants(image, folder)?)?
        };
        let edits: Vec<_> = image.breakages.iter().flat_map(|breakage| &breakage.edits).collect();
        edit::apply(&release, &edits)?;
        Ok(release)
    }

    fn compose(&self, version: &str, releases: &Path, variants: &[PathBuf]) -> Result<PathBuf> {
        let mut compose = program(&self.stationmaster);
        compose.args(["--quiet", "compose", "--arch", "amd64", "--version", version]);
        compose.arg("--out").arg(releases).arg("--key").arg(&self.key).arg("--lock").arg(&self.lock);
        compose.arg("--tools-lock").arg(&self.tools_lock).stdout(Stdio::null());
        for variant in variants {
            compose.arg("--variant").arg(variant);
        }
        must(compose, "stationmaster compose")?;
        Ok(releases.join(BOARD).join(version))
    }

    fn test(&self, image: &Image, sound: &Path, release: &Path, folder: &Path) -> Result<Told> {
        let mut test = program(&self.stationmaster);
        test.args(["--json", "--quiet", "test", "--allow-not-yet", "--no-rerun"]).arg(release);
        test.arg("--suite").arg(image.runs.join(","));
        if let Some(only) = &image.only {
            test.arg("--only").arg(only);
        }
        test.arg("--reports").arg(folder.join("reports")).arg("--db").arg(folder.join("tests.db"));
        test.arg("--tools-lock").arg(&self.tools_lock).arg("--work").arg(self.out.join("work"));
        test.arg("--previous").arg(sound).arg("--oldest").arg(sound).arg("--signing-key").arg(&self.key);
        test.arg("--lists").arg(lists(image, folder)?);
        let external = root().join(EXTERNAL);
        if external.is_dir() {
            test.arg("--external").arg(external);
        }
        if image.has_twin {
            test.arg("--twin").arg(sound);
        }
        answer(test)
    }
}

/// The reviewed lists, with what breakages ask for at their ends.
fn lists(image: &Image, folder: &Path) -> Result<PathBuf> {
    let reviewed = root().join(LISTS);
    let added = || image.breakages.iter().flat_map(|breakage| &breakage.lists);
    if added().next().is_none() {
        return Ok(reviewed);
    }
    let lists = folder.join("lists");
    edit::link(&reviewed, &lists)?;
    for (name, text) in added() {
        let path = lists.join(name);
        let reviewed = fs::read_to_string(&path).with_context(|| format!("`{name}` is no reviewed list"))?;
        // It is a link: the reviewed list itself is never written to.
        fs::remove_file(&path)?;
        fs::write(&path, format!("{reviewed}\n{text}\n"))?;
    }
    Ok(lists)
}

/// Writes each breakage's variant into a file of its own.
fn variants(image: &Image, folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder.join("variants");
    fs::create_dir_all(&folder)?;
    let variants = image.breakages.iter().filter(|breakage| !breakage.variant.is_empty());
    let written = variants.enumerate().map(|(idx, breakage)| {
        let path = folder.join(format!("{idx:03}.toml"));
        fs::write(&path, toml::to_string(&breakage.variant)?)?;
        Ok(path)
    });
    written.collect()
}

/// Runs the suite and reads its answer with the logs of its attempts.
fn answer(mut test: Command) -> Result<Told> {
    let output = test.stderr(Stdio::inherit()).output().context("cannot run stationmaster test")?;
    let exit_code = output.status.code().context("stationmaster test was killed")?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`stationmaster test` ended with {exit_code} and no answer"))?;
    let report = PathBuf::from(told["report"].as_str().context("the answer names no report")?);
    let mut logs = logs(&report)?;
    let lines = told["lines"].as_array().context("the answer has no lines")?;
    let tests = lines.iter().filter_map(|line| {
        let test = line["test"].as_str()?.to_owned();
        let told = Line {
            verdict: line["verdict"].as_str()?.to_owned(),
            is_required: line["gate"] != "informing",
            log: logs.remove(&test).unwrap_or_default(),
        };
        Some((test, told))
    });
    Ok(Told { exit_code, tests: tests.collect() })
}

/// What the attempts of each test said, not what their machines did.
fn logs(report: &Path) -> Result<BTreeMap<String, String>> {
    let report_json: Value = serde_json::from_slice(&fs::read(report)?).context("the report is no JSON")?;
    let attempts = report_json["attempts"].as_array().context("the report has no attempts")?;
    ensure!(!attempts.is_empty(), "no test ran");
    let folder = report.with_file_name("logs");
    let mut logs: BTreeMap<String, String> = BTreeMap::new();
    for attempt in attempts {
        let (test, sha256) = (attempt["test"].as_str(), attempt["logs"][0]["sha256"].as_str());
        let (test, sha256) = test.zip(sha256).context("an attempt has no log")?;
        let log = fs::read_to_string(folder.join(format!("{sha256}.txt")))?;
        logs.entry(test.to_owned()).or_default().push_str(&log);
    }
    Ok(logs)
}
