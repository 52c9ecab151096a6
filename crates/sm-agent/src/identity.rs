//! What the host and its image say about themselves: version, board, machine, settings.

use std::path::Path;

use sm_host::files::{FileError, read_limited};
use sm_model::{Board, Version};
use sm_rollout::agent::{
    Config, Identity,
    config::{Source, value_of},
};

use crate::{Error, paths::Root};

/// Largest settings file, in bytes.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// The running image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `ID` of os-release: the prefix of kernel image names and partition labels.
    pub os: String,
    /// Who asks the server.
    pub identity: Identity,
}

impl Image {
    /// Reads what the running image says about itself.
    ///
    /// # Errors
    /// When a file is missing or does not say what every image says.
    pub fn read(root: &Root) -> Result<Self, Error> {
        let os_release = of_image(&root.os_release())?;
        let release = of_image(&root.release())?;
        let os = value(&root.os_release(), &os_release, "ID", "an OS id", |id| Some(id.to_owned()))?;
        let platform =
            value(&root.os_release(), &os_release, "NAME", "a name", |name| Some(name.to_owned()))?;
        let from_release = root.release();
        let running: Version =
            value(&from_release, &release, "BOXCAR_RELEASE_VERSION", "MAJOR.LEVEL.PATCH", |v| {
                v.parse().ok()
            })?;
        let board: Board =
            value(&from_release, &release, "BOXCAR_RELEASE_BOARD", "a board", |v| v.parse().ok())?;
        let app_id =
            value(&from_release, &release, "BOXCAR_RELEASE_APPID", "an application id", |v| v.parse().ok())?;
        let machine_id = text(&root.machine_id()).ok().and_then(|id| machine_id(&id));
        let boot_id = text(&root.boot_id())?.trim().to_owned();
        let updater = concat!("stationmaster-agent-", env!("CARGO_PKG_VERSION")).to_owned();
        Ok(Image {
            os,
            identity: Identity { app_id, board, running, platform, machine_id, boot_id, updater },
        })
    }
}

/// Reads the settings as they are now.
///
/// # Errors
/// When a file cannot be read or a value cannot be meant.
pub fn read_config(root: &Root) -> Result<Config, Error> {
    let paths = root.settings();
    let mut texts = Vec::new();
    for path in &paths {
        match text(path) {
            Ok(content) => texts.push((path.display().to_string(), content)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let sources: Vec<_> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    Ok(Config::from_sources(&sources)?)
}

/// A file that every image has.
fn of_image(path: &Path) -> Result<String, Error> {
    text(path).map_err(|error| match error {
        error if error.is_not_found() => Error::NoImage { path: path.to_owned() },
        error => error.into(),
    })
}

fn text(path: &Path) -> Result<String, FileError> {
    read_limited(path, MAX_TEXT_BYTES).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn value<T>(
    path: &Path,
    text: &str,
    key: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Error> {
    value_of(text, key).filter(|value| !value.is_empty()).and_then(parse).ok_or_else(|| Error::Image {
        path: path.to_owned(),
        key,
        expected,
    })
}

/// 32 hexadecimal digits; anything else (`uninitialized` on a first boot) is no identity yet.
fn machine_id(text: &str) -> Option<String> {
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
}
