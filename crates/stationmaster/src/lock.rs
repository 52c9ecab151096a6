//! `stationmaster lock`: which exact packages a recipe stands for; renewing them, and telling two locks apart.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sm_compose::{
    archive::{Archive, ArchiveError, Mirrors, default_cache, lock_file},
    build::Places,
    recipe::{self, Recipe},
};
use sm_debian::{Keyring, LockDiff, Request, lock::versions_to_keep};
use sm_host::{
    clock::{Clock, SystemClock},
    fetch::{HttpFetch, Timeouts},
    files::read_limited,
};
use sm_model::{Arch, Lock, PackageName, PackageVersion};

use crate::context::{Context, Outcome};

/// Largest keyring that is read.
const MAX_KEYRING_BYTES: u64 = 16 << 20;

/// Pin the exact packages that a recipe stands for.
///
/// Reads the signed indexes of the recipe's suites, finds one set of packages
/// that satisfies every dependency, and writes it down. A lock that still answers
/// the recipe is left as it is, and the network is not asked.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  stationmaster lock\n  stationmaster lock --arch arm64\n  \
                  stationmaster lock --mirror debian=https://mirror.example/debian\n  \
                  stationmaster lock update --only curl --only libcurl4t64\n  \
                  stationmaster lock fetch\n  \
                  stationmaster lock diff old.lock new.lock"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Renew the lock: all packages, or only some.
    Update {
        #[command(flatten)]
        what: What,
        /// Renew only this package, and what it needs newer; repeatable.
        #[arg(long, value_name = "PACKAGE")]
        only: Vec<PackageName>,
    },
    /// Fetch all packages of the lock into the cache, for work without a network.
    Fetch {
        #[command(flatten)]
        what: What,
    },
    /// Tell what differs between two locks.
    Diff {
        /// The older lock.
        old: PathBuf,
        /// The newer lock.
        new: PathBuf,
    },
}

/// Which set of packages, from where.
#[derive(Debug, clap::Args)]
struct What {
    /// The recipe.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// A variant to lay over the recipe; repeatable.
    #[arg(long, value_name = "FILE")]
    variant: Vec<PathBuf>,
    /// The architecture.
    #[arg(long, default_value_t = Arch::Amd64)]
    arch: Arch,
    /// The packages of the tools tree instead of the image's.
    #[arg(long)]
    tools: bool,
    /// Where an archive is, instead of what APT says; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    mirror: Vec<String>,
    /// Trust these keys instead of the recipe's.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Accept archives older than those that the lock knows.
    #[arg(long)]
    allow_older_archive: bool,
    /// The lock [default: [VARIANT-]ARCH.lock or tools-ARCH.lock beside the recipe].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match &args.verb {
        None => make(&args.what, ctx),
        Some(Verb::Update { what, only }) => update(what, only, ctx),
        Some(Verb::Fetch { what }) => fetch(what, ctx),
        Some(Verb::Diff { old, new }) => diff(old, new, ctx),
    }
}

fn make(what: &What, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let question = Question::read(what)?;
    let path = what.path();
    let old = lock_file::read_if_present(&path)?;
    if let Some(lock) = old.as_ref().filter(|lock| lock.request == question.request.digest()) {
        ctx.progress.note("the lock still answers the recipe; `stationmaster lock update` renews it");
        return tell(ctx, path, lock, lock);
    }
    let lock = question.resolve(what, &BTreeMap::new(), ctx)?;
    replace(what, &path, old.as_ref(), &lock)?;
    tell(ctx, path, old.as_ref().unwrap_or(&lock), &lock)
}

fn update(what: &What, only: &[PackageName], ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let question = Question::read(what)?;
    let path = what.path();
    let old = lock_file::read(&path)?;
    if let Some(name) = only.iter().find(|name| old.packages.iter().all(|package| package.name != **name)) {
        return Err(ArchiveError::NotLocked { name: name.clone(), path }.into());
    }
    let keep = if only.is_empty() { BTreeMap::new() } else { versions_to_keep(&old, only) };
    let lock = question.resolve(what, &keep, ctx)?;
    replace(what, &path, Some(&old), &lock)?;
    tell(ctx, path, &old, &lock)
}

fn replace(what: &What, path: &Path, old: Option<&Lock>, new: &Lock) -> Result<(), ArchiveError> {
    if let Some(old) = old.filter(|_| !what.allow_older_archive) {
        lock_file::refuse_older(old, new)?;
    }
    lock_file::write(path, new)
}

fn fetch(what: &What, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let path = what.path();
    let lock = lock_file::read(&path)?;
    with_archive(what, ctx, |archive| archive.fetch_all(&lock))?;
    tell(ctx, path, &lock, &lock)
}

fn diff(old: &Path, new: &Path, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    ctx.data(&LockDiff::between(&lock_file::read(old)?, &lock_file::read(new)?))?;
    Ok(Outcome::Done)
}

/// A lock in a few words, and what it changed.
#[derive(Debug, serde::Serialize)]
struct Summary {
    #[serde(serialize_with = "crate::context::path")]
    path: PathBuf,
    arch: Arch,
    n_packages: usize,
    size_bytes: u64,
    changes: LockDiff,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, megabytes) = (self.path.display(), self.size_bytes / 1_000_000);
        write!(f, "`{path}`: {} packages for `{}`, {megabytes} MB", self.n_packages, self.arch)?;
        if self.changes.packages.is_empty() { Ok(()) } else { write!(f, "\n{}", self.changes) }
    }
}

fn tell(ctx: &Context<'_>, path: PathBuf, old: &Lock, new: &Lock) -> anyhow::Result<Outcome> {
    ctx.data(&Summary {
        path,
        arch: new.arch,
        n_packages: new.packages.len(),
        size_bytes: new.packages.iter().map(|package| package.size_bytes).sum(),
        changes: LockDiff::between(old, new),
    })?;
    Ok(Outcome::Done)
}

fn with_archive<T>(
    what: &What,
    ctx: &Context<'_>,
    work: impl FnOnce(&Archive<'_>) -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    let fetch = HttpFetch::new("stationmaster", Timeouts::default());
    let mirrors = Mirrors::of_apt(Path::new("/etc/apt"))?.overridden(&what.mirror)?;
    work(&Archive::new(&fetch, &mirrors, &default_cache()?, ctx.progress))
}

/// What is asked of the archives, and whose signatures count.
struct Question {
    request: Request,
    keyring: Keyring,
}

impl Question {
    fn read(what: &What) -> anyhow::Result<Self> {
        let recipe = recipe::load(&what.recipe, &what.variant)?;
        let keyring = match &what.keyring {
            Some(path) => read_limited(path, MAX_KEYRING_BYTES)?,
            None => recipe.keyring.to_vec(),
        };
        let keyring = Keyring::parse(&keyring).context("cannot use the keyring")?;
        Ok(Question { request: request(&recipe, what)?, keyring })
    }

    fn resolve(
        &self,
        what: &What,
        keep: &BTreeMap<PackageName, PackageVersion>,
        ctx: &Context<'_>,
    ) -> anyhow::Result<Lock> {
        let now = SystemClock.now();
        let resolved =
            with_archive(what, ctx, |archive| archive.resolve(&self.request, &self.keyring, keep, now));
        Ok(resolved?)
    }
}

fn request(recipe: &Recipe, what: &What) -> anyhow::Result<Request> {
    if what.tools {
        return Ok(recipe.tools_for(what.arch));
    }
    let target = recipe.targets.get(&what.arch);
    let target = target.with_context(|| format!("the recipe has no architecture `{}`", what.arch))?;
    Ok(target.packages.clone())
}

impl What {
    fn path(&self) -> PathBuf {
        let default = || match self.tools {
            true => Places::default_tools_lock(&self.recipe, self.arch),
            false => Places::default_lock(&self.recipe, &self.variant, self.arch),
        };
        self.output.clone().unwrap_or_else(default)
    }
}
