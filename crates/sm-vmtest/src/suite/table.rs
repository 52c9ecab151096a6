//! A matrix as people read it: in 80 columns, class by class; every status in a word, a shape and, where wanted, a colour.

use std::fmt::Write as _;

use sm_release::verdict::Verdict;

use super::{
    catalog::Class,
    matrix::{Line, Matrix},
};

/// Columns of a terminal.
const WIDTH: usize = 80;

/// Whether the text goes where colours are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Words and shapes alone.
    Plain,
    /// With colours, as ECMA-48 writes them (section 8.3.117).
    Colour,
}

#[derive(Debug, Clone, Copy)]
enum Ink {
    Good,
    Bad,
    Doubtful,
    Faint,
    Strong,
}

impl Paint {
    fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Doubtful => "33",
            Ink::Faint => "2",
            Ink::Strong => "1",
        };
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The shape of a verdict: told apart without colours.
pub const fn shape(verdict: Verdict) -> char {
    match verdict {
        Verdict::Passed => '✓',
        Verdict::Failed => '✗',
        Verdict::Flaky => '≈',
        Verdict::Errored => '!',
        Verdict::Skipped => '–',
        Verdict::NotYet => '○',
        Verdict::Missing => '?',
    }
}

const fn ink_of(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Passed => Ink::Good,
        Verdict::Failed | Verdict::Flaky => Ink::Bad,
        Verdict::Errored | Verdict::Skipped | Verdict::Missing => Ink::Doubtful,
        Verdict::NotYet => Ink::Faint,
    }
}

/// The whole text, without a line break at its end.
pub fn text(matrix: &Matrix, paint: Paint) -> String {
    let mut text = format!(
        "{}\nmanifest {:.12} · suite {:.12}\n{}\n",
        paint.ink(Ink::Strong, &format!("Release {}", matrix.version)),
        matrix.subject,
        matrix.suite,
        surroundings(matrix)
    );
    for class in [Class::Offline, Class::Shared, Class::Clone, Class::Boot] {
        let lines: Vec<&Line> = matrix.lines.iter().filter(|line| line.class == class).collect();
        if !lines.is_empty() {
            text.push_str(&section(class, &lines, paint));
        }
    }
    text.push('\n');
    text.push_str(&summary(matrix, paint));
    text
}

fn surroundings(matrix: &Matrix) -> String {
    let machines = match matrix.host.accelerator.as_str() {
        "none" => "no machine was started".to_owned(),
        accelerator => format!("machines run by {}", harmless(accelerator)),
    };
    format!("{} processors · {machines}", matrix.host.cpus)
}

fn section(class: Class, lines: &[&Line], paint: Paint) -> String {
    let n_passed = lines.iter().filter(|line| line.verdict == Verdict::Passed).count();
    let title = paint.ink(Ink::Strong, &format!("{:<46}", class.title()));
    let mut text = format!("\n{title}{:>25}\n", format!("{n_passed} of {} passed", lines.len()));
    for line in lines {
        text.push_str(&row(line, paint));
    }
    text
}

/// `✗ NAME  VERDICT  GATE  RUNS  SECONDS`, and below it why.
fn row(line: &Line, paint: Paint) -> String {
    let verdict = format!("{} {:<30} {:<8}", shape(line.verdict), name(line), line.verdict.word());
    let seconds = seconds(line.duration_millis);
    let rest = format!(" {:<12} {:<13} {seconds:>8}", line.gate.to_string(), runs(line));
    let mut text = format!("  {}{}", paint.ink(ink_of(line.verdict), &verdict), paint.ink(Ink::Faint, &rest));
    text.truncate(text.trim_end().len());
    text.push('\n');
    if line.verdict != Verdict::Passed {
        for part in wrapped(&harmless(&line.message), WIDTH - 6).into_iter().take(2) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "      {part}");
        }
    }
    text
}

/// `61.2 s`; nothing for what took no time to speak of.
fn seconds(millis: u64) -> String {
    let tenths = millis.saturating_add(50) / 100;
    if tenths == 0 { String::new() } else { format!("{}.{} s", tenths / 10, tenths % 10) }
}

fn name(line: &Line) -> String {
    let scenario: Vec<&str> =
        line.scenario.iter().filter(|(key, _)| *key != "platform").map(|(_, value)| value.as_str()).collect();
    match &scenario[..] {
        [] => shortened(line.test.as_str(), 30),
        [..] => shortened(&harmless(&format!("{} {}", line.test, scenario.join(" "))), 30),
    }
}

/// What was counted, where it is more than one attempt.
fn runs(line: &Line) -> String {
    let tally = &line.tally;
    let n_results = tally.n_passed + tally.n_failed;
    match (tally.n_failed, n_results) {
        _ if line.is_muted => "muted".to_owned(),
        (_, 0 | 1) => String::new(),
        (0, n) => format!("{n} runs"),
        (n_failed, n) => format!("{n_failed} of {n} fail"),
    }
}

fn summary(matrix: &Matrix, paint: Paint) -> String {
    let order = [
        Verdict::Passed,
        Verdict::Failed,
        Verdict::Flaky,
        Verdict::Errored,
        Verdict::Skipped,
        Verdict::Missing,
        Verdict::NotYet,
    ];
    let counts = order.into_iter().filter_map(|verdict| {
        let n = matrix.lines.iter().filter(|line| line.verdict == verdict).count();
        (n > 0).then(|| paint.ink(ink_of(verdict), &format!("{} {n} {}", shape(verdict), verdict.word())))
    });
    let mut text = counts.collect::<Vec<_>>().join(" · ");
    let keeping: Vec<String> = matrix.keeping_back().map(|line| line.test.to_string()).collect();
    if keeping.is_empty() {
        text.push_str("\nNothing keeps the release back.");
    } else {
        let told = format!("The release is kept back by {}: {}.", keeping.len(), keeping.join(", "));
        for part in wrapped(&told, WIDTH) {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

/// Lines of at most `max_chars`, broken between words; a longer word is cut.
fn wrapped(text: &str, max_chars: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        let room = max_chars.saturating_sub(last.chars().count() + 1);
        if last.is_empty() {
            *last = shortened(word, max_chars);
        } else if word.chars().count() <= room {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(shortened(word, max_chars));
        }
    }
    lines
}

/// Text that a terminal does not obey: a report may be anybody's.
fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

fn shortened(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    text.chars().take(max_chars - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use sm_model::test_report::AttemptOutcome;

    use super::*;
    use crate::suite::{
        catalog,
        matrix::tests::{COUNTS, report, some},
    };

    #[test]
    fn the_matrix_reads_as_people_know_it() {
        let (report, tests) = some();
        let text = text(&Matrix::of(&report, &tests, &COUNTS), Paint::Plain);
        assert_eq!(
            text,
            "\
Release 4893.0.0
manifest abababababab · suite cdcdcdcdcdcd
2 processors · no machine was started

Offline: artifacts only                                   1 of 6 passed
  ✓ image.layout                   passed   never waived                  1.2 s
  ✗ image.os-release               failed   blocking                      1.2 s
      `ID` is <\"other\">
  ! image.perms                    errored  blocking                      1.2 s
      cannot read
  – image.reproducible             skipped  blocking                      1.2 s
      no twin
  ✗ image.size-budget              failed   informing                     1.2 s
      too large
  ○ image.cve-known                not yet  blocking                      1.2 s
      nothing is there

✓ 1 passed · ✗ 2 failed · ! 1 errored · – 1 skipped · ○ 1 not yet
The release is kept back by 4: image.os-release, image.perms,
image.reproducible, image.cve-known."
        );
    }

    #[test]
    fn every_line_fits_80_columns() {
        let long = "word ".repeat(100);
        let report = report(&[
            ("journal.persist-and-limits", AttemptOutcome::Fail, &long),
            (&"x".repeat(120), AttemptOutcome::Fail, &"y".repeat(300)),
        ]);
        let tests: Vec<_> = catalog::choose(&[], None).collect();
        for line in text(&Matrix::of(&report, &tests, &COUNTS), Paint::Plain).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn colours_add_nothing_that_words_do_not_say() {
        let (report, tests) = some();
        let matrix = Matrix::of(&report, &tests, &COUNTS);
        let mut painted = text(&matrix, Paint::Colour);
        for code in ["[1m", "[2m", "[31m", "[32m", "[33m", "[0m"] {
            painted = painted.replace(&format!("\u{1b}{code}"), "");
        }
        let stripped: Vec<_> = painted.lines().map(str::trim_end).collect();
        assert_eq!(stripped.join("\n"), text(&matrix, Paint::Plain));
    }

    #[test]
    fn what_took_no_time_is_not_told_in_seconds() {
        assert_eq!([0, 49, 50, 61_249].map(seconds), ["", "", "0.1 s", "61.2 s"]);
    }

    #[test]
    fn a_terminal_obeys_nothing_that_a_report_says() {
        let mut report = report(&[("image.layout", AttemptOutcome::Fail, "\u{1b}[2J\u{9b}31m gone")]);
        report.attempts[0].scenario = [("from".to_owned(), "\u{1b}]0;x\u{7}".to_owned())].into();
        report.host.accelerator = "\u{1b}c".to_owned();
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let text = text(&Matrix::of(&report, &tests, &COUNTS), Paint::Plain);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn a_flake_tells_how_often() {
        let report = report(&[
            ("image.layout", AttemptOutcome::Fail, "torn"),
            ("image.layout", AttemptOutcome::Pass, "fine"),
            ("image.layout", AttemptOutcome::Pass, "fine"),
        ]);
        let tests: Vec<_> = catalog::choose(&[], Some("image.layout")).collect();
        let text = text(&Matrix::of(&report, &tests, &COUNTS), Paint::Plain);
        assert!(
            text.contains("≈ image.layout                   flaky    never waived 1 of 3 fail"),
            "{text}"
        );
    }
}
