//! The Markdown of fragments: a small part of CommonMark that means the same everywhere. Text, `code`, **strong**, *emphasis* and
//! [links](https://example.org); a backslash takes the meaning from the mark after it; whatever is not of these forms is text.
//!
//! Reading is total and never nests, so that no input can confuse it; writing escapes, so that what was text stays text.

use std::fmt;

/// Longest address of a link, in bytes: it has to fit a line of a mail.
pub const MAX_URL_LEN: usize = 500;

/// A piece of prose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Plain words.
    Text(String),
    /// Words that a program knows.
    Code(String),
    /// Words that matter.
    Strong(String),
    /// Words that are stressed.
    Emphasis(String),
    /// Words that lead somewhere.
    Link {
        /// The words.
        label: String,
        /// Where: `http://…` or `https://…`.
        url: String,
    },
}

/// Words of one entry, in one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prose(Vec<Span>);

/// Characters that turn the direction of what follows, or cannot be seen: they make text read otherwise than it is.
pub fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        || (c.is_control() && !matches!(c, '\n' | '\t'))
}

impl Prose {
    /// Reads prose. White space of any kind and length is one space; deceptive characters are left out.
    pub fn parse(text: &str) -> Prose {
        let visible: String = text.chars().filter(|c| !is_deceptive(*c)).collect();
        let words: Vec<&str> = visible.split_whitespace().collect();
        let text = words.join(" ");
        let mut spans = Spans::default();
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            rest = match marked(rest) {
                Some((span, after)) => {
                    spans.push(span);
                    after
                }
                None => plain(&mut spans, c, rest),
            };
        }
        spans.finish()
    }

    /// The pieces.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words without their marks: what a person reads.
    pub fn words(&self) -> String {
        let words = self.0.iter().map(|span| match span {
            Span::Text(text) | Span::Code(text) | Span::Strong(text) | Span::Emphasis(text) => text.as_str(),
            Span::Link { label, .. } => label,
        });
        words.collect()
    }

    /// As Markdown: reads back as the same prose, here and in other programs.
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        for span in &self.0 {
            match span {
                Span::Text(text) => escape_into(&mut out, text),
                Span::Code(code) => out.push_str(&format!("`{code}`")),
                Span::Strong(text) => out.push_str(&format!("**{}**", escaped(text))),
                Span::Emphasis(text) => out.push_str(&format!("*{}*", escaped(text))),
                Span::Link { label, url } => out.push_str(&format!("[{}]({url})", escaped(label))),
            }
        }
        escape_start(out)
    }

    /// As HTML, for the inside of a paragraph or list item.
    pub fn to_html(&self) -> String {
        let mut out = String::new();
        for span in &self.0 {
            out.push_str(&match span {
                Span::Text(text) => html_text(text),
                Span::Code(code) => format!("<code>{}</code>", html_text(code)),
                Span::Strong(text) => format!("<strong>{}</strong>", html_text(text)),
                Span::Emphasis(text) => format!("<em>{}</em>", html_text(text)),
                Span::Link { label, url } => {
                    format!("<a href=\"{}\">{}</a>", html_text(url), html_text(label))
                }
            });
        }
        out
    }

    /// As plain text: links with their addresses, but for ids of vulnerabilities, which everybody can look up.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for span in &self.0 {
            match span {
                Span::Text(text) | Span::Code(text) | Span::Strong(text) | Span::Emphasis(text) => {
                    out.push_str(text);
                }
                Span::Link { label, url } if is_id(label) || label == url => out.push_str(label),
                Span::Link { label, url } => out.push_str(&format!("{label} <{url}>")),
            }
        }
        out
    }
}

impl fmt::Display for Prose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_markdown())
    }
}

/// Text as HTML text, or as the value of an attribute in double quotes.
pub fn html_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text as Markdown text.
pub fn markdown_text(text: &str) -> String {
    escape_start(escaped(text))
}

fn is_id(label: &str) -> bool {
    label.parse::<sm_model::CveId>().is_ok() || label.starts_with("GHSA-")
}

/// Pieces as they are found; neighbouring texts are one.
#[derive(Default)]
struct Spans(Vec<Span>);

impl Spans {
    fn push(&mut self, span: Span) {
        self.0.push(span);
    }

    fn push_char(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Span::Text(text)) => text.push(c),
            _ => self.0.push(Span::Text(c.to_string())),
        }
    }

    fn finish(self) -> Prose {
        Prose(self.0)
    }
}

/// One character of text, with what is left after it. A backslash before a mark is not part of the text.
fn plain<'t>(spans: &mut Spans, c: char, rest: &'t str) -> &'t str {
    let after = &rest[c.len_utf8()..];
    match after.chars().next().filter(|next| c == '\\' && next.is_ascii_punctuation()) {
        Some(mark) => {
            spans.push_char(mark);
            &after[mark.len_utf8()..]
        }
        None => {
            spans.push_char(c);
            after
        }
    }
}

/// The marked piece that a text starts with, and what is left.
fn marked(text: &str) -> Option<(Span, &str)> {
    match text.as_bytes().first()? {
        b'`' => code(text),
        b'*' if text.starts_with("**") => {
            delimited(text, "**").map(|(inner, rest)| (Span::Strong(inner), rest))
        }
        b'*' => delimited(text, "*").map(|(inner, rest)| (Span::Emphasis(inner), rest)),
        b'[' => link(text),
        _ => None,
    }
}

fn code(text: &str) -> Option<(Span, &str)> {
    let (inner, rest) = text[1..].split_once('`')?;
    let is_clean = !inner.is_empty() && inner.trim() == inner;
    is_clean.then(|| (Span::Code(inner.to_owned()), rest))
}

fn delimited<'t>(text: &'t str, mark: &str) -> Option<(String, &'t str)> {
    let inner = &text[mark.len()..];
    let end = position(inner, mark)?;
    let (inner, rest) = (&inner[..end], &inner[end + mark.len()..]);
    let is_clean = !inner.is_empty() && inner.trim() == inner;
    is_clean.then(|| (unescaped(inner), rest))
}

fn link(text: &str) -> Option<(Span, &str)> {
    let end = position(&text[1..], "]")? + 1;
    let (label, rest) = (&text[1..end], text[end + 1..].strip_prefix('(')?);
    let (url, rest) = rest.split_once(')')?;
    let is_clean = !label.is_empty() && label.trim() == label && is_url(url);
    is_clean.then(|| (Span::Link { label: unescaped(label), url: url.to_owned() }, rest))
}

/// Whether a text is an address that a link may have: web addresses only, of characters that mean nothing elsewhere.
pub fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let clean = |b: u8| b.is_ascii_graphic() && !b"<>\"'()`\\{}|^[]*".contains(&b);
    text.len() <= MAX_URL_LEN
        && host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric()))
        && text.bytes().all(clean)
}

/// Where a mark stands that no backslash precedes.
fn position(text: &str, mark: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(mark) {
            return Some(at);
        }
        at += c.len_utf8();
        if c == '\\' {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut spans = Spans::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = plain(&mut spans, c, rest);
    }
    Prose(spans.0).words()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text);
    out
}

fn escape_into(out: &mut String, text: &str) {
    let mut before = out.chars().next_back();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let within_word = before.is_some_and(char::is_alphanumeric)
            && rest.peek().copied().is_some_and(char::is_alphanumeric);
        if "\\`*[]<>&~|".contains(c) || (c == '_' && !within_word) {
            out.push('\\');
        }
        out.push(c);
        before = Some(c);
    }
}

/// Takes the meaning from what would begin a heading, quotation, rule or list at the start of a line.
fn escape_start(text: String) -> String {
    let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let begins_list = (1..10).contains(&n_digits) && text[n_digits..].starts_with(['.', ')']);
    if text.starts_with(['#', '-', '+', '=']) {
        format!("\\{text}")
    } else if begins_list {
        format!("{}\\{}", &text[..n_digits], &text[n_digits..])
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(label: &str, url: &str) -> Span {
        Span::Link { label: label.to_owned(), url: url.to_owned() }
    }

    #[test]
    fn marks_are_read() {
        let prose = Prose::parse(
            "Fixed `systemctl  stop` of **all** *units*\n  ([#12](https://example.org/12), see CVE-2025-0001).",
        );
        let text = |text: &str| Span::Text(text.to_owned());
        assert_eq!(
            prose.spans(),
            [
                text("Fixed "),
                Span::Code("systemctl stop".into()),
                text(" of "),
                Span::Strong("all".into()),
                text(" "),
                Span::Emphasis("units".into()),
                text(" ("),
                link("#12", "https://example.org/12"),
                text(", see CVE-2025-0001)."),
            ]
        );
        assert_eq!(
            prose.to_text(),
            "Fixed systemctl stop of all units (#12 <https://example.org/12>, see CVE-2025-0001)."
        );
    }

    #[test]
    fn what_is_not_of_a_known_form_is_text() {
        for text in [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "[x](https://a\"onmouseover=alert)",
            "[x](https://)",
            "![x](https://example.org/x.png) is an image",
            "a ** b ** c",
            "`unclosed",
            "[unclosed](https://example.org",
            "&lt;b&gt;",
            "| a | b |",
            "# heading",
            "1. one",
            "- minus",
            "snake_case _and_ ~~more~~",
            "a \\ b",
        ] {
            let prose = Prose::parse(text);
            let is_text = |span: &Span| matches!(span, Span::Text(_) | Span::Link { .. });
            assert!(prose.spans().iter().all(is_text), "{text}: {prose:?}");
            assert_eq!(Prose::parse(&prose.to_markdown()), prose, "{text}");
        }
    }

    #[test]
    fn hostile_text_is_escaped_for_every_reader() {
        let prose = Prose::parse("</code><img src=x onerror=alert(1)> & \"quotes\" [a](javascript:b)");
        let html = prose.to_html();
        assert!(!html.contains('<') && html.contains("&lt;img src=x"), "{html}");
        assert_eq!(
            prose.to_markdown(),
            "\\</code\\>\\<img src=x onerror=alert(1)\\> \\& \"quotes\" \\[a\\](javascript:b)"
        );
        assert_eq!(Prose::parse("a\u{202e}b\u{0}c\u{feff}").words(), "abc");
        for (text, markdown) in [("# x", "\\# x"), ("1. x", "1\\. x"), ("- x", "\\- x"), ("2026 x", "2026 x")]
        {
            assert_eq!(Prose::parse(text).to_markdown(), markdown);
        }
    }

    #[test]
    fn code_cannot_end_its_element() {
        let prose = Prose::parse("`</code><script>`");
        assert_eq!(prose.to_html(), "<code>&lt;/code&gt;&lt;script&gt;</code>");
    }

    /// Text of the marks that matter, and others.
    fn hostile() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![
                Just("*".to_owned()),
                Just("**".to_owned()),
                Just("`".to_owned()),
                Just("[".to_owned()),
                Just("](https://a.example/b)".to_owned()),
                Just("\\".to_owned()),
                Just("<b>".to_owned()),
                Just(" ".to_owned()),
                Just("_".to_owned()),
                "[a-z0-9.#&-]{1,3}",
                "\\PC{0,3}",
            ],
            0..20,
        )
        .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn prose_reads_back_from_its_markdown(text in hostile()) {
            let prose = Prose::parse(&text);
            let markdown = prose.to_markdown();
            prop_assert_eq!(&Prose::parse(&markdown), &prose, "{}", markdown);
            prop_assert_eq!(Prose::parse(&markdown).to_markdown(), markdown);
        }

        #[test]
        fn html_has_no_tags_but_ours(text in hostile()) {
            let html = Prose::parse(&text).to_html();
            for tag in html.split('<').skip(1) {
                let known = ["code>", "/code>", "strong>", "/strong>", "em>", "/em>", "a href=\"http", "/a>"];
                prop_assert!(known.iter().any(|known| tag.starts_with(known)), "{}", html);
            }
        }

        #[test]
        fn no_word_is_lost(text in "[a-z *_`]{0,40}") {
            let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).collect::<String>();
            prop_assert_eq!(letters(&Prose::parse(&text).words()), letters(&text));
        }
    }
}
