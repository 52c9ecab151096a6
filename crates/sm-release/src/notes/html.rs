//! The notes as one page of HTML: no script, headings in order, lists as lists, long lists folded by the reader's own browser.

use std::fmt::Write as _;

use sm_model::notes::{Changes, ReleaseNotes, Section, SourceUpdate};

use super::{Prose, figures, prose::html_text};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem}\
h1,h2,h3{line-height:1.2}code{background:#eee;padding:0 .2em}\
.action{border-left:.4rem solid #a40000;padding-left:1rem}summary{cursor:pointer}\
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}a{color:#9cf}code{background:#333}}";

/// The notes as a whole page.
pub fn render(notes: &ReleaseNotes) -> String {
    let title = html_text(&figures::title(notes));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    let actions = figures::actions(notes);
    if !actions.is_empty() {
        out.push_str("<section class=\"action\">\n<h2>Action required</h2>\n");
        list(&mut out, &items(&actions));
        out.push_str("</section>\n");
    }
    let known_issues = figures::known_issues(notes);
    if !known_issues.is_empty() {
        out.push_str("<h2>Known issues</h2>\n");
        list(&mut out, &items(&known_issues));
    }
    notes.changes.iter().for_each(|changes| block(&mut out, changes));
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn block(out: &mut String, changes: &Changes) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<h2>{}</h2>", html_text(&figures::since(changes.since)));
    for section in Section::ALL {
        let mut lines = items(&figures::entries(changes, section));
        match section {
            Section::Security => lines.extend(fixes(changes)),
            Section::Updates => lines.extend(changes.packages.iter().map(package)),
            Section::Bugfixes | Section::Changes => {}
        }
        if !lines.is_empty() {
            let _ = writeln!(out, "<h3>{}</h3>", section.title());
            list(out, &lines);
        }
    }
}

fn items(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| Prose::parse(entry).to_html()).collect()
}

fn list(out: &mut String, lines: &[String]) {
    out.push_str("<ul>\n");
    for line in lines {
        let _ = writeln!(out, "<li>{line}</li>");
    }
    out.push_str("</ul>\n");
}

fn fixes(changes: &Changes) -> impl Iterator<Item = String> {
    figures::fixes(changes).map(|(update, is_short)| {
        let (package, ids) = (package(update), figures::ids(&update.cves));
        if is_short {
            return format!("{package}: {ids}");
        }
        let counted = figures::vulnerabilities(update);
        format!("{package}: <details><summary>{counted}</summary><p>{ids}</p></details>")
    })
}

fn package(update: &SourceUpdate) -> String {
    html_text(&format!("{} {}", update.source, figures::versions(update)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notes::draft::tests::{sample, subject};

    #[test]
    fn the_page_is_pinned() {
        let text = render(&sample())
            .replace(&figures::ids(&sample().changes[0].packages[0].cves), "IDS")
            .replace(STYLE, "STYLE");
        assert_eq!(text, include_str!("../../tests/data/notes/notes.html"));
    }

    #[test]
    fn the_page_has_no_script_and_loads_nothing() {
        let page = render(&sample());
        for word in ["<script", "src=", "@import", "url(", "<link", "<iframe", "onclick="] {
            assert!(!page.contains(word), "{word}");
        }
        let attributes: Vec<&str> =
            page.match_indices("href=\"").map(|(at, _)| &page[at + 6..at + 14]).collect();
        assert!(attributes.iter().all(|address| *address == "https://"), "{attributes:?}");
    }

    /// Elements without content of their own.
    const VOID: [&str; 1] = ["meta"];

    #[test]
    fn every_element_is_closed_in_order_and_headings_skip_no_level() {
        let mut open: Vec<String> = Vec::new();
        let mut level = 0;
        let page = render(&sample());
        for tag in page.split('<').skip(2) {
            let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
            if let Some(closed) = name.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(closed));
            } else if !VOID.contains(&name.as_str()) {
                if let Some(next) = name.strip_prefix('h').and_then(|digit| digit.parse::<u8>().ok()) {
                    assert!(next <= level + 1, "h{level} is followed by h{next}");
                    level = next;
                }
                open.push(name);
            }
        }
        assert_eq!(open, [""; 0]);
    }

    #[test]
    fn names_of_somebody_elses_making_are_escaped() {
        let mut notes = sample();
        notes.os = "<b>".to_owned();
        notes.changes[0].packages[0].source = "<i>".to_owned();
        notes.changes[0].items[0].entries[0] = "<u> [x](https://example.org/\"onclick=)".to_owned();
        let page = render(&notes);
        for tag in ["<b>", "<i>", "<u>", "\"onclick"] {
            assert!(!page.contains(tag), "{tag}");
        }
        assert_eq!(subject().os, "Boxcar Linux");
    }
}
