//! A folder of the release directory as a plain page, and its JSON twin.

use std::{fs, io, path::Path};

use axum::{
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sm_model::FileName;

/// Most entries shown: releases of a channel over decades, with room.
const MAX_ENTRIES: usize = 10_000;

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Entry {
    name: FileName,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    /// Where a symbolic link leads, if to a neighbour.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<FileName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Folder,
    File,
}

/// The folder's names that can be asked for, sorted. Others are not shown.
pub(super) fn read(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for found in fs::read_dir(dir)?.take(MAX_ENTRIES) {
        entries.extend(entry(&found?));
    }
    entries.sort_unstable();
    Ok(entries)
}

/// `None` for names we do not serve, and for links that lead nowhere.
fn entry(found: &fs::DirEntry) -> Option<Entry> {
    let name = found.file_name().to_str()?.parse().ok()?;
    let metadata = found.path().metadata().ok()?;
    let target = fs::read_link(found.path()).ok().and_then(|target| target.to_str()?.parse().ok());
    let kind = if metadata.is_dir() { Kind::Folder } else { Kind::File };
    Some(Entry { name, kind, size_bytes: metadata.is_file().then_some(metadata.len()), target })
}

/// Whether the client asked for the JSON twin: by `?format=json` or by `Accept`.
pub(super) fn wants_json(uri: &Uri, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "format=json"))
        || accept
            .split(',')
            .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"))
}

/// The page, or its twin.
pub(super) fn page(url_path: &str, entries: &[Entry], as_json: bool) -> Response {
    let headers = [
        (header::CONTENT_TYPE, if as_json { "application/json" } else { "text/html; charset=utf-8" }),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    let text = if as_json { json(entries) } else { html(url_path, entries) };
    (headers, text).into_response()
}

fn json(entries: &[Entry]) -> String {
    serde_json::json!({ "entries": entries }).to_string()
}

/// Safe file names hold nothing that HTML or a URL's path would read as anything but itself, so nothing needs escaping;
/// the path was found, so it is made of such names too, perhaps percent-encoded.
fn html(url_path: &str, entries: &[Entry]) -> String {
    let up = if url_path == "/" { "" } else { "<tr><td><a href=\"../\">../</a></td><td></td></tr>\n" };
    let rows: String = entries.iter().map(row).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Releases: {url_path}</title></head>\n\
         <body>\n<h1>{url_path}</h1>\n<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Bytes</th></tr></thead>\n\
         <tbody>\n{up}{rows}</tbody>\n</table>\n<p><a href=\"?format=json\">The same as JSON</a></p>\n</body>\n</html>\n"
    )
}

fn row(entry: &Entry) -> String {
    let slash = if entry.kind == Kind::Folder { "/" } else { "" };
    let target = entry.target.as_ref().map(|target| format!(" (is {target})")).unwrap_or_default();
    let size = entry.size_bytes.map(|n_bytes| n_bytes.to_string()).unwrap_or_default();
    let name = &entry.name;
    format!("<tr><td><a href=\"{name}{slash}\">{name}{slash}</a>{target}</td><td>{size}</td></tr>\n")
}
