//! One turn of the agent: look, remember, decide, act, remember. Everything that a turn does is asked for by
//! [`sm_rollout::agent`]; here it is only carried out.

use sm_host::{
    clock::Clock,
    fetch::Fetch,
    process::{Invocation, Runner},
    progress::Progress,
};
use sm_image::slots::Content;
use sm_model::{Timestamp, Version};
use sm_rollout::{
    agent::{
        Action, Ask, CheckFailure, Config, DownloadFailure, Facts, InstallFailure, Outcome, Phase, State,
    },
    omaha::{InstallSource, OfferedRelease, UpdateCheck, Url},
};
use sm_trust::PublicKey;

use crate::{
    Error,
    disk::RunningUsr,
    esp::KernelImages,
    fault::Fuse,
    health,
    identity::{Image, read_config},
    install::{self, Site},
    paths::Root,
    server,
    server::chain,
    slots::Slots,
    spool,
    store::{Loaded, Lock, Store},
};

/// Largest public key file, in bytes.
const MAX_KEY_BYTES: u64 = 16 << 10;

/// The ways in which an agent reaches the world.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The network.
    pub fetch: &'a dyn Fetch,
    /// Programs.
    pub runner: &'a dyn Runner,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The person or journal that watches.
    pub progress: &'a dyn Progress,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// The agent of one host.
#[derive(Debug)]
pub struct Agent<'a> {
    root: Root,
    world: World<'a>,
    image: Image,
    store: Store,
    kernel_images: KernelImages,
    source: InstallSource,
    fuse: Fuse,
}

/// What became of one turn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it lives on the stack")]
pub enum Turn {
    /// Nothing is to be done before this instant.
    Wait(Timestamp),
    /// This was done, and turned out like this; `None` for actions that answer themselves.
    Acted(Action, Option<Outcome>),
    /// The next thing is a reboot, which only the caller may ask for: [`Agent::reboot`].
    RebootDue,
}

impl<'a> Agent<'a> {
    /// The agent of the host below `root`, asking the server because of `source`.
    ///
    /// # Errors
    /// When the image does not say what it is.
    pub fn new(root: &Root, world: World<'a>, source: InstallSource) -> Result<Self, Error> {
        Agent::with_fuse(root, world, source, Fuse::solid())
    }

    /// The same, with a place to cut the power.
    ///
    /// # Errors
    /// As [`Agent::new`].
    pub fn with_fuse(
        root: &Root,
        world: World<'a>,
        source: InstallSource,
        fuse: Fuse,
    ) -> Result<Self, Error> {
        let image = Image::read(root)?;
        let kernel_images = KernelImages::of(root, &image.os, fuse.clone());
        Ok(Agent { root: root.clone(), world, image, store: Store::of(root), kernel_images, source, fuse })
    }

    /// The host's store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The running image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The settings as they are now.
    ///
    /// # Errors
    /// When they cannot be read or meant.
    pub fn config(&self) -> Result<Config, Error> {
        read_config(&self.root)
    }

    /// What the host sees about itself.
    ///
    /// # Errors
    /// When the EFI system partition or the notes cannot be read.
    pub fn facts(&self) -> Result<Facts, Error> {
        Ok(Facts {
            running: self.image.identity.running,
            boot_id: self.image.identity.boot_id.clone(),
            entries: self.kernel_images.facts()?,
            health_notes: health::notes(&self.store)?,
        })
    }

    /// The document, looked at without the lock and not changed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn state(&self) -> Result<State, Error> {
        Ok(self.store.load(self.image.identity.running)?.into_state())
    }

    /// Changes the document by hand, under the lock.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn change<T>(
        &self,
        lock: &Lock,
        change: impl FnOnce(&mut State, Timestamp) -> T,
    ) -> Result<T, Error> {
        let mut state = self.load(lock)?;
        let result = change(&mut state, self.world.clock.now());
        self.store.save(&state)?;
        Ok(result)
    }

    /// One turn, under the lock.
    ///
    /// # Errors
    /// When the host's own state cannot be read or written; failures of an update are no errors but outcomes.
    pub fn turn(&self, lock: &Lock) -> Result<Turn, Error> {
        let config = self.config()?;
        let facts = self.facts()?;
        let mut state = self.load(lock)?;
        let before = state.clone();
        state.observe(&facts, self.world.clock.now());
        if state != before {
            self.store.save(&state)?;
            self.tidy(&state)?;
        }
        let action = state.next(&facts, &config, self.world.clock.now());
        if let Action::Reboot = action {
            return Ok(Turn::RebootDue);
        }
        if let Action::Wait(until) = action {
            return Ok(Turn::Wait(until));
        }
        let outcome = self.act(&action, &state, &config)?;
        if let Some(outcome) = outcome.clone() {
            state.apply(outcome, &facts, self.world.clock.now(), self.random()?);
            self.store.save(&state)?;
            if let Some(words) = &state.contact.dropped
                && state.contact.dropped != before.contact.dropped
            {
                self.world.progress.note(words);
            }
            self.tidy(&state)?;
        }
        Ok(Turn::Acted(action, outcome))
    }

    /// Asks the system to reboot into what is armed.
    ///
    /// # Errors
    /// When the system refuses, or nothing is armed any more.
    pub fn reboot(&self, lock: &Lock) -> Result<(), Error> {
        let facts = self.facts()?;
        self.change(lock, |state, now| state.apply(Outcome::RebootAsked, &facts, now, 0))?;
        self.world.runner.run(&Invocation::new("/usr/bin/systemctl").args(["--no-block", "reboot"]))?;
        Ok(())
    }

    /// Gives the running version up for the previous one, which the next boot starts; returns that.
    ///
    /// # Errors
    /// When there is no previous version any more, or the system refuses.
    pub fn roll_back(&self, lock: &Lock) -> Result<Version, Error> {
        let running = self.image.identity.running;
        let previous = self.previous(running)?;
        // Remembered first: a cut between the two leaves a host that runs on, and may be told again.
        self.change(lock, |state, now| state.roll_back(running, previous, now))?;
        self.kernel_images.give_up(running)?;
        Ok(previous)
    }

    /// The version that another slot and another kernel image hold, whole and once marked good.
    fn previous(&self, running: Version) -> Result<Version, Error> {
        let nothing = |reason: String| Error::NoPrevious { running, reason };
        let (version, root) = self
            .kernel_images
            .previous(running)?
            .ok_or_else(|| nothing("no other version that was marked good has a kernel image".to_owned()))?;
        match self.slots()?.passive().content() {
            Content::Image(found) if found == root => Ok(version),
            _ => Err(nothing(format!("the other slot does not hold {version} any more"))),
        }
    }

    fn load(&self, _lock: &Lock) -> Result<State, Error> {
        let loaded = self.store.load(self.image.identity.running)?;
        if let Loaded::Unreadable(_, why) = &loaded {
            self.world.progress.note(&format!("the remembered state is set aside and begun afresh: {why}"));
            self.store.set_aside()?;
        }
        Ok(loaded.into_state())
    }

    /// Removes files that the document does not need any more.
    fn tidy(&self, state: &State) -> Result<(), Error> {
        match &state.phase {
            Phase::Downloading(download) => spool::sweep(self.store.dir(), Some(&download.offer.payload)),
            Phase::Installing { offer, .. } => spool::sweep(self.store.dir(), Some(&offer.payload)),
            // A full disk may have room for it later, and the note of a version on trial is still to be told.
            Phase::Idle if state.last_failure.is_some() => Ok(()),
            Phase::Unconfirmed(_) => spool::sweep(self.store.dir(), None),
            Phase::Idle | Phase::Armed(_) => {
                spool::sweep(self.store.dir(), None)?;
                health::forget(&self.store, None)
            }
        }
    }

    fn act(&self, action: &Action, state: &State, config: &Config) -> Result<Option<Outcome>, Error> {
        Ok(match action {
            Action::Wait(_) | Action::Reboot => None,
            Action::Report(url) => Some(Outcome::Reported(self.tell(Ask::Report, url, state, config))),
            Action::Ping(url) => Some(Outcome::Pinged(self.tell(Ask::Ping, url, state, config))),
            Action::Check(url) => Some(self.check(url, state, config)),
            Action::Download { url, offer } => Some(self.download(url, offer)),
            Action::Install(offer) => Some(self.install(offer)),
            Action::RemoveEntry(version) => {
                self.world.progress.note(&format!("{version} fell back; its kernel image is removed"));
                self.kernel_images.remove(*version)?;
                None
            }
        })
    }

    fn tell(&self, ask: Ask, url: &Url, state: &State, config: &Config) -> Result<(), CheckFailure> {
        let request = state.request(ask, self.source.clone(), &self.image.identity, config);
        server::ask(self.world.fetch, url, &request).map(drop)
    }

    fn check(&self, url: &Url, state: &State, config: &Config) -> Outcome {
        let request = state.request(Ask::Check, self.source.clone(), &self.image.identity, config);
        let answer = server::ask(self.world.fetch, url, &request);
        Outcome::Checked(answer.and_then(|app| {
            let silent = || CheckFailure::Refused(format!("{url} did not answer the question for updates"));
            app.update_check.ok_or_else(silent)
        }))
    }

    fn download(&self, url: &Url, offer: &OfferedRelease) -> Outcome {
        let World { fetch, progress, .. } = self.world;
        progress.note(&format!("downloading {} from {url}", offer.version));
        Outcome::Downloaded(spool::download(fetch, url, &offer.payload, self.store.dir(), progress))
    }

    fn install(&self, offer: &OfferedRelease) -> Outcome {
        let progress = self.world.progress;
        progress.note(&format!("installing {}", offer.version));
        let result = self
            .slots()
            .and_then(|slots| Ok((slots, self.key()?)))
            .map_err(|error| InstallFailure::Storage(chain(&error)))
            .and_then(|(slots, key)| {
                let site = Site {
                    slots,
                    kernel_images: &self.kernel_images,
                    os: &self.image.os,
                    running: self.image.identity.running,
                    arch: self.image.identity.board.0,
                    key: &key,
                    dir: self.store.dir(),
                    fuse: self.fuse.clone(),
                };
                install::install(site, offer, progress)
            });
        if let Err(InstallFailure::Damaged(_) | InstallFailure::Rejected(..)) = &result {
            // Whatever is left of it is swept away with the next payload.
            let _swept = spool::sweep(self.store.dir(), None);
        }
        Outcome::Installed(result)
    }

    /// Names of the kernel images that the boot loader finds, best first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn kernel_image_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.kernel_images.list()?.iter().map(ToString::to_string).collect())
    }

    /// The slots of this host.
    ///
    /// # Errors
    /// When its disk is not laid out for updates.
    pub fn slots(&self) -> Result<Slots, Error> {
        let usr = RunningUsr::find(&self.root, self.fuse.clone())?;
        let cmdline = sm_host::files::read_limited(&self.root.cmdline(), 64 << 10)?;
        Slots::find(&usr, &String::from_utf8_lossy(&cmdline), self.image.identity.board.0)
    }

    /// The key that must have signed payloads.
    ///
    /// # Errors
    /// When the image has no usable one.
    pub fn key(&self) -> Result<PublicKey, Error> {
        let path = self.root.payload_key();
        let text = sm_host::files::read_limited(&path, MAX_KEY_BYTES)?;
        PublicKey::from_pem(&String::from_utf8_lossy(&text)).map_err(|error| {
            Error::system(format!("use the key in `{}`", path.display()))(std::io::Error::other(error))
        })
    }

    /// A random number, for spreading times.
    pub(crate) fn random(&self) -> Result<u64, Error> {
        use std::io::Read;
        let path = self.root.random();
        let mut bytes = [0; 8];
        std::fs::File::open(&path)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(Error::system(format!("read `{}`", path.display())))?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The world that this agent reaches.
    pub fn world(&self) -> World<'a> {
        self.world
    }

    /// The host's root.
    pub fn root(&self) -> &Root {
        &self.root
    }
}

/// One line about a turn, for the journal.
pub fn describe(turn: &Turn) -> Option<String> {
    let Turn::Acted(action, outcome) = turn else { return None };
    let words = match (action, outcome.as_ref()?) {
        (_, Outcome::Reported(Ok(())) | Outcome::Pinged(Ok(()))) => return None,
        (Action::Check(url), Outcome::Checked(Ok(UpdateCheck { offer, .. }))) => match offer {
            Some(offer) => format!("{url} offers {}", offer.version),
            None => format!("{url} has nothing newer"),
        },
        (
            _,
            Outcome::Reported(Err(failure)) | Outcome::Pinged(Err(failure)) | Outcome::Checked(Err(failure)),
        ) => {
            format!("the server could not be asked: {}", failure.words())
        }
        (_, Outcome::Downloaded(Ok(()))) => "the payload is whole".to_owned(),
        (
            _,
            Outcome::Downloaded(Err(
                DownloadFailure::Interrupted(words)
                | DownloadFailure::Refused(words)
                | DownloadFailure::Storage(words),
            )),
        ) => format!("the download ended early: {words}"),
        (Action::Install(offer), Outcome::Installed(Ok(()))) => {
            format!("{} is installed; the next boot tries it", offer.version)
        }
        (
            _,
            Outcome::Installed(Err(
                InstallFailure::Damaged(words)
                | InstallFailure::Rejected(_, words)
                | InstallFailure::Storage(words),
            )),
        ) => format!("not installed: {words}"),
        _ => return None,
    };
    Some(words)
}
