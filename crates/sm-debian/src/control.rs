//! Control data (deb822; Debian Policy 5.1): stanzas of fields, read in place from a text. Copies nothing, decides nothing.

/// A line that belongs to no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a control field: expected `Name: value`", .line.escape_debug())]
pub struct MalformedField {
    line: String,
}

/// One stanza: the text between blank lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stanza<'a>(&'a str);

/// The stanzas of `text`, in order.
pub fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('\n');
        if rest.is_empty() {
            return None;
        }
        let (stanza, after) = rest.split_once("\n\n").unwrap_or((rest, ""));
        rest = after;
        Some(Stanza(stanza))
    })
}

impl<'a> Stanza<'a> {
    /// The fields, in order. A value keeps its continuation lines, each with its leading blank; outer blanks are gone.
    pub fn fields(self) -> impl Iterator<Item = Result<(&'a str, &'a str), MalformedField>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches('\n');
            if rest.is_empty() {
                return None;
            }
            let (field, after) = rest.split_at(end_of_field(rest));
            rest = after;
            Some(split_field(field))
        })
    }

    /// The value of the first field of this name; names differ in more than case (Debian Policy 5.1).
    ///
    /// # Errors
    /// When a line before it belongs to no field.
    pub fn get(self, name: &str) -> Result<Option<&'a str>, MalformedField> {
        for field in self.fields() {
            let (found, value) = field?;
            if found.eq_ignore_ascii_case(name) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Where the line break lies that no continuation line follows.
fn end_of_field(text: &str) -> usize {
    let mut end = 0;
    loop {
        end = match text[end..].find('\n') {
            Some(length) => end + length,
            None => return text.len(),
        };
        if !text[end + 1..].starts_with([' ', '\t']) {
            return end;
        }
        end += 1;
    }
}

fn split_field(field: &str) -> Result<(&str, &str), MalformedField> {
    match field.split_once(':') {
        Some((name, value)) if is_field_name(name) => Ok((name, value.trim())),
        _ => Err(MalformedField { line: field.chars().take(80).collect() }),
    }
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) && !name.starts_with(['-', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all_fields(text: &str) -> Vec<Vec<(&str, &str)>> {
        stanzas(text).map(|stanza| stanza.fields().map(Result::unwrap).collect()).collect()
    }

    #[test]
    fn stanzas_fields_and_continuations_are_told_apart() {
        let text = "\nPackage: a\nDescription: one\n two\n .\n\tthree\nSize: 5\n\n\nPackage: b\n";
        assert_eq!(
            all_fields(text),
            [
                vec![("Package", "a"), ("Description", "one\n two\n .\n\tthree"), ("Size", "5")],
                vec![("Package", "b")]
            ]
        );
    }

    #[test]
    fn names_are_found_in_any_case() {
        let stanza = stanzas("SHA256: x\nsize:1").next().unwrap();
        assert_eq!(stanza.get("sha256"), Ok(Some("x")));
        assert_eq!(stanza.get("Size"), Ok(Some("1")));
        assert_eq!(stanza.get("MD5sum"), Ok(None));
    }

    #[test]
    fn lines_that_are_no_fields_are_refused_with_their_text() {
        for text in ["no colon", ": x", " leading", "-----BEGIN: x", "#c: x", "sp ace: x", "é: x"] {
            let field = stanzas(text).next().unwrap().fields().next().unwrap();
            assert!(field.unwrap_err().to_string().contains("is not a control field"), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_without_panic(text in "[a:\n \té-]{0,40}") {
            for stanza in stanzas(&text) {
                prop_assert!(stanza.fields().count() <= text.len());
            }
        }
    }
}
