//! Where a host's APT takes Debian from (sources.list(5)): the one-line format and the deb822 format, read leniently.
//! Lines that are not understood belong to somebody else and are passed over.

use crate::control::{Stanza, stanzas};

/// Archives that APT entries are recognised as.
const SECURITY: &str = "debian-security";
const MAIN: &str = "debian";

/// One enabled binary source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSource {
    /// Base address, without a trailing slash. `mirror+file:/PATH` names a file of addresses.
    pub uri: String,
    /// Suites taken from it.
    pub suites: Vec<String>,
    /// Components taken from it.
    pub components: Vec<String>,
}

impl AptSource {
    /// Which of Debian's archives this is (`debian`, `debian-security`), or `None` when it is another one. Others that
    /// also end in `/debian` are told apart by not having the component `main`.
    pub fn archive(&self) -> Option<&'static str> {
        let last = self.uri.rsplit('/').next().unwrap_or_default();
        let any_suite = |test: &dyn Fn(&str) -> bool| self.suites.iter().any(|suite| test(suite));
        if !self.components.iter().any(|component| component == "main") {
            None
        } else if last == SECURITY || any_suite(&|suite| suite.ends_with("-security")) {
            Some(SECURITY)
        } else if last == MAIN
            || any_suite(&|suite| suite.ends_with("-updates") || suite.ends_with("-backports"))
        {
            Some(MAIN)
        } else {
            None
        }
    }
}

/// Reads a `*.list` file: `deb [options] URI SUITE COMPONENT…`.
pub fn parse_list(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(parse_line).collect()
}

/// Reads a `*.sources` file: stanzas with `Types`, `URIs`, `Suites` and `Components`.
pub fn parse_sources(text: &str) -> Vec<AptSource> {
    let without_comments: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    stanzas(&without_comments.join("\n")).filter_map(parse_stanza).flatten().collect()
}

fn parse_line(line: &str) -> Option<AptSource> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_ascii_whitespace().map(str::to_owned);
    let uri = words.next()?.trim_end_matches('/').to_owned();
    Some(AptSource { uri, suites: vec![words.next()?], components: words.collect() })
}

fn parse_stanza(stanza: Stanza<'_>) -> Option<Vec<AptSource>> {
    let words = |field: &str| -> Option<Vec<String>> {
        Some(
            stanza.get(field).ok()?.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect(),
        )
    };
    let is_enabled = !matches!(stanza.get("Enabled").ok()?, Some("no" | "false" | "0"));
    if !is_enabled || !words("Types")?.iter().any(|kind| kind == "deb") {
        return None;
    }
    let (suites, components) = (words("Suites")?, words("Components")?);
    let source = |uri: String| AptSource {
        uri: uri.trim_end_matches('/').to_owned(),
        suites: suites.clone(),
        components: components.clone(),
    };
    Some(words("URIs")?.into_iter().map(source).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &[AptSource]) -> Vec<(&str, Option<&str>)> {
        sources.iter().map(|source| (source.uri.as_str(), source.archive())).collect()
    }

    #[test]
    fn the_one_line_format_is_understood() {
        let text = "# a comment\n\
            deb http://mirror.example/debian/ trixie main contrib # trailing\n\
            deb-src http://mirror.example/debian trixie main\n\
            deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://mirror.example/debian-security trixie-security main\n\
            deb https://other.example/linux/debian trixie stable\n\
            deb https://other.example/apt cloud-trixie main\n\
            deb\n debian nonsense\n";
        assert_eq!(
            found(&parse_list(text)),
            [
                ("http://mirror.example/debian", Some("debian")),
                ("https://mirror.example/debian-security", Some("debian-security")),
                ("https://other.example/linux/debian", None),
                ("https://other.example/apt", None),
            ]
        );
    }

    #[test]
    fn the_deb822_format_is_understood() {
        let text = "Types: deb deb-src\n# a comment within\nURIs: http://a.example/d http://b.example/debian/\n\
            Suites: trixie trixie-updates\nComponents: main\nSigned-By: /x.gpg\n\n\
            Types: deb\nURIs: mirror+file:/etc/apt/mirrors/debian-security.list\nSuites: trixie-security\nComponents: main\n\n\
            Enabled: no\nTypes: deb\nURIs: http://c.example/debian\nSuites: trixie\nComponents: main\n\n\
            Types: deb-src\nURIs: http://d.example/debian\nSuites: trixie\nComponents: main\n";
        assert_eq!(
            found(&parse_sources(text)),
            [
                ("http://a.example/d", Some("debian")),
                ("http://b.example/debian", Some("debian")),
                ("mirror+file:/etc/apt/mirrors/debian-security.list", Some("debian-security")),
            ]
        );
    }
}
