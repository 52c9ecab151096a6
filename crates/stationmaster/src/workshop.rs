//! What this machine composes with: archive, cache, programs. Set up in one place for every verb that needs it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sm_compose::{
    archive::{Archive, Mirrors, default_cache},
    build::{Places, World, tools_tree},
    recipe,
};
use sm_debian::Keyring;
use sm_host::{
    clock::{Clock, SystemClock},
    fetch::{HttpFetch, Timeouts},
    process::SystemRunner,
    qemu::Programs,
    tools::ToolsTree,
};

use crate::{compose::host_arch, context::Context};

/// Does `work` in the world of this machine. `mirrors` (`NAME=URL`) go before what APT says.
pub(crate) fn with_world<T>(
    mirrors: &[String],
    ctx: &Context<'_>,
    work: impl FnOnce(World<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let fetch = HttpFetch::new("stationmaster", Timeouts::default());
    let mirrors = Mirrors::of_apt(Path::new("/etc/apt"))?.overridden(mirrors)?;
    let cache = default_cache()?;
    let archive = Archive::new(&fetch, &mirrors, &cache, ctx.progress);
    work(World {
        archive: &archive,
        runner: &SystemRunner,
        progress: ctx.progress,
        cache: &cache,
        host: host_arch()?,
        now: SystemClock.now(),
    })
}

/// QEMU and its firmware from the tools tree of a recipe, unpacked if need be.
pub(crate) fn qemu(recipe: &Path, mirrors: &[String], ctx: &Context<'_>) -> anyhow::Result<Programs> {
    Ok(Programs::new(tools(recipe, None, mirrors, ctx)?, host_arch()?))
}

/// The tools tree of a recipe, as `lock` pins it, or the lock beside the recipe; unpacked if need be.
pub(crate) fn tools(
    recipe: &Path,
    lock: Option<&Path>,
    mirrors: &[String],
    ctx: &Context<'_>,
) -> anyhow::Result<ToolsTree> {
    let loaded = recipe::load(recipe, &[])?;
    let keyring = Keyring::parse(&loaded.keyring).context("cannot use the recipe's keyring")?;
    with_world(mirrors, ctx, |world| {
        let beside = || Places::default_tools_lock(recipe, world.host);
        let path: PathBuf = lock.map_or_else(beside, Path::to_owned);
        let lock = world.archive.lock(&path, &loaded.tools_for(world.host), &keyring, world.now)?;
        Ok(tools_tree(&lock, &world)?)
    })
}
