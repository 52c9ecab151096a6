//! Names that a request uses to point into an archive. Each is safe as one component of a path or URL.

use std::{fmt, str::FromStr};

/// A text that cannot name a mirror, suite or component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a {kind} name: expected 1 to {MAX_LEN} lower-case letters, digits or `.+-`, starting with a letter or digit", .text.escape_debug())]
pub struct InvalidName {
    text: String,
    kind: &'static str,
}

/// Longest name, in bytes. Debian's longest are under 30.
const MAX_LEN: usize = 64;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if is_name(text) {
                    Ok($type(text.to_owned()))
                } else {
                    Err(InvalidName { text: text.chars().take(80).collect(), kind: $kind })
                }
            }
        }
    };
}

name!(
    /// A configured mirror: `debian`, `debian-security`. Never a host name.
    MirrorName, "mirror"
);
name!(
    /// A suite or codename below `dists/`: `trixie`, `trixie-security`.
    SuiteName, "suite"
);
name!(
    /// A component of a suite: `main`, `non-free-firmware`.
    ComponentName, "component"
);

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".+-".contains(&b))
        && text.len() <= MAX_LEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archives_own_names_pass() {
        for text in ["trixie", "trixie-security", "stable", "main", "non-free-firmware", "debian-security"] {
            assert_eq!(text.parse::<SuiteName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn names_that_would_leave_the_archive_are_refused() {
        for text in ["", ".", "..", "../x", "a/b", "-x", "a b", "a%2f", "A", "é", &"a".repeat(65)] {
            assert!(text.parse::<SuiteName>().is_err(), "{text:?}");
            assert!(text.parse::<MirrorName>().is_err(), "{text:?}");
            assert!(text.parse::<ComponentName>().is_err(), "{text:?}");
        }
        assert_eq!(
            "a/b".parse::<ComponentName>().unwrap_err().to_string(),
            "`a/b` is not a component name: expected 1 to 64 lower-case letters, digits or `.+-`, starting with \
             a letter or digit"
        );
    }
}
