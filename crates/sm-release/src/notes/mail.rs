//! The notes as the text of a mail: 72 columns, safe for readers that join lines again and for those that do not (RFC 3676).

use sm_model::notes::{Changes, ReleaseNotes, Section};

use super::{Prose, figures};

/// Columns of a line. A word that is longer, as an address can be, has a line of its own.
pub const COLUMNS: usize = 72;

/// The notes as plain text.
pub fn render(notes: &ReleaseNotes) -> String {
    let mut out = Text::default();
    out.heading(&figures::title(notes), '=');
    out.list("Action required", &figures::actions(notes));
    out.list("Known issues", &figures::known_issues(notes));
    notes.changes.iter().for_each(|changes| block(&mut out, changes));
    out.0
}

fn block(out: &mut Text, changes: &Changes) {
    out.heading(&figures::since(changes.since), '-');
    for section in Section::ALL {
        let mut lines: Vec<String> =
            figures::entries(changes, section).iter().map(|entry| Prose::parse(entry).to_text()).collect();
        match section {
            Section::Security => lines.extend(fixes(changes)),
            Section::Updates => lines.extend(
                changes
                    .packages
                    .iter()
                    .map(|update| format!("{} {}", update.source, figures::versions(update))),
            ),
            Section::Bugfixes | Section::Changes => {}
        }
        out.items(section.title(), &lines);
    }
}

fn fixes(changes: &Changes) -> impl Iterator<Item = String> {
    figures::fixes(changes).map(|(update, is_short)| {
        let what = if is_short { figures::ids(&update.cves) } else { figures::vulnerabilities(update) };
        format!("{} {}: {what}", update.source, figures::versions(update))
    })
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn heading(&mut self, words: &str, rule: char) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.lines(words, "", "");
        let width = words.chars().count().min(COLUMNS);
        self.0.extend(std::iter::repeat_n(rule, width));
        self.0.push('\n');
    }

    fn list(&mut self, words: &str, entries: &[&str]) {
        let lines: Vec<String> = entries.iter().map(|entry| Prose::parse(entry).to_text()).collect();
        self.items(words, &lines);
    }

    fn items(&mut self, words: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.0.push('\n');
        self.lines(&format!("{words}:"), "", "");
        for line in lines {
            self.lines(line, "* ", "  ");
        }
    }

    /// Words over as many lines as they need. No line ends in a space, and none begins as a quotation or as a mail's first line.
    fn lines(&mut self, words: &str, first: &str, others: &str) {
        let mut line = first.to_owned();
        let mut n_words = 0;
        for word in words.split_whitespace() {
            let width = line.chars().count() + word.chars().count() + usize::from(n_words > 0);
            if n_words > 0 && width > COLUMNS {
                self.line(&line);
                others.clone_into(&mut line);
                n_words = 0;
            }
            if n_words > 0 {
                line.push(' ');
            }
            line.push_str(word);
            n_words += 1;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        if line.starts_with('>') || line.starts_with("From ") {
            self.0.push(' ');
        }
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notes::draft::tests::sample;
    use proptest::prelude::*;

    #[test]
    fn the_mail_is_pinned() {
        assert_eq!(render(&sample()), include_str!("../../tests/data/notes/notes.txt"));
    }

    proptest! {
        #[test]
        fn lines_are_short_unless_one_word_is_long_and_no_word_is_lost(words in "([a-z>]{1,90} |From |> ){0,30}") {
            let mut text = Text::default();
            text.lines(&words, "* ", "  ");
            text.lines(&words, "", "");
            let mut kept = 0;
            for line in text.0.lines() {
                let inner: Vec<&str> = line.split_whitespace().filter(|word| *word != "*").collect();
                kept += inner.len();
                prop_assert!(line.chars().count() <= COLUMNS + 1 || inner.len() == 1, "{:?}", line);
                prop_assert!(!line.ends_with(' ') && !line.starts_with('>') && !line.starts_with("From "));
            }
            prop_assert_eq!(kept, 2 * words.split_whitespace().count());
        }
    }
}
