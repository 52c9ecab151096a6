//! Which answer a conditional request gets (RFC 9110, sections 13 and 14): a pure function of headers and validators.

use std::{fmt, ops::Range, time::SystemTime};

use axum::http::{HeaderMap, HeaderName, Method, header};
use sm_model::Sha256;

use super::range::{self, Asked};

/// What identifies the content of a file.
#[derive(Debug, Clone)]
pub(super) struct Validators {
    pub(super) etag: ETag,
    pub(super) modified: SystemTime,
}

/// An entity tag, quotes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ETag {
    /// Same tag, same bytes.
    Strong(String),
    /// Same tag, probably the same.
    Weak(String),
}

impl ETag {
    /// From the digest of the content.
    pub(super) fn strong(sha256: Sha256) -> ETag {
        ETag::Strong(format!("\"{sha256}\""))
    }

    /// From size and time, where no digest is known.
    pub(super) fn weak(size_bytes: u64, modified_secs: u64) -> ETag {
        ETag::Weak(format!("\"{size_bytes:x}-{modified_secs:x}\""))
    }

    /// Weak comparison (section 8.8.3.2): the opaque part alone.
    fn matches_weakly(&self, other: &str) -> bool {
        let (ETag::Strong(opaque) | ETag::Weak(opaque)) = self;
        other.strip_prefix("W/").unwrap_or(other) == opaque
    }

    /// Strong comparison: a weak tag matches nothing.
    fn matches_strongly(&self, other: &str) -> bool {
        matches!(self, ETag::Strong(opaque) if opaque == other)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ETag::Strong(opaque) => f.write_str(opaque),
            ETag::Weak(opaque) => write!(f, "W/{opaque}"),
        }
    }
}

/// The answer to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// 200.
    Whole,
    /// 206.
    Part(Range<u64>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// Decides in the order of section 13.2.2. `method` is GET or HEAD.
pub(super) fn reply(method: &Method, headers: &HeaderMap, validators: &Validators, len: u64) -> Reply {
    let etag = &validators.etag;
    // Steps 1 and 2.
    let meant_another = match list(headers, &header::IF_MATCH) {
        Some(tags) => !any(&tags, |tag| etag.matches_strongly(tag)),
        None => date(headers, &header::IF_UNMODIFIED_SINCE).is_some_and(|since| validators.modified > since),
    };
    if meant_another {
        return Reply::PreconditionFailed;
    }
    // Steps 3 and 4.
    let has_it_already = match list(headers, &header::IF_NONE_MATCH) {
        Some(tags) => any(&tags, |tag| etag.matches_weakly(tag)),
        None => date(headers, &header::IF_MODIFIED_SINCE).is_some_and(|since| validators.modified <= since),
    };
    if has_it_already {
        return Reply::NotModified;
    }
    // Step 5, and section 14.2: a range is for GET only.
    match text(headers, &header::RANGE) {
        Some(value) if method == Method::GET && range_still_applies(headers, validators) => {
            match range::parse(value, len) {
                Asked::Part(range) => Reply::Part(range),
                Asked::Unsatisfiable => Reply::Unsatisfiable,
                Asked::Ignore => Reply::Whole,
            }
        }
        _ => Reply::Whole,
    }
}

/// `If-Range` (section 13.1.5): a strong tag, or the exact date.
fn range_still_applies(headers: &HeaderMap, validators: &Validators) -> bool {
    match text(headers, &header::IF_RANGE) {
        None => !headers.contains_key(header::IF_RANGE),
        Some(tag) if tag.contains('"') => validators.etag.matches_strongly(tag),
        Some(date) => httpdate::parse_http_date(date).is_ok_and(|date| date == validators.modified),
    }
}

fn any(tags: &[&str], matches: impl Fn(&str) -> bool) -> bool {
    tags.iter().any(|tag| *tag == "*" || matches(tag))
}

/// The tags of a header that may be sent several times. Our own tags have no comma inside, so splitting there is safe.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Vec<&'h str>> {
    headers.contains_key(name).then(|| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim).collect()
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A date; one that is not valid is as good as absent (section 13.1.3).
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TAG: &str = "\"00000000000000000000000000000000000000000000000000000000000000ff\"";
    const DATE: &str = "Thu, 01 Jan 1970 00:01:40 GMT";
    const EARLIER: &str = "Thu, 01 Jan 1970 00:01:39 GMT";

    fn modified() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(100)
    }

    fn strong() -> Validators {
        let mut digest = [0; 32];
        digest[31] = 0xff;
        Validators { etag: ETag::strong(Sha256(digest)), modified: modified() }
    }

    fn weak() -> Validators {
        Validators { etag: ETag::weak(10, 100), modified: modified() }
    }

    fn ask(validators: &Validators, method: Method, headers: &[(HeaderName, &str)]) -> Reply {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect::<HeaderMap>();
        reply(&method, &headers, validators, 10)
    }

    fn get(headers: &[(HeaderName, &str)]) -> Reply {
        ask(&strong(), Method::GET, headers)
    }

    #[test]
    fn a_plain_request_gets_the_whole_file() {
        assert_eq!(get(&[]), Reply::Whole);
    }

    #[test]
    fn a_known_tag_is_not_sent_again_even_when_weakened_on_the_way() {
        for value in [TAG, &format!("W/{TAG}"), "*", &format!("\"x\", {TAG}")] {
            assert_eq!(get(&[(header::IF_NONE_MATCH, value)]), Reply::NotModified, "{value}");
        }
        assert_eq!(get(&[(header::IF_NONE_MATCH, "\"x\"")]), Reply::Whole);
    }

    #[test]
    fn dates_count_only_where_no_tag_is_given() {
        assert_eq!(get(&[(header::IF_MODIFIED_SINCE, DATE)]), Reply::NotModified);
        assert_eq!(get(&[(header::IF_MODIFIED_SINCE, EARLIER)]), Reply::Whole);
        assert_eq!(get(&[(header::IF_MODIFIED_SINCE, DATE), (header::IF_NONE_MATCH, "\"x\"")]), Reply::Whole);
        assert_eq!(get(&[(header::IF_MODIFIED_SINCE, "yesterday")]), Reply::Whole);
    }

    #[test]
    fn a_request_for_another_content_fails() {
        assert_eq!(get(&[(header::IF_MATCH, "\"x\"")]), Reply::PreconditionFailed);
        assert_eq!(get(&[(header::IF_MATCH, TAG)]), Reply::Whole);
        assert_eq!(get(&[(header::IF_UNMODIFIED_SINCE, EARLIER)]), Reply::PreconditionFailed);
        assert_eq!(get(&[(header::IF_UNMODIFIED_SINCE, DATE)]), Reply::Whole);
        assert_eq!(
            ask(&weak(), Method::GET, &[(header::IF_MATCH, "\"a-64\"")]),
            Reply::PreconditionFailed,
            "a weak tag proves nothing"
        );
    }

    #[test]
    fn a_resumed_download_continues_only_in_the_same_content() {
        let part = |if_range: &str| get(&[(header::RANGE, "bytes=4-"), (header::IF_RANGE, if_range)]);
        assert_eq!(part(TAG), Reply::Part(4..10));
        assert_eq!(part(DATE), Reply::Part(4..10));
        for other in ["\"x\"", EARLIER, &format!("W/{TAG}"), "junk"] {
            assert_eq!(part(other), Reply::Whole, "{other}");
        }
        let weak =
            ask(&weak(), Method::GET, &[(header::RANGE, "bytes=4-"), (header::IF_RANGE, "W/\"a-64\"")]);
        assert_eq!(weak, Reply::Whole);
    }

    #[test]
    fn a_range_is_for_get_and_within_the_file() {
        assert_eq!(get(&[(header::RANGE, "bytes=2-3")]), Reply::Part(2..4));
        assert_eq!(get(&[(header::RANGE, "bytes=10-")]), Reply::Unsatisfiable);
        assert_eq!(ask(&strong(), Method::HEAD, &[(header::RANGE, "bytes=2-3")]), Reply::Whole);
        assert_eq!(get(&[(header::RANGE, "bytes=10-"), (header::IF_RANGE, "\"x\"")]), Reply::Whole);
    }

    #[test]
    fn a_known_tag_beats_a_range() {
        assert_eq!(get(&[(header::RANGE, "bytes=2-3"), (header::IF_NONE_MATCH, TAG)]), Reply::NotModified);
    }
}
