//! What the operator wants: the keys of `update.conf`, compatible with those of Flatcar.
//!
//! Several files are read; for each key the first file that has it wins. A line is `KEY=value`, `KEY="value"`, empty or a
//! `#` comment. Unknown keys belong to other programs that read the same file and are ignored.

use std::fmt;

use crate::omaha::Url;

/// The agent's settings.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Config {
    /// The update server; `None` when it is `disabled` or not set.
    pub server: Option<Url>,
    /// The group that this host follows.
    pub group: String,
    /// What to do when an update is armed.
    pub reboot: RebootStrategy,
    /// A name for the machine, for people.
    pub machine_alias: Option<String>,
}

/// What to do when an update is armed (`REBOOT_STRATEGY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebootStrategy {
    /// Reboot at once.
    Reboot,
    /// Leave the reboot to somebody else.
    Off,
}

impl fmt::Display for RebootStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RebootStrategy::Reboot => "reboot",
            RebootStrategy::Off => "off",
        })
    }
}

/// Settings that cannot be meant; every problem in every file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the update configuration is wrong:\n{}", .problems.join("\n"))]
pub struct InvalidConfig {
    /// One line each, with file and line number.
    pub problems: Vec<String>,
}

impl InvalidConfig {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some("correct `/etc/boxcar/update.conf`; it is read again at the next check".to_owned())
    }

    /// Exit code of a program that stops for this.
    pub fn exit_code(&self) -> u8 {
        sm_model::exit::INVALID_INPUT
    }
}

/// One configuration file: its name for messages, and its text.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Path of the file.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// A key's value and where it was found.
struct Setting<'a> {
    value: &'a str,
    source: &'a str,
    line: usize,
}

impl Config {
    /// Longest group name and machine alias, in bytes.
    pub const MAX_TEXT_LEN: usize = 64;

    /// Reads the settings from files, the winning one first.
    ///
    /// # Errors
    /// Lists every value that is not what its key expects, and `GROUP` if no file has it.
    pub fn from_sources(sources: &[Source<'_>]) -> Result<Self, InvalidConfig> {
        let mut problems = Vec::new();
        let group = lookup(sources, "GROUP", &mut problems, parse_label);
        let server = lookup(sources, "SERVER", &mut problems, parse_server);
        let reboot = lookup(sources, "REBOOT_STRATEGY", &mut problems, parse_strategy);
        let machine_alias = lookup(sources, "MACHINE_ALIAS", &mut problems, parse_label);
        if group.is_none() && problems.is_empty() {
            let files: Vec<_> = sources.iter().map(|source| format!("`{}`", source.name)).collect();
            problems.push(format!("`GROUP` is set in none of {}", files.join(", ")));
        }
        match group {
            Some(group) if problems.is_empty() => Ok(Config {
                server: server.flatten(),
                group,
                reboot: reboot.unwrap_or(RebootStrategy::Reboot),
                machine_alias,
            }),
            _ => Err(InvalidConfig { problems }),
        }
    }
}

fn lookup<T>(
    sources: &[Source<'_>],
    key: &str,
    problems: &mut Vec<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let setting = sources.iter().find_map(|source| find(source, key))?;
    match parse(setting.value) {
        Ok(value) => Some(value),
        Err(expected) => {
            let Setting { value, source, line } = setting;
            problems
                .push(format!("{source}:{line}: `{key}` is `{}`: expected {expected}", value.escape_debug()));
            None
        }
    }
}

/// The value of a key in `KEY=value` lines, without quotes; the form of os-release(5) and its relatives.
pub fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    assignments(text).find(|(_, name, _)| *name == key).map(|(_, _, value)| value)
}

/// Every assignment: line number from 1, key, value without quotes.
fn assignments(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| {
        let (name, value) = line.split_once('=')?;
        Some((index + 1, name.trim(), unquoted(value.trim())))
    })
}

fn find<'a>(source: &Source<'a>, key: &str) -> Option<Setting<'a>> {
    assignments(source.text).find(|(_, name, _)| *name == key).map(|(line, _, value)| Setting {
        value,
        source: source.name,
        line,
    })
}

fn unquoted(value: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

fn parse_label(value: &str) -> Result<String, String> {
    let clean = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if clean && !value.is_empty() && value.len() <= Config::MAX_TEXT_LEN {
        Ok(value.to_owned())
    } else {
        Err(format!("1 to {} letters, digits or `._-`", Config::MAX_TEXT_LEN))
    }
}

fn parse_server(value: &str) -> Result<Option<Url>, String> {
    match value {
        "" | "disabled" => Ok(None),
        url => url.parse().map(Some).map_err(|_| "`disabled` or `http://HOST[:PORT]/PATH`".to_owned()),
    }
}

fn parse_strategy(value: &str) -> Result<RebootStrategy, String> {
    match value {
        "reboot" => Ok(RebootStrategy::Reboot),
        "off" => Ok(RebootStrategy::Off),
        _ => Err("`reboot` or `off`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(etc: &str, usr: &str) -> Result<Config, InvalidConfig> {
        let etc = Source { name: "/etc/boxcar/update.conf", text: etc };
        Config::from_sources(&[etc, Source { name: "/usr/share/boxcar/update.conf", text: usr }])
    }

    #[test]
    fn the_first_file_that_has_a_key_wins_key_by_key() {
        let config = read(
            "# mine\nSERVER=\"http://10.0.2.2:8000/v1/update/\"\n REBOOT_STRATEGY = 'off' \nMACHINE_ALIAS=web-1\n",
            "GROUP=alpha\nSERVER=disabled\nREBOOT_STRATEGY=reboot\n",
        )
        .unwrap();
        assert_eq!(config.server.unwrap().as_str(), "http://10.0.2.2:8000/v1/update/");
        assert_eq!((config.group.as_str(), config.reboot), ("alpha", RebootStrategy::Off));
        assert_eq!(config.machine_alias.as_deref(), Some("web-1"));
    }

    #[test]
    fn a_server_is_off_unless_named() {
        assert_eq!(read("", "GROUP=alpha").unwrap().server, None);
        assert_eq!(read("SERVER=", "GROUP=alpha\nSERVER=http://h/").unwrap().server, None);
        assert_eq!(read("SERVER=disabled", "GROUP=alpha\nSERVER=http://h/").unwrap().server, None);
    }

    #[test]
    fn keys_of_other_programs_are_ignored() {
        let config = read("LOCKSMITHD_REBOOT_WINDOW_START=14:00\nnonsense\nGROUP=beta", "").unwrap();
        assert_eq!((config.group.as_str(), config.reboot), ("beta", RebootStrategy::Reboot));
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let error = read("\nSERVER=ftp://x\nGROUP=a b", "REBOOT_STRATEGY=etcd-lock").unwrap_err();
        let text = error.to_string();
        for part in [
            "/etc/boxcar/update.conf:2: `SERVER`",
            "/etc/boxcar/update.conf:3: `GROUP`",
            "/usr/share/boxcar/update.conf:1: `REBOOT_STRATEGY` is `etcd-lock`: expected `reboot` or `off`",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_missing_group_is_told_with_the_files_that_were_read() {
        let error = read("", "SERVER=http://h/").unwrap_err().to_string();
        assert!(error.contains("`GROUP`") && error.contains("/usr/share/boxcar/update.conf"), "{error}");
    }
}
