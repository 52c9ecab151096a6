//! The whole chain at work, with nothing prepared by hand: two releases from the real archive, of which the second goes on a release
//! train; a machine that updates itself from one to the other; and a broken third one that it comes back from.
//!
//! Everything made lies in one directory: locks, keys, releases, the machine, the server's database, the journal. A second run
//! uses the locks and every release whose inputs are the same.

mod releases;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
};

use sm_compose::{build::World, diff::Diff, release::ReleaseDir};
use sm_host::{
    clock::Clock,
    files::{FileError, create_dir_all, write_atomic},
    qemu::Programs,
};
use sm_image::payload::write::Signer;
use sm_model::{Arch, Channel, Released, Sha256, Version};
use sm_vmtest::{
    endpoint::{Served, StartEndpoint},
    vm::VmHost,
};

use crate::{Error, journal::Journal, story::Story};

pub use report::{Booted, DemoReport, Made};

use releases::Releases;

/// Channel that the demonstration releases to.
const CHANNEL: Channel = Channel::Alpha;
/// Largest changes of files that the comparison names.
const TOP_FILES: usize = 10;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// One update between two releases of the same packages: the shortest run that proves compose, boot and update.
    Smoke,
}

/// What a demonstration is made of.
#[derive(Debug, Clone)]
pub struct DemoPlan {
    /// Directory that everything made lies in.
    pub out: PathBuf,
    /// The recipe.
    pub recipe: PathBuf,
    /// Its variant without updates since the last point release.
    pub older_variant: PathBuf,
    /// Its variant whose health check fails.
    pub broken_variant: PathBuf,
    /// Architecture of the releases.
    pub arch: Arch,
    /// The update agent's binary for it.
    pub agent: PathBuf,
    /// Digest of the program that composes: releases of another build of it are made anew.
    pub program_sha256: Sha256,
    /// How much is shown.
    pub extent: Extent,
}

/// The release train that B goes on: the operator's command runs it.
pub trait Train {
    /// Opens it, `previous` being the channel's last release, and gives the version that it computed.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&mut self, previous: &Released) -> Result<Version, TrainError>;

    /// Takes a candidate from its composition to a decision to publish it.
    ///
    /// # Errors
    /// When that is not what is decided.
    fn decide(&mut self, candidate: &ReleaseDir, previous: &ReleaseDir) -> Result<(), TrainError>;

    /// Makes it public.
    ///
    /// # Errors
    /// When it may not be, or cannot be.
    fn publish(&mut self) -> Result<(), TrainError>;

    /// Takes down that the first host runs it.
    ///
    /// # Errors
    /// When that cannot be recorded.
    fn updated(&mut self, evidence: &str) -> Result<(), TrainError>;
}

/// Why a train does not go on.
pub type TrainError = Box<dyn std::error::Error + Send + Sync>;

/// What a demonstration needs from outside.
pub struct Surroundings<'a> {
    /// Archive, programs, display.
    pub world: World<'a>,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Starts the update server.
    pub start_endpoint: StartEndpoint<'a>,
    /// Signs payloads.
    pub signer: &'a mut (dyn Signer + Send),
    /// What hosts check the signatures with.
    pub public_key_pem: String,
    /// What B goes on, unless the demonstration is short.
    pub train: Option<&'a mut dyn Train>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("world", &self.world).finish_non_exhaustive()
    }
}

/// Runs the demonstration. The report is filled as far as it came, whatever the result.
///
/// # Errors
/// When anything is not as it should be.
pub fn run(
    plan: &DemoPlan,
    surroundings: &mut Surroundings<'_>,
    report: &mut DemoReport,
) -> Result<(), Error> {
    let path = plan.out.join("journal.jsonl");
    let mut journal = Journal::open(&path, surroundings.clock, surroundings.world.progress)?;
    report.journal = Some(path);
    let result = steps(plan, surroundings, &mut journal, report);
    report.steps = journal.records().to_vec();
    result
}

fn steps(
    plan: &DemoPlan,
    surroundings: &mut Surroundings<'_>,
    journal: &mut Journal<'_>,
    report: &mut DemoReport,
) -> Result<(), Error> {
    let Releases { a, b, c, tools } = releases::make(plan, surroundings, journal)?;
    report.made = [Some(&a), Some(&b), c.as_ref()].into_iter().flatten().map(Made::of).collect();
    let file = plan.out.join("changes.json");
    report.changes = Some(journal.step("compare A and B", |_| compare(&a, &b, &file))?);
    report.changes_file = Some(file);
    if let Some(train) = surroundings.train.as_deref_mut() {
        journal.step("evidence, votes and decision on B", |_| train.decide(&b, &a).map_err(Error::Train))?;
    }

    let served = Served::below(&plan.out);
    let machine = plan.out.join("machine");
    report.database = Some(served.database.clone());
    report.console = Some(machine.join("console.log"));
    let world = surroundings.world;
    let programs = Programs::new(tools, world.host);
    let host =
        journal.step("find how guests run here", |_| Ok(VmHost::find(world.runner, programs, plan.arch)?))?;
    world.progress.note(&format!("guests run by {} here", host.accelerator()));
    report.accelerator = Some(host.accelerator().to_string());
    forget_fleet(&served.database)?;
    let mut story = Story::begin(&host, &served, surroundings.start_endpoint, &a, machine)?;
    let train = surroundings.train.as_deref_mut();
    let told = tell(&mut story, journal, train, (&a, b, c.as_ref()), report);
    report.events = story.reports()?;
    told?;
    story.end(journal)
}

/// Compares two releases, and writes the whole comparison to `file`.
fn compare(old: &ReleaseDir, new: &ReleaseDir, file: &Path) -> Result<Diff, Error> {
    let changes = Diff::between(old, new, TOP_FILES)?;
    let text = serde_json::to_vec_pretty(&changes).expect("a comparison has only text and numbers");
    write_atomic(file, &text)?;
    Ok(changes)
}

fn tell(
    story: &mut Story,
    journal: &mut Journal<'_>,
    mut train: Option<&mut (dyn Train + '_)>,
    (a, mut b, c): (&ReleaseDir, ReleaseDir, Option<&ReleaseDir>),
    report: &mut DemoReport,
) -> Result<(), Error> {
    report.boots.push(Booted { version: a.manifest().version, boot: story.first_boot(journal, a)? });
    if let Some(train) = train.as_deref_mut() {
        let public = a.path().with_file_name(b.manifest().version.to_string());
        // A version is public once; but no host outside of this directory has seen what an earlier run published.
        remove_dir(&public)?;
        journal.step("publish B", |_| train.publish().map_err(Error::Train))?;
        b = ReleaseDir::open(&public)?;
        let is_b = |made: &&mut Made| made.version == b.manifest().version;
        report.made.iter_mut().filter(is_b).for_each(|made| *made = Made::of(&b));
    }
    report.boots.push(Booted { version: b.manifest().version, boot: story.update(journal, &b)? });
    if let Some(train) = train {
        let evidence = format!("a host runs {}, which is marked good", b.manifest().version);
        train.updated(&evidence).map_err(Error::Train)?;
    }
    if let Some(c) = c {
        report.rejected = Some(story.fall_back(journal, c, &b)?);
    }
    Ok(())
}

/// Removes what machines of earlier runs reported: this run's machine is another one.
fn forget_fleet(database: &Path) -> Result<(), Error> {
    let dir = database.parent().unwrap_or(database);
    remove_dir(dir)?;
    Ok(create_dir_all(dir)?)
}

fn remove_dir(dir: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}
