//! Names that are safe as exactly one component of a path, whoever sent them.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// A file name: 1 to 255 ASCII letters, digits and `._+~-`, not starting with a dot or a dash.
///
/// Safe to join to a directory and to put into a URL: it can name neither another directory nor an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(String);

/// A text that is not a safe file name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a safe file name: expected 1 to {} letters, digits or `._+~-`, starting with a letter or digit", .0.escape_debug(), FileName::MAX_LEN)]
pub struct UnsafeFileName(String);

impl FileName {
    /// Longest name, in bytes: what Linux file systems accept for one component.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for FileName {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FileName {
    type Err = UnsafeFileName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+~-".contains(&b));
        if starts_well && clean && text.len() <= FileName::MAX_LEN {
            Ok(FileName(text.to_owned()))
        } else {
            Err(UnsafeFileName(text.chars().take(80).collect()))
        }
    }
}

serde_as_text!(FileName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_pass() {
        for text in ["version.txt", "boxcar_production_update.gz", "libstdc++6_14.2.0-19_amd64.deb", "a~b"] {
            assert_eq!(text.parse::<FileName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn names_that_leave_the_directory_or_look_like_options_are_refused() {
        for text in
            ["", ".", "..", "../x", "a/b", "-rf", ".hidden", "a\0b", "a b", "a%2fb", "é", &"a".repeat(256)]
        {
            assert!(text.parse::<FileName>().is_err(), "{text:?}");
        }
    }
}
