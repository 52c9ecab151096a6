//! Paths of URLs, taken apart into names that cannot leave the release directory.

use percent_encoding::percent_decode_str;
use sm_model::FileName;

/// Deepest path: `CHANNEL/BOARD/VERSION/FILE` has four.
const MAX_DEPTH: usize = 8;

/// The names in a URL's path, or `None` when one is not a safe file name once decoded, or the path is too deep.
///
/// Decoding happens after splitting, so an encoded slash is a letter of a name, and no name has such a letter.
pub(super) fn components(url_path: &str) -> Option<Vec<FileName>> {
    if url_path == "/" {
        return Some(Vec::new());
    }
    let inner = url_path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let names = inner.split('/').map(|part| percent_decode_str(part).decode_utf8().ok()?.parse().ok());
    let names: Vec<FileName> = names.take(MAX_DEPTH + 1).collect::<Option<_>>()?;
    (names.len() <= MAX_DEPTH).then_some(names)
}

/// The path of those names, without a final slash.
pub(super) fn absolute(names: &[FileName]) -> String {
    names.iter().fold(String::new(), |path, name| format!("{path}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(url_path: &str) -> Option<String> {
        components(url_path).map(|names| absolute(&names))
    }

    #[test]
    fn release_paths_pass_encoded_or_not() {
        let path = "/stable/amd64-usr/4900.2.0/version.txt";
        assert_eq!(joined(path).as_deref(), Some(path));
        assert_eq!(
            joined("/stable/amd64-usr/4900.2.0/a%2Bb%7E1.gz").as_deref(),
            Some("/stable/amd64-usr/4900.2.0/a+b~1.gz")
        );
        assert_eq!(joined("/stable/").as_deref(), Some("/stable"));
        assert_eq!(joined("/").as_deref(), Some(""));
    }

    #[test]
    fn paths_that_would_leave_the_directory_or_name_hidden_files_are_refused() {
        for path in [
            "",
            "*",
            "//",
            "/..",
            "/../etc/passwd",
            "/stable/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/..%2fetc/passwd",
            "/stable%2f..%2f..",
            "/%252e%252e/x",
            "/.git/config",
            "/stable/.hidden",
            "/a//b",
            "/a/./b",
            "/a%00b",
            "/%ff",
            "/a\\..\\b",
            "/-rf",
            "/a/b/c/d/e/f/g/h/i",
        ] {
            assert_eq!(joined(path), None, "{path:?}");
        }
    }
}
