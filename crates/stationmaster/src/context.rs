//! What every verb gets: where its data goes and who shows its progress.

use std::{
    cell::RefCell,
    fmt,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use sm_host::{clock::Clock, fetch::Fetch, progress::Progress};
use sm_model::exit;

/// How a verb that did not fail has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The work was done.
    Done,
    /// The work was done and its answer is no.
    Negative,
    /// The work was done as far as it could be, and there is no answer.
    Unjudged,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => exit::SUCCESS,
            Outcome::Negative => exit::NEGATIVE,
            Outcome::Unjudged => exit::UNJUDGED,
        })
    }
}

/// The surroundings of one run of a verb.
pub(crate) struct Context<'a> {
    /// Whether data is wanted as JSON.
    pub(crate) json: bool,
    /// Shows how far the work has come.
    pub(crate) progress: &'a dyn Progress,
    /// Tells the time.
    pub(crate) clock: &'a dyn Clock,
    /// Where data goes.
    pub(crate) out: Out<'a>,
    /// Where a chat room's server is reached instead of over the network: in scripts that are played.
    pub(crate) chat: Option<&'a dyn Fetch>,
}

/// Where data goes.
#[derive(Clone, Copy)]
pub(crate) enum Out<'a> {
    /// Standard output.
    Standard,
    /// A text that a script compares.
    Text(&'a RefCell<String>),
}

#[cfg(test)]
impl Context<'static> {
    /// Shows nothing and asks this machine's clock: for tests of single verbs.
    pub(crate) fn silent(json: bool) -> Self {
        use sm_host::{clock::SystemClock, progress::Silent};
        // Nobody reads what a test's verb says; standard output is the test runner's.
        let out = Out::Text(Box::leak(Box::default()));
        Context { json, progress: &Silent, clock: &SystemClock, out, chat: None }
    }
}

impl Context<'_> {
    /// Prints one line, or several, of data to standard output.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn line(&self, text: impl fmt::Display) -> io::Result<()> {
        match self.out {
            Out::Standard => writeln!(io::stdout().lock(), "{text}"),
            Out::Text(written) => {
                written.borrow_mut().push_str(&format!("{text}\n"));
                Ok(())
            }
        }
    }

    /// Prints one document: as JSON if so wanted, else as its text.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn data<T: serde::Serialize + fmt::Display>(&self, document: &T) -> anyhow::Result<()> {
        if self.json { self.json_document(document) } else { Ok(self.line(document)?) }
    }

    /// Prints one document as JSON.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) fn json_document<T: serde::Serialize>(&self, document: &T) -> anyhow::Result<()> {
        Ok(self.line(serde_json::to_string_pretty(document)?)?)
    }
}

/// Writes a path into a document as people see it: one that is not UTF-8 must not take the answer away after the work is done.
pub(crate) fn path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[derive(serde::Serialize)]
struct ExitCodes(Vec<(u8, &'static str)>);

impl fmt::Display for ExitCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.0.iter().map(|(code, meaning)| format!("{code:3}  {meaning}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Prints [`exit::TABLE`].
pub(crate) fn print_exit_codes(ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    ctx.data(&ExitCodes(exit::TABLE.to_vec()))?;
    Ok(Outcome::Done)
}
