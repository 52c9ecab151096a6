//! People, by the short name that they are known by in a project, and the parts they take in a release.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text::serde_as_text;

/// The short name of a person or of a program that acts for people: `alice`, `build-bot`. 1 to 32 of `a-z 0-9 - _ .`,
/// starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(String);

/// A text that is no short name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a short name of a person: expected 1 to 32 of `a-z 0-9 - _ .`, for example `alice`", .0.escape_debug())]
pub struct InvalidHandle(String);

impl Handle {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Handle {
    type Err = InvalidHandle;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let clean = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
        if starts_well && clean && text.len() <= Handle::MAX_LEN {
            Ok(Handle(text.to_owned()))
        } else {
            Err(InvalidHandle(text.chars().take(Handle::MAX_LEN).collect()))
        }
    }
}

serde_as_text!(Handle);

/// A part that somebody takes in a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Leads the release.
    Coordinator,
    /// Composes.
    Build,
    /// Tests and judges results.
    Test,
    /// Judges vulnerabilities and fixes.
    Security,
    /// Writes the notes.
    Notes,
    /// Publishes.
    Publish,
    /// Announces.
    Communication,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 7] = [
        Role::Coordinator,
        Role::Build,
        Role::Test,
        Role::Security,
        Role::Notes,
        Role::Publish,
        Role::Communication,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Coordinator => "coordinator",
            Role::Build => "build",
            Role::Test => "test",
            Role::Security => "security",
            Role::Notes => "notes",
            Role::Publish => "publish",
            Role::Communication => "communication",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role `{}`: expected `coordinator`, `build`, `test`, `security`, `notes`, `publish` or `communication`", .0.escape_debug())]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Role::ALL.into_iter().find(|role| role.word() == text);
        known.ok_or_else(|| UnknownRole(text.chars().take(Handle::MAX_LEN).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_pass_and_hostile_ones_do_not() {
        for text in ["alice", "build-bot", "j.doe", "7of9", "a_b"] {
            assert_eq!(text.parse::<Handle>().unwrap().as_str(), text);
        }
        for text in ["", "-a", "Alice", "a b", "a/b", "é", &"a".repeat(33), "a\n"] {
            assert!(text.parse::<Handle>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn roles_have_one_spelling() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert!("Coordinator".parse::<Role>().is_err());
    }
}
