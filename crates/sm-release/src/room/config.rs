//! `room.toml`: the room in which releases are talked about. The token that opens it is a file of its own.

use std::str::FromStr;

use super::account::RoomId;
use crate::rules::text::{Problem, Reader};

/// Which room, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomConfig {
    /// Where the homeserver's client API is: `https://matrix.example.org`, without a slash at the end.
    pub homeserver: String,
    /// The room.
    pub room: RoomId,
    /// File that holds the access token and nothing else; a relative path starts at this file's folder.
    pub token_file: String,
}

/// An address that a token may be sent to.
struct Homeserver(String);

/// An address that a token must not be sent to.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{}` is no homeserver: expected for example `https://matrix.example.org`; `http` only for this machine", .0.escape_debug()
)]
struct InvalidHomeserver(String);

impl FromStr for Homeserver {
    type Err = InvalidHomeserver;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.strip_suffix('/').unwrap_or(text);
        let host_of = |scheme: &str| plain.strip_prefix(scheme);
        let clean = |host: &str| {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]/_~".contains(&b))
        };
        let local = |host: &str| {
            let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
            matches!(name.map_or(host, |(name, _)| name), "localhost" | "127.0.0.1" | "[::1]")
        };
        let good = host_of("https://").is_some_and(clean)
            || host_of("http://").is_some_and(|host| clean(host) && local(host));
        if good {
            Ok(Homeserver(plain.to_owned()))
        } else {
            Err(InvalidHomeserver(text.chars().take(128).collect()))
        }
    }
}

impl RoomConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with lines.
    pub fn parse(text: &str) -> Result<RoomConfig, Vec<Problem>> {
        let config = Reader::read(text, |root, reader| {
            let homeserver = root.required::<Homeserver>("homeserver", reader);
            let room = root.required("room", reader);
            let token_file = root.required("token-file", reader);
            Some(RoomConfig {
                homeserver: homeserver?.value.0,
                room: room?.value,
                token_file: token_file?.value,
            })
        })?;
        // What is missing is a problem, and was told.
        config.ok_or_else(Vec::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_has_a_server_an_id_and_a_token() {
        let text = "homeserver = \"https://matrix.example.org/\"\nroom = \"!abc\"\ntoken-file = \"token\"\n";
        let config = RoomConfig::parse(text).unwrap();
        assert_eq!(config.homeserver, "https://matrix.example.org");
        assert_eq!((config.room.as_str(), config.token_file.as_str()), ("!abc", "token"));
    }

    #[test]
    fn a_token_goes_nowhere_unencrypted_but_to_this_machine() {
        for good in
            ["https://m.example.org:8448/base", "http://127.0.0.1:8008", "http://localhost", "http://[::1]:1"]
        {
            assert!(good.parse::<Homeserver>().is_ok(), "{good}");
        }
        let bad = [
            "",
            "https://",
            "http://m.example.org",
            "http://localhost.example.org",
            "http://127.0.0.1@evil.example",
            "http://localhost:80@evil",
            "https://m?x=",
            "ftp://m",
            "m.example.org",
        ];
        for bad in bad {
            assert!(bad.parse::<Homeserver>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "homeserver = \"http://m.example.org\"\nroom = \"#releases:x\"\ntoken = \"hush\"\n";
        let problems: Vec<String> =
            RoomConfig::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
        let starts = [
            "1:1: `token-file` is missing",
            "1:14: `http://m",
            "2:8: `#releases:x` is not the id of a room",
            "3:1: unknown key",
        ];
        assert_eq!(problems.len(), starts.len(), "{problems:#?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem:?} {start:?}");
        }
    }
}
