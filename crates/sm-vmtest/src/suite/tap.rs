//! A report as TAP (Test Anything Protocol, version 14).
//!
//! TAP counts `# SKIP` and `# TODO` as good; so a required test that was skipped, or does not exist yet, is a plain `not ok`
//! here. Only a test that informs is `# TODO` when it fails.

use std::fmt::Write as _;

use sm_release::verdict::Verdict;

use super::{
    catalog::Gate,
    matrix::{Line, Matrix},
};

/// The report's lines.
pub fn text(matrix: &Matrix) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", matrix.lines.len());
    for (number, line) in (1..).zip(&matrix.lines) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {number} - {}{}", status(line), line.test, directive(line));
        if line.verdict != Verdict::Passed {
            let message = serde_json::Value::from(line.message.as_str());
            let _ = writeln!(text, "  ---\n  verdict: {}\n  message: {message}\n  ...", line.verdict.word());
        }
    }
    text
}

fn status(line: &Line) -> &'static str {
    if line.verdict == Verdict::Passed { "ok" } else { "not ok" }
}

fn directive(line: &Line) -> &'static str {
    if line.verdict != Verdict::Passed && line.gate == Gate::Informing { " # TODO informing" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::matrix::tests::{COUNTS, some};

    #[test]
    fn skips_and_absent_features_are_not_ok() {
        let (report, tests) = some();
        let block = |verdict: &str, message: &str| {
            format!("  ---\n  verdict: {verdict}\n  message: {message}\n  ...\n")
        };
        let expected = [
            "TAP version 14\n1..6\nok 1 - image.layout\nnot ok 2 - image.os-release\n".to_owned(),
            block("failed", r#""`ID` is <\"other\">""#),
            "not ok 3 - image.perms\n".to_owned(),
            block("errored", r#""cannot read""#),
            "not ok 4 - image.reproducible\n".to_owned(),
            block("skipped", r#""no twin""#),
            "not ok 5 - image.size-budget # TODO informing\n".to_owned(),
            block("failed", r#""too large""#),
            "not ok 6 - image.cve-known\n".to_owned(),
            block("not yet", r#""nothing is there""#),
        ];
        assert_eq!(text(&Matrix::of(&report, &tests, &COUNTS)), expected.concat());
    }
}
