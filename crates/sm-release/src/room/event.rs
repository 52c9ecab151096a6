//! Pages of a room's timeline as a server gives them (Matrix client-server API 1.14, `GET /rooms/{roomId}/messages`), read with
//! limits. What an event says is taken over as it is: whether it is a vote is not decided here.

use serde_json::{Map, Value};
use sm_model::{Sha256, Timestamp, canonical};

use super::account::{Account, RoomId};
use crate::proof::digest_bytes;

/// Largest page: stops a server that sends without end.
pub const MAX_PAGE_BYTES: usize = 8 << 20;
/// Events of a page at most: more than any server gives.
pub const MAX_PAGE_EVENTS: usize = 1000;
/// Largest event, in canonical bytes: servers take 65 536 (section "Size limits").
pub const MAX_EVENT_BYTES: usize = 64 << 10;
/// Longest token that says where the next page begins.
pub const MAX_TOKEN_BYTES: usize = 1024;

/// What is kept of an event: what its sender said, and its place. Changing this changes the digests that ballots name.
pub const RAW_KEYS: [&str; 8] =
    ["content", "event_id", "origin_server_ts", "redacts", "room_id", "sender", "state_key", "type"];

/// A page that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPage {
    /// It is too large.
    #[error("the page is larger than {MAX_PAGE_BYTES} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the page is not JSON")]
    Json(#[from] serde_json::Error),
    /// It is JSON and no page.
    #[error("the answer is no page of a timeline: expected `chunk` with at most {MAX_PAGE_EVENTS} events")]
    Shape,
}

/// Events in the order the server gives them, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Events that could be read. Others are nobody's vote.
    pub events: Vec<RoomEvent>,
    /// Where the next page begins; absent on the last.
    pub end: Option<String>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomEvent {
    /// Its id.
    pub id: String,
    /// The room that it names.
    pub room: Option<RoomId>,
    /// Who sent it.
    pub sender: Account,
    /// When, as the sender's server says; never what anything is decided by.
    pub sent: Option<Timestamp>,
    /// What it is.
    pub what: What,
    /// The canonical bytes of [`RAW_KEYS`]: without what the server adds for whoever asks, so the same at every reading.
    pub raw: String,
}

/// What an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A message that a person wrote.
    Message {
        /// Its text.
        text: String,
        /// What it is about.
        about: About,
    },
    /// A message of a program, with what it carries for programs.
    Notice {
        /// What [`super::post`] put there: the digest that the post is about, by kind.
        marks: Map<String, Value>,
    },
    /// A reaction.
    Reaction {
        /// With what: an emoji.
        key: String,
        /// To which event.
        to: String,
    },
    /// Something whose content is gone: only the server removes it, and it says by which event.
    Removed {
        /// The event that asked for it. Absent when the server does not tell.
        by: Option<Box<RoomEvent>>,
    },
    /// The request to remove an event.
    Removal,
    /// A message that only members with keys can read.
    Encrypted,
    /// Anything else.
    Other,
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Nothing in particular.
    Nothing,
    /// It answers another event, or stands in its thread.
    Answer(Vec<String>),
    /// It takes the place of another event.
    Edit(String),
}

impl RoomEvent {
    /// Digest of [`RoomEvent::raw`].
    pub fn digest(&self) -> Sha256 {
        digest_bytes(self.raw.as_bytes())
    }

    /// Reads one event from its [`RoomEvent::raw`] bytes. `None` when it is none.
    pub fn parse(raw: &str) -> Option<RoomEvent> {
        if raw.len() > MAX_EVENT_BYTES {
            return None;
        }
        event_of(serde_json::from_str(raw).ok()?)
    }
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When it is too large or no page. Single events that make no sense are left out.
    pub fn parse(bytes: &[u8]) -> Result<Page, InvalidPage> {
        if bytes.len() > MAX_PAGE_BYTES {
            return Err(InvalidPage::TooLarge);
        }
        let mut page: Map<String, Value> = serde_json::from_slice(bytes)?;
        let Some(Value::Array(chunk)) = page.remove("chunk") else { return Err(InvalidPage::Shape) };
        if chunk.len() > MAX_PAGE_EVENTS {
            return Err(InvalidPage::Shape);
        }
        let end = match page.remove("end") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) if token.len() <= MAX_TOKEN_BYTES => Some(token),
            Some(_) => return Err(InvalidPage::Shape),
        };
        Ok(Page { events: chunk.into_iter().filter_map(event_of).collect(), end })
    }
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

fn event_of(value: Value) -> Option<RoomEvent> {
    let Value::Object(mut object) = value else { return None };
    let unsigned = object.remove("unsigned");
    let id = text(&object, "event_id").filter(|id| id.starts_with('$') && id.len() <= 255)?.to_owned();
    let sender = text(&object, "sender")?.parse().ok()?;
    let room = match object.get("room_id") {
        None => None,
        Some(room) => Some(room.as_str()?.parse().ok()?),
    };
    let millis = object.get("origin_server_ts").and_then(Value::as_i64);
    let sent = millis.and_then(|millis| Timestamp::from_unix_secs(millis / 1000).ok());
    let what = what(&object, unsigned);
    object.retain(|key, _| RAW_KEYS.contains(&key.as_str()));
    let raw = canonical::to_text(&object).ok().filter(|raw| raw.len() <= MAX_EVENT_BYTES)?;
    Some(RoomEvent { id, room, sender, sent, what, raw })
}

fn what(object: &Map<String, Value>, unsigned: Option<Value>) -> What {
    if let Some(because) = redacted_because(unsigned) {
        // A removal can be removed as well, but what it says of itself then does not matter: one level is read.
        let by = because.filter(|value| value.is_object()).and_then(|mut value| {
            value.as_object_mut()?.remove("unsigned");
            event_of(value)
        });
        return What::Removed { by: by.map(Box::new) };
    }
    let empty = Map::new();
    let content = object.get("content").and_then(Value::as_object).unwrap_or(&empty);
    if object.contains_key("state_key") {
        return What::Other;
    }
    match text(object, "type") {
        Some("m.room.message") if content.is_empty() => What::Removed { by: None },
        Some("m.room.message") => message(content),
        Some("m.reaction") => reaction(content),
        Some("m.room.redaction") => What::Removal,
        Some("m.room.encrypted") => What::Encrypted,
        _ => What::Other,
    }
}

/// The event by which the server removed this one's content: `Some(None)` when it only says that it did.
fn redacted_because(unsigned: Option<Value>) -> Option<Option<Value>> {
    let Some(Value::Object(mut unsigned)) = unsigned else { return None };
    let because = unsigned.remove("redacted_because");
    if because.is_some() || unsigned.contains_key("redacted_by") { Some(because) } else { None }
}

fn message(content: &Map<String, Value>) -> What {
    match text(content, "msgtype") {
        Some("m.text") => {
            let text = text(content, "body").unwrap_or_default().to_owned();
            What::Message { text, about: about(content) }
        }
        Some("m.notice") => {
            let ours = content.iter().filter(|(key, _)| key.starts_with(super::post::MARK_PREFIX));
            What::Notice { marks: ours.map(|(key, value)| (key.clone(), value.clone())).collect() }
        }
        _ => What::Other,
    }
}

fn about(content: &Map<String, Value>) -> About {
    let Some(relation) = content.get("m.relates_to").and_then(Value::as_object) else {
        return About::Nothing;
    };
    let event = text(relation, "event_id").map(str::to_owned);
    let answered = relation.get("m.in_reply_to").and_then(Value::as_object);
    let answered = answered.and_then(|to| text(to, "event_id")).map(str::to_owned);
    match (text(relation, "rel_type"), event) {
        (Some("m.replace"), Some(event)) => About::Edit(event),
        (Some("m.thread"), Some(event)) => About::Answer(answered.into_iter().chain([event]).collect()),
        _ => answered.map_or(About::Nothing, |event| About::Answer(vec![event])),
    }
}

fn reaction(content: &Map<String, Value>) -> What {
    let relation = content.get("m.relates_to").and_then(Value::as_object);
    let parts = relation
        .filter(|relation| text(relation, "rel_type") == Some("m.annotation"))
        .and_then(|r| Some((text(r, "key")?.to_owned(), text(r, "event_id")?.to_owned())));
    parts.map_or(What::Other, |(key, to)| What::Reaction { key, to })
}
