//! Steps as a table for a person: what, how long, how many bytes.

use std::fmt;

use crate::journal::{Ended, StepRecord};

/// A run's steps as lines of a table, with their sum. Prints without a line break at its end.
#[derive(Debug, Clone, Copy)]
pub struct StepTable<'a>(pub &'a [StepRecord]);

impl fmt::Display for StepTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|record| record.step.chars().count()).max().unwrap_or(0).max(5);
        writeln!(f, "{:width$}  {:>9}  {:>9}", "STEP", "TIME", "BYTES")?;
        for record in self.0 {
            let remark = match &record.ended {
                Ended::Done => "",
                Ended::Reused => "  reused",
                Ended::Failed(_) => "  FAILED",
            };
            let (time, bytes) = (seconds(record.millis), in_units(record.bytes));
            writeln!(f, "{:width$}  {time:>9}  {bytes:>9}{remark}", record.step)?;
        }
        let total_millis = self.0.iter().map(|record| record.millis).sum();
        write!(f, "{:width$}  {:>9}", "total", seconds(total_millis))
    }
}

/// `12.3 s`, or `4 min 05 s`.
pub fn seconds(millis: u64) -> String {
    let secs = millis / 1000;
    if secs < 60 {
        return format!("{secs}.{} s", millis % 1000 / 100);
    }
    format!("{} min {:02} s", secs / 60, secs % 60)
}

/// Bytes in decimal units with three digits or so; `-` for none.
pub fn in_units(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
        None if bytes == 0 => "-".to_owned(),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!(
            [0, 900, 12_345, 59_999, 60_000, 245_000].map(seconds),
            ["0.0 s", "0.9 s", "12.3 s", "59.9 s", "1 min 00 s", "4 min 05 s"]
        );
        assert_eq!(
            [0, 999, 1000, 128_400_000, 2_050_000_000].map(in_units),
            ["-", "999 B", "1.0 kB", "128.4 MB", "2.0 GB"]
        );
    }

    #[test]
    fn a_table_tells_reused_and_failed_steps() {
        let record = |step: &str, ended| StepRecord {
            step: step.to_owned(),
            key: None,
            began: "2026-11-23T00:00:00Z".parse().unwrap(),
            millis: 61_500,
            bytes: 5_000_000,
            ended,
        };
        let records =
            [record("compose A", Ended::Reused), record("boot A", Ended::Failed("late".to_owned()))];
        assert_eq!(
            StepTable(&records).to_string(),
            "STEP            TIME      BYTES\n\
             compose A  1 min 01 s     5.0 MB  reused\n\
             boot A     1 min 01 s     5.0 MB  FAILED\n\
             total      2 min 03 s"
        );
    }
}
