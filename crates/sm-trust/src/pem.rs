//! What a PEM text claims to be (RFC 7468), looked at before it is decoded so that the refusal can say what to convert.

use crate::Error;

/// Longest key text that is read, in bytes: an RSA-2048 private key takes 1.7 KiB, comments included rarely 4.
pub(crate) const MAX_LEN: usize = 16 * 1024;

/// Refuses `text` unless its first PEM block has the label `expected`.
pub(crate) fn expect_label(text: &str, expected: &'static str) -> Result<(), Error> {
    if text.len() > MAX_LEN {
        return Err(Error::KeyTextTooLong { found_bytes: text.len(), limit_bytes: MAX_LEN });
    }
    match label(text) {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(Error::WrongKeyKind { found: found.to_owned(), expected }),
        None => Err(Error::NotPem { expected }),
    }
}

fn label(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.trim_end().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_that_of_the_first_block() {
        assert_eq!(label("comment\r\n-----BEGIN PUBLIC KEY-----\r\nAA"), Some("PUBLIC KEY"));
        assert_eq!(label("-----BEGIN PUBLIC KEY"), None);
    }

    #[test]
    fn texts_longer_than_any_key_are_not_searched() {
        let text = "-----BEGIN PUBLIC KEY-----".repeat(1000);
        assert!(matches!(expect_label(&text, "PUBLIC KEY"), Err(Error::KeyTextTooLong { .. })));
    }
}
