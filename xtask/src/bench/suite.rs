//! The release suite's timeline: when each test ran, how long, and what share of that time machines spent booting.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo::{program, release_programs, root};

/// Columns of a bar.
const WIDTH: usize = 30;
const DAY_SECS: u64 = 24 * 60 * 60;
/// How the log of an attempt tells a boot: `[  61.2] a: boot to rest in 61234 ms: running`.
const BOOTED: &str = "boot to rest in ";
/// And how a copy of a running machine: `[   0.7] copy: answered after 701 ms`.
const COPIED: &str = "copy: answered after ";

/// What to run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The release.
    #[arg(long, default_value = "out/smoke/releases/alpha/amd64-usr/current")]
    release: PathBuf,
    /// Where evidence goes; emptied first.
    #[arg(long, default_value = "out/bench/suite")]
    out: PathBuf,
    /// Further arguments for `stationmaster test`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    test: Vec<String>,
}

/// One attempt on the timeline.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    test: String,
    outcome: String,
    start_secs: u64,
    millis: u64,
    booting_millis: u64,
    copies_millis: Vec<u64>,
}

/// Runs the suite once, without re-runs, and prints its timeline.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let out = root().join(&args.out);
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot empty `{}`", out.display()))?;
    }
    let mut test = program(&release_programs()?.join("stationmaster"));
    test.args(["--json", "test", "--no-rerun"]).arg(&args.release).arg("--reports").arg(&out);
    test.arg("--db").arg(out.join("history.db")).args(&args.test).stderr(Stdio::inherit());
    let output = test.output().context("cannot run stationmaster test")?;
    // The suite's answer does not matter here; that it came to one does.
    let told: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`stationmaster test` ended with {}", output.status))?;
    let report = told["report"].as_str().context("the answer names no report")?;
    println(&timeline(&spans(Path::new(report))?));
    Ok(ExitCode::SUCCESS)
}

fn println(text: &str) {
    use std::io::Write as _;
    // Nobody is left to tell when standard output is closed.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn spans(report: &Path) -> Result<Vec<Span>> {
    let text = fs::read_to_string(report).with_context(|| format!("cannot read `{}`", report.display()))?;
    let report_json: Value = serde_json::from_str(&text).context("the report is no JSON")?;
    let attempts = report_json["attempts"].as_array().context("the report has no attempts")?;
    ensure!(!attempts.is_empty(), "no test ran");
    let logs = report.with_file_name("logs");
    attempts.iter().map(|attempt| span(attempt, &logs)).collect()
}

fn span(attempt: &Value, logs: &Path) -> Result<Span> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("the report is of another form");
    let log = attempt["logs"][0]["sha256"].as_str().map(|sha256| logs.join(format!("{sha256}.txt")));
    let log = log.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    Ok(Span {
        test: text(&attempt["test"])?,
        outcome: text(&attempt["outcome"]["outcome"])?,
        start_secs: unix_secs(&text(&attempt["started"])?).context("the report has another time")?,
        millis: attempt["duration_millis"].as_u64().unwrap_or(0),
        booting_millis: millis_after(&log, BOOTED).iter().sum(),
        copies_millis: millis_after(&log, COPIED),
    })
}

/// Seconds of Unix time of `2026-11-23T07:00:09Z`. Days by Hinnant's `days_from_civil`.
fn unix_secs(time: &str) -> Option<u64> {
    let numbers = |text: &str, separator: char| -> Option<[u64; 3]> {
        let numbers: Option<Vec<u64>> = text.split(separator).map(|part| part.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let ([year, month, day], [hours, minutes, secs]) = (numbers(date, '-')?, numbers(clock, ':')?);
    // Years begin in March, so that the day that some years have more is the last one.
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = (year * 365 + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(719_468)?;
    Some(days * DAY_SECS + hours * 3600 + minutes * 60 + secs)
}

/// The milliseconds that follow `words` in lines of a log.
fn millis_after(log: &str, words: &str) -> Vec<u64> {
    let millis = |line: &str| line.split_once(words)?.1.split_once(" ms")?.0.parse().ok();
    log.lines().filter_map(millis).collect()
}

/// `13 copies answered after 0.7 s (median), 1.5 s at most`; none without copies.
fn copies(spans: &[&Span]) -> Option<String> {
    let mut millis: Vec<u64> = spans.iter().flat_map(|span| span.copies_millis.iter().copied()).collect();
    millis.sort_unstable();
    let (median, most) = (millis.get(millis.len() / 2)?, millis.last()?);
    let n = millis.len();
    Some(format!("\n{n} copies answered after {} s (median), {} s at most", seconds(*median), seconds(*most)))
}

/// A line a test, in the order they began, and the sums below.
fn timeline(spans: &[Span]) -> String {
    let first = spans.iter().map(|span| span.start_secs).min().unwrap_or(0);
    let since = |span: &Span| (span.start_secs - first) * 1000;
    let whole = spans.iter().map(|span| since(span) + span.millis).max().unwrap_or(0).max(1);
    let mut rows: Vec<&Span> = spans.iter().filter(|span| span.outcome != "not-yet").collect();
    rows.sort_by_key(|span| (since(span), span.test.clone()));
    let mut text = format!("{:<28} {:>7} {:>7} {:>7}  TIMELINE\n", "TEST", "START s", "TOOK s", "BOOT s");
    for span in &rows {
        let (start, took, boot) = (seconds(since(span)), seconds(span.millis), seconds(span.booting_millis));
        let bar = bar(since(span), span.millis, whole);
        text.push_str(&format!("{:<28} {start:>7} {took:>7} {boot:>7}  {bar} {}\n", span.test, span.outcome));
    }
    let sum = |of: fn(&Span) -> u64| rows.iter().map(|span| of(span)).sum::<u64>();
    let (work, boots) = (sum(|span| span.millis), sum(|span| span.booting_millis));
    text.push_str(&format!(
        "\n{} attempts in {} s; {} s of work side by side, of which {} s booting ({} %)",
        rows.len(),
        seconds(whole),
        seconds(work),
        seconds(boots),
        boots * 100 / work.max(1)
    ));
    text.push_str(&copies(&rows).unwrap_or_default());
    text
}

fn seconds(millis: u64) -> String {
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}

fn bar(start: u64, took: u64, whole: u64) -> String {
    let column = |millis: u64| usize::try_from(millis * WIDTH as u64 / whole).unwrap_or(WIDTH).min(WIDTH - 1);
    let (from, to) = (column(start), column(start + took));
    (0..WIDTH).map(|at| if (from..=to).contains(&at) { '█' } else { '·' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(test: &str, start_secs: u64, millis: u64, booting_millis: u64) -> Span {
        let copies_millis = Vec::new();
        Span { test: test.into(), outcome: "pass".into(), start_secs, millis, booting_millis, copies_millis }
    }

    #[test]
    fn boots_are_read_from_a_log() {
        let log = "[   1.0] phase boot\n[  61.2] a: boot to rest in 60000 ms: running \n[  99.0] a: boot to rest in 1500 ms: degraded x\n";
        assert_eq!(millis_after(log, BOOTED), [60_000, 1500]);
        assert_eq!(millis_after("[  0.7] copy: answered after 701 ms\n", COPIED), [701]);
    }

    #[test]
    fn the_timeline_tells_order_and_shares() {
        let text = timeline(&[span("b", 13, 10_000, 9_000), span("a", 3, 20_000, 6_000)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("a ") && lines[2].starts_with("b "), "{text}");
        assert_eq!(
            lines[4],
            "2 attempts in 20.0 s; 30.0 s of work side by side, of which 15.0 s booting (50 %)"
        );
        assert!(lines[2].contains("···············███████████████"), "{text}");
    }

    #[test]
    fn copies_are_told_by_their_median() {
        let of = |copies: &[u64]| Span { copies_millis: copies.to_vec(), ..span("a", 0, 1, 0) };
        let (one, other) = (of(&[700, 9000]), of(&[800]));
        let told = copies(&[&one, &other]).unwrap();
        assert_eq!(told, "\n3 copies answered after 0.8 s (median), 9.0 s at most");
        assert_eq!(copies(&[&of(&[])]), None);
    }

    #[test]
    fn times_are_seconds_of_unix_time() {
        assert_eq!(unix_secs("1970-01-01T00:00:01Z"), Some(1));
        assert_eq!(unix_secs("2026-11-23T07:00:00Z"), Some(1_795_417_200));
        assert_eq!(unix_secs("2024-02-29T23:59:59Z"), Some(1_709_251_199));
        assert_eq!(unix_secs("yesterday"), None);
    }
}
