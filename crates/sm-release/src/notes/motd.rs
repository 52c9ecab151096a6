//! What a host says when somebody logs in: a few lines on what this version brought.

use sm_model::notes::ReleaseNotes;

use super::{Prose, figures};

/// Columns of a line.
const COLUMNS: usize = 76;
/// Actions that are spelled out.
const MAX_ACTIONS: usize = 3;

/// At most six lines of printable characters.
pub fn render(notes: &ReleaseNotes) -> String {
    let mut lines = vec![figures::title(notes)];
    if let Some(changes) = notes.changes.first() {
        let n_packages = changes.packages.iter().filter(|update| !update.cves.is_empty()).count();
        let fixed = figures::count(figures::fixed(changes).len(), "vulnerability", "vulnerabilities");
        let packages = figures::count(n_packages, "package", "packages");
        let updated = figures::count(changes.packages.len(), "package differs", "packages differ");
        lines.push(format!("  {fixed} fixed in {packages}; {updated}"));
    }
    let actions = figures::actions(notes);
    for action in actions.iter().take(MAX_ACTIONS) {
        lines.push(format!("  Action required: {}", Prose::parse(action).to_text()));
    }
    if actions.len() > MAX_ACTIONS {
        lines.push(format!("  {} more actions are required: see the notes", actions.len() - MAX_ACTIONS));
    }
    lines.iter().map(|line| format!("{}\n", shortened(line))).collect()
}

fn shortened(line: &str) -> String {
    let printable: String = line.chars().filter(|c| !c.is_control()).collect();
    if printable.chars().count() <= COLUMNS {
        return printable;
    }
    let kept: String = printable.chars().take(COLUMNS - 1).collect();
    let words = kept.rsplit_once(' ').map_or(kept.as_str(), |(words, _)| words);
    format!("{}…", words.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notes::draft::tests::sample;

    #[test]
    fn a_login_shows_what_matters() {
        assert_eq!(
            render(&sample()),
            "Boxcar Linux 4902.1.0 (beta)\n  \
             42 vulnerabilities fixed in 2 packages; 4 packages differ\n  \
             Action required: Restart services that keep connections of old libssl3…\n"
        );
    }

    #[test]
    fn a_terminal_cannot_be_commanded() {
        let mut notes = sample();
        notes.os = "\u{1b}[2J\u{7}".to_owned();
        notes.changes[0].items[0].action = Some("\u{1b}]0;x\u{7}".to_owned());
        assert!(!render(&notes).contains(['\u{1b}', '\u{7}']));
        notes.changes[0].items[0].action = None;
        assert_eq!(render(&notes).lines().count(), 2);
    }
}
