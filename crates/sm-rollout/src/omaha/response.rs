//! What a server answers.

use std::fmt;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use sm_model::{FileName, Sha256, Version};

use super::{
    AppId, Error, Limits, PROTOCOL, Url,
    xml::{self, Element},
};

/// A response: one answer per application of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Name of the server.
    pub server: String,
    /// Seconds since midnight at the server; clients ignore it.
    pub day_start_secs: u32,
    /// Answers, in the order of the request's applications.
    pub apps: Vec<AppResponse>,
}

/// The answer to one `<app>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppResponse {
    /// Which application.
    pub app_id: AppId,
    /// Whether the server knows it.
    pub status: AppStatus,
    /// The request had a `<ping>`.
    pub ping: bool,
    /// How many events the request reported; each is acknowledged.
    pub events: usize,
    /// The answer to `<updatecheck>`, if the request had one.
    pub update_check: Option<UpdateCheck>,
}

/// `<app status>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppStatus {
    /// Known.
    Ok,
    /// `error-unknownApplication`.
    UnknownApplication,
    /// Any other status, as the server sent it.
    Other(String),
}

impl fmt::Display for AppStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AppStatus::Ok => "ok",
            AppStatus::UnknownApplication => "error-unknownApplication",
            AppStatus::Other(text) => text,
        })
    }
}

/// `<updatecheck>`: an offer, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateCheck {
    /// When the server wants the client back, in seconds (`PollInterval`).
    pub poll_interval_secs: Option<u32>,
    /// The release to install; `None` is `noupdate`.
    pub offer: Option<OfferedRelease>,
}

/// A release on offer. The first package is the OS payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedRelease {
    /// Version of the release.
    pub version: Version,
    /// Directories that hold every package, best first; at least one.
    pub urls: Vec<Url>,
    /// The OS payload.
    pub payload: OfferedPackage,
    /// Further files of the release that hosts may want.
    pub extras: Vec<OfferedPackage>,
}

/// One file on offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedPackage {
    /// Its name below every URL.
    pub name: FileName,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

impl OfferedPackage {
    /// Largest file that a client accepts: blobs of a CrAU payload end below 4 GiB (`data_offset` has 32 bits).
    pub const MAX_SIZE_BYTES: u64 = 4 << 30;
}

impl Response {
    /// Reads a response, as an agent does.
    ///
    /// # Errors
    /// When the document is not an Omaha v3 response within [`Limits::DEFAULT`], or offers something no client may take: an
    /// unsafe file name, a size of zero or beyond [`OfferedPackage::MAX_SIZE_BYTES`], no digest, two digests that differ,
    /// more than one manifest.
    pub fn parse(document: &[u8]) -> Result<Self, Error> {
        let root = xml::parse(document, &Limits::DEFAULT)?;
        if root.name() != "response" {
            return Err(Error::Structure("`<response>` as the root element"));
        }
        if !root.required("protocol")?.starts_with("3.") {
            return Err(root.bad("protocol", "a version `3.x`"));
        }
        let day_start = root.first("daystart");
        Ok(Response {
            server: root.get("server").unwrap_or_default().to_owned(),
            day_start_secs: day_start.and_then(|day| day.get("elapsed_seconds")?.parse().ok()).unwrap_or(0),
            apps: root.all("app").map(parse_app).collect::<Result<_, _>>()?,
        })
    }

    /// Writes a response, as a server does: in the form that both update_engine and ue-rs accept.
    pub fn to_bytes(&self) -> Vec<u8> {
        Element::new("response")
            .with("protocol", PROTOCOL)
            .with("server", &self.server)
            .child(Element::new("daystart").with("elapsed_seconds", self.day_start_secs))
            .children(self.apps.iter().map(app_element))
            .to_bytes()
    }
}

fn parse_app(app: &Element) -> Result<AppResponse, Error> {
    let status = match app.required("status")? {
        "ok" => AppStatus::Ok,
        "error-unknownApplication" => AppStatus::UnknownApplication,
        other => AppStatus::Other(other.chars().take(80).collect()),
    };
    Ok(AppResponse {
        app_id: app.parsed("appid", "an application id")?,
        status,
        ping: app.first("ping").is_some(),
        events: app.all("event").count(),
        update_check: app.first("updatecheck").map(parse_update_check).transpose()?,
    })
}

fn parse_update_check(check: &Element) -> Result<UpdateCheck, Error> {
    let offer = match check.required("status")? {
        "ok" => Some(parse_offer(check)?),
        "noupdate" => None,
        _ => return Err(check.bad("status", "`ok` or `noupdate`")),
    };
    Ok(UpdateCheck { poll_interval_secs: check.optional("PollInterval", "a number of seconds")?, offer })
}

fn parse_offer(check: &Element) -> Result<OfferedRelease, Error> {
    let urls = check.first("urls").ok_or(Error::Structure("`<urls>` in an offer"))?;
    let urls = urls
        .all("url")
        .map(|url| url.parsed("codebase", "a plain http or https URL"))
        .collect::<Result<Vec<_>, _>>()?;
    let mut manifests = check.all("manifest");
    let (Some(manifest), None, false) = (manifests.next(), manifests.next(), urls.is_empty()) else {
        return Err(Error::Structure("exactly one `<manifest>` and at least one `<url>` in an offer"));
    };
    let version = manifest.parsed("version", "MAJOR.LEVEL.PATCH")?;
    let packages = manifest.first("packages").ok_or(Error::Structure("`<packages>` in a manifest"))?;
    let mut packages = packages.all("package");
    let first = packages.next().ok_or(Error::Structure("at least one `<package>`"))?;
    let payload = parse_payload(first, post_install(manifest)?)?;
    let extras = packages.filter(|package| package.get("hash_sha256").is_some()).map(parse_package);
    Ok(OfferedRelease { version, urls, payload, extras: extras.collect::<Result<_, _>>()? })
}

/// The first action after installing; it carries the payload's digest (update_engine reads no other).
fn post_install(manifest: &Element) -> Result<&Element, Error> {
    manifest
        .first("actions")
        .and_then(|actions| actions.all("action").find(|action| action.get("event") == Some("postinstall")))
        .ok_or(Error::Structure("an `<action event=\"postinstall\">` in a manifest"))
}

fn parse_payload(package: &Element, action: &Element) -> Result<OfferedPackage, Error> {
    let mut bytes = [0; Sha256::LEN];
    let decoded = Base64::decode(action.required("sha256")?, &mut bytes).map(<[u8]>::len);
    if decoded != Ok(Sha256::LEN) {
        return Err(action.bad("sha256", "a SHA-256 digest in base64"));
    }
    let sha256 = Sha256(bytes);
    if package.optional::<Sha256>("hash_sha256", "64 hexadecimal digits")?.is_some_and(|hex| hex != sha256) {
        return Err(package.bad("hash_sha256", "the digest that the action names"));
    }
    parse_sized(package, sha256)
}

fn parse_package(package: &Element) -> Result<OfferedPackage, Error> {
    parse_sized(package, package.parsed("hash_sha256", "64 hexadecimal digits")?)
}

fn parse_sized(package: &Element, sha256: Sha256) -> Result<OfferedPackage, Error> {
    let size_bytes = package.parsed("size", "a number of bytes")?;
    if !(1..=OfferedPackage::MAX_SIZE_BYTES).contains(&size_bytes) {
        return Err(package.bad("size", "1 to 4294967296 bytes"));
    }
    Ok(OfferedPackage { name: package.parsed("name", "a safe file name")?, size_bytes, sha256 })
}

fn app_element(app: &AppResponse) -> Element {
    Element::new("app")
        .with("appid", &app.app_id)
        .with("status", &app.status)
        .children(app.ping.then(|| Element::new("ping").with("status", "ok")))
        .children((0..app.events).map(|_| Element::new("event").with("status", "ok")))
        .children(app.update_check.as_ref().map(update_check_element))
}

fn update_check_element(check: &UpdateCheck) -> Element {
    let status = if check.offer.is_some() { "ok" } else { "noupdate" };
    let element = Element::new("updatecheck")
        .with("status", status)
        .with_some("PollInterval", check.poll_interval_secs);
    match &check.offer {
        None => element,
        Some(offer) => element.child(urls_element(&offer.urls)).child(manifest_element(offer)),
    }
}

fn urls_element(urls: &[Url]) -> Element {
    Element::new("urls")
        .children(urls.iter().map(|url| Element::new("url").with("codebase", url.as_directory())))
}

fn manifest_element(offer: &OfferedRelease) -> Element {
    let packages = Element::new("packages")
        .child(package_element(&offer.payload).with("required", true))
        .children(offer.extras.iter().map(|extra| package_element(extra).with("required", false)));
    // A host tries the next mirror after one failure instead of after ten, and never waits days between attempts.
    let action = Element::new("action")
        .with("event", "postinstall")
        .with("sha256", Base64::encode_string(offer.payload.sha256.as_bytes()))
        .with("needsadmin", false)
        .with("IsDeltaPayload", false)
        .with("DisablePayloadBackoff", true)
        .with("MaxFailureCountPerUrl", 1);
    Element::new("manifest")
        .with("version", offer.version)
        .child(packages)
        .child(Element::new("actions").child(action))
}

fn package_element(package: &OfferedPackage) -> Element {
    Element::new("package")
        .with("name", &package.name)
        .with("hash_sha256", package.sha256)
        .with("size", package.size_bytes)
}

#[cfg(test)]
mod tests;
