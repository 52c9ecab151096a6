//! A report as JUnit XML, as continuous integration systems read it (the Jenkins schema, `junit-10.xsd`).
//!
//! `<skipped>` is green everywhere; so a required test that was skipped, or does not exist yet, is an `<error>`. Only a test
//! that informs is `<skipped>` when it fails.

use std::fmt::Write as _;

use sm_release::verdict::Verdict;

use super::{
    catalog::Gate,
    matrix::{Line, Matrix},
};

/// What an element says about a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Passed,
    Failure,
    Error,
    Skipped,
}

impl Said {
    fn of(line: &Line) -> Said {
        match (line.verdict, line.gate) {
            (Verdict::Passed, _) => Said::Passed,
            (_, Gate::Informing) => Said::Skipped,
            (Verdict::Failed | Verdict::Flaky, _) => Said::Failure,
            _ => Said::Error,
        }
    }
}

/// The report as one document.
pub fn text(matrix: &Matrix) -> String {
    let count = |said: Said| matrix.lines.iter().filter(|line| Said::of(line) == said).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" \
         errors=\"{}\" skipped=\"{}\">\n",
        escaped(&matrix.version),
        matrix.lines.len(),
        count(Said::Failure),
        count(Said::Error),
        count(Said::Skipped)
    );
    for line in &matrix.lines {
        case(&mut text, line);
    }
    text.push_str("</testsuite>\n");
    text
}

fn case(text: &mut String, line: &Line) {
    let seconds = format!("{}.{:03}", line.duration_millis / 1000, line.duration_millis % 1000);
    let (class, message, kind) = (line.class, escaped(&line.message), line.verdict.word());
    // Writing to a String cannot fail.
    let _ = write!(text, "  <testcase classname=\"{class}\" name=\"{}\" time=\"{seconds}\"", line.test);
    let _ = match Said::of(line) {
        Said::Passed => writeln!(text, "/>"),
        Said::Failure => writeln!(text, "><failure type=\"{kind}\" message=\"{message}\"/></testcase>"),
        Said::Error => writeln!(text, "><error type=\"{kind}\" message=\"{message}\"/></testcase>"),
        Said::Skipped => writeln!(text, "><skipped message=\"{kind}: {message}\"/></testcase>"),
    };
}

/// For an attribute in double quotes. Characters that XML 1.0 cannot hold (section 2.2) become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' | '\r' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::matrix::tests::{COUNTS, some};

    #[test]
    fn skips_and_absent_features_are_errors() {
        let (report, tests) = some();
        assert_eq!(
            text(&Matrix::of(&report, &tests, &COUNTS)),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="4893.0.0" tests="6" failures="1" errors="3" skipped="1">
  <testcase classname="offline" name="image.layout" time="1.234"/>
  <testcase classname="offline" name="image.os-release" time="1.234"><failure type="failed" message="`ID` is &lt;&quot;other&quot;&gt;"/></testcase>
  <testcase classname="offline" name="image.perms" time="1.234"><error type="errored" message="cannot read"/></testcase>
  <testcase classname="offline" name="image.reproducible" time="1.234"><error type="skipped" message="no twin"/></testcase>
  <testcase classname="offline" name="image.size-budget" time="1.234"><skipped message="failed: too large"/></testcase>
  <testcase classname="offline" name="image.cve-known" time="1.234"><error type="not yet" message="nothing is there"/></testcase>
</testsuite>
"#
        );
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(escaped("a\u{1b}[31m&\u{ffff}"), "a\u{fffd}[31m&amp;\u{fffd}");
    }
}
