//! What the agent remembers, on disk: one document that is whole or old, and the lock that keeps two agents apart.

use std::{
    fs::{File, OpenOptions},
    path::PathBuf,
};

use rustix::fs::{FlockOperation, flock};
use sm_host::files::{self, FileError};
use sm_model::Version;
use sm_rollout::agent::State;

use crate::{Error, paths::Root};

/// The document's place.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// What was found in the document's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// The document.
    Known(State),
    /// None: this host has never been asked about updates.
    New(State),
    /// Something else, which was set aside: the agent starts afresh. The text says why.
    Unreadable(State, String),
}

impl Loaded {
    /// The document, however it came to be.
    pub fn into_state(self) -> State {
        match self {
            Loaded::Known(state) | Loaded::New(state) | Loaded::Unreadable(state, _) => state,
        }
    }
}

impl Store {
    /// The store of a host.
    pub fn of(root: &Root) -> Self {
        Store { dir: root.state_dir() }
    }

    /// The directory of everything that the agent keeps.
    pub fn dir(&self) -> &PathBuf {
        &self.dir
    }

    fn document(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Reads the document without changing anything.
    ///
    /// # Errors
    /// When it exists but the system cannot read it.
    pub fn load(&self, running: Version) -> Result<Loaded, FileError> {
        let bytes = match files::read_limited(&self.document(), State::MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(Loaded::New(State::new(running))),
            Err(error) => return Err(error),
        };
        Ok(match serde_json::from_slice::<State>(&bytes) {
            Ok(state) if state.format <= State::FORMAT => Loaded::Known(state),
            Ok(state) => Loaded::Unreadable(
                State::new(running),
                format!("its format is {}: expected at most {}", state.format, State::FORMAT),
            ),
            Err(error) => Loaded::Unreadable(State::new(running), error.to_string()),
        })
    }

    /// Keeps an unreadable document for inspection, so that the next [`Store::save`] does not destroy it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_aside(&self) -> Result<(), Error> {
        let aside = self.dir.join("state.json.unreadable");
        std::fs::rename(self.document(), aside).map_err(Error::system("set the unreadable document aside"))
    }

    /// Writes the document, whole or not at all, and durably.
    ///
    /// # Errors
    /// When the system refuses; the old document then stays.
    pub fn save(&self, state: &State) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(state)
            .map_err(|error| Error::system("encode the document")(error.into()))?;
        text.push('\n');
        Ok(files::write_atomic(&self.document(), text.as_bytes())?)
    }

    /// Takes the lock, or tells that somebody else holds it.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process holds it; otherwise when the system refuses.
    pub fn lock(&self) -> Result<Lock, Error> {
        self.lock_by(FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock, however long another agent holds it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait_for_lock(&self) -> Result<Lock, Error> {
        self.lock_by(FlockOperation::LockExclusive)
    }

    fn lock_by(&self, operation: FlockOperation) -> Result<Lock, Error> {
        files::create_dir_all(&self.dir)?;
        let path = self.dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::system(format!("open `{}`", path.display())))?;
        match flock(&file, operation) {
            Ok(()) => Ok(Lock { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Busy),
            Err(errno) => Err(Error::system(format!("lock `{}`", path.display()))(errno.into())),
        }
    }
}

/// Evidence that no other agent works on this host. The system releases it when its holder ends, however that happens.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a program that is being started meanwhile holds a copy of the file until it runs.
        // When the system refuses, closing still does it, a little later.
        let _released = flock(&self.file, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_rollout::agent::Phase;

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::of(&Root::at(dir.path()))
    }

    fn version() -> Version {
        "4900.0.0".parse().unwrap()
    }

    #[test]
    fn a_lock_is_free_at_once_even_while_a_copy_of_its_file_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let lock = store.lock().unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(matches!(store.lock(), Err(Error::Busy)));
        drop(lock);
        assert!(store.lock().is_ok());
        drop(copy);
    }

    #[test]
    fn a_document_reads_back_and_a_missing_one_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let mut state = State::new(version());
        assert_eq!(store.load(version()).unwrap(), Loaded::New(state.clone()));
        state.last_failure = Some("x".to_owned());
        store.save(&state).unwrap();
        assert_eq!(store.load(version()).unwrap(), Loaded::Known(state));
    }

    #[test]
    fn a_cut_or_newer_document_is_set_aside_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        for text in ["", "{\"format\":1,", "{\"format\":2,\"aleph\":\"1.0.0\",\"phase\":{\"name\":\"idle\"}}"]
        {
            files::write_atomic(&store.document(), text.as_bytes()).unwrap();
            let Loaded::Unreadable(state, why) = store.load(version()).unwrap() else { panic!("{text}") };
            assert_eq!(state.phase, Phase::Idle);
            assert!(!why.is_empty());
            store.set_aside().unwrap();
            assert_eq!(std::fs::read_to_string(store.dir().join("state.json.unreadable")).unwrap(), text);
        }
    }

    #[test]
    fn two_agents_never_hold_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let lock = store.lock().unwrap();
        assert!(matches!(store.lock(), Err(Error::Busy)));
        drop(lock);
        store.lock().unwrap();
    }
}
