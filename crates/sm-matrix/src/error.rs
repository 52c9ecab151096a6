//! What can go wrong between us and a homeserver.

use sm_host::fetch::FetchError;
use sm_model::exit;
use sm_release::room::{Account, event::InvalidPage};

/// A request that came to nothing. None of these names the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server could not be reached, or did not do its part, however often it was asked.
    #[error("cannot {what}: the homeserver did not answer in {attempts} attempts")]
    Down {
        /// What was wanted.
        what: &'static str,
        /// How often it was asked.
        attempts: usize,
        /// How it went the last time.
        #[source]
        source: FetchError,
    },
    /// The server asks to wait for longer than we do.
    #[error("cannot {what}: the homeserver asks to wait for {wait_secs} seconds")]
    Busy {
        /// What was wanted.
        what: &'static str,
        /// How long.
        wait_secs: u64,
    },
    /// The server says no.
    #[error("cannot {what}: the homeserver says {code} (HTTP {status}): {words}")]
    Refused {
        /// What was wanted.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// The code, as the specification lists them.
        code: String,
        /// The server's words.
        words: String,
    },
    /// The answer makes no sense.
    #[error("cannot {what}: the homeserver's answer is not what the specification says")]
    Answer {
        /// What was wanted.
        what: &'static str,
    },
    /// A page of the timeline makes no sense.
    #[error("cannot read the room")]
    Page(#[from] InvalidPage),
    /// The server gives a page that it gave before.
    #[error("cannot read the room: the homeserver leads from page to page in a circle")]
    Circle,
    /// The room says too much to be read to the end.
    #[error("cannot read the room: the question is further back than {max_pages} pages")]
    TooFar {
        /// Pages that are read.
        max_pages: usize,
    },
    /// The question is not in the room.
    #[error("cannot read the room: the question is not there any more")]
    NoQuestion,
    /// Messages of the room are encrypted.
    #[error("the room is encrypted: votes in it cannot be read")]
    Encrypted,
    /// Our account is not in the room.
    #[error("`{0}` is not in the room")]
    NotIn(Account),
}

impl Error {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::Down { .. } | Error::Busy { .. } => {
                "run the same command again later: nothing is posted twice"
            }
            Error::Refused { status: 401, .. } => "put a new access token into the token file",
            Error::Refused { status: 403, .. } | Error::NotIn(_) => {
                "invite the account to the room and let it join; it needs the power to send messages"
            }
            Error::Refused { status: 404, .. } => "check `homeserver` and `room` in `room.toml`",
            Error::Encrypted => {
                "use a room without encryption: its name and votes are as public as the release"
            }
            Error::NoQuestion | Error::TooFar { .. } => {
                "let people vote with `stationmaster vote`, and close with `--without-room`"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        exit::NETWORK
    }
}
