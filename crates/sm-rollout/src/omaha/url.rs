//! The few URLs the protocol carries: plain `http` and `https` addresses of directories and files.

use std::{fmt, str::FromStr};

use sm_model::FileName;

/// An absolute `http` or `https` URL without user name, query or fragment. Nothing in it can leave its own line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url(String);

/// A text that is not such a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a plain URL: expected `http://HOST[:PORT]/PATH` or the same with https", .0.escape_debug())]
pub struct InvalidUrl(String);

impl Url {
    /// Longest URL, in bytes.
    pub const MAX_LEN: usize = 2048;

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same URL, ending in a slash. update_engine adds a missing one, ue-rs would drop the last path part instead.
    pub fn as_directory(&self) -> Url {
        if self.0.ends_with('/') { self.clone() } else { Url(format!("{}/", self.0)) }
    }

    /// The URL of a file in this directory.
    pub fn join(&self, name: &FileName) -> Url {
        // `+` and `~` are the only characters of a FileName with a second meaning in URLs; both are legal in a path.
        Url(format!("{}{name}", self.as_directory().0))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Url {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidUrl(text.chars().take(120).collect());
        let rest =
            text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(invalid)?;
        let host = rest.split('/').next().unwrap_or_default();
        let host_is_clean = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
        let path_is_clean = rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>?\\^`{|}".contains(&b));
        let leaves_directory = rest.split('/').any(|part| part == ".." || part == ".");
        if host_is_clean && path_is_clean && !leaves_directory && text.len() <= Url::MAX_LEN {
            Ok(Url(text.to_owned()))
        } else {
            Err(invalid())
        }
    }
}

impl serde::Serialize for Url {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Url {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_joins_to_its_directory_with_exactly_one_slash() {
        let name: FileName = "update+1.gz".parse().unwrap();
        for directory in ["http://h:8000/alpha/amd64-usr/1.0.0", "http://h:8000/alpha/amd64-usr/1.0.0/"] {
            let url: Url = directory.parse().unwrap();
            assert_eq!(url.join(&name).as_str(), "http://h:8000/alpha/amd64-usr/1.0.0/update+1.gz");
        }
    }

    #[test]
    fn urls_of_real_servers_pass() {
        for text in ["http://10.0.2.2:8080/v1/update/", "https://update.example.org/", "http://[::1]:80/x"] {
            text.parse::<Url>().unwrap();
        }
    }

    #[test]
    fn other_schemes_credentials_and_tricks_are_refused() {
        for text in [
            "",
            "ftp://h/",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://user:pw@h/",
            "http://h/../../etc/",
            "http://h/./x",
            "http://h/a b",
            "http://h/\r\nHost: evil",
            "http://h/?q",
            "http://h/#f",
            "http://-h/",
            "HTTP://h/",
            "http://hé/",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text:?}");
        }
        assert!(format!("http://h/{}", "a".repeat(2048)).parse::<Url>().is_err());
    }
}
