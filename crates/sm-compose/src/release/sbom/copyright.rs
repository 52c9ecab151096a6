//! Machine-readable copyright files of Debian packages (copyright-format 1.0, "DEP-5"): the licences they name.

use std::collections::BTreeMap;

/// Largest copyright file read: the largest real ones are about 1 MiB.
const MAX_BYTES: usize = 4 << 20;
/// Longest licence name taken for one: beyond it, somebody wrote prose into the field.
const MAX_NAME_BYTES: usize = 200;
/// Most licences of one package.
const MAX_LICENCES: usize = 200;

/// The licences a package names: each expression once, with the text where the file holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Licences {
    /// Licence expressions of the files, in Debian's spelling, sorted.
    pub(super) expressions: Vec<String>,
    /// Texts by name.
    pub(super) texts: BTreeMap<String, String>,
}

/// Reads a copyright file. `None` when it is not machine-readable or goes beyond what any real one needs.
pub(super) fn parse(bytes: &[u8]) -> Option<Licences> {
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let mut paragraphs = paragraphs(&text);
    let header = paragraphs.next()?;
    header
        .iter()
        .find(|(name, value)| name.eq_ignore_ascii_case("Format") && value.contains("copyright-format"))?;
    let mut licences = Licences::default();
    for paragraph in std::iter::once(header).chain(paragraphs) {
        let field = |wanted: &str| paragraph.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let Some((_, value)) = field("License") else { continue };
        let (name, body) = value.split_once('\n').unwrap_or((value, ""));
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return None;
        }
        if field("Files").is_some() || field("Format").is_some() {
            licences.expressions.push(name.clone());
        }
        if !body.trim().is_empty() {
            licences.texts.entry(name).or_insert_with(|| unfolded(body));
        }
    }
    licences.expressions.sort();
    licences.expressions.dedup();
    let plausible = !licences.expressions.is_empty() && licences.expressions.len() <= MAX_LICENCES;
    plausible.then_some(licences)
}

type Paragraph<'a> = Vec<(&'a str, String)>;

/// Fields of each paragraph; continuation lines keep their line breaks.
fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        lines.peek()?;
        let mut fields: Paragraph<'_> = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            add_line(&mut fields, line);
        }
        Some(fields)
    })
}

fn add_line<'a>(fields: &mut Paragraph<'a>, line: &'a str) {
    if line.starts_with([' ', '\t']) {
        if let Some((_, value)) = fields.last_mut() {
            value.push('\n');
            value.push_str(line);
        }
    } else if let Some((name, value)) = line.split_once(':') {
        fields.push((name, value.trim().to_owned()));
    }
}

/// A folded text as it was before folding: one space in front of each line, and ` .` for an empty one.
fn unfolded(body: &str) -> String {
    let lines = body.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.map(|line| if line == "." { "" } else { line }).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: x

Files: *
Copyright: 2020 Somebody
License: GPL-2+
 On Debian systems, see the file.
 .
 Second paragraph.

Files: debian/*
Copyright: 2020 Somebody
License: GPL-2+

Files: lib/*
License: Expat  or
  BSD-3-clause

License: Expat
 Permission is granted.
";

    #[test]
    fn names_come_from_files_and_texts_from_wherever_they_are() {
        let licences = parse(COPYRIGHT.as_bytes()).unwrap();
        assert_eq!(licences.expressions, ["Expat or", "GPL-2+"]);
        assert_eq!(
            licences.texts["GPL-2+"],
            "\nOn Debian systems, see the file.\n\nSecond paragraph.".trim_start()
        );
        assert_eq!(licences.texts["Expat"], "Permission is granted.");
    }

    #[test]
    fn prose_is_no_machine_readable_file() {
        assert_eq!(parse(b"This package was debianized by somebody.\n"), None);
        assert_eq!(parse(b""), None);
        let prose = format!("Format: copyright-format/1.0\nLicense: {}\n", "word ".repeat(100));
        assert_eq!(parse(prose.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0..COPYRIGHT.len()) {
            let mut text = COPYRIGHT.as_bytes().to_vec();
            text.splice(at..at, bytes);
            let _ = parse(&text);
        }
    }
}
