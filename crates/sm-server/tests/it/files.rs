//! The release directory over HTTP.

use std::{fs, os::unix::fs::symlink};

use crate::{
    http,
    world::{PAYLOAD, World, payload, sha256},
};

const FOLDER: &str = "/stable/amd64-usr/4901.2.0";

fn published() -> World {
    let world = World::new();
    world.publish("4901.2.0");
    world
}

fn with(world: &World, method: &str, file: &str, headers: &[&str]) -> http::Reply {
    http::request(world.address(), method, &format!("{FOLDER}/{file}"), headers)
}

#[test]
fn a_file_comes_whole_with_its_digest_as_tag() {
    let world = published();
    let reply = with(&world, "GET", PAYLOAD, &[]);
    assert_eq!((reply.status, &reply.body), (200, &payload("4901.2.0")));
    assert_eq!(reply.header("etag"), Some(&*format!("\"{}\"", sha256(&payload("4901.2.0")))));
    assert_eq!(reply.header("content-length"), Some(&*payload("4901.2.0").len().to_string()));
    assert_eq!(reply.header("content-type"), Some("application/gzip"));
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));
    assert!(reply.header("cache-control").unwrap().contains("immutable"));
    assert!(reply.header("last-modified").unwrap().ends_with(" GMT"));
}

#[test]
fn head_tells_the_same_without_the_body() {
    let world = published();
    let (get, head) = (with(&world, "GET", PAYLOAD, &[]), with(&world, "HEAD", PAYLOAD, &[]));
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["etag", "content-length", "content-type", "last-modified"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

/// What update_engine does: the metadata first, then from where it was interrupted.
#[test]
fn a_download_in_parts_gives_the_whole() {
    let world = published();
    let whole = payload("4901.2.0");
    let mut joined = Vec::new();
    for (range, from, to) in
        [("0-999", 0, 999), ("1000-299999", 1000, 299_999), ("300000-", 300_000, whole.len() - 1)]
    {
        let reply = with(&world, "GET", PAYLOAD, &[&format!("Range: bytes={range}")]);
        assert_eq!(reply.status, 206, "{range}");
        assert_eq!(reply.header("content-range"), Some(&*format!("bytes {from}-{to}/{}", whole.len())));
        assert_eq!(reply.header("content-length"), Some(&*(to - from + 1).to_string()));
        joined.extend(reply.body);
    }
    assert_eq!(joined, whole);
}

#[test]
fn a_resume_in_other_content_starts_again() {
    let world = published();
    let tag = with(&world, "HEAD", PAYLOAD, &[]).header("etag").unwrap().to_owned();
    let same = with(&world, "GET", PAYLOAD, &["Range: bytes=5-", &format!("If-Range: {tag}")]);
    let other = with(&world, "GET", PAYLOAD, &["Range: bytes=5-", "If-Range: \"another\""]);
    assert_eq!((same.status, same.body.len()), (206, payload("4901.2.0").len() - 5));
    assert_eq!((other.status, other.body), (200, payload("4901.2.0")));
}

#[test]
fn a_range_beyond_the_end_tells_where_the_end_is() {
    let world = published();
    let n_bytes = payload("4901.2.0").len();
    let reply = with(&world, "GET", PAYLOAD, &[&format!("Range: bytes={n_bytes}-")]);
    assert_eq!((reply.status, reply.body.len()), (416, 0));
    assert_eq!(reply.header("content-range"), Some(&*format!("bytes */{n_bytes}")));
}

#[test]
fn several_ranges_are_answered_with_the_whole() {
    let world = published();
    let reply = with(&world, "GET", PAYLOAD, &["Range: bytes=0-1,5-6"]);
    assert_eq!((reply.status, reply.body.len()), (200, payload("4901.2.0").len()));
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let world = published();
    for file in [PAYLOAD, "version.txt", "manifest.json"] {
        let first = with(&world, "GET", file, &[]);
        for header in [
            format!("If-None-Match: {}", first.header("etag").unwrap()),
            format!("If-Modified-Since: {}", first.header("last-modified").unwrap()),
        ] {
            let reply = with(&world, "GET", file, &[&header]);
            assert_eq!((reply.status, reply.body.len()), (304, 0), "{file} {header}");
            assert_eq!(reply.header("etag"), first.header("etag"), "a 304 repeats the tag");
        }
    }
}

#[test]
fn a_file_that_the_manifest_does_not_vouch_for_has_a_weak_tag_only() {
    let world = published();
    assert!(with(&world, "GET", "version.txt", &[]).header("etag").unwrap().starts_with("W/"));
    fs::write(world.board_dir().join("4901.2.0").join(PAYLOAD), "another size").unwrap();
    let reply = with(&world, "GET", PAYLOAD, &[]);
    assert!(reply.header("etag").unwrap().starts_with("W/"), "not what the manifest names");
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
}

#[test]
fn current_leads_to_the_release_and_may_not_be_cached() {
    let world = published();
    let path = format!("/stable/amd64-usr/current/{PAYLOAD}");
    let first = world.get(&path);
    assert_eq!((first.status, first.header("cache-control")), (200, Some("no-cache")));
    world.publish("4902.2.0");
    assert_eq!(world.get(&path).body, payload("4902.2.0"));
}

#[test]
fn an_empty_file_is_served_and_has_no_ranges() {
    let world = published();
    fs::write(world.board_dir().join("4901.2.0/empty.txt"), "").unwrap();
    let whole = with(&world, "GET", "empty.txt", &[]);
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("0")));
    assert_eq!(with(&world, "GET", "empty.txt", &["Range: bytes=0-"]).status, 416);
}

#[test]
fn nothing_outside_or_hidden_is_reached() {
    let world = published();
    let secret = world.root().parent().unwrap().join("secret.txt");
    fs::write(&secret, "secret").unwrap();
    fs::write(world.root().join(".hidden"), "secret").unwrap();
    symlink(&secret, world.root().join("leak.txt")).unwrap();
    symlink("/etc", world.root().join("etc")).unwrap();
    symlink("self", world.root().join("self")).unwrap();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/stable/..%2f..%2fsecret.txt",
        "/stable/%2e%2e/%2e%2e/secret.txt",
        "/.hidden",
        "/leak.txt",
        "/etc/passwd",
        "/etc/",
        "//etc/passwd",
        "/stable/amd64-usr/4901.2.0/version.txt/",
        "/stable/amd64-usr/4901.2.0/version.txt%00.gz",
    ] {
        let reply = world.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains("secret"), "{path}");
    }
    assert!(world.get("/self").status >= 400);
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let world = published();
    let socket = world.board_dir().join("4901.2.0/socket.bin");
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    assert_eq!(with(&world, "GET", "socket.bin", &[]).status, 404);
}

#[test]
fn only_reading_is_possible() {
    let world = published();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let reply = with(&world, method, "version.txt", &[]);
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[test]
fn folders_are_listed_as_a_page_and_as_json() {
    let world = published();
    fs::write(world.board_dir().join(".hidden"), "").unwrap();
    let page = world.get("/stable/amd64-usr/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("<a href=\"4901.2.0/\">4901.2.0/</a>"), "{}", page.text());
    assert!(!page.text().contains("hidden"));
    let expected = serde_json::json!({"entries": [
        {"name": "4901.2.0", "kind": "folder"},
        {"name": "current", "kind": "folder", "target": "4901.2.0"},
    ]});
    assert_eq!(world.get("/stable/amd64-usr/?format=json").json(), expected);
    let accepted =
        http::request(world.address(), "GET", "/stable/amd64-usr/", &["Accept: application/json;q=0.9"]);
    assert_eq!(accepted.json(), expected);
    assert_eq!(world.get("/").status, 200);
}

#[test]
fn a_folder_without_its_slash_moves_within_this_server() {
    let world = published();
    let reply = world.get("/stable/amd64-usr");
    assert_eq!((reply.status, reply.header("location")), (301, Some("/stable/amd64-usr/")));
}
