//! A homeserver in memory with one room: speaks the requests we use, does what real ones do with edits, removals and transaction ids,
//! and can be told to misbehave. For tests and for scripts that are played.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};
use sm_host::fetch::{Bearer, Fetch, FetchError, Head, Refusal, Request, Sink};

/// Where it is.
pub const ADDRESS: &str = "http://localhost";
/// What opens it.
pub const TOKEN: &str = "token";
/// Its room.
pub const ROOM: &str = "!room:localhost";
/// The account that the token belongs to.
pub const BOT: &str = "@stationmaster:localhost";

/// What it does with the next request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Does not answer.
    Unreachable,
    /// Does what it is asked, and the answer is lost.
    LosesAnswer,
    /// Refuses with a status and a document.
    Refuses(u16, Value),
    /// Refuses with a status and `Retry-After`, in seconds.
    RetryAfter(u16, u64),
    /// Answers with these bytes.
    Says(Vec<u8>),
}

#[derive(Debug)]
struct State {
    events: Vec<Value>,
    transactions: BTreeMap<String, String>,
    faults: VecDeque<Fault>,
    asked: Vec<String>,
    members: Vec<String>,
    page_events: usize,
    is_down: bool,
    is_encrypted: bool,
    is_circular: bool,
}

/// A homeserver with one room.
#[derive(Debug)]
pub struct FakeHomeserver(Mutex<State>);

impl Default for FakeHomeserver {
    fn default() -> Self {
        FakeHomeserver::new()
    }
}

impl FakeHomeserver {
    /// One whose room has our account in it and gives a few events a page.
    pub fn new() -> Self {
        FakeHomeserver(Mutex::new(State {
            events: Vec::new(),
            transactions: BTreeMap::new(),
            faults: VecDeque::new(),
            asked: Vec::new(),
            members: vec![BOT.to_owned()],
            page_events: 2,
            is_down: false,
            is_encrypted: false,
            is_circular: false,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this with the next requests, one each.
    pub fn fails(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Whether it answers at all.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Encrypts the room.
    pub fn encrypt(&self) {
        self.state().is_encrypted = true;
    }

    /// Forgets transaction ids, as servers do after a while.
    pub fn forget_transactions(&self) {
        self.state().transactions.clear();
    }

    /// Makes every page lead to itself.
    pub fn go_in_circles(&self) {
        self.state().is_circular = true;
    }

    /// An account enters the room.
    pub fn join(&self, account: &str) {
        let mut state = self.state();
        if !state.members.iter().any(|member| member == account) {
            state.members.push(account.to_owned());
        }
    }

    /// An account leaves the room.
    pub fn leave(&self, account: &str) {
        self.state().members.retain(|member| member != account);
    }

    /// A message, an answer to another event if one is named. Gives its id.
    pub fn say(&self, sender: &str, text: &str, answers: Option<&str>) -> String {
        let mut content = json!({ "msgtype": "m.text", "body": text });
        if let Some(event) = answers {
            content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": event } });
        }
        self.state().add(sender, "m.room.message", content)
    }

    /// A reaction. Gives its id.
    pub fn react(&self, sender: &str, key: &str, to: &str) -> String {
        let relation = json!({ "rel_type": "m.annotation", "key": key, "event_id": to });
        self.state().add(sender, "m.reaction", json!({ "m.relates_to": relation }))
    }

    /// An edit of a message.
    pub fn edit(&self, sender: &str, of: &str, text: &str) -> String {
        let relation = json!({ "rel_type": "m.replace", "event_id": of });
        let new = json!({ "msgtype": "m.text", "body": text });
        let body = format!("* {text}");
        let content =
            json!({ "msgtype": "m.text", "body": body, "m.new_content": new, "m.relates_to": relation });
        self.state().add(sender, "m.room.message", content)
    }

    /// Removes what an event says.
    pub fn remove(&self, sender: &str, id: &str) {
        let mut state = self.state();
        state.add(sender, "m.room.redaction", json!({ "redacts": id }));
        let because = state.events.last().cloned();
        if let Some(event) = state.events.iter_mut().find(|event| event["event_id"] == id) {
            event["content"] = json!({});
            event["unsigned"] = json!({ "redacted_because": because });
        }
    }

    /// Everything in the room, oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.state().events.clone()
    }

    /// Requests so far.
    pub fn n_asked(&self) -> usize {
        self.state().asked.len()
    }
}

impl State {
    fn add(&mut self, sender: &str, kind: &str, content: Value) -> String {
        let id = format!("${}", self.events.len());
        self.events.push(json!({ "event_id": id, "sender": sender, "type": kind, "room_id": ROOM,
            "content": content, "origin_server_ts": 1000 }));
        id
    }

    fn answer(&mut self, request: &Request) -> Result<Value, (u16, Value)> {
        if request.bearer != Some(Bearer(TOKEN.to_owned())) {
            return Err((401, json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token" })));
        }
        let path = request.url.strip_prefix(ADDRESS).unwrap_or_default();
        let path = path.strip_prefix("/_matrix/client/v3").unwrap_or_default();
        let not_found = || Err((404, json!({ "errcode": "M_NOT_FOUND", "error": "no" })));
        match path.strip_prefix("/rooms/%21room%3Alocalhost").unwrap_or(path) {
            "/account/whoami" => Ok(json!({ "user_id": BOT })),
            "/joined_members" => {
                let joined: Map<String, Value> =
                    self.members.iter().map(|member| (member.clone(), json!({}))).collect();
                Ok(json!({ "joined": joined }))
            }
            "/state/m.room.encryption/" if self.is_encrypted => {
                Ok(json!({ "algorithm": "m.megolm.v1.aes-sha2" }))
            }
            path if path.starts_with("/messages?") => Ok(self.page(path)),
            path if path.starts_with("/send/") => self.send(path, request),
            _ => not_found(),
        }
    }

    fn page(&self, path: &str) -> Value {
        let from = path.split("&from=").nth(1).and_then(|token| token.parse().ok());
        let from = from.unwrap_or(self.events.len()).min(self.events.len());
        let start = from.saturating_sub(self.page_events);
        let chunk: Vec<&Value> = self.events[start..from].iter().rev().collect();
        match start {
            _ if self.is_circular => json!({ "chunk": chunk, "end": from.to_string() }),
            0 => json!({ "chunk": chunk }),
            _ => json!({ "chunk": chunk, "end": start.to_string() }),
        }
    }

    fn send(&mut self, path: &str, request: &Request) -> Result<Value, (u16, Value)> {
        if !self.members.iter().any(|member| member == BOT) {
            return Err((403, json!({ "errcode": "M_FORBIDDEN", "error": "not in the room" })));
        }
        if let Some(id) = self.transactions.get(path) {
            return Ok(json!({ "event_id": id }));
        }
        let body = request.body.as_ref().map(|body| body.bytes.as_slice()).unwrap_or_default();
        let Ok(content) = serde_json::from_slice(body) else {
            return Err((400, json!({ "errcode": "M_NOT_JSON", "error": "no JSON" })));
        };
        let id = self.add(BOT, "m.room.message", content);
        self.transactions.insert(path.to_owned(), id.clone());
        Ok(json!({ "event_id": id }))
    }

    /// The bytes that come back, or how the request fails.
    fn respond(&mut self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let url = || request.url.clone();
        let broken = || FetchError::Transport { url: url(), reason: "connection reset".to_owned() };
        let refuse = |status, words: &Value, retry_after_secs| {
            let body = words.to_string().into_bytes();
            Err(FetchError::Status { url: url(), status, refusal: Refusal { retry_after_secs, body } })
        };
        match self.faults.pop_front() {
            Some(Fault::Unreachable) => Err(broken()),
            Some(Fault::LosesAnswer) => {
                let _lost = self.answer(request);
                Err(broken())
            }
            Some(Fault::Refuses(status, words)) => refuse(status, &words, None),
            Some(Fault::RetryAfter(status, secs)) => refuse(status, &json!({}), Some(secs)),
            Some(Fault::Says(bytes)) => Ok(bytes),
            None if self.is_down => Err(broken()),
            None => match self.answer(request) {
                Ok(answer) => Ok(answer.to_string().into_bytes()),
                Err((status, words)) => refuse(status, &words, None),
            },
        }
    }
}

impl Fetch for FakeHomeserver {
    fn fetch(&self, request: &Request, sink: &mut dyn Sink) -> Result<Head, FetchError> {
        let mut state = self.state();
        state.asked.push(request.url.clone());
        let body = state.respond(request)?;
        let (url, got_bytes) = (request.url.clone(), body.len() as u64);
        if got_bytes > request.limit_bytes {
            let expected = format!("at most {}", request.limit_bytes);
            return Err(FetchError::Length { url, got_bytes, expected });
        }
        let head = Head { status: 200, length_bytes: Some(got_bytes), etag: None };
        let taken = sink.head(&head).and_then(|()| sink.body(&body));
        taken.map_err(|source| FetchError::Sink { url, source })?;
        Ok(head)
    }
}
