//! What a client sends.

use std::fmt;

use sm_model::report::{EventKind, EventResult};

use super::{
    AppId, Error, Limits, PROTOCOL,
    xml::{self, Element},
};

/// A request: who asks, and what each of its applications wants or reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The client program, such as `update_engine-0.4.10`; empty when it did not say.
    pub updater: String,
    /// What made the client ask.
    pub install_source: InstallSource,
    /// The operating system below.
    pub os: Os,
    /// At least one application.
    pub apps: Vec<AppRequest>,
}

/// What made a client ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallSource {
    /// The client's own timer.
    Scheduler,
    /// A person (`ondemandupdate`, and ue-rs' `ondemand`).
    OnDemand,
    /// Anything else, or nothing.
    Other(String),
}

impl InstallSource {
    fn from_text(text: &str) -> Self {
        match text {
            "scheduler" => InstallSource::Scheduler,
            "ondemandupdate" | "ondemand" => InstallSource::OnDemand,
            other => InstallSource::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for InstallSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InstallSource::Scheduler => "scheduler",
            InstallSource::OnDemand => "ondemandupdate",
            InstallSource::Other(text) => text,
        })
    }
}

/// The `<os>` element. Clients name the CPU only here and in the application's board.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// `CoreOS`, `Boxcar`, …
    pub platform: String,
    /// update_engine writes the constant `Chateau`.
    pub version: String,
    /// `<version>_<uname -m>`.
    pub sp: String,
    /// Nebraska's syncer names its architecture here, update_engine never does.
    pub arch: Option<String>,
}

/// One `<app>`: an instance of an application.
///
/// Texts are as the client sent them, at most [`AppRequest::MAX_TEXT_LEN`] bytes and free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRequest {
    /// Which application.
    pub app_id: AppId,
    /// The version that runs.
    pub version: String,
    /// The group (`GROUP`) that the client follows.
    pub track: String,
    /// `amd64-usr`, …
    pub board: Option<String>,
    /// `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// A name that the operator gave to the machine.
    pub machine_alias: Option<String>,
    /// The kernel's boot id, in braces.
    pub boot_id: Option<String>,
    /// Platform the machine runs on, such as `qemu`.
    pub oem: Option<String>,
    /// Version of the platform's files.
    pub oem_version: Option<String>,
    /// First version the machine ever ran.
    pub aleph_version: Option<String>,
    /// The client can take several manifests (syncers only).
    pub multi_manifest_ok: bool,
    /// `<ping>` is there, and it is `active`.
    pub ping: bool,
    /// `<updatecheck>` is there: the client wants an answer about updates.
    pub update_check: bool,
    /// What happened since the last request.
    pub events: Vec<Event>,
}

impl AppRequest {
    /// Longest text of an attribute other than an event's reason, in bytes.
    pub const MAX_TEXT_LEN: usize = 256;

    /// An application that neither asks nor reports yet.
    pub fn new(app_id: AppId, version: impl ToString, track: impl ToString) -> Self {
        AppRequest {
            app_id,
            version: version.to_string(),
            track: track.to_string(),
            board: None,
            machine_id: None,
            machine_alias: None,
            boot_id: None,
            oem: None,
            oem_version: None,
            aleph_version: None,
            multi_manifest_ok: false,
            ping: false,
            update_check: false,
            events: Vec::new(),
        }
    }
}

/// One `<event>`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// How it went.
    pub result: EventResult,
    /// Why it went wrong, as a number.
    pub error_code: Option<i64>,
    /// The version before. update_engine sends `0.0.0.0` on its first check and an empty text when there is nothing to tell.
    pub previous_version: Option<String>,
    /// Why it went wrong, in words: our own attribute, which other servers ignore.
    pub reason: Option<String>,
}

impl Event {
    /// Longest reason an agent should send, in bytes; longer ones are cut by [`Event::failure`].
    pub const MAX_REASON_LEN: usize = 4096;

    /// `previous_version` of a host's very first check.
    pub const NEVER_CHECKED: &str = "0.0.0.0";

    /// Whether this is the "this version runs" that clients send with every check, and no news.
    pub fn is_routine(&self) -> bool {
        (self.kind, self.result) == (EventKind::UpdateComplete, EventResult::SuccessReboot)
            && matches!(self.previous_version.as_deref(), None | Some("" | Event::NEVER_CHECKED))
    }

    /// An event without numbers and words.
    pub const fn new(kind: EventKind, result: EventResult) -> Self {
        Event { kind, result, error_code: None, previous_version: None, reason: None }
    }

    /// A failed update. The reason is cut to [`Event::MAX_REASON_LEN`], at a character; what XML cannot spell is replaced before.
    pub fn failure(error_code: i64, reason: &str) -> Self {
        let reason = xml::legal_characters(reason);
        let longest = Event::MAX_REASON_LEN.min(reason.len());
        let end = (0..=longest).rev().find(|&at| reason.is_char_boundary(at)).unwrap_or(0);
        let reason = reason[..end].to_owned();
        Event {
            error_code: Some(error_code),
            reason: Some(reason),
            ..Event::new(EventKind::UpdateComplete, EventResult::Error)
        }
    }
}

impl Event {
    /// Bytes that it takes in a request, at most.
    pub(crate) fn encoded_bytes(&self) -> usize {
        event_element(self).to_bytes().len()
    }
}

impl Request {
    /// Reads a request, as a server does.
    ///
    /// # Errors
    /// When the document is not an Omaha v3 request within [`Limits::DEFAULT`].
    pub fn parse(document: &[u8]) -> Result<Self, Error> {
        let root = xml::parse(document, &Limits::DEFAULT)?;
        if root.name() != "request" {
            return Err(Error::Structure("`<request>` as the root element"));
        }
        if !root.required("protocol")?.starts_with("3.") {
            return Err(root.bad("protocol", "a version `3.x`"));
        }
        let apps = root.all("app").map(parse_app).collect::<Result<Vec<_>, _>>()?;
        if apps.is_empty() {
            return Err(Error::Structure("at least one `<app>`"));
        }
        let updater = text(&root, "updaterversion")?.or(text(&root, "version")?).unwrap_or_default();
        let install_source = text(&root, "installsource")?.unwrap_or_default();
        Ok(Request {
            updater,
            install_source: InstallSource::from_text(&install_source),
            os: root.first("os").map(parse_os).transpose()?.unwrap_or_default(),
            apps,
        })
    }

    /// Writes a request, as an agent does.
    pub fn to_bytes(&self) -> Vec<u8> {
        let os = Element::new("os")
            .with("version", &self.os.version)
            .with("platform", &self.os.platform)
            .with("sp", &self.os.sp)
            .with_some("arch", self.os.arch.as_ref());
        Element::new("request")
            .with("protocol", PROTOCOL)
            .with("version", &self.updater)
            .with("updaterversion", &self.updater)
            .with("installsource", &self.install_source)
            .with("ismachine", 1)
            .child(os)
            .children(self.apps.iter().map(app_element))
            .to_bytes()
    }
}

fn parse_os(os: &Element) -> Result<Os, Error> {
    Ok(Os {
        platform: text(os, "platform")?.unwrap_or_default(),
        version: text(os, "version")?.unwrap_or_default(),
        sp: text(os, "sp")?.unwrap_or_default(),
        arch: text(os, "arch")?,
    })
}

fn parse_app(app: &Element) -> Result<AppRequest, Error> {
    Ok(AppRequest {
        app_id: app.parsed("appid", "an application id")?,
        version: text(app, "version")?.unwrap_or_default(),
        track: text(app, "track")?.unwrap_or_default(),
        board: text(app, "board")?,
        machine_id: text(app, "machineid")?,
        machine_alias: text(app, "machinealias")?,
        boot_id: text(app, "bootid")?,
        oem: text(app, "oem")?,
        oem_version: text(app, "oemversion")?,
        aleph_version: text(app, "alephversion")?,
        multi_manifest_ok: app.get("multi_manifest_ok") == Some("true"),
        ping: app.first("ping").is_some_and(|ping| ping.get("active") != Some("0")),
        update_check: app.first("updatecheck").is_some(),
        events: app.all("event").map(parse_event).collect::<Result<_, _>>()?,
    })
}

fn parse_event(event: &Element) -> Result<Event, Error> {
    Ok(Event {
        kind: EventKind::from_number(event.parsed("eventtype", "a number")?),
        result: EventResult::from_number(event.parsed("eventresult", "a number")?),
        error_code: event.optional("errorcode", "a number")?,
        previous_version: text_or_empty(event, "previousversion")?,
        reason: event.get("reason").map(str::to_owned),
    })
}

/// A short text without control characters; absent and empty are the same.
fn text(element: &Element, name: &'static str) -> Result<Option<String>, Error> {
    Ok(text_or_empty(element, name)?.filter(|value| !value.is_empty()))
}

fn text_or_empty(element: &Element, name: &'static str) -> Result<Option<String>, Error> {
    match element.get(name) {
        Some(value) if value.len() > AppRequest::MAX_TEXT_LEN || value.contains(char::is_control) => {
            Err(element.bad(name, "at most 256 bytes without control characters"))
        }
        value => Ok(value.map(str::to_owned)),
    }
}

fn app_element(app: &AppRequest) -> Element {
    Element::new("app")
        .with("appid", &app.app_id)
        .with("version", &app.version)
        .with("track", &app.track)
        .with_some("bootid", app.boot_id.as_ref())
        .with_some("oem", app.oem.as_ref())
        .with_some("oemversion", app.oem_version.as_ref())
        .with_some("alephversion", app.aleph_version.as_ref())
        .with_some("machineid", app.machine_id.as_ref())
        .with_some("machinealias", app.machine_alias.as_ref())
        .with("lang", "en-US")
        .with_some("board", app.board.as_ref())
        .with("hardware_class", "")
        .with("delta_okay", false)
        .with_some("multi_manifest_ok", app.multi_manifest_ok.then_some(true))
        .children(app.ping.then(|| Element::new("ping").with("active", 1)))
        .children(app.update_check.then(|| Element::new("updatecheck")))
        .children(app.events.iter().map(event_element))
}

fn event_element(event: &Event) -> Element {
    Element::new("event")
        .with("eventtype", event.kind.number())
        .with("eventresult", event.result.number())
        .with_some("errorcode", event.error_code)
        .with_some("previousversion", event.previous_version.as_ref())
        .with_some("reason", event.reason.as_ref())
}

#[cfg(test)]
mod tests;
