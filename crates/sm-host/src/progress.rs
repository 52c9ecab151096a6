//! Tells a person how far long work has come. The work emits events here; how they look is the display's business.

/// What a task counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things: packages, files, steps.
    Items,
    /// Nothing that can be counted beforehand: a boot, a wait.
    Waiting,
}

/// A display of running work.
pub trait Progress: Send + Sync {
    /// Announces a piece of work. It is over when the task is dropped.
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>) -> Box<dyn Task>;

    /// Says one line that stays on the screen.
    fn note(&self, text: &str);
}

/// One piece of running work.
pub trait Task: Send + Sync {
    /// Counts `n` more units as done.
    fn advance(&self, n: u64);

    /// Replaces the detail behind the task's name: the file, package or console line it is at.
    fn detail(&self, text: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _unit: Unit, _total: Option<u64>) -> Box<dyn Task> {
        Box::new(Silent)
    }

    fn note(&self, _text: &str) {}
}

impl Task for Silent {
    fn advance(&self, _n: u64) {}

    fn detail(&self, _text: &str) {}
}
