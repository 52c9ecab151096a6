//! Addresses of archives: from the host's APT configuration, or as the operator says. No address is built in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sm_debian::{
    MirrorName,
    apt_sources::{self, AptSource},
};
use sm_host::files::{FileError, read_limited};

use super::ArchiveError;

/// Largest file of APT's configuration that is read.
const MAX_SOURCES_BYTES: u64 = 1 << 20;

/// Addresses by archive name, each list in the order to try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(BTreeMap<String, Vec<String>>);

impl Mirrors {
    /// The archives `debian` and `debian-security` as configured for APT below `apt_dir` (`/etc/apt`).
    ///
    /// # Errors
    /// When the configuration is there and cannot be read.
    pub fn of_apt(apt_dir: &Path) -> Result<Self, ArchiveError> {
        let mut mirrors = Mirrors::default();
        for path in apt_files(apt_dir)? {
            let text = read_text(&path)?;
            let is_deb822 = path.extension().is_some_and(|extension| extension == "sources");
            let sources =
                if is_deb822 { apt_sources::parse_sources(&text) } else { apt_sources::parse_list(&text) };
            for source in &sources {
                mirrors.add_source(source)?;
            }
        }
        Ok(mirrors)
    }

    /// The same archives, those that the operator names (`NAME=URL`) at the operator's addresses only.
    ///
    /// # Errors
    /// When one is not of this form.
    pub fn overridden(mut self, named: &[String]) -> Result<Self, ArchiveError> {
        let mut overrides: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in named {
            let invalid = || ArchiveError::InvalidMirror(text.chars().take(200).collect());
            let (name, url) = text.split_once('=').ok_or_else(invalid)?;
            let name: MirrorName = name.parse().map_err(|_| invalid())?;
            let url = url.trim_end_matches('/');
            if !is_http(url) {
                return Err(invalid());
            }
            overrides.entry(name.to_string()).or_default().push(url.to_owned());
        }
        self.0.extend(overrides);
        Ok(self)
    }

    /// Addresses of an archive, in the order to try.
    ///
    /// # Errors
    /// When none is known.
    pub fn of(&self, name: &str) -> Result<&[String], ArchiveError> {
        match self.0.get(name) {
            Some(urls) if !urls.is_empty() => Ok(urls),
            _ => Err(ArchiveError::NoMirror(name.to_owned())),
        }
    }

    fn add_source(&mut self, source: &AptSource) -> Result<(), ArchiveError> {
        let Some(archive) = source.archive() else { return Ok(()) };
        let urls = match source.uri.strip_prefix("mirror+file:") {
            Some(list) => urls_of_list(Path::new(list))?,
            None => vec![source.uri.clone()],
        };
        let known = self.0.entry(archive.to_owned()).or_default();
        for url in urls.into_iter().filter(|url| is_http(url)) {
            if !known.contains(&url) {
                known.push(url);
            }
        }
        Ok(())
    }
}

fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"\\".contains(&byte))
    })
}

/// `sources.list`, then the files of `sources.list.d`, sorted.
fn apt_files(apt_dir: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let parts_dir = apt_dir.join("sources.list.d");
    let main = apt_dir.join("sources.list");
    let mut parts: Vec<PathBuf> = match std::fs::read_dir(&parts_dir) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(FileError::io("list", &parts_dir)(error).into()),
    };
    parts.retain(|path| {
        path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
    });
    parts.sort();
    Ok(main.exists().then_some(main).into_iter().chain(parts).collect())
}

/// A list of mirrors (apt-transport-mirror(1)): one address per line, then options.
fn urls_of_list(path: &Path) -> Result<Vec<String>, ArchiveError> {
    let text = read_text(path)?;
    let first_words = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    Ok(first_words.map(|url| url.trim_end_matches('/').to_owned()).collect())
}

fn read_text(path: &Path) -> Result<String, ArchiveError> {
    Ok(String::from_utf8_lossy(&read_limited(path, MAX_SOURCES_BYTES)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_host::files::write_atomic;

    fn apt_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("mirrors.list");
        write_atomic(
            &list,
            b"https://one.example/debian/\tpriority:1\nhttps://two.example/debian\nftp://x/debian\n",
        )
        .unwrap();
        let sources = format!(
            "Types: deb\nURIs: mirror+file:{}\nSuites: trixie trixie-updates\nComponents: main\n",
            list.display()
        );
        write_atomic(&dir.path().join("sources.list.d/debian.sources"), sources.as_bytes()).unwrap();
        write_atomic(
            &dir.path().join("sources.list"),
            b"deb http://sec.example/debian-security trixie-security main\ndeb cdrom:[x]/ trixie main\n",
        )
        .unwrap();
        write_atomic(
            &dir.path().join("sources.list.d/old.list.save"),
            b"deb http://old.example/debian x main\n",
        )
        .unwrap();
        dir
    }

    #[test]
    fn mirrors_are_found_in_every_format_of_apt() {
        let dir = apt_dir();
        let mirrors = Mirrors::of_apt(dir.path()).unwrap();
        assert_eq!(
            mirrors.of("debian").unwrap(),
            ["https://one.example/debian", "https://two.example/debian"]
        );
        assert_eq!(mirrors.of("debian-security").unwrap(), ["http://sec.example/debian-security"]);
    }

    #[test]
    fn the_operators_word_replaces_the_hosts() {
        let dir = apt_dir();
        let named = ["debian=http://mine.example/d/".to_owned(), "extra=https://x.example".to_owned()];
        let mirrors = Mirrors::of_apt(dir.path()).unwrap().overridden(&named).unwrap();
        assert_eq!(mirrors.of("debian").unwrap(), ["http://mine.example/d"]);
        assert_eq!(mirrors.of("extra").unwrap(), ["https://x.example"]);
        assert_eq!(mirrors.of("debian-security").unwrap(), ["http://sec.example/debian-security"]);
    }

    #[test]
    fn a_host_without_apt_has_no_mirrors_and_is_told_what_to_do() {
        let mirrors = Mirrors::of_apt(Path::new("/nonexistent")).unwrap();
        let error = mirrors.of("debian").unwrap_err();
        assert_eq!(error.to_string(), "no mirror is known for the archive `debian`");
        assert!(error.hint().unwrap().contains("--mirror debian=URL"));
    }

    #[test]
    fn texts_that_are_no_mirrors_are_refused() {
        for text in [
            "debian",
            "=http://x",
            "debian=",
            "debian=ftp://x",
            "a/b=http://x",
            "debian=http://x?y",
            "debian=http://",
        ] {
            let refused = Mirrors::default().overridden(&[text.to_owned()]).unwrap_err();
            assert!(refused.to_string().contains("is not a mirror"), "{text:?}");
        }
    }
}
