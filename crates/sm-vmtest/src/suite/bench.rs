//! What tests with machines work with: the release under test, others, machines, an update server, and the trail they leave.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use sm_host::{files, qemu::programs::BaseFormat};
use sm_model::{ArtifactKind, report::Report};

use super::{
    finding::Stop,
    lists::Lists,
    machine::Machine,
    release::{Others, Release},
    room::{Needs, Room},
    trail::Trail,
};
use crate::{
    Access, Deadline, VmPlan,
    endpoint::{Endpoint, Served, StartEndpoint},
    vm::VmHost,
};

/// Everything that tests with machines need from outside. One for a whole run.
#[expect(missing_debug_implementations, reason = "it holds effects, not values to print")]
pub struct Stage<'a> {
    /// What machines run on.
    pub host: VmHost<'a>,
    /// The release under test.
    pub release: Release,
    /// Other releases.
    pub others: Others,
    /// The reviewed lists.
    pub lists: Lists,
    /// The private key, as PEM, that payloads of the release are signed with; without it, tests that sign are skipped.
    pub signing_key: Option<PathBuf>,
    /// How an update server is started; without it, tests that update are skipped.
    pub start_endpoint: Option<StartEndpoint<'a>>,
    /// What machines may take of this host.
    pub room: Room,
    /// Directory for machines' files. It should be empty, and is not cleared.
    pub dir: PathBuf,
    /// The machine that copies are made of; empty at first.
    pub base: Base,
}

/// A running machine that was saved once, for all copies of a stage. Whoever needs it first boots it.
#[derive(Debug, Default)]
pub struct Base {
    pub(super) saved: OnceLock<super::crew::Base>,
    /// Random numbers that its copies drew.
    drawn: Mutex<BTreeSet<String>>,
}

impl Base {
    /// Whether no copy drew these random numbers before.
    pub(super) fn is_new(&self, draw: String) -> bool {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).insert(draw)
    }
}

/// One attempt's share of the stage.
#[expect(missing_debug_implementations, reason = "it holds effects, not values to print")]
pub struct Bench<'a> {
    stage: &'a Stage<'a>,
    needs: Needs,
    dir: PathBuf,
    trail: Arc<Trail>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(stage: &'a Stage<'a>, needs: Needs, dir: PathBuf, trail: Arc<Trail>) -> Self {
        Bench { stage, needs, dir, trail }
    }

    /// The release under test.
    pub const fn release(&self) -> &'a Release {
        &self.stage.release
    }

    /// The release that most hosts update from.
    ///
    /// # Errors
    /// When none was given: the test is skipped then.
    pub fn previous(&self) -> Result<&'a Release, Stop> {
        given(
            self.stage.others.previous.as_ref(),
            "no release to update from was given: name the one that most hosts run with `--previous`",
        )
    }

    /// The oldest release that is still to update to the one under test.
    ///
    /// # Errors
    /// When none was given: the test is skipped then.
    pub fn oldest(&self) -> Result<&'a Release, Stop> {
        given(
            self.stage.others.oldest.as_ref(),
            "no oldest supported release was given: name it with `--oldest`",
        )
    }

    /// A release that the one under test updates to.
    ///
    /// # Errors
    /// When none was given: the test is skipped then.
    pub fn successor(&self) -> Result<&'a Release, Stop> {
        given(self.stage.others.successor.as_ref(), "no later release was given: name one with `--successor`")
    }

    /// The private key of the payloads.
    ///
    /// # Errors
    /// When none was given: the test is skipped then.
    pub fn signing_key(&self) -> Result<&'a Path, Stop> {
        given(
            self.stage.signing_key.as_deref(),
            "no payload key was given: name the release's own private key with `--signing-key`",
        )
    }

    /// The reviewed lists.
    pub const fn lists(&self) -> &'a Lists {
        &self.stage.lists
    }

    /// What machines run on: programs of the tools tree, too.
    pub const fn host(&self) -> &'a VmHost<'a> {
        &self.stage.host
    }

    /// The attempt's own directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// When the attempt has to end.
    pub fn deadline(&self) -> Deadline {
        self.trail.deadline()
    }

    pub(super) const fn trail(&self) -> &Arc<Trail> {
        &self.trail
    }

    /// The attempt is in this phase now: `boot`, `download`, `assert`.
    pub fn phase(&self, phase: &str) {
        self.trail.enter(phase);
    }

    /// Writes a line into the attempt's log.
    pub fn note(&self, text: &str) {
        self.trail.note(text);
    }

    /// What a small machine called `name` that starts `release` would be. Change it as the test needs.
    ///
    /// # Errors
    /// When the release has no image for machines.
    pub fn plan(&self, name: &str, release: &Release) -> Result<VmPlan, Stop> {
        let image = release.path_of(ArtifactKind::QemuImage)?;
        let arch = release.manifest().board.0;
        let mut plan = VmPlan::new(arch, image, BaseFormat::Qcow2, self.dir.join(name));
        plan.cpus = self.needs.cpus;
        plan.memory_mib = self.needs.memory_mib;
        plan.access = Access::none().with_shell().with_journal();
        Ok(plan)
    }

    /// Starts the machine called `name`.
    ///
    /// # Errors
    /// When it cannot be started: that is never the image's fault.
    pub fn start(&self, name: &str, plan: VmPlan) -> Result<Machine<'a>, Stop> {
        Machine::start(&self.stage.host, name, plan, &self.trail)
    }

    /// Starts a machine called `name` from the release under test, and waits until everything runs.
    ///
    /// # Errors
    /// When it cannot be started, or a unit failed.
    pub fn boot(&self, name: &str) -> Result<Machine<'a>, Stop> {
        let plan = self.plan(name, self.release())?;
        let mut machine = self.start(name, plan)?;
        machine.healthy_boot()?;
        Ok(machine)
    }

    /// Starts an update server of its own, which offers nothing yet.
    ///
    /// # Errors
    /// When there is none to start, or it does not start.
    pub fn serve(&self) -> Result<Service, Stop> {
        let start = given(self.stage.start_endpoint, "no update server was given")?;
        let served = Served::below(&self.dir.join("updates"));
        files::create_dir_all(&served.root)?;
        files::create_dir_all(served.database.parent().unwrap_or(&served.root))?;
        let endpoint = start(&served).map_err(|error| Stop::trouble("update-server", error.as_ref()))?;
        Ok(Service { endpoint, root: served.root })
    }

    /// Waits on this machine until `look` finds something.
    ///
    /// # Errors
    /// When that does not happen in time; the error shows what was looked at last.
    pub fn wait_until<T>(
        &self,
        what: &str,
        at_full_speed: Duration,
        mut look: impl FnMut() -> Result<Result<T, String>, Stop>,
    ) -> Result<T, Stop> {
        const LOOK: Duration = Duration::from_millis(300);
        let deadline = self.deadline().at_most(self.stage.host.pace().within(at_full_speed).allowed());
        loop {
            let seen = match look()? {
                Ok(found) => return Ok(found),
                Err(seen) => seen,
            };
            if let Some(cut) = self.trail.was_cut() {
                return Err(cut.into());
            }
            if deadline.left().is_none() {
                let secs = deadline.allowed().as_secs();
                return Err(Stop::Late(format!("{what} did not happen within {secs} s; last seen: {seen}")));
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// What the run was given. A test that lacks it is skipped, which is no pass.
fn given<T>(thing: Option<T>, otherwise: &str) -> Result<T, Stop> {
    thing.ok_or_else(|| Stop::Skip(otherwise.to_owned()))
}

/// An update server for one test.
#[expect(missing_debug_implementations, reason = "it holds a server, not a value to print")]
pub struct Service {
    endpoint: Box<dyn Endpoint>,
    root: PathBuf,
}

impl Service {
    /// Its port on this machine's loopback address, which guests reach as 10.0.2.2.
    pub fn port(&self) -> u16 {
        self.endpoint.port()
    }

    /// Its release directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Offers a release: puts it into the directory and makes it its channel's current one.
    ///
    /// # Errors
    /// When its files cannot be put there.
    pub fn offer(&self, release: &Release) -> Result<(), Stop> {
        let folder = release.publish_into(&self.root)?;
        let version = release.manifest().version.to_string();
        let (link, new) = (folder.with_file_name("current"), folder.with_file_name(".current"));
        let written = std::fs::remove_file(&new).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
        written
            .and_then(|()| std::os::unix::fs::symlink(&version, &new))
            .and_then(|()| std::fs::rename(&new, &link))
            .map_err(files::FileError::io("link", &link))?;
        Ok(())
    }

    /// Everything that machines have reported, oldest first.
    ///
    /// # Errors
    /// When the server's database cannot be read.
    pub fn reports(&self) -> Result<Vec<Report>, Stop> {
        self.endpoint.reports().map_err(|error| Stop::trouble("update-server", error.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_random_numbers_are_new_once() {
        let base = Base::default();
        assert!(base.is_new("a2 d0".into()) && base.is_new("24 5a".into()));
        assert!(!base.is_new("a2 d0".into()));
    }
}
