//! The release directory over HTTP: files with conditional requests and ranges, folders as listings.
//!
//! Read-only, bounded memory whatever the size of a file. A path reaches only regular files and folders below the
//! release directory whose every component is a safe name; a symbolic link counts as where it leads.

mod body;
mod conditional;
mod listing;
mod path;
mod range;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, response::Builder},
    response::{IntoResponse, Response},
};
use sm_host::descriptors;
use sm_model::FileName;

use self::{
    body::FileBody,
    conditional::{ETag, Reply, Validators},
};
use crate::{app::App, manifests::Manifests, refusal::Refusal};

/// The release directory, by its canonical path.
#[derive(Debug, Clone)]
pub(crate) struct ReleaseFiles {
    root: PathBuf,
    manifests: Arc<Manifests>,
}

/// What a path leads to.
#[derive(Debug)]
enum Found {
    File(Opened),
    Folder(Vec<listing::Entry>),
    /// A folder without its final slash.
    Elsewhere(String),
}

/// A file, opened, with what its headers tell.
#[derive(Debug)]
struct Opened {
    file: File,
    size_bytes: u64,
    validators: Validators,
    content_type: &'static str,
    lifetime: Lifetime,
}

/// How long a cache may keep an answer.
#[derive(Debug, Clone, Copy)]
enum Lifetime {
    /// A file of a version: the version is used once, ever.
    Forever,
    /// Anything that a later release changes.
    AskAgain,
}

/// `GET` and `HEAD` of everything that is no other route.
pub(crate) async fn serve(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return app.refuse(Refusal::Method { allowed: "GET, HEAD" });
    }
    let files = app.files.clone();
    let path = uri.path().to_owned();
    let found = tokio::task::spawn_blocking(move || files.find(&path)).await;
    match found.unwrap_or_else(|panic| Err(Refusal::Disk(io::Error::other(panic)))) {
        Ok(Found::File(opened)) => opened.answer(&app, &method, &headers),
        Ok(Found::Folder(entries)) => {
            listing::page(uri.path(), &entries, listing::wants_json(&uri, &headers))
        }
        Ok(Found::Elsewhere(location)) => {
            (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
        }
        Err(refusal) => app.refuse(refusal),
    }
}

impl ReleaseFiles {
    /// `root` must be canonical.
    pub(crate) fn new(root: PathBuf, manifests: Arc<Manifests>) -> ReleaseFiles {
        ReleaseFiles { root, manifests }
    }

    fn find(&self, url_path: &str) -> Result<Found, Refusal> {
        let names = path::components(url_path).ok_or(Refusal::NotFound)?;
        let asked = names.iter().fold(self.root.clone(), |path, name| path.join(name));
        let actual = asked.canonicalize().map_err(not_found_or_disk)?;
        if !actual.starts_with(&self.root) {
            return Err(Refusal::NotFound);
        }
        let metadata = actual.metadata().map_err(not_found_or_disk)?;
        if metadata.is_dir() && !url_path.ends_with('/') {
            // Built from checked names, so that it can neither leave this host nor carry a header.
            return Ok(Found::Elsewhere(path::absolute(&names) + "/"));
        }
        if metadata.is_dir() {
            return listing::read(&actual).map(Found::Folder).map_err(not_found_or_disk);
        }
        if !metadata.is_file() || url_path.ends_with('/') {
            return Err(Refusal::NotFound);
        }
        self.open(&actual, &names).map(Found::File).map_err(not_found_or_disk)
    }

    fn open(&self, actual: &Path, names: &[FileName]) -> io::Result<Opened> {
        let file = File::open(actual)?;
        let metadata = file.metadata()?;
        let size_bytes = metadata.len();
        // HTTP dates have whole seconds.
        let modified =
            metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let digest = self.digest(actual, size_bytes);
        let moves = names.iter().any(|name| name.as_str() == "current");
        Ok(Opened {
            file,
            size_bytes,
            lifetime: if digest.is_some() && !moves { Lifetime::Forever } else { Lifetime::AskAgain },
            validators: Validators {
                etag: digest.unwrap_or_else(|| ETag::weak(size_bytes, modified)),
                modified: SystemTime::UNIX_EPOCH + Duration::from_secs(modified),
            },
            content_type: content_type(names.last().map_or("", FileName::as_str)),
        })
    }

    /// The digest that the manifest beside the file gives, if it names the file with this size.
    fn digest(&self, actual: &Path, size_bytes: u64) -> Option<ETag> {
        let manifest = self.manifests.of(actual.parent()?).ok()?;
        let name = actual.file_name()?.to_str()?;
        let artifact = manifest.artifacts.iter().find(|artifact| artifact.name.as_str() == name)?;
        (artifact.size_bytes == size_bytes).then(|| ETag::strong(artifact.sha256))
    }
}

impl Opened {
    fn answer(self, app: &Arc<App>, method: &Method, headers: &HeaderMap) -> Response {
        let whole = 0..self.size_bytes;
        let (status, range) = match conditional::reply(method, headers, &self.validators, self.size_bytes) {
            Reply::Whole => (StatusCode::OK, whole),
            Reply::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Reply::NotModified => return finish(self.headers(StatusCode::NOT_MODIFIED), Body::empty()),
            Reply::PreconditionFailed => {
                return finish(self.headers(StatusCode::PRECONDITION_FAILED), Body::empty());
            }
            Reply::Unsatisfiable => {
                let unsatisfied = format!("bytes */{}", self.size_bytes);
                let response = self
                    .headers(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(header::CONTENT_RANGE, unsatisfied);
                return finish(response, Body::empty());
            }
        };
        let n_bytes = range.end - range.start;
        let mut response = self
            .headers(status)
            .header(header::CONTENT_TYPE, self.content_type)
            .header(header::CONTENT_LENGTH, n_bytes);
        if status == StatusCode::PARTIAL_CONTENT {
            let last = range.end - 1;
            response = response
                .header(header::CONTENT_RANGE, format!("bytes {}-{last}/{}", range.start, self.size_bytes));
        }
        let body = if method == Method::HEAD {
            Body::empty()
        } else {
            Body::new(FileBody::new(self.file, range, app.metrics.clone()))
        };
        finish(response, body)
    }

    fn headers(&self, status: StatusCode) -> Builder {
        let lifetime = match self.lifetime {
            Lifetime::Forever => "public, max-age=31536000, immutable",
            Lifetime::AskAgain => "no-cache",
        };
        Response::builder()
            .status(status)
            .header(header::ETAG, self.validators.etag.to_string())
            .header(header::LAST_MODIFIED, httpdate::fmt_http_date(self.validators.modified))
            .header(header::CACHE_CONTROL, lifetime)
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }
}

fn finish(response: Builder, body: Body) -> Response {
    response.body(body).expect("every header value is made of digits, digests and dates")
}

fn not_found_or_disk(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refusal::NotFound,
        _ if descriptors::is_shortage(&error) => Refusal::Overloaded,
        _ => Refusal::Disk(error),
    }
}

/// By the names that releases have. Nothing here is ever HTML or script.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("gz") => "application/gzip",
        Some("zst") => "application/zstd",
        Some("xz") => "application/x-xz",
        Some("bz2") => "application/x-bzip2",
        Some("json") => "application/json",
        Some("txt" | "toml" | "pem") => "text/plain; charset=utf-8",
        None if name.ends_with("SUMS") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
