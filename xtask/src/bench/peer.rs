//! Programs that we are measured against: the host's own, installed first where that can be done without asking.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Result, bail};

use crate::{
    cargo::{must, program},
    steps::say,
};

/// Where Debian's programs lie.
const PLACES: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"];

/// The program of that name, from the Debian package `package`. Root gets it installed; others are told what is missing.
pub(super) fn provide(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = find(name) {
        return Ok(found);
    }
    let Some(apt_get) = find("apt-get").filter(|_| is_root()) else {
        bail!(
            "`{name}`, which this benchmark needs, is not here and only root can install it: run \
             `apt-get install {package}` as root first"
        );
    };
    say(&format!("installing `{package}`"));
    must(apt(&apt_get, &["update", "--quiet"]), "apt-get update")?;
    let install = ["install", "--quiet", "--assume-yes", "--no-install-recommends", package];
    must(apt(&apt_get, &install), "apt-get install")?;
    match find(name) {
        Some(found) => Ok(found),
        None => bail!("`{package}` was installed, but there is no `{name}` in {}", PLACES.join(", ")),
    }
}

fn apt(apt_get: &Path, args: &[&str]) -> std::process::Command {
    let mut command = program(apt_get);
    // What it tells is not the benchmark's result.
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    command
}

fn find(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file())
}

/// Whether this process may install packages (proc(5): the second number of `Uid:` is the effective one).
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.and_then(|uids| uids.split_whitespace().nth(1)) == Some("0")
}
