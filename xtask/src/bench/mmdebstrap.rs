//! The peer of composing: mmdebstrap with the same packages from the same archives, its downloads made beforehand like ours.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    measure::pinned,
    peer::provide,
    workplace::{Workplace, debian_arch},
};
use crate::cargo::{must, program, remove, root};

/// How far mmdebstrap goes with the packages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Variant {
    /// Unpacks and configures them: a tree that could run.
    Essential,
    /// Only unpacks them.
    Extract,
}

/// The peer, ready to run.
pub(super) struct Mmdebstrap {
    path: PathBuf,
    packages: String,
    suite: String,
    sources: PathBuf,
    keyring: PathBuf,
    /// What it would download: packages, and the indexes below `lists`.
    warm: PathBuf,
    out: PathBuf,
}

impl Mmdebstrap {
    /// Finds or installs it, and gives it what our own lock says.
    pub(super) fn open(workplace: &Workplace, mirrors: &[String]) -> Result<Self> {
        let path = provide("mmdebstrap", "mmdebstrap")?;
        let lock = fs::read_to_string(workplace.lock()).context("cannot read the benchmark's lock")?;
        let sources = workplace.path("sources.list");
        fs::write(&sources, sources_list(&lock, mirrors)?)
            .context("cannot write the benchmark's sources.list")?;
        let warm = workplace.path("mmdebstrap");
        remove(&warm)?;
        fs::create_dir_all(warm.join("lists")).context("cannot make a place for mmdebstrap's downloads")?;
        Ok(Mmdebstrap {
            path,
            packages: values(&lock, "packages", "name").collect::<Vec<_>>().join(","),
            suite: values(&lock, "archives", "suite").next().unwrap_or_default().to_owned(),
            sources,
            keyring: root().join("os/boxcar/keys/debian-archive-keyring.gpg"),
            warm,
            out: workplace.path("mmdebstrap.tar"),
        })
    }

    /// Runs it once and keeps what it downloaded.
    pub(super) fn warm_up(&self, cpus: &str) -> Result<()> {
        let warm = quoted(&self.warm);
        let keep = format!(
            "cp -r \"$1\"/var/cache/apt/archives/*.deb {warm}/ && cp -r \"$1\"/var/lib/apt/lists/. {warm}/lists/"
        );
        let mut run = self.start(Variant::Essential, cpus);
        run.arg("--skip=essential/unlink,cleanup/apt").arg(format!("--customize-hook={keep}"));
        must(self.finish(run), "mmdebstrap")
    }

    /// A run that downloads nothing.
    pub(super) fn command(&self, variant: Variant, cpus: &str) -> Command {
        let warm = quoted(&self.warm);
        let fill = format!(
            "mkdir -p \"$1\"/var/cache/apt/archives/partial \"$1\"/var/lib/apt/lists && \
             cp -l {warm}/*.deb \"$1\"/var/cache/apt/archives/ && cp -r {warm}/lists/. \"$1\"/var/lib/apt/lists/"
        );
        let mut run = self.start(variant, cpus);
        run.arg(format!("--setup-hook={fill}"));
        self.finish(run)
    }

    fn start(&self, variant: Variant, cpus: &str) -> Command {
        let mut run = pinned(cpus, &self.path);
        run.args(["--quiet", "--skip=download/empty"]).arg(match variant {
            Variant::Essential => "--variant=essential",
            Variant::Extract => "--variant=extract",
        });
        run.arg(format!("--architectures={}", debian_arch())).arg(format!("--include={}", self.packages));
        run.arg(format!("--keyring={}", self.keyring.display()));
        run
    }

    /// The tree grows beside its downloads, so that links to them can be made.
    fn finish(&self, mut run: Command) -> Command {
        run.arg(&self.suite).arg(&self.out).arg(&self.sources);
        run.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TMPDIR", &self.warm).stdout(Stdio::null());
        run
    }
}

/// The archives of a lock as sources.list(5), at the given addresses (`NAME=URL`) or those of the host's APT.
fn sources_list(lock: &str, mirrors: &[String]) -> Result<String> {
    let suites: Vec<&str> = values(lock, "archives", "suite").collect();
    let names: Vec<&str> = values(lock, "archives", "mirror").collect();
    ensure!(!suites.is_empty() && suites.len() == names.len(), "the benchmark's lock names no archives");
    let known = if mirrors.is_empty() { apt_archives()? } else { Vec::new() };
    let lines = suites.iter().zip(names).map(|(suite, name)| {
        let given = mirrors.iter().find_map(|mirror| mirror.strip_prefix(name)?.strip_prefix('='));
        match given.or_else(|| known.iter().map(String::as_str).find(|url| is_archive(url, name))) {
            Some(url) => Ok(format!("deb {url} {suite} main\n")),
            None => bail!("no address of the archive `{name}` is known: give one with `--mirror {name}=URL`"),
        }
    });
    lines.collect()
}

/// Addresses of the archives that the host's APT reads.
fn apt_archives() -> Result<Vec<String>> {
    let mut apt_get = program(&provide("apt-get", "apt")?);
    let output =
        apt_get.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).output()?;
    ensure!(output.status.success(), "apt-get indextargets: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn is_archive(url: &str, name: &str) -> bool {
    url.trim_end_matches('/').rsplit('/').next() == Some(name)
}

/// Values of `key` in the tables `[[table]]` of a lock file, which has one `key = "value"` a line.
fn values<'l>(lock: &'l str, table: &str, key: &str) -> impl Iterator<Item = &'l str> {
    let (heading, prefix) = (format!("[[{table}]]"), format!("{key} = \""));
    let mut is_inside = false;
    lock.lines().filter_map(move |line| {
        if line.starts_with('[') {
            is_inside = line == heading;
        }
        line.strip_prefix(prefix.as_str()).filter(|_| is_inside)?.strip_suffix('"')
    })
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "arch = \"amd64\"\n\n[[archives]]\nmirror = \"debian\"\nsuite = \"trixie\"\n\n[[archives]]\n\
                        mirror = \"debian-security\"\nsuite = \"trixie-security\"\n\n[[packages]]\nname = \"bash\"\n\
                        suite = \"trixie\"\n";

    #[test]
    fn the_peer_reads_the_archives_of_the_lock() {
        let mirrors =
            ["debian=http://a.example/d".to_owned(), "debian-security=http://b.example/s".to_owned()];
        assert_eq!(
            sources_list(LOCK, &mirrors).unwrap(),
            "deb http://a.example/d trixie main\ndeb http://b.example/s trixie-security main\n"
        );
        assert_eq!(values(LOCK, "packages", "name").collect::<Vec<_>>(), ["bash"]);
        let error = sources_list(LOCK, &mirrors[..1]).unwrap_err();
        assert!(error.to_string().contains("--mirror debian-security=URL"), "{error}");
        assert!(sources_list("", &mirrors).is_err());
    }

    #[test]
    fn archives_are_told_by_the_end_of_their_address() {
        assert!(is_archive("http://x.example/debian/", "debian"));
        assert!(!is_archive("http://x.example/debian-security/", "debian"));
    }

    #[test]
    fn paths_are_one_word_for_a_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
