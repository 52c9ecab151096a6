//! What a benchmark found, as a table for people and as JSON for programs.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use super::measure::{Cost, median};

/// The result of one comparison.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    benchmark: &'static str,
    cpus: String,
    rows: Vec<Row>,
    aims: Vec<Aim>,
}

/// One side's costs.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    median: Cost,
    /// Wall time as a multiple of the first row's.
    wall_ratio: f64,
    runs: Vec<Cost>,
}

/// Something that was aimed at, and what was reached.
#[derive(Debug, Serialize)]
struct Aim {
    what: String,
    aim: f64,
    reached: f64,
    met: bool,
}

impl Report {
    /// A report of what ran on these processors.
    pub(super) fn new(benchmark: &'static str, cpus: &str) -> Self {
        Report { benchmark, cpus: cpus.to_owned(), rows: Vec::new(), aims: Vec::new() }
    }

    /// Adds a side.
    pub(super) fn side(&mut self, name: &str, runs: Vec<Cost>) -> Result<()> {
        let median = median(&runs)?;
        let first = self.rows.first().map_or(median.wall_secs, |row| row.median.wall_secs);
        self.rows.push(Row { name: name.to_owned(), median, wall_ratio: median.wall_secs / first, runs });
        Ok(())
    }

    /// Median wall time of a side.
    pub(super) fn wall_secs(&self, name: &str) -> Option<f64> {
        self.median(name).map(|cost| cost.wall_secs)
    }

    /// Median processor time of a side.
    pub(super) fn cpu_secs(&self, name: &str) -> Option<f64> {
        self.median(name).map(|cost| cost.cpu_secs)
    }

    /// Highest memory of a side.
    pub(super) fn peak_bytes(&self, name: &str) -> Option<u64> {
        self.median(name).map(|cost| cost.peak_bytes)
    }

    fn median(&self, name: &str) -> Option<&Cost> {
        self.rows.iter().find(|row| row.name == name).map(|row| &row.median)
    }

    /// Tells whether what was reached is no more than what was aimed at.
    pub(super) fn at_most(&mut self, what: &str, aim: f64, reached: f64) {
        self.aims.push(Aim { what: what.to_owned(), aim, reached, met: reached <= aim });
    }

    /// Tells whether what was reached is no less than what was aimed at.
    pub(super) fn at_least(&mut self, what: &str, aim: f64, reached: f64) {
        self.aims.push(Aim { what: what.to_owned(), aim, reached, met: reached >= aim });
    }

    /// Prints the report.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        let text = if json { serde_json::to_string_pretty(self)? } else { self.table() };
        Ok(writeln!(io::stdout().lock(), "{text}")?)
    }

    fn table(&self) -> String {
        let heading = format!("{} on processors {}", self.benchmark, self.cpus);
        let mut lines =
            vec![format!("{heading:46} {:>9} {:>9} {:>10} {:>7}", "wall", "cpu", "memory", "wall ×")];
        for Row { name, median, wall_ratio, .. } in &self.rows {
            let (wall, cpu, mib) = (median.wall_secs, median.cpu_secs, median.peak_bytes >> 20);
            lines.push(format!("{name:46} {wall:>7.1} s {cpu:>7.1} s {mib:>6} MiB {wall_ratio:>7.2}"));
        }
        for Aim { what, aim, reached, met } in &self.aims {
            let verdict = if *met { "reached" } else { "missed" };
            lines.push(format!("{what:46} {reached:>9.1} (aim {aim}: {verdict})"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(wall_secs: f64) -> Cost {
        Cost { wall_secs, cpu_secs: wall_secs, peak_bytes: 3 << 20 }
    }

    #[test]
    fn rows_are_held_against_the_first() {
        let mut report = Report::new("compose", "0,1");
        report.side("ours", vec![cost(2.0)]).unwrap();
        report.side("theirs", vec![cost(9.0), cost(8.0), cost(7.0)]).unwrap();
        report.at_least("times faster", 4.0, 4.0);
        report.at_most("seconds", 1.0, 2.0);
        let text = report.table();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].ends_with("8.0 s     8.0 s      3 MiB    4.00"), "{text}");
        assert!(lines[3].ends_with("4.0 (aim 4: reached)") && lines[4].ends_with("2.0 (aim 1: missed)"));
    }
}
