//! Paths in the image: absolute and normal, so that two spellings never name one file.

use std::{fmt, str::FromStr};

/// A path in the image, as a running host sees it (`/etc/hosts`, not where its factory default lies):
/// absolute, normal (no `.`, `..`, doubled or trailing slash), without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImagePath(String);

/// A text that is no path in the image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path in the image: expected an absolute path without `.`, `..`, empty parts or control characters", .0.escape_debug())]
pub struct InvalidImagePath(String);

impl ImagePath {
    /// Longest path, in bytes: `PATH_MAX` of Linux without its NUL.
    pub const MAX_LEN: usize = 4095;

    /// The path as text, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash: what to join to a directory.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// Whether this is `directory` or lies below it.
    pub fn is_within(&self, directory: &str) -> bool {
        self.0.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The path of `below` under this one; this one where `below` is empty.
    ///
    /// # Errors
    /// When the result is no path in the image.
    pub fn join(&self, below: &str) -> Result<Self, InvalidImagePath> {
        if below.is_empty() { Ok(self.clone()) } else { format!("{}/{below}", self.0).parse() }
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImagePath {
    type Err = InvalidImagePath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let normal = text.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(char::is_control))
        });
        if normal && text.len() <= ImagePath::MAX_LEN {
            Ok(ImagePath(text.to_owned()))
        } else {
            Err(InvalidImagePath(text.chars().take(80).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_parses_has_one_spelling_and_stays_inside(text in "[a/.\\x00b]{0,12}") {
            if let Ok(path) = text.parse::<ImagePath>() {
                prop_assert_eq!(path.as_str(), &text);
                let normal: std::path::PathBuf = std::path::Path::new(&text).components().collect();
                prop_assert_eq!(normal.to_str(), Some(text.as_str()));
                prop_assert!(!text.contains("/../") && !text.ends_with("/.."));
            }
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        for text in ["", "/", "usr", "/usr/", "//usr", "/usr/./x", "/usr/../x", "/a\nb", "/a//b"] {
            assert!(text.parse::<ImagePath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn within_is_by_component() {
        let path: ImagePath = "/usr/share/x".parse().unwrap();
        assert!(path.is_within("/usr") && path.is_within("/usr/share/x"));
        assert!(!path.is_within("/us") && !path.is_within("/usr/share/x/y"));
    }
}
