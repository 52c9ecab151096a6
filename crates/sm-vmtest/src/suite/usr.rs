//! The files of /usr as a running host sees them: by path, links followed, /etc where its factory copy lies.
//!
//! Names, modes and owners are the image's own inodes; the bytes come from whoever unpacked the same image.

use std::{collections::BTreeMap, fmt, io};

use sm_image::erofs::{Inode, Kind};

use super::finding::Stop;

/// Directories that exist on a running host and in no image.
const RUNTIME: [&str; 14] =
    ["boot", "dev", "efi", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "var"];
/// Links at the root of every host whose /usr is merged.
const ROOT_LINKS: [&str; 4] = ["bin", "lib", "lib64", "sbin"];
/// Links followed before a path counts as a ring (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where the bytes of files come from.
pub trait Contents: fmt::Debug + Send + Sync {
    /// The bytes of the file at `path`, at most `max_bytes` of them.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str, max_bytes: u64) -> io::Result<Vec<u8>>;
}

/// The files of /usr.
#[derive(Debug)]
pub struct Usr {
    os: String,
    entries: BTreeMap<String, Inode>,
    contents: Box<dyn Contents>,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To this entry of the image.
    Image(String),
    /// To something that only a running host has.
    Runtime,
    /// To nothing.
    Nowhere,
}

impl Usr {
    /// Entries by path with `/usr` in front, and where their bytes come from, of the operating system `os`.
    pub fn new(os: &str, entries: BTreeMap<String, Inode>, contents: Box<dyn Contents>) -> Self {
        Usr { os: os.to_owned(), entries, contents }
    }

    /// Every entry, by path.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Inode)> {
        self.entries.iter().map(|(path, inode)| (path.as_str(), inode))
    }

    /// Regular files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Inode)> {
        self.entries().filter(|(_, inode)| inode.kind == Kind::File)
    }

    /// The entry of exactly that path.
    pub fn get(&self, path: &str) -> Option<&Inode> {
        self.entries.get(path)
    }

    /// Where the factory copy of /etc lies.
    pub fn factory_etc(&self) -> String {
        format!("/usr/share/{}/etc", self.os)
    }

    /// The first `max_bytes` of a file.
    ///
    /// # Errors
    /// When its bytes cannot be had, which says nothing about the image.
    pub fn bytes(&self, path: &str, max_bytes: u64) -> Result<Vec<u8>, Stop> {
        self.contents.read(path, max_bytes).map_err(|error| Stop::Trouble {
            class: "host-disk",
            message: format!("cannot read the unpacked `{path}`: {error}"),
        })
    }

    /// The first `max_bytes` of a file as text; what is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// As [`Usr::bytes`].
    pub fn text(&self, path: &str, max_bytes: u64) -> Result<String, Stop> {
        Ok(String::from_utf8_lossy(&self.bytes(path, max_bytes)?).into_owned())
    }

    /// Where an entry of the image appears on a running host.
    pub fn appears_at(&self, path: &str) -> String {
        match path.strip_prefix(&format!("{}/", self.factory_etc())) {
            Some(below) => format!("/etc/{below}"),
            None => path.to_owned(),
        }
    }

    /// The image's own path of what a running host has at `path`.
    fn stored_at(&self, path: &str) -> String {
        match path.strip_prefix("/etc/") {
            Some(below) => format!("{}/{below}", self.factory_etc()),
            None => path.to_owned(),
        }
    }

    /// Where an absolute path of a running host leads, all links followed.
    pub fn resolve(&self, path: &str) -> Place {
        let mut at = String::new();
        let mut rest: Vec<String> = parts(path);
        let mut n_links = 0;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                ".." => at.truncate(at.rfind('/').unwrap_or(0)),
                part if at.is_empty() && RUNTIME.contains(&part) => return Place::Runtime,
                part if at.is_empty() && ROOT_LINKS.contains(&part) => at = format!("/usr/{part}"),
                part => {
                    let next = format!("{at}/{part}");
                    match self.entries.get(&self.stored_at(&next)).map(|inode| &inode.kind) {
                        None if next == "/usr" || next == "/etc" => at = next,
                        Some(Kind::Symlink(_)) if n_links == MAX_LINKS => return Place::Nowhere,
                        Some(Kind::Symlink(target)) => {
                            n_links += 1;
                            if target.starts_with('/') {
                                at.clear();
                            }
                            rest.extend(parts(target));
                        }
                        Some(_) => at = next,
                        None => return Place::Nowhere,
                    }
                }
            }
        }
        Place::Image(self.stored_at(&at))
    }

    /// Whether a running host finds a file or directory at `path`, or may make one there.
    pub fn leads_somewhere(&self, path: &str) -> bool {
        self.resolve(path) != Place::Nowhere
    }
}

/// Components of a path, last one first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").rev().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    fn usr() -> Usr {
        sample::usr(&[
            ("/usr/bin/bash", sample::file(0o755)),
            ("/usr/bin/sh", sample::link("bash")),
            ("/usr/bin/ring", sample::link("ring")),
            ("/usr/share/boxcar/etc/ssh/sshd_config", sample::file(0o644)),
            ("/usr/share/boxcar/etc/mtab", sample::link("../proc/self/mounts")),
            ("/usr/share/boxcar/etc/absent", sample::link("modules")),
            ("/usr/lib/config", sample::link("/etc/ssh/sshd_config")),
        ])
    }

    #[test]
    fn links_are_followed_as_on_a_running_host() {
        let place = |path: &str| usr().resolve(path);
        assert_eq!(place("/bin/sh"), Place::Image("/usr/bin/bash".into()));
        assert_eq!(place("/usr/lib/config"), Place::Image("/usr/share/boxcar/etc/ssh/sshd_config".into()));
        assert_eq!(place("/etc/mtab"), Place::Runtime);
        assert_eq!(place("/usr/bin/../bin/./bash"), Place::Image("/usr/bin/bash".into()));
        for path in ["/etc/absent", "/usr/bin/ring", "/usr/bin/zsh", "/elsewhere", "/usr/bin/bash/x"] {
            assert_eq!(place(path), Place::Nowhere, "{path}");
        }
    }

    #[test]
    fn the_factory_copy_appears_as_etc() {
        assert_eq!(usr().appears_at("/usr/share/boxcar/etc/mtab"), "/etc/mtab");
        assert_eq!(usr().appears_at("/usr/bin/sh"), "/usr/bin/sh");
    }
}
