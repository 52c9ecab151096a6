//! Accounts and rooms of Matrix by their ids. The name that an account shows is its own to choose, and never looked at.

use std::{fmt, str::FromStr};

/// Longest id of an account or a room, in bytes (Matrix 1.14, appendix "Identifier grammar").
pub const MAX_ID_BYTES: usize = 255;

/// An account: `@alice:example.org`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(String);

/// A room: `!abc:example.org`, since room version 12 without a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(String);

/// A text that names no account or no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// No account.
    #[error("`{}` is not an account: expected for example `@alice:example.org`", .0.escape_debug())]
    Account(String),
    /// No room.
    #[error("`{}` is not the id of a room: expected for example `!abc:example.org`", .0.escape_debug())]
    Room(String),
}

impl Account {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a bridge speaks through it for somebody of another network: application services claim names with `_`.
    pub fn is_puppet(&self) -> bool {
        self.0.starts_with("@_")
    }
}

impl RoomId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn start(text: &str) -> String {
    text.chars().take(64).collect()
}

impl FromStr for Account {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_prefix('@').and_then(|rest| rest.split_once(':'));
        // Older servers let more characters through than today's grammar; letters that look like others are in neither.
        let local = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        let server = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
        };
        let good = parts.is_some_and(|(name, host)| local(name) && server(host));
        if good && text.len() <= MAX_ID_BYTES {
            Ok(Account(text.to_owned()))
        } else {
            Err(InvalidId::Account(start(text)))
        }
    }
}

impl FromStr for RoomId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = text.len() > 1 && text.starts_with('!') && text.bytes().all(|b| b.is_ascii_graphic());
        if good && text.len() <= MAX_ID_BYTES {
            Ok(RoomId(text.to_owned()))
        } else {
            Err(InvalidId::Room(start(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_its_whole_id_in_plain_letters() {
        for text in ["@alice:example.org", "@a.b=/+x:localhost:8448", "@alice:[::1]:8448"] {
            assert_eq!(text.parse::<Account>().unwrap().as_str(), text);
        }
        let long = format!("@{}:x", "a".repeat(255));
        let others = [
            "",
            "alice",
            "@alice",
            "@:x",
            "@alice:",
            "@al ice:x",
            "@аlice:example.org",
            "@alice:ex_mple",
            &long,
        ];
        for text in others {
            assert!(text.parse::<Account>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn bridges_speak_through_names_that_begin_with_an_underscore() {
        assert!("@_irc_alice:example.org".parse::<Account>().unwrap().is_puppet());
        assert!(!"@al_ice:example.org".parse::<Account>().unwrap().is_puppet());
    }

    #[test]
    fn rooms_have_ids_with_and_without_a_server() {
        for text in ["!abc:example.org", "!cQbv6_x-Y"] {
            assert_eq!(text.parse::<RoomId>().unwrap().as_str(), text);
        }
        for text in ["", "!", "#releases:example.org", "!a b"] {
            assert!(text.parse::<RoomId>().is_err(), "{text:?}");
        }
    }
}
