//! What an operator may say about a server: from the command line, and from a TOML file for what outlives one start.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use sm_host::clock::{Clock, SystemClock};
use sm_model::Channel;
use sm_rollout::omaha::{AppId, Url};

use crate::Error;

/// Application id of Boxcar Linux, served unless the configuration names another.
pub const BOXCAR_APP_ID: &str = "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}";

/// Everything a server needs to know before it starts.
#[derive(Clone)]
pub struct Config {
    /// The release directory: `CHANNEL/BOARD/VERSION/…`.
    pub root: PathBuf,
    /// The fleet's database; created where there is none. Must lie outside the release directory.
    pub database: PathBuf,
    /// Where to listen. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// How hosts reach this server, where that differs from the `Host` they send (a proxy, HTTPS, a CDN).
    pub public_url: Option<Url>,
    /// The application whose updates are served.
    pub app_id: AppId,
    /// Groups beside those that are named as their channel.
    pub groups: BTreeMap<String, Channel>,
    /// How often hosts shall come, in seconds; `None` leaves it to them.
    pub poll_interval_secs: Option<u32>,
    /// Bounds on what clients may do.
    pub limits: Limits,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Bounds on what clients may do. Each names the attack it stops.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Flooding with connections: further ones wait in the kernel's queue. Fewer where this process may not open two files for each.
    pub n_connections: usize,
    /// Asking faster than the database writes: further update requests are told to come back later.
    pub n_waiting: usize,
    /// Sending headers for ever.
    pub header_timeout: Duration,
    /// Sending a body for ever.
    pub body_timeout: Duration,
    /// Holding a connection without moving a byte, in either direction.
    pub idle_timeout: Duration,
    /// Holding a connection by taking an answer byte by byte: a client that the server has to wait for takes at least this much
    /// within [`Limits::idle_timeout`].
    pub idle_bytes: usize,
    /// Endless headers.
    pub header_bytes: usize,
    /// Countless headers.
    pub n_headers: usize,
    /// Endless bodies.
    pub body_bytes: usize,
    /// Holding the server's stop: downloads still running then are cut, hosts resume them.
    pub stop_grace: Duration,
}

impl Limits {
    /// What real clients stay below by an order of magnitude.
    pub const DEFAULT: Limits = Limits {
        n_connections: 4096,
        n_waiting: 1024,
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        idle_bytes: 64 << 10,
        header_bytes: 16 << 10,
        n_headers: 64,
        body_bytes: 64 << 10,
        stop_grace: Duration::from_secs(10),
    };
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app_id: Option<String>,
    public_url: Option<String>,
    poll_interval_secs: Option<u32>,
    #[serde(default)]
    groups: BTreeMap<String, String>,
}

/// Longest configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Poll intervals that make sense: update_engine itself goes from 45 minutes to 4 hours, laboratories go faster.
const POLL_INTERVAL_SECS: std::ops::RangeInclusive<u32> = 5..=86_400;

impl Config {
    /// A server of Boxcar on a free port of this machine only.
    pub fn new(root: impl Into<PathBuf>, database: impl Into<PathBuf>) -> Config {
        Config {
            root: root.into(),
            database: database.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            app_id: BOXCAR_APP_ID.parse().expect("the constant is an application id"),
            groups: BTreeMap::new(),
            poll_interval_secs: None,
            limits: Limits::DEFAULT,
            clock: Arc::new(SystemClock),
        }
    }

    /// Takes over what a configuration file says.
    ///
    /// # Errors
    /// When the file cannot be read or understood; all problems of its values are listed together.
    pub fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = sm_host::files::read_limited(path, MAX_FILE_BYTES).map_err(Error::ReadConfig)?;
        let file = toml::from_slice(&bytes)
            .map_err(|source| Error::ParseConfig { path: path.to_owned(), source: Box::new(source) })?;
        self.apply(file).map_err(|problems| Error::Config { problems })
    }

    fn apply(&mut self, file: File) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        if let Some(app_id) = read("app_id", file.app_id.as_deref(), &mut problems) {
            self.app_id = app_id;
        }
        if let Some(url) = read("public_url", file.public_url.as_deref(), &mut problems) {
            self.public_url = Some(url);
        }
        for (group, channel) in &file.groups {
            let channel = read(&format!("groups.{group}"), Some(channel.as_str()), &mut problems);
            problems.extend(group_problem(group));
            self.groups.extend(channel.map(|channel| (group.clone(), channel)));
        }
        if let Some(secs) = file.poll_interval_secs {
            if !POLL_INTERVAL_SECS.contains(&secs) {
                problems.push(format!(
                    "`poll_interval_secs` is {secs}: expected {} to {}",
                    POLL_INTERVAL_SECS.start(),
                    POLL_INTERVAL_SECS.end()
                ));
            }
            self.poll_interval_secs = Some(secs);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The channel that a group follows: as configured, else the channel of the group's own name.
    pub fn channel_of(&self, group: &str) -> Option<Channel> {
        self.groups.get(group).copied().or_else(|| group.parse().ok())
    }
}

fn read<T: std::str::FromStr<Err: fmt::Display>>(
    key: &str,
    text: Option<&str>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let parsed = text?.parse().map_err(|error: T::Err| problems.push(format!("`{key}`: {error}")));
    parsed.ok()
}

/// A group that carries a channel's name but follows another would surprise every operator after this one.
fn group_problem(group: &str) -> Option<String> {
    let clean = !group.is_empty() && group.len() <= 128 && !group.contains(char::is_control);
    if !clean {
        Some(format!("`groups.{}`: expected 1 to 128 bytes without control characters", group.escape_debug()))
    } else if group.parse::<Channel>().is_ok() {
        Some(format!(
            "`groups.{group}`: a group named as a channel follows that channel; choose another name"
        ))
    } else {
        None
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("root", &self.root)
            .field("database", &self.database)
            .field("listen", &self.listen)
            .field("public_url", &self.public_url)
            .field("app_id", &self.app_id)
            .field("groups", &self.groups)
            .field("poll_interval_secs", &self.poll_interval_secs)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &str) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serve.toml");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::new("releases", "fleet.db");
        config.read_file(&path).map(|()| config)
    }

    #[test]
    fn a_group_follows_its_configured_channel_or_the_channel_of_its_name() {
        let config = from_text("[groups]\nproduction = \"stable\"\n").unwrap();
        assert_eq!(config.channel_of("production"), Some(Channel::Stable));
        assert_eq!(config.channel_of("lts-2026"), Some(Channel::Lts(2026)));
        assert_eq!(config.channel_of("staging"), None);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let text = "app_id = \"<x>\"\npublic_url = \"ftp://h/\"\npoll_interval_secs = 1\n\
                    [groups]\nstable = \"beta\"\nstaging = \"nightly\"\n";
        let Err(Error::Config { problems }) = from_text(text) else { panic!("expected problems") };
        let keys: Vec<_> = problems.iter().map(|problem| problem.split('`').nth(1).unwrap()).collect();
        assert_eq!(keys, ["app_id", "public_url", "groups.stable", "groups.staging", "poll_interval_secs"]);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let error = from_text("app_id = \"io.example.os\"\nlisten = 1\n").unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("line 2") && source.contains("listen"), "{source}");
        assert_eq!(error.exit_code(), sm_model::exit::INVALID_INPUT);
    }
}
