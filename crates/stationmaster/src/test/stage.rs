//! The stage that tests with machines play on: what this host has room for, other releases, and an update server.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sm_compose::release::ReleaseDir;
use sm_host::{process::SystemRunner, qemu::Programs};
use sm_vmtest::{
    suite::{
        bench::{Base, Stage},
        lists::Lists,
        release::{Others, Release},
        room::Room,
    },
    vm::VmHost,
};

use super::Places;
use crate::{compose::host_arch, named, update_service};

/// Memory that stays with the rest of this host, in MiB.
const RESERVE_MIB: u32 = 512;

/// What the command line says about machines.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Machines {
    /// The release that most hosts update from.
    #[arg(long, value_name = "RELEASE")]
    pub(super) previous: Option<PathBuf>,
    /// The oldest release that must still update to this one.
    #[arg(long, value_name = "RELEASE")]
    oldest: Option<PathBuf>,
    /// A release that hosts update to from this one.
    #[arg(long, value_name = "RELEASE")]
    successor: Option<PathBuf>,
    /// The private key of the payloads, for tests that sign their own.
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Tests with machines that run at the same time [default: processors].
    #[arg(long, value_name = "N")]
    jobs: Option<u32>,
}

/// Sets the stage for one release; machines' files go below `dir`.
pub(super) fn stage(
    release: &ReleaseDir,
    lists: &Lists,
    programs: Programs,
    places: &Places,
    dir: &Path,
) -> anyhow::Result<Stage<'static>> {
    let machines = &places.machines;
    let other =
        |named: &Option<PathBuf>| named.as_deref().map(|named| opened(&places.root, named)).transpose();
    Ok(Stage {
        host: VmHost::find(&SystemRunner, programs, release.manifest().board.0)?,
        release: in_folder(release),
        others: Others {
            previous: other(&machines.previous)?,
            oldest: other(&machines.oldest)?,
            successor: other(&machines.successor)?,
        },
        lists: lists.clone(),
        signing_key: machines.signing_key.clone(),
        start_endpoint: Some(&update_service::start),
        room: room(machines.jobs)?,
        dir: dir.to_owned(),
        base: Base::default(),
    })
}

/// QEMU of the tools tree.
pub(super) fn programs(tools: &sm_host::tools::ToolsTree) -> anyhow::Result<Programs> {
    Ok(Programs::new(tools.clone(), host_arch()?))
}

fn opened(root: &Path, named: &Path) -> anyhow::Result<Release> {
    Ok(in_folder(&named::open(root, named)?))
}

fn in_folder(release: &ReleaseDir) -> Release {
    Release::new(release.manifest().clone(), release.path())
}

fn room(jobs: Option<u32>) -> anyhow::Result<Room> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = jobs.unwrap_or_else(|| u32::try_from(cpus).unwrap_or(u32::MAX));
    let said = std::fs::read_to_string("/proc/meminfo").context("cannot tell how much memory is free")?;
    let available = available_mib(&said).context("cannot tell how much memory is free")?;
    Ok(Room::new(available.saturating_sub(RESERVE_MIB), cpus))
}

/// Memory that programs can have without swapping (proc_meminfo(5), `MemAvailable`).
fn available_mib(meminfo: &str) -> Option<u32> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    u32::try_from(kib / 1024).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_what_the_kernel_says() {
        let said = "MemTotal:       24683932 kB\nMemFree:  100 kB\nMemAvailable:   22345678 kB\n";
        assert_eq!(available_mib(said), Some(21_821));
        assert_eq!(available_mib("MemTotal: 1 kB\n"), None);
    }
}
