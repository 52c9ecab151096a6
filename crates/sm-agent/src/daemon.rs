//! Turn after turn, until the process ends. It needs no orderly end: whoever stops it may kill it at any moment.

use std::{path::Path, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::inotify,
};
use sm_host::files;
use sm_model::Timestamp;

use crate::{Agent, Error, Turn, server::chain, turn::describe};

/// Longest uninterrupted wait: afterwards the clock and the host are looked at again, because both may have changed unseen.
const MAX_WAIT: Duration = Duration::from_secs(10 * 60);
/// Wait after an error of the host itself.
const RETRY_WAIT: Duration = Duration::from_secs(30);

/// Runs for ever.
///
/// # Errors
/// When the first look at the host fails in a way that waiting cannot mend: the unit's `Restart=` decides what then.
pub fn run(agent: &Agent<'_>) -> Result<std::convert::Infallible, Error> {
    let [own_settings, _] = agent.root().settings();
    // A host without settings of its own has no such directory.
    let settings = own_settings.parent().filter(|dir| dir.is_dir());
    let changes = Changes::watch(agent.store().dir(), settings)?;
    let clock = agent.world().clock;
    start(agent)?;
    let mut last_trouble = None;
    loop {
        changes.forget();
        let wait = match turns(agent) {
            Ok(until) => {
                last_trouble = None;
                let secs = until.secs_since(clock.now()).max(1);
                Duration::from_secs(u64::try_from(secs).unwrap_or(1)).min(MAX_WAIT)
            }
            Err(error) => {
                let words = chain(&error);
                if last_trouble.as_ref() != Some(&words) {
                    agent.world().progress.note(&words);
                    last_trouble = Some(words);
                }
                RETRY_WAIT
            }
        };
        changes.wait(wait)?;
    }
}

/// Sets the first check.
fn start(agent: &Agent<'_>) -> Result<(), Error> {
    let random = agent.random()?;
    let lock = agent.store().wait_for_lock()?;
    agent.change(&lock, |state, now| state.start(now, random))
}

/// Takes turns under the lock until there is nothing to do; returns until when.
fn turns(agent: &Agent<'_>) -> Result<Timestamp, Error> {
    let lock = agent.store().wait_for_lock()?;
    loop {
        let turn = agent.turn(&lock)?;
        if let Some(words) = describe(&turn) {
            agent.world().progress.note(&words);
        }
        match turn {
            Turn::Wait(until) => return Ok(until),
            Turn::RebootDue => {
                agent.world().progress.note("rebooting into the new version");
                agent.reboot(&lock)?;
            }
            Turn::Acted(..) => {}
        }
    }
}

/// Wakes when somebody else changes the document or the settings.
struct Changes {
    inotify: OwnedFd,
}

impl Changes {
    fn watch(documents: &Path, settings: Option<&Path>) -> Result<Self, Error> {
        files::create_dir_all(documents)?;
        let failed = |errno: rustix::io::Errno| Error::system("watch for changes")(errno.into());
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map_err(failed)?;
        let events = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&inotify, documents, inotify::WatchFlags::MOVED_TO).map_err(failed)?;
        if let Some(settings) = settings {
            inotify::add_watch(&inotify, settings, events).map_err(failed)?;
        }
        Ok(Changes { inotify })
    }

    /// Forgets changes so far: the next turn sees them anyway.
    fn forget(&self) {
        let mut buffer = [0; 4096];
        while matches!(rustix::io::read(&self.inotify, &mut buffer), Ok(1..)) {}
    }

    /// Returns after a change or after `duration`, whatever comes first.
    fn wait(&self, duration: Duration) -> Result<(), Error> {
        let timeout = Timespec::try_from(duration).ok();
        let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::system("wait for changes")(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_somebody_else_replaces_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let changes = Changes::watch(dir.path(), None).unwrap();
        files::write_atomic(&dir.path().join("state.json"), b"{}").unwrap();
        // Without the change this would take a day.
        changes.wait(Duration::from_secs(86_400)).unwrap();
        changes.forget();
        changes.wait(Duration::from_millis(1)).unwrap();
    }

    #[test]
    fn settings_that_an_editor_writes_in_place_end_the_wait() {
        let [dir, settings] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let changes = Changes::watch(dir.path(), Some(settings.path())).unwrap();
        std::fs::write(settings.path().join("update.conf"), "GROUP=beta").unwrap();
        changes.wait(Duration::from_secs(86_400)).unwrap();
    }
}
