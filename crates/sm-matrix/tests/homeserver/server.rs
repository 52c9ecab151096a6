//! A Synapse of our own: installed into the cache once, started on this machine for one test, and gone with it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use sm_host::{
    clock::{Clock, SystemClock},
    fetch::{Bearer, Body, Fetch, FetchError, HttpFetch, Method, Request, Timeouts},
    process::{Invocation, Runner, Running, SystemRunner},
};

/// The one that this test was written against.
const VERSION: &str = "1.163.2";
/// Messages that one account can send a second; then it is told to wait.
const RATE: &str = "{per_second: 4, burst_count: 4}";
/// How long it may take to come up.
const START_SECS: u32 = 120;

pub(crate) struct Server {
    address: String,
    config: PathBuf,
    python: PathBuf,
    fetch: HttpFetch,
    _process: Running,
    _folder: tempfile::TempDir,
}

/// An account that is logged in.
pub(crate) struct Person<'a> {
    server: &'a Server,
    pub(crate) token: String,
}

/// A program with this process's environment: the package index is what the host's own settings say.
fn program(path: impl Into<PathBuf>) -> Invocation {
    std::env::vars_os().fold(Invocation::new(path), |program, (key, value)| program.env(key, value))
}

fn run(invocation: &Invocation) {
    SystemRunner.run(invocation).unwrap_or_else(|error| panic!("{error}"));
}

/// Python with Synapse in it.
fn installed() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("there is a home folder")).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("stationmaster");
    let place = cache.join(format!("synapse-{VERSION}"));
    let python = |place: &Path| place.join("bin/python");
    if !place.exists() {
        fs::create_dir_all(&cache).unwrap();
        let part = tempfile::Builder::new().prefix(".synapse-").tempdir_in(&cache).unwrap();
        run(&program("python3").args(["-m", "venv"]).arg(part.path()));
        let wanted = format!("matrix-synapse=={VERSION}");
        run(&program(python(part.path())).args(["-m", "pip", "install", "--quiet", &wanted]));
        // Whoever was quicker installed the same.
        let _ = fs::rename(part.keep(), &place);
    }
    python(&place)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    pub(crate) fn start() -> Server {
        let (python, port) = (installed(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("homeserver.yaml");
        fs::write(&config, configuration(folder.path(), port)).unwrap();
        let homeserver =
            || program(&python).args(["-m", "synapse.app.homeserver", "--config-path"]).arg(&config);
        run(&homeserver().arg("--generate-keys"));
        let process = SystemRunner.spawn(&homeserver(), Stdio::null(), Stdio::null()).unwrap();
        let timeouts = Timeouts { response: Duration::from_secs(30), ..Timeouts::default() };
        let server = Server {
            address: format!("http://127.0.0.1:{port}"),
            config,
            python,
            fetch: HttpFetch::new("stationmaster-test", timeouts),
            _process: process,
            _folder: folder,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        let versions = Request::get(format!("{}/_matrix/client/versions", self.address), 1 << 20);
        for _ in 0..START_SECS * 5 {
            if self.fetch.bytes(&versions).is_ok() {
                return;
            }
            SystemClock.sleep(Duration::from_millis(200));
        }
        panic!("the homeserver did not come up in {START_SECS} s");
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn register(&self, name: &str, kind: &str) {
        let register = program(&self.python).args(["-m", "synapse._scripts.register_new_matrix_user"]);
        run(&register.arg("-c").arg(&self.config).args(["-u", name, "-p", "password", kind, &self.address]));
    }

    /// Somebody with a token of their own making.
    pub(crate) fn stranger(&self, token: &str) -> Person<'_> {
        Person { server: self, token: token.to_owned() }
    }

    /// Logs in as a device.
    pub(crate) fn login(&self, name: &str, device: &str) -> Person<'_> {
        let nobody = self.stranger("");
        let wish = json!({ "type": "m.login.password", "device_id": device, "password": "password",
            "identifier": { "type": "m.id.user", "user": name } });
        let answer = nobody.ask(Method::Post, "/_matrix/client/v3/login", &wish);
        Person { server: self, token: answer["access_token"].as_str().unwrap().to_owned() }
    }
}

fn configuration(folder: &Path, port: u16) -> String {
    let place = folder.display();
    format!(
        "server_name: localhost\n\
         pid_file: {place}/pid\n\
         listeners: [{{port: {port}, bind_addresses: [127.0.0.1], type: http, tls: false, \
         resources: [{{names: [client]}}]}}]\n\
         database: {{name: sqlite3, args: {{database: {place}/homeserver.db}}}}\n\
         media_store_path: {place}/media\n\
         signing_key_path: {place}/signing.key\n\
         registration_shared_secret: registration\n\
         macaroon_secret_key: macaroon\n\
         form_secret: form\n\
         report_stats: false\n\
         trusted_key_servers: []\n\
         federation_domain_whitelist: []\n\
         rc_message: {RATE}\n\
         rc_login: {{address: {{per_second: 1000, burst_count: 1000}}, account: {{per_second: 1000, burst_count: 1000}}}}\n"
    )
}

impl Person<'_> {
    /// Asks for something, and waits as often as the server says.
    pub(crate) fn ask(&self, method: Method, path: &str, document: &Value) -> Value {
        let content_type = "application/json".to_owned();
        let body = Body { method, content_type, bytes: document.to_string().into_bytes() };
        let request = Request {
            body: Some(body),
            bearer: Some(Bearer(self.token.clone())).filter(|_| !self.token.is_empty()),
            refusal_limit_bytes: 4096,
            ..Request::get(format!("{}{path}", self.server.address), 1 << 20)
        };
        loop {
            match self.server.fetch.bytes(&request) {
                Ok(bytes) => return serde_json::from_slice(&bytes).unwrap(),
                Err(FetchError::Status { status: 429, .. }) => SystemClock.sleep(Duration::from_millis(300)),
                Err(FetchError::Status { status, refusal, .. }) => {
                    panic!("{path}: {status} {}", String::from_utf8_lossy(&refusal.body))
                }
                Err(error) => panic!("{path}: {error}"),
            }
        }
    }

    /// Makes a public room.
    pub(crate) fn room(&self, initial_state: &Value) -> String {
        let wish = json!({ "preset": "public_chat", "initial_state": initial_state });
        let answer = self.ask(Method::Post, "/_matrix/client/v3/createRoom", &wish);
        answer["room_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn join(&self, room: &str) {
        self.ask(Method::Post, &format!("/_matrix/client/v3/join/{room}"), &json!({}));
    }

    pub(crate) fn leave(&self, room: &str) {
        self.ask(Method::Post, &format!("/_matrix/client/v3/rooms/{room}/leave"), &json!({}));
    }

    /// Sends an event; gives its id.
    pub(crate) fn send(&self, room: &str, kind: &str, transaction: &str, content: &Value) -> String {
        let path = format!("/_matrix/client/v3/rooms/{room}/send/{kind}/{transaction}");
        self.ask(Method::Put, &path, content)["event_id"].as_str().unwrap().to_owned()
    }

    /// Removes what an event says.
    pub(crate) fn redact(&self, room: &str, event: &str, transaction: &str) {
        let path = format!("/_matrix/client/v3/rooms/{room}/redact/{event}/{transaction}");
        self.ask(Method::Put, &path, &json!({}));
    }

    /// Takes somebody out of the limits.
    pub(crate) fn unlimit(&self, account: &str) {
        let path = format!("/_synapse/admin/v1/users/{account}/override_ratelimit");
        self.ask(Method::Post, &path, &json!({ "messages_per_second": 0, "burst_count": 0 }));
    }
}
