//! Addresses and answers of the client-server API as bytes. Opens no connection; every answer is read with limits.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Map, Value};
use sm_release::room::{Account, account::RoomId, words::clean};

/// Largest answer but for pages and members: more than any of these has.
pub const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// Largest list of members: 100,000 of them.
pub const MAX_MEMBERS_BYTES: u64 = 32 << 20;
/// Longest code or words of a refusal that are shown, in characters.
const MAX_WORDS_CHARS: usize = 200;
/// Events that are asked for at once.
pub const PAGE_EVENTS: usize = 100;

const BASE: &str = "/_matrix/client/v3";

/// Text as one segment of a path (RFC 3986, section 2.3: what needs no encoding).
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Who we are (section "GET /account/whoami").
pub fn whoami(homeserver: &str) -> String {
    format!("{homeserver}{BASE}/account/whoami")
}

/// Who is in a room (section "GET /rooms/{roomId}/joined_members").
pub fn members(homeserver: &str, room: &RoomId) -> String {
    format!("{homeserver}{BASE}/rooms/{}/joined_members", segment(room.as_str()))
}

/// Whether a room is encrypted (section "GET /rooms/{roomId}/state/{eventType}").
pub fn encryption(homeserver: &str, room: &RoomId) -> String {
    format!("{homeserver}{BASE}/rooms/{}/state/m.room.encryption/", segment(room.as_str()))
}

/// Sends a message (section "PUT /rooms/{roomId}/send/{eventType}/{txnId}").
pub fn send(homeserver: &str, room: &RoomId, transaction: &str) -> String {
    let (room, transaction) = (segment(room.as_str()), segment(transaction));
    format!("{homeserver}{BASE}/rooms/{room}/send/m.room.message/{transaction}")
}

/// A page of a room, from the newest event backwards (section "GET /rooms/{roomId}/messages").
pub fn messages(homeserver: &str, room: &RoomId, from: Option<&str>) -> String {
    let from = from.map_or_else(String::new, |token| format!("&from={}", segment(token)));
    format!("{homeserver}{BASE}/rooms/{}/messages?dir=b&limit={PAGE_EVENTS}{from}", segment(room.as_str()))
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(bytes).ok()
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

/// The answer to [`whoami`].
pub fn read_whoami(bytes: &[u8]) -> Option<Account> {
    text(&object(bytes)?, "user_id")?.parse().ok()
}

/// The answer to [`members`]. Accounts with ids that nobody can type are left out: they speak for nobody.
pub fn read_members(bytes: &[u8]) -> Option<BTreeSet<Account>> {
    let answer = object(bytes)?;
    let joined = answer.get("joined")?.as_object()?;
    Some(joined.keys().filter_map(|id| id.parse().ok()).collect())
}

/// The answer to [`send`]: the event's id.
pub fn read_sent(bytes: &[u8]) -> Option<String> {
    text(&object(bytes)?, "event_id").filter(|id| id.starts_with('$') && id.len() <= 255)
}

/// What a server says with a status that is not success (section "Standard error response").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct No {
    /// The code: `M_FORBIDDEN`.
    pub code: String,
    /// In words.
    pub words: String,
    /// How long to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// Reads a refusal. What is none has no code.
pub fn read_no(bytes: &[u8]) -> No {
    let answer = object(bytes).unwrap_or_default();
    let short = |key: &str| {
        let words = text(&answer, key).unwrap_or_default();
        clean(&words).chars().take(MAX_WORDS_CHARS).collect::<String>()
    };
    let code = Some(short("errcode")).filter(|code| !code.is_empty());
    No {
        code: code.unwrap_or_else(|| "nothing".to_owned()),
        words: short("error"),
        retry_after_ms: answer.get("retry_after_ms").and_then(Value::as_u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_an_id_stays_in_its_segment() {
        let room: RoomId = "!a/../b?c#d:x".parse().unwrap();
        assert_eq!(
            send("http://h", &room, "stationmaster-poll-1/2"),
            "http://h/_matrix/client/v3/rooms/%21a%2F..%2Fb%3Fc%23d%3Ax/send/m.room.message/stationmaster-poll-1%2F2"
        );
        assert!(
            messages("http://h", &room, Some("t1&dir=f"))
                .ends_with("/messages?dir=b&limit=100&from=t1%26dir%3Df")
        );
        assert_eq!(segment("é"), "%C3%A9");
    }

    #[test]
    fn answers_are_read_and_nothing_else_is() {
        assert_eq!(read_whoami(br#"{"user_id":"@bot:x","device_id":"D"}"#).unwrap().as_str(), "@bot:x");
        let members =
            read_members(br#"{"joined":{"@a:x":{"display_name":"@b:x"},"nobody":{},"@c:x":{}}}"#).unwrap();
        assert_eq!(members.iter().map(Account::as_str).collect::<Vec<_>>(), ["@a:x", "@c:x"]);
        assert_eq!(read_sent(br#"{"event_id":"$1"}"#).as_deref(), Some("$1"));
        for bad in [
            &b""[..],
            b"[]",
            b"{}",
            b"{\"user_id\":5}",
            b"{\"joined\":[]}",
            b"{\"event_id\":\"1\"}",
            b"<html>",
        ] {
            assert!(read_whoami(bad).is_none() && read_members(bad).is_none() && read_sent(bad).is_none());
        }
    }

    #[test]
    fn a_refusal_is_shown_short_and_cannot_steer_a_terminal() {
        let no = read_no(br#"{"errcode":"M_LIMIT_EXCEEDED","error":"\u001b[2Jslow","retry_after_ms":1500}"#);
        let expected = No {
            code: "M_LIMIT_EXCEEDED".to_owned(),
            words: "[2Jslow".to_owned(),
            retry_after_ms: Some(1500),
        };
        assert_eq!(no, expected);
        assert_eq!(read_no(b"<html>502</html>").code, "nothing");
        let long = format!("{{\"error\":\"{}\"}}", "x".repeat(5000));
        assert_eq!(read_no(long.as_bytes()).words.len(), MAX_WORDS_CHARS);
        assert_eq!(read_no(br#"{"retry_after_ms":-1}"#).retry_after_ms, None);
    }
}
