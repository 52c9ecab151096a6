//! Locks between processes, as proofs: who does a thing that must not be done twice at once takes [`LockHeld`] as a parameter.
//!
//! A lock is an advisory lock on a file beside the database. The kernel drops it when its holder ends, however that ends, so
//! nobody ever has to clear one by hand.

use std::{
    fs::{self, File, TryLockError},
    io::{Seek, Write},
    path::Path,
};

use sm_host::files::{self, FileError};
use sm_model::FileName;

use crate::Error;

/// Longest words about a holder that are read, in bytes.
const MAX_HOLDER_BYTES: u64 = 256;

/// Evidence that this process, and no other, holds the lock of that name. Dropping it gives the lock back.
#[derive(Debug)]
pub struct LockHeld {
    name: FileName,
    /// Holds the lock as long as it is open.
    _file: File,
}

impl LockHeld {
    /// Takes the lock, or says who has it: `NAME.locks/LOCK` beside the database `NAME.db`. Never waits.
    ///
    /// `holder` is what others are told about us: a person and what they do, `alice: compose 4902.0.0`.
    ///
    /// # Errors
    /// [`Error::LockTaken`] when another process, or another part of this one, holds it; else when the file cannot be written.
    pub fn acquire(database: &Path, name: &FileName, holder: &str) -> Result<LockHeld, Error> {
        let path = database.with_extension("locks").join(name);
        let failed = |operation| FileError::io(operation, &path);
        files::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::LockTaken { name: name.clone(), holder: holder_of(&path) });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source).into()),
        }
        let line = format!("{} (process {})\n", one_line(holder), std::process::id());
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed("write"))?;
        file.write_all(line.as_bytes()).map_err(failed("write"))?;
        Ok(LockHeld { name: name.clone(), _file: file })
    }

    /// Which lock.
    pub fn name(&self) -> &FileName {
        &self.name
    }
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// Who holds it, in their words; they may be writing them right now.
fn holder_of(path: &Path) -> String {
    let words = files::read_limited(path, MAX_HOLDER_BYTES).unwrap_or_default();
    match one_line(&String::from_utf8_lossy(&words)) {
        empty if empty.is_empty() => "somebody".to_owned(),
        words => words,
    }
}
