//! Bounded HTTP: the only place that opens client connections. Every transfer has a byte limit and time limits; redirects are
//! followed from http to https, but never back.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read, Write},
    sync::Mutex,
    time::Duration,
};

/// Time limits of one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To resolve the name and connect.
    pub connect: Duration,
    /// To get the response's headers.
    pub response: Duration,
    /// The body may take this long, plus its limit at [`MIN_BYTES_PER_SEC`].
    pub body: Duration,
}

/// A server that sends slower than this is given up: a connection can then be stalled on purpose only for so long.
pub const MIN_BYTES_PER_SEC: u64 = 64 * 1024;

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(30),
            response: Duration::from_secs(60),
            body: Duration::from_secs(60),
        }
    }
}

/// What proves to a server who asks. Never shown: its debug form hides it, and no error names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(pub String);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// POST.
    Post,
    /// PUT: sending it twice comes to the same.
    Put,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// How it is sent.
    pub method: Method,
    /// Its media type.
    pub content_type: String,
    /// It.
    pub bytes: Vec<u8>,
}

/// One HTTP request, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// What it carries; a GET without.
    pub body: Option<Body>,
    /// Proves who asks.
    pub bearer: Option<Bearer>,
    /// Bytes kept of the body of an answer that is not success: 0 unless the protocol says something there.
    pub refusal_limit_bytes: u64,
    /// First byte wanted: sends `Range: bytes=N-` when above 0.
    pub start_bytes: u64,
    /// Only send the rest if the file still has this `ETag` (RFC 9110, section 13.1.5).
    pub if_range: Option<String>,
    /// Bytes of body accepted at most: stops a server that never ends.
    pub limit_bytes: u64,
}

impl Request {
    /// A GET of the whole resource of at most `limit_bytes`.
    pub fn get(url: impl Into<String>, limit_bytes: u64) -> Self {
        Request {
            url: url.into(),
            body: None,
            bearer: None,
            refusal_limit_bytes: 0,
            start_bytes: 0,
            if_range: None,
            limit_bytes,
        }
    }

    /// A POST whose answer has at most `limit_bytes`.
    pub fn post(url: impl Into<String>, content_type: &str, body: Vec<u8>, limit_bytes: u64) -> Self {
        let content_type = content_type.to_owned();
        let body = Some(Body { method: Method::Post, content_type, bytes: body });
        Request { body, ..Request::get(url, limit_bytes) }
    }

    /// Whether it asks for TLS. Schemes are in any case (RFC 3986, section 3.1).
    fn is_tls(&self) -> bool {
        const SCHEME: &str = "https://";
        self.url.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
    }

    /// The same request for the bytes from `start_bytes` on.
    #[must_use]
    pub fn from_byte(mut self, start_bytes: u64, if_range: Option<String>) -> Self {
        self.start_bytes = start_bytes;
        self.if_range = if_range;
        self
    }
}

/// What the server said before the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// 200, or 206 when the body starts at [`Request::start_bytes`].
    pub status: u16,
    /// `Content-Length`, where the server sent one.
    pub length_bytes: Option<u64>,
    /// `ETag`, where the server sent one.
    pub etag: Option<String>,
}

/// What the server said along with a status that is not success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// `Retry-After` in seconds, where the server sent one.
    pub retry_after_secs: Option<u64>,
    /// The first [`Request::refusal_limit_bytes`] of the body.
    pub body: Vec<u8>,
}

/// A transfer that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server answered with a status that is not success.
    #[error("`{url}` answered with HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// What it said.
        refusal: Refusal,
    },
    /// No connection, a broken one, or no answer in time.
    #[error("cannot fetch `{url}`: {reason}")]
    Transport {
        /// What was asked for.
        url: String,
        /// The transport's words.
        reason: String,
    },
    /// The body ended before, or went on after, where it should have.
    #[error("`{url}` sent {got_bytes} bytes, expected {expected}")]
    Length {
        /// What was asked for.
        url: String,
        /// Bytes that came.
        got_bytes: u64,
        /// What was expected, in words.
        expected: String,
    },
    /// The receiver of the body refused it.
    #[error("cannot keep what `{url}` sends")]
    Sink {
        /// What was asked for.
        url: String,
        /// The receiver's reason.
        source: io::Error,
    },
}

impl FetchError {
    /// The HTTP status, where the server sent one.
    pub fn status(&self) -> Option<u16> {
        match self {
            FetchError::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            FetchError::Status { status: 404, .. } => {
                Some("check the address; the file may have been superseded".to_owned())
            }
            FetchError::Status { status: 500.., .. } | FetchError::Transport { .. } => {
                Some("check the network, then run the same command again: it goes on where it was".to_owned())
            }
            _ => None,
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            FetchError::Sink { .. } => sm_model::exit::STORAGE,
            _ => sm_model::exit::NETWORK,
        }
    }
}

/// Receives a response: its head once, then its body piece by piece.
pub trait Sink {
    /// Takes the head; an error ends the transfer.
    ///
    /// # Errors
    /// Whatever makes the receiver refuse.
    fn head(&mut self, head: &Head) -> io::Result<()>;

    /// Takes the next bytes of the body; an error ends the transfer.
    ///
    /// # Errors
    /// Whatever makes the receiver refuse.
    fn body(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Any writer receives bodies and ignores heads.
impl<W: Write> Sink for W {
    fn head(&mut self, _head: &Head) -> io::Result<()> {
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

/// Sends requests.
pub trait Fetch: Send + Sync {
    /// Sends one request and passes the response to `sink`. Returns when the whole body has arrived.
    ///
    /// # Errors
    /// When the server cannot be reached, answers with an error, sends too much or too little, or the sink refuses.
    fn fetch(&self, request: &Request, sink: &mut dyn Sink) -> Result<Head, FetchError>;

    /// The whole body in memory.
    ///
    /// # Errors
    /// As [`Fetch::fetch`].
    fn bytes(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        self.fetch(request, &mut body)?;
        Ok(body)
    }
}

/// HTTP over the network. Cheap to clone; keeps connections alive.
#[derive(Debug, Clone)]
pub struct HttpFetch {
    agent: ureq::Agent,
    timeouts: Timeouts,
}

impl HttpFetch {
    /// A client that says it is `user_agent`.
    pub fn new(user_agent: &str, timeouts: Timeouts) -> Self {
        let config = ureq::Agent::config_builder()
            .user_agent(user_agent)
            .http_status_as_error(false)
            .timeout_connect(Some(timeouts.connect))
            .timeout_resolve(Some(timeouts.connect))
            .timeout_recv_response(Some(timeouts.response))
            .tls_config(ureq::tls::TlsConfig::builder().root_certs(root_certificates()).build())
            .max_redirects(5)
            .max_idle_connections_per_host(8)
            .build();
        HttpFetch { agent: config.into(), timeouts }
    }

    /// What is asked for `tls_only` is not fetched without TLS, wherever a redirect leads.
    fn send(
        &self,
        request: &Request,
        tls_only: bool,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let body_time = self.timeouts.body + Duration::from_secs(request.limit_bytes / MIN_BYTES_PER_SEC);
        let bearer = request.bearer.as_ref().map(|bearer| format!("Bearer {}", bearer.0));
        let Some(body) = &request.body else {
            let get = self.agent.get(&request.url).config();
            let get = get.timeout_recv_body(Some(body_time)).https_only(tls_only).build();
            let mut get = get.header("Accept-Encoding", "identity");
            if let Some(bearer) = bearer {
                get = get.header("Authorization", bearer);
            }
            if request.start_bytes > 0 {
                get = get.header("Range", format!("bytes={}-", request.start_bytes));
                if let Some(etag) = &request.if_range {
                    get = get.header("If-Range", etag);
                }
            }
            return get.call();
        };
        let send = match body.method {
            Method::Post => self.agent.post(&request.url),
            Method::Put => self.agent.put(&request.url),
        };
        let mut send = send.config().timeout_recv_body(Some(body_time)).https_only(tls_only).build();
        if let Some(bearer) = bearer {
            send = send.header("Authorization", bearer);
        }
        send.header("Content-Type", &body.content_type).send(body.bytes.as_slice())
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self, request: &Request, sink: &mut dyn Sink) -> Result<Head, FetchError> {
        let broken = |error: &dyn fmt::Display| FetchError::Transport {
            url: request.url.clone(),
            reason: error.to_string(),
        };
        let mut response = self.send(request, request.is_tls()).map_err(|error| broken(&error))?;
        let head = head_of(&response);
        if !matches!(head.status, 200 | 206) {
            let refusal = refusal_of(&mut response, request.refusal_limit_bytes);
            return Err(FetchError::Status { url: request.url.clone(), status: head.status, refusal });
        }
        let refused = |source| FetchError::Sink { url: request.url.clone(), source };
        sink.head(&head).map_err(refused)?;
        let mut body = response.body_mut().as_reader();
        copy_body(request, &head, &mut body, sink)?;
        Ok(head)
    }
}

/// Where Debian and Boxcar keep the certificate authorities that the host's operator trusts.
const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Largest bundle read: several times what distributions ship.
const MAX_CA_BUNDLE_BYTES: u64 = 8 << 20;

/// The host's certificate authorities; Mozilla's, compiled in, where the host has none.
fn root_certificates() -> ureq::tls::RootCerts {
    let bundle = crate::files::read_limited(CA_BUNDLE.as_ref(), MAX_CA_BUNDLE_BYTES).unwrap_or_default();
    let certificates = certificates_in(&bundle);
    if certificates.is_empty() {
        ureq::tls::RootCerts::WebPki
    } else {
        ureq::tls::RootCerts::new_with_certs(&certificates)
    }
}

fn certificates_in(pem: &[u8]) -> Vec<ureq::tls::Certificate<'static>> {
    let items = ureq::tls::parse_pem(pem).filter_map(Result::ok);
    items
        .filter_map(|item| match item {
            ureq::tls::PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect()
}

fn head_of(response: &ureq::http::Response<ureq::Body>) -> Head {
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Head {
        status: response.status().as_u16(),
        length_bytes: header("content-length").and_then(|text| text.parse().ok()),
        etag: header("etag"),
    }
}

fn refusal_of(response: &mut ureq::http::Response<ureq::Body>, limit_bytes: u64) -> Refusal {
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after_secs = header.and_then(|text| text.parse().ok());
    let mut body = Vec::new();
    if limit_bytes > 0 {
        // What breaks off here is told by the status.
        let _ = response.body_mut().as_reader().take(limit_bytes).read_to_end(&mut body);
    }
    Refusal { retry_after_secs, body }
}

fn copy_body(
    request: &Request,
    head: &Head,
    body: &mut dyn Read,
    sink: &mut dyn Sink,
) -> Result<(), FetchError> {
    let url = || request.url.clone();
    let mut buffer = vec![0; 128 * 1024];
    let mut got_bytes = 0_u64;
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FetchError::Transport { url: url(), reason: error.to_string() }),
        };
        got_bytes += n as u64;
        if got_bytes > request.limit_bytes {
            let expected = format!("at most {}", request.limit_bytes);
            return Err(FetchError::Length { url: url(), got_bytes, expected });
        }
        sink.body(&buffer[..n]).map_err(|source| FetchError::Sink { url: url(), source })?;
    }
    match head.length_bytes {
        Some(length) if length != got_bytes => {
            Err(FetchError::Length { url: url(), got_bytes, expected: length.to_string() })
        }
        _ => Ok(()),
    }
}

/// What a fake server does when asked for a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Sends these bytes; honours ranges.
    Bytes(Vec<u8>),
    /// Sends these bytes from the start, whatever range was asked for.
    BytesIgnoringRange(Vec<u8>),
    /// Announces all of these bytes and breaks off after the given number of them.
    BreaksAfter(Vec<u8>, u64),
    /// Answers with this status.
    Status(u16),
    /// Cannot be reached.
    Unreachable,
}

/// A server made of a table. URLs that it does not have are 404.
#[derive(Debug, Default)]
pub struct FakeFetch {
    answers: Mutex<BTreeMap<String, Vec<Answer>>>,
    asked: Mutex<Vec<Request>>,
}

impl FakeFetch {
    /// A server without any file.
    pub fn new() -> Self {
        FakeFetch::default()
    }

    /// Gives every request for `url` this answer, from now on.
    pub fn serve(&self, url: &str, answer: Answer) {
        self.serve_in_turn(url, vec![answer]);
    }

    /// Gives requests for `url` these answers in turn; the last one for ever.
    pub fn serve_in_turn(&self, url: &str, answers: Vec<Answer>) {
        locked(&self.answers).insert(url.to_owned(), answers);
    }

    /// Everything that was asked for, in order.
    pub fn asked(&self) -> Vec<Request> {
        locked(&self.asked).clone()
    }

    fn next_answer(&self, url: &str) -> Answer {
        match locked(&self.answers).get_mut(url) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers.first().cloned().unwrap_or(Answer::Status(404)),
            None => Answer::Status(404),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Fetch for FakeFetch {
    fn fetch(&self, request: &Request, sink: &mut dyn Sink) -> Result<Head, FetchError> {
        locked(&self.asked).push(request.clone());
        let url = request.url.clone();
        let (bytes, start, breaks_after) = match self.next_answer(&url) {
            Answer::Status(status) => {
                return Err(FetchError::Status { url, status, refusal: Refusal::default() });
            }
            Answer::Unreachable => {
                return Err(FetchError::Transport { url, reason: "connection refused".to_owned() });
            }
            Answer::BytesIgnoringRange(bytes) => (bytes, 0, None),
            Answer::Bytes(bytes) => (bytes, request.start_bytes, None),
            Answer::BreaksAfter(bytes, n) => (bytes, request.start_bytes, Some(n)),
        };
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
        let body = &bytes[start..];
        let status = if start > 0 { 206 } else { 200 };
        let head = Head { status, length_bytes: Some(body.len() as u64), etag: None };
        sink.head(&head).map_err(|source| FetchError::Sink { url: url.clone(), source })?;
        let cut =
            breaks_after.map_or(body.len(), |n| usize::try_from(n).unwrap_or(usize::MAX).min(body.len()));
        copy_body(request, &Head { length_bytes: None, ..head.clone() }, &mut &body[..cut], sink)?;
        match breaks_after {
            Some(_) => Err(FetchError::Transport { url, reason: "connection reset".to_owned() }),
            None => Ok(head),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::BufRead,
        net::{TcpListener, TcpStream},
    };

    /// Serves each connection one canned response and hands back what the client sent.
    fn canned_server(response: &'static [u8]) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = read_request(&stream);
            stream.write_all(response).unwrap();
            request
        });
        (url, server)
    }

    fn read_request(stream: &TcpStream) -> String {
        let lines = io::BufReader::new(stream).lines().map(Result::unwrap);
        lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n").to_lowercase()
    }

    fn client() -> HttpFetch {
        HttpFetch::new("stationmaster-test", Timeouts::default())
    }

    #[test]
    fn a_body_arrives_whole() {
        let (url, server) = canned_server(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"e\"\r\nConnection: close\r\n\r\nhello",
        );
        let mut body = Vec::new();
        let head = client().fetch(&Request::get(url, 5), &mut body).unwrap();
        assert_eq!(body, b"hello");
        assert_eq!(head, Head { status: 200, length_bytes: Some(5), etag: Some("\"e\"".to_owned()) });
        assert!(server.join().unwrap().contains("user-agent: stationmaster-test"));
    }

    #[test]
    fn a_resumed_transfer_asks_for_the_rest() {
        let (url, server) = canned_server(
            b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\nConnection: close\r\n\r\nlo",
        );
        let request = Request::get(url, 5).from_byte(3, Some("\"e\"".to_owned()));
        assert_eq!(client().bytes(&request).unwrap(), b"lo");
        let sent = server.join().unwrap();
        assert!(sent.contains("range: bytes=3-") && sent.contains("if-range: \"e\""), "{sent}");
    }

    #[test]
    fn an_endless_body_is_cut_at_the_limit() {
        let (url, _server) = canned_server(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nmuch too much");
        assert!(matches!(client().bytes(&Request::get(url, 4)), Err(FetchError::Length { .. })));
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        let (url, _server) =
            canned_server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf");
        let error = client().bytes(&Request::get(url, 100)).unwrap_err();
        assert!(matches!(error, FetchError::Transport { .. } | FetchError::Length { .. }), "{error:?}");
    }

    #[test]
    fn what_is_asked_for_under_tls_is_not_fetched_without() {
        let is_tls = |url: &str| Request::get(url, 10).is_tls();
        assert!(is_tls("https://h/x") && is_tls("HTTPS://h/x"));
        assert!(!is_tls("http://h/https://") && !is_tls("https") && !is_tls(""));
        // Refused before anybody is asked: nobody listens there.
        for request in
            [Request::get("http://127.0.0.1:9/", 10), Request::post("http://127.0.0.1:9/", "a/b", vec![], 10)]
        {
            let error = client().send(&request, true).unwrap_err();
            assert!(matches!(error, ureq::Error::RequireHttpsOnly(_)), "{error:?}");
        }
    }

    #[test]
    fn an_error_status_is_told_apart_from_a_broken_connection() {
        let (url, _server) =
            canned_server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(client().bytes(&Request::get(url, 4)).unwrap_err().status(), Some(404));
        assert!(matches!(
            client().bytes(&Request::get("http://127.0.0.1:1/", 4)),
            Err(FetchError::Transport { .. })
        ));
    }

    #[test]
    fn who_asks_is_sent_and_never_shown() {
        let (url, server) =
            canned_server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let body = Some(Body { method: Method::Put, content_type: "a/b".to_owned(), bytes: Vec::new() });
        let bearer = Some(Bearer("hush".to_owned()));
        let request = Request { body, bearer, ..Request::get(url, 4) };
        assert!(!format!("{request:?}").contains("hush"));
        client().bytes(&request).unwrap();
        let sent = server.join().unwrap();
        assert!(sent.starts_with("put ") && sent.contains("authorization: bearer hush"), "{sent}");
    }

    #[test]
    fn what_a_server_says_when_it_refuses_is_kept_up_to_the_limit() {
        let (url, _server) = canned_server(
            b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        );
        let request = Request { refusal_limit_bytes: 4, ..Request::get(url, 4) };
        let Err(FetchError::Status { status: 429, refusal, .. }) = client().bytes(&request) else {
            panic!("the server refuses")
        };
        assert_eq!(refusal, Refusal { retry_after_secs: Some(7), body: b"hell".to_vec() });
    }

    #[test]
    fn the_fake_breaks_off_where_told_and_resumes() {
        let fake = FakeFetch::new();
        fake.serve_in_turn(
            "u",
            vec![Answer::BreaksAfter(b"hello".to_vec(), 2), Answer::Bytes(b"hello".to_vec())],
        );
        let mut body = Vec::new();
        assert!(fake.fetch(&Request::get("u", 5), &mut body).is_err());
        assert_eq!(body, b"he");
        fake.fetch(&Request::get("u", 5).from_byte(2, None), &mut body).unwrap();
        assert_eq!(body, b"hello");
    }

    #[test]
    fn certificates_are_taken_from_a_bundle_and_nothing_else_is() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        let bundle = format!("# a comment\n{certificate}{key}{certificate}");
        assert_eq!(certificates_in(bundle.as_bytes()).len(), 2);
        assert!(certificates_in(b"no certificates here").is_empty());
    }
}
