//! What the program says: lines for the journal, one moving line for a person.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
};

use crate::Error;
use serde::Serialize;
use sm_host::progress::{Progress, Task, Unit};

/// Standard error as a display of running work.
#[derive(Debug)]
pub(crate) struct Console {
    moves: bool,
}

impl Console {
    pub(crate) fn new() -> Self {
        Console { moves: io::stderr().is_terminal() }
    }
}

impl Progress for Console {
    fn begin(&self, what: &str, _unit: Unit, total: Option<u64>) -> Box<dyn Task> {
        Box::new(Line {
            what: what.to_owned(),
            total: total.unwrap_or(0).max(1),
            moves: self.moves,
            shown: Mutex::new((0, None)),
        })
    }

    fn note(&self, text: &str) {
        say(text);
    }
}

/// One piece of work: its name and how much of it is done, in percent.
struct Line {
    what: String,
    total: u64,
    moves: bool,
    shown: Mutex<(u64, Option<u64>)>,
}

impl Task for Line {
    fn advance(&self, n: u64) {
        if !self.moves {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shown.0 += n;
        let percent = shown.0.saturating_mul(100) / self.total;
        if shown.1 != Some(percent) {
            shown.1 = Some(percent);
            // A terminal that is gone is no reason to stop an update.
            let _written = write!(io::stderr(), "\r{} {percent:3} %", self.what);
        }
    }

    fn detail(&self, _text: &str) {}
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.moves {
            let _written = write!(io::stderr(), "\r{:60}\r", "");
        }
    }
}

/// Says one line to a person or the journal.
pub(crate) fn say(text: &str) {
    let _written = writeln!(io::stderr(), "{text}");
}

/// Writes data: `json` as it is, or the words.
pub(crate) fn put(json: bool, value: &impl Serialize, words: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let written = if json {
        serde_json::to_writer_pretty(&mut stdout, value)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(stdout))
    } else {
        write!(stdout, "{words}")
    };
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|source| Error::System { action: "write the answer".to_owned(), source }),
    }
}

/// Prints an error with everything behind it and the next step; returns its exit code.
pub(crate) fn report(error: &Error) -> u8 {
    say(&format!("error: {error}"));
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        say(&format!("  because: {inner}"));
        source = inner.source();
    }
    if let Some(hint) = error.hint() {
        say(&format!("hint: {hint}"));
    }
    error.exit_code()
}
