//! Application ids: which product a client asks about.

use std::{fmt, str::FromStr};

/// An application id: a UUID, with or without braces, or a product name such as `io.example.App`.
///
/// Clients differ in braces and case, so both are normalised: UUIDs are kept and written as `{lower-case}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(String);

/// A text that is no application id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an application id: expected a UUID in braces or a name of letters, digits and `._-`", .0.escape_debug())]
pub struct InvalidAppId(String);

impl AppId {
    /// Longest product name, in bytes (what Nebraska accepts).
    pub const MAX_LEN: usize = 155;

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AppId {
    type Err = InvalidAppId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let candidate = bare.unwrap_or(text);
        if is_uuid(candidate) {
            return Ok(AppId(format!("{{{}}}", candidate.to_ascii_lowercase())));
        }
        let is_name = !candidate.is_empty()
            && candidate.len() <= AppId::MAX_LEN
            && candidate.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if bare.is_none() && is_name {
            Ok(AppId(candidate.to_owned()))
        } else {
            Err(InvalidAppId(text.chars().take(80).collect()))
        }
    }
}

/// `8-4-4-4-12` hexadecimal digits (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(|group| (group.len(), group.bytes().all(|b| b.is_ascii_hexdigit())));
    groups.eq([8, 4, 4, 4, 12].map(|len| (len, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_case_do_not_matter() {
        let with: AppId = "{7A1F8E9C-2b7d-4c53-9d0e-b0c4a2f15e01}".parse().unwrap();
        let without: AppId = "7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01".parse().unwrap();
        assert_eq!(with, without);
        assert_eq!(with.to_string(), "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}");
    }

    #[test]
    fn product_names_pass_and_junk_does_not() {
        assert_eq!("io.flatcar.MyApp".parse::<AppId>().unwrap().as_str(), "io.flatcar.MyApp");
        for text in ["", "{}", "{io.x}", "a b", "../x", "<", "é", &"a".repeat(156)] {
            assert!(text.parse::<AppId>().is_err(), "{text:?}");
        }
    }
}
