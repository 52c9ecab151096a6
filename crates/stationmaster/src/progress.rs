//! Shows running work on standard error: bars on a terminal, one line per finished task elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use sm_host::progress::{Progress, Silent, Task, Unit};

/// The display that fits where standard error goes.
pub(crate) fn display(quiet: bool) -> Box<dyn Progress> {
    if quiet {
        Box::new(Silent)
    } else if io::stderr().is_terminal() {
        Box::new(Bars(MultiProgress::new()))
    } else {
        Box::new(Lines)
    }
}

/// Bars that redraw themselves.
struct Bars(MultiProgress);

impl Progress for Bars {
    fn begin(&self, what: &str, unit: Unit, total: Option<u64>) -> Box<dyn Task> {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let bar = self.0.add(bar).with_style(style(unit, total.is_some())).with_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Box::new(Bar { bar, multi: self.0.clone(), what: what.to_owned(), unit, started: Instant::now() })
    }

    fn note(&self, text: &str) {
        // A terminal that went away cannot be told so.
        let _ = self.0.println(text);
    }
}

fn style(unit: Unit, bounded: bool) -> ProgressStyle {
    let template = match (unit, bounded) {
        (Unit::Bytes, true) => "{prefix:28} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}",
        (Unit::Items, true) => "{prefix:28} {bar:24} {pos}/{len} {wide_msg}",
        (Unit::Bytes, false) => "{prefix:28} {spinner} {bytes} {elapsed} {wide_msg}",
        (Unit::Items, false) => "{prefix:28} {spinner} {pos} {elapsed} {wide_msg}",
        (Unit::Waiting, _) => "{prefix:28} {spinner} {elapsed} {wide_msg}",
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

struct Bar {
    bar: ProgressBar,
    multi: MultiProgress,
    what: String,
    unit: Unit,
    started: Instant,
}

impl Task for Bar {
    fn advance(&self, n: u64) {
        self.bar.inc(n);
    }

    fn detail(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let done = finished(&self.what, self.unit, self.bar.position(), self.started.elapsed());
        self.bar.finish_and_clear();
        let _ = self.multi.println(done);
    }
}

/// One line per finished task, for logs and pipes.
struct Lines;

impl Progress for Lines {
    fn begin(&self, what: &str, unit: Unit, _total: Option<u64>) -> Box<dyn Task> {
        Box::new(Line { what: what.to_owned(), unit, n: AtomicU64::new(0), started: Instant::now() })
    }

    fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

struct Line {
    what: String,
    unit: Unit,
    n: AtomicU64,
    started: Instant,
}

impl Task for Line {
    fn advance(&self, n: u64) {
        self.n.fetch_add(n, Ordering::Relaxed);
    }

    fn detail(&self, _text: &str) {}
}

impl Drop for Line {
    fn drop(&mut self) {
        let done = finished(&self.what, self.unit, self.n.load(Ordering::Relaxed), self.started.elapsed());
        let _ = writeln!(io::stderr().lock(), "{done}");
    }
}

fn finished(what: &str, unit: Unit, n: u64, took: Duration) -> String {
    let secs = took.as_secs_f64();
    match unit {
        Unit::Bytes => format!("{what:28} {:>12}  {secs:6.1} s", HumanBytes(n).to_string()),
        Unit::Items => format!("{what:28} {n:>12}  {secs:6.1} s"),
        Unit::Waiting => format!("{what:28} {:>12}  {secs:6.1} s", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_task_tells_amount_and_time() {
        let line = finished("download", Unit::Bytes, 3 << 20, Duration::from_millis(1500));
        assert_eq!(line, "download                         3.00 MiB     1.5 s");
    }
}
