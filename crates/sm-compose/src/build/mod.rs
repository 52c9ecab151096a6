//! The whole way from a recipe to a release directory: locks, packages, tools, image, release.
//!
//! Each step is another module's work; this one orders them and measures them. It reads no clock but for measuring, and
//! nothing measured gets into a release.

mod error;
mod twice;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use rayon::ThreadPoolBuilder;
use serde::Serialize;
use sha2::Digest as _;
use sm_debian::{Keyring, Request};
use sm_host::{files, process::Runner, progress::Progress, tools::ToolsTree};
use sm_image::payload::write::{Compression, Signer};
use sm_model::{Arch, Lock, Sha256, Timestamp, manifest::Inputs};

use crate::{
    archive::{Archive, lock_file},
    image::{self, ComposedImage, PackageFile},
    recipe::{Plan, Recipe},
    release::{Published, Release, publish},
    scratch::Scratch,
    tools,
};

pub use error::BuildError;
pub use twice::{Twice, compare};

/// Largest agent binary read.
const MAX_AGENT_BYTES: u64 = 256 << 20;

/// The world that building happens in: what it fetches from, runs with and keeps things in.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Where packages come from.
    pub archive: &'a Archive<'a>,
    /// Runs the tools.
    pub runner: &'a dyn Runner,
    /// Shows how far the work has come.
    pub progress: &'a dyn Progress,
    /// Where unpacked tools are kept.
    pub cache: &'a Path,
    /// Architecture of this host.
    pub host: Arch,
    /// Now: archives whose signed indexes have expired are refused.
    pub now: Timestamp,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("cache", &self.cache).field("host", &self.host).finish_non_exhaustive()
    }
}

/// What every composition of a release starts from: locked packages on this host, and tools that run.
#[derive(Debug)]
pub struct Ingredients {
    /// The image's lock.
    pub lock: Lock,
    lock_text: String,
    tools_lock_text: String,
    packages: Vec<PackageFile>,
    tools: ToolsTree,
    agent: PathBuf,
    agent_sha256: Sha256,
}

impl Ingredients {
    /// The tools tree.
    pub const fn tools(&self) -> &ToolsTree {
        &self.tools
    }

    /// Digests of everything that decides a release of `plan`, as its manifest will name them.
    pub fn inputs(&self, plan: &Plan) -> Inputs {
        let sha256 = |text: &str| Sha256(sha2::Sha256::digest(text).into());
        Inputs {
            recipe_sha256: plan.recipe_digest,
            lock_sha256: sha256(&self.lock_text),
            tools_lock_sha256: sha256(&self.tools_lock_text),
            agent_sha256: self.agent_sha256,
            stationmaster: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Where locks and agent lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The image's lock: made when it does not answer the recipe.
    pub lock: PathBuf,
    /// The tools tree's lock.
    pub tools_lock: PathBuf,
    /// The agent's binary, for the image's architecture.
    pub agent: PathBuf,
}

impl Places {
    /// Where the lock of an image lies unless told otherwise: beside its recipe, one for each set of variants.
    pub fn default_lock(recipe: &Path, variants: &[PathBuf], arch: Arch) -> PathBuf {
        let stems = variants.iter().filter_map(|variant| variant.file_stem());
        let prefix: String = stems.map(|stem| format!("{}-", stem.to_string_lossy())).collect();
        recipe.with_file_name(format!("{prefix}{arch}.lock"))
    }

    /// Where the lock of the tools tree lies unless told otherwise: variants do not change the tools.
    pub fn default_tools_lock(recipe: &Path, host: Arch) -> PathBuf {
        recipe.with_file_name(format!("tools-{host}.lock"))
    }
}

/// One step of building, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepTime {
    /// What was done.
    pub step: &'static str,
    /// How long it took.
    pub millis: u64,
    /// How many bytes it gave.
    pub bytes: u64,
}

/// The steps of one building, as they end.
#[derive(Debug, Default)]
pub struct Steps(Vec<StepTime>);

impl Steps {
    /// The steps that ended, in order.
    pub fn ended(&self) -> &[StepTime] {
        &self.0
    }

    fn time<T, E>(
        &mut self,
        step: &'static str,
        bytes: impl FnOnce(&T) -> u64,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = Instant::now();
        let done = work()?;
        let millis = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.push(StepTime { step, millis, bytes: bytes(&done) });
        Ok(done)
    }
}

/// Makes everything ready that composing needs: locks that answer the recipe, their packages, the tools tree.
///
/// # Errors
/// When an archive does not deliver, a package is not what its lock says, or the agent cannot be read.
pub fn prepare(
    recipe: &Recipe,
    plan: &Plan,
    places: &Places,
    world: &World<'_>,
    steps: &mut Steps,
) -> Result<Ingredients, BuildError> {
    let keyring = Keyring::parse(&recipe.keyring)?;
    let agent = files::read_limited(&places.agent, MAX_AGENT_BYTES)?;
    let agent_sha256 = Sha256(sha2::Sha256::digest(agent).into());
    let ask = |path: &Path, request: &Request| world.archive.lock(path, request, &keyring, world.now);
    let (lock, tools_lock) = steps.time(
        "lock",
        |_| 0,
        || {
            let lock = ask(&places.lock, &plan.target.packages)?;
            Ok::<_, BuildError>((lock, ask(&places.tools_lock, &recipe.tools_for(world.host))?))
        },
    )?;
    let packages =
        steps.time("packages", |packages: &Vec<_>| total_bytes(packages), || package_files(&lock, world))?;
    let tools_tree =
        steps.time("tools", |_| total_of(&tools_lock), || self::tools_tree(&tools_lock, world))?;
    let text = |lock: &Lock| lock_file::to_text(lock).map_err(BuildError::LockText);
    let (lock_text, tools_lock_text) = (text(&lock)?, text(&tools_lock)?);
    let agent = places.agent.clone();
    Ok(Ingredients { lock, lock_text, tools_lock_text, packages, tools: tools_tree, agent, agent_sha256 })
}

/// The tools tree of a lock, fetched and unpacked if need be.
///
/// # Errors
/// When a package cannot be fetched or unpacked.
pub fn tools_tree(lock: &Lock, world: &World<'_>) -> Result<ToolsTree, BuildError> {
    if let Some(tree) = tools::find(world.cache, lock) {
        return Ok(tree);
    }
    let packages = package_files(lock, world)?;
    Ok(tools::provide(world.cache, lock, &packages, world.progress)?)
}

fn package_files(lock: &Lock, world: &World<'_>) -> Result<Vec<PackageFile>, BuildError> {
    let paths = world.archive.fetch_all(lock)?;
    let packages = lock.packages.iter().cloned();
    Ok(packages.zip(paths).map(|(package, path)| PackageFile { package, path }).collect())
}

fn total_bytes(packages: &[PackageFile]) -> u64 {
    packages.iter().map(|file| file.package.size_bytes).sum()
}

fn total_of(lock: &Lock) -> u64 {
    lock.packages.iter().map(|package| package.size_bytes).sum()
}

/// Where and how one composition runs. None of it may be seen in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// Where working files go: below it, a directory is made and removed.
    pub work: &'a Path,
    /// How many threads work; 0 for one a core.
    pub jobs: usize,
}

/// Composes the image and writes the release below `root`.
///
/// # Errors
/// When composing or writing fails. Nothing of the release is left then, nor of the working files.
pub fn compose(
    plan: &Plan,
    ingredients: &Ingredients,
    signer: &mut (dyn Signer + Send),
    root: &Path,
    circumstances: Circumstances<'_>,
    world: &World<'_>,
    steps: &mut Steps,
) -> Result<Published, BuildError> {
    let pool = ThreadPoolBuilder::new().num_threads(circumstances.jobs).build()?;
    let work = Scratch::create(circumstances.work, ".composing-")?;
    pool.install(|| {
        let image = steps.time(
            "image",
            |image: &ComposedImage| image.usr_size_bytes,
            || {
                let inputs = image::Inputs {
                    plan,
                    packages: &ingredients.packages,
                    tools: &ingredients.tools,
                    agent: &ingredients.agent,
                    work: work.path(),
                };
                image::compose(&inputs, world.runner, world.progress)
            },
        )?;
        let published = steps.time("release", released_bytes, || {
            let release = Release {
                plan,
                image: &image,
                lock: &ingredients.lock,
                lock_text: &ingredients.lock_text,
                tools_lock_sha256: Sha256(sha2::Sha256::digest(&ingredients.tools_lock_text).into()),
                agent_sha256: ingredients.agent_sha256,
                compression: Compression::Auto,
                signer,
            };
            publish(release, root, world.progress)
        })?;
        Ok(published)
    })
}

fn released_bytes(published: &Published) -> u64 {
    published.manifest.artifacts.iter().map(|artifact| artifact.size_bytes).sum()
}
