//! The difference of two short texts in the unified format, which `git apply` and `patch` read.

use std::fmt::Write as _;

/// Lines around a change.
const CONTEXT: usize = 3;

/// One line of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Same(&'t str),
    Old(&'t str),
    New(&'t str),
}

/// The patch that makes `new` of `old`; empty when they are the same. An empty `old` is a file that is not there yet.
pub fn unified(path: &str, old: &str, new: &str) -> String {
    let lines = compare(&split(old), &split(new));
    if old == new {
        return String::new();
    }
    let from = if old.is_empty() { "/dev/null".to_owned() } else { format!("a/{path}") };
    let mut out = format!("--- {from}\n+++ b/{path}\n");
    for hunk in hunks(&lines) {
        write_hunk(&mut out, &lines, hunk);
    }
    out
}

/// Lines with their ends.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Longest common subsequence: fragments have few lines, and lines have few fragments.
fn compare<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let width = new.len() + 1;
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::with_capacity(old.len().max(new.len()));
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
        {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

/// Ranges of lines that hold changes and what is around them.
fn hunks(lines: &[Line<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for (idx, line) in lines.iter().enumerate() {
        if matches!(line, Line::Same(_)) {
            continue;
        }
        let around = idx.saturating_sub(CONTEXT)..(idx + 1 + CONTEXT).min(lines.len());
        match hunks.last_mut().filter(|last| around.start <= last.end) {
            Some(last) => last.end = around.end,
            None => hunks.push(around),
        }
    }
    hunks
}

fn write_hunk(out: &mut String, lines: &[Line<'_>], hunk: std::ops::Range<usize>) {
    let count = |range: &[Line<'_>]| {
        let old = range.iter().filter(|line| !matches!(line, Line::New(_))).count();
        let new = range.iter().filter(|line| !matches!(line, Line::Old(_))).count();
        (old, new)
    };
    let (old_before, new_before) = count(&lines[..hunk.start]);
    let (n_old, n_new) = count(&lines[hunk.clone()]);
    // A side without lines is told by the number of the line before it.
    let start = |before: usize, n: usize| if n == 0 { before } else { before + 1 };
    let (old_start, new_start) = (start(old_before, n_old), start(new_before, n_new));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "@@ -{old_start},{n_old} +{new_start},{n_new} @@");
    for line in &lines[hunk] {
        let (mark, text) = match line {
            Line::Same(text) => (' ', text),
            Line::Old(text) => ('-', text),
            Line::New(text) => ('+', text),
        };
        let _ = write!(out, "{mark}{text}");
        if !text.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_patch_is_what_diff_writes() {
        assert_eq!(
            unified("changes/x.md", "- a\n- b\n", "- a\n- c\n"),
            "--- a/changes/x.md\n+++ b/changes/x.md\n@@ -1,2 +1,2 @@\n - a\n-- b\n+- c\n"
        );
        assert_eq!(
            unified("changes/x.md", "", "- a"),
            "--- /dev/null\n+++ b/changes/x.md\n@@ -0,0 +1,1 @@\n+- a\n\\ No newline at end of file\n"
        );
        assert_eq!(unified("x", "same\n", "same\n"), "");
    }

    #[test]
    fn far_changes_have_hunks_of_their_own() {
        let lines = |n: usize| (0..20).map(move |i| if i == n { "x\n".to_owned() } else { format!("{i}\n") });
        let old: String = lines(99).collect();
        let new: String = lines(1).collect::<String>().replace("18\n", "y\n");
        let patch = unified("x", &old, &new);
        assert_eq!(patch.matches("@@ -").count(), 2, "{patch}");
        assert!(patch.contains("@@ -16,5 +16,5 @@"), "{patch}");
    }

    proptest! {
        #[test]
        fn a_comparison_holds_both_texts(old in "[ab\n]{0,20}", new in "[ab\n]{0,20}") {
            let (old_lines, new_lines) = (split(&old), split(&new));
            let lines = compare(&old_lines, &new_lines);
            let side = |drop_new: bool| lines.iter().filter_map(|line| match line {
                Line::Same(text) => Some(*text),
                Line::Old(text) => drop_new.then_some(*text),
                Line::New(text) => (!drop_new).then_some(*text),
            }).collect::<String>();
            prop_assert_eq!(side(true), old.clone());
            prop_assert_eq!(side(false), new.clone());
        }
    }
}
