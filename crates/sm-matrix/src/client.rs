//! Requests to a homeserver: sent again when that may help, waiting as long as the server asks, for a bounded time in all. A request
//! that is sent again is the same request: reads change nothing, and posts carry a transaction id.

use std::time::Duration;

use serde_json::Value;
use sm_host::{
    clock::Clock,
    fetch::{Bearer, Body, Fetch, FetchError, Method, Request},
};
use sm_release::room::Account;

use crate::{Error, wire};

/// How often one request is sent at most.
pub const MAX_ATTEMPTS: usize = 6;
/// Seconds that one request waits between attempts at most, all waits together.
pub const MAX_WAIT_SECS: u64 = 120;
/// Bytes that are read of a refusal.
const MAX_REFUSAL_BYTES: u64 = 4096;

/// A homeserver and what opens it.
pub struct Client<'a> {
    homeserver: String,
    token: Bearer,
    fetch: &'a dyn Fetch,
    clock: &'a dyn Clock,
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("homeserver", &self.homeserver).finish_non_exhaustive()
    }
}

impl<'a> Client<'a> {
    /// A client for a homeserver: `https://matrix.example.org`.
    pub fn new(homeserver: &str, token: Bearer, fetch: &'a dyn Fetch, clock: &'a dyn Clock) -> Client<'a> {
        Client { homeserver: homeserver.to_owned(), token, fetch, clock }
    }

    /// The server's address.
    pub fn homeserver(&self) -> &str {
        &self.homeserver
    }

    /// The account that the token belongs to.
    ///
    /// # Errors
    /// When the server cannot be reached or does not know the token.
    pub fn whoami(&self) -> Result<Account, Error> {
        let what = "ask who we are";
        let bytes = self.get(what, wire::whoami(&self.homeserver), wire::MAX_ANSWER_BYTES)?;
        wire::read_whoami(&bytes).ok_or(Error::Answer { what })
    }

    /// GET.
    pub(crate) fn get(&self, what: &'static str, url: String, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        self.ask(what, &Request::get(url, limit_bytes))
    }

    /// PUT of a document.
    pub(crate) fn put(&self, what: &'static str, url: String, document: &Value) -> Result<Vec<u8>, Error> {
        let content_type = "application/json".to_owned();
        let body = Body { method: Method::Put, content_type, bytes: document.to_string().into_bytes() };
        self.ask(what, &Request { body: Some(body), ..Request::get(url, wire::MAX_ANSWER_BYTES) })
    }

    fn ask(&self, what: &'static str, request: &Request) -> Result<Vec<u8>, Error> {
        let request = Request {
            bearer: Some(self.token.clone()),
            refusal_limit_bytes: MAX_REFUSAL_BYTES,
            ..request.clone()
        };
        let mut waited_secs = 0;
        for attempt in 1.. {
            let failure = match self.fetch.bytes(&request) {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => failure,
            };
            let wait_secs = wait(what, attempt, &failure)?;
            if attempt >= MAX_ATTEMPTS {
                return Err(Error::Down { what, attempts: attempt, source: failure });
            }
            waited_secs += wait_secs;
            if waited_secs > MAX_WAIT_SECS {
                return Err(Error::Busy { what, wait_secs });
            }
            self.clock.sleep(Duration::from_secs(wait_secs));
        }
        Err(Error::Answer { what })
    }
}

/// Seconds to wait before asking again; an error when asking again does not help.
fn wait(what: &'static str, attempt: usize, failure: &FetchError) -> Result<u64, Error> {
    let patience = 1_u64 << attempt.min(6) >> 1;
    match failure {
        FetchError::Status { status, refusal, .. } => {
            let no = wire::read_no(&refusal.body);
            // `Retry-After` since version 1.10 of the specification, the field in the body before (section "Rate limiting").
            let asked = no.retry_after_ms.map(|ms| ms.div_ceil(1000)).max(refusal.retry_after_secs);
            match status {
                429 => Ok(asked.unwrap_or(patience)),
                500.. => Ok(asked.unwrap_or(patience)),
                _ => Err(Error::Refused { what, status: *status, code: no.code, words: no.words }),
            }
        }
        FetchError::Transport { .. } => Ok(patience),
        // More than the limit, or less than announced: the first is no answer, the second a broken connection.
        FetchError::Length { .. } => Ok(patience),
        _ => Err(Error::Answer { what }),
    }
}
