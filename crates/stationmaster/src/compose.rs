//! `stationmaster compose`: from a recipe to a release directory.

mod summary;
#[cfg(test)]
mod tests;
mod verify;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rand_core::OsRng;
use sm_compose::{
    build::{self, BuildError, Circumstances, Ingredients, Places, Steps, World},
    recipe::{self, Choices, Plan, Recipe},
    release::Published,
};
use sm_host::{
    clock::{Clock, SystemClock},
    files::read_limited,
};
use sm_model::{Arch, Channel, Sha256, Timestamp, Version};
use sm_trust::PrivateKey;

use crate::{
    context::{Context, Outcome},
    workshop::with_world,
};

/// Longest key file that is read.
const MAX_KEY_BYTES: u64 = 64 << 10;

const EXAMPLES: &str = "\
Examples:
  stationmaster payload keygen keys
      Once: make the keys that sign updates.
  stationmaster compose --key keys/update-payload-key.key.pem
      Compose today's alpha for this machine's architecture.
  stationmaster compose --arch arm64 --key keys/update-payload-key.key.pem
      The same for another: its agent is built with the recipe's compiler.
  stationmaster compose --check
      Only tell what is wrong with the recipe.
  stationmaster compose --channel stable --version 4893.2.0 --verify ...
      Compose a release, then compose it again and compare every byte.

The release lies in DIR/CHANNEL/BOARD/VERSION, whole or not at all, and
DIR/CHANNEL/BOARD/current points to it. The same recipe, locks, agent, key and
version give the same bytes on any machine.";

/// Compose a release from a recipe: packages, image, payload, lists.
///
/// Locks the packages if no lock answers the recipe, fetches what the cache does
/// not hold, and needs neither root nor any installed tool.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recipe.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// A variant to lay over the recipe; repeatable, later ones win.
    #[arg(long, value_name = "FILE")]
    variant: Vec<PathBuf>,
    /// Only tell what is wrong with the recipe, and what it would make.
    #[arg(long)]
    check: bool,
    /// The architecture [default: this machine's].
    #[arg(long)]
    arch: Option<Arch>,
    /// The channel.
    #[arg(long, default_value_t = Channel::Alpha)]
    channel: Channel,
    /// The version [default: the channel's first of a branch cut today].
    #[arg(long)]
    version: Option<Version>,
    /// The image's lock [default: [VARIANT-]ARCH.lock beside the recipe].
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// The tools' lock [default: tools-ARCH.lock beside the recipe].
    #[arg(long, value_name = "FILE")]
    tools_lock: Option<PathBuf>,
    /// Where an archive is, instead of what APT says; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    mirror: Vec<String>,
    /// Where releases go.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    out: PathBuf,
    /// Private key that signs the payload; hosts get its public half.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The update agent's binary [default: beside this program, or built where
    /// the image is for another architecture].
    #[arg(long, value_name = "FILE", conflicts_with = "build_agent")]
    agent: Option<PathBuf>,
    /// Build the agent with the recipe's own compiler, against the image's own C
    /// library. Needs cargo; fetches 160 MB of packages once.
    #[arg(long)]
    build_agent: bool,
    /// Time stamp of every file, RFC 3339 [default: from the version].
    #[arg(long, value_name = "TIME")]
    source_date: Option<Timestamp>,
    /// Compose a second time under other circumstances, and compare; what
    /// came of it is evidence for `stationmaster test`.
    #[arg(long)]
    verify: bool,
    /// Where working files go [default: where releases go].
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// How many threads work [default: one a core].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    jobs: usize,
}

pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let recipe = recipe::load(&args.recipe, &args.variant)?;
    let version = args.version.unwrap_or_else(|| recipe.os.version_on(SystemClock.now(), args.channel));
    if args.check {
        ctx.data(&summary::Checked::of(&recipe, args.arch()?, args.channel, version)?)?;
        return Ok(Outcome::Done);
    }
    let key = args.read_key()?;
    let plan = args.plan(&recipe, version, &key)?;
    with_world(&args.mirror, ctx, |world| {
        let places = args.places(&recipe, &world)?;
        let mut steps = Steps::default();
        let ingredients = build::prepare(&recipe, &plan, &places, &world, &mut steps)?;
        let composing = Composing { plan: &plan, ingredients: &ingredients, key: &key, world: &world };
        composing.publish(args, steps, ctx)
    })
}

/// Everything that one composition and the next have in common.
struct Composing<'a> {
    plan: &'a Plan,
    ingredients: &'a Ingredients,
    key: &'a PrivateKey,
    world: &'a World<'a>,
}

impl Composing<'_> {
    /// Composes the release, and again if so wanted, and tells what came of it.
    fn publish(&self, args: &Args, mut steps: Steps, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
        let work = args.work.clone().unwrap_or_else(|| args.out.clone());
        let circumstances = Circumstances { work: &work, jobs: args.jobs };
        let published = self.compose(&args.out, circumstances, &mut steps)?;
        let twice = args.verify.then(|| verify::again(self, &published, &work, &mut steps)).transpose()?;
        let outcome =
            if twice.as_ref().is_none_or(build::Twice::is_same) { Outcome::Done } else { Outcome::Negative };
        ctx.data(&summary::Composed::of(published, &steps, twice))?;
        Ok(outcome)
    }

    fn compose(
        &self,
        root: &Path,
        circumstances: Circumstances<'_>,
        steps: &mut Steps,
    ) -> Result<Published, BuildError> {
        let mut signer = |digest: &Sha256| self.key.sign(digest, &mut OsRng);
        build::compose(self.plan, self.ingredients, &mut signer, root, circumstances, self.world, steps)
    }
}

impl Args {
    fn arch(&self) -> anyhow::Result<Arch> {
        self.arch.map_or_else(host_arch, Ok)
    }

    fn plan(&self, recipe: &Recipe, version: Version, key: &PrivateKey) -> anyhow::Result<Plan> {
        let source_date = self.source_date.or_else(|| recipe.os.date_of(version));
        Ok(recipe.plan(Choices {
            arch: self.arch()?,
            channel: self.channel,
            version,
            source_date: source_date.ok_or(Unready::Dateless(version))?,
            payload_key_pem: Some(key.public().to_pem()?),
        })?)
    }

    fn read_key(&self) -> anyhow::Result<PrivateKey> {
        let Some(path) = &self.key else {
            return Err(Unready::NoKey.into());
        };
        let bytes = read_limited(path, MAX_KEY_BYTES)?;
        PrivateKey::from_pem(&String::from_utf8_lossy(&bytes))
            .with_context(|| format!("cannot use the key `{}`", path.display()))
    }

    fn places(&self, recipe: &Recipe, world: &World<'_>) -> anyhow::Result<Places> {
        let (arch, host) = (self.arch()?, host_arch()?);
        let lock = || Places::default_lock(&self.recipe, &self.variant, arch);
        let tools_lock = || Places::default_tools_lock(&self.recipe, host);
        Ok(Places {
            lock: self.lock.clone().unwrap_or_else(lock),
            tools_lock: self.tools_lock.clone().unwrap_or_else(tools_lock),
            agent: self.agent(recipe, world)?,
        })
    }

    fn agent(&self, recipe: &Recipe, world: &World<'_>) -> anyhow::Result<PathBuf> {
        let arch = self.arch()?;
        let is_built = self.build_agent || (self.agent.is_none() && arch != world.host);
        if !is_built {
            return agent(self.agent.as_deref(), arch);
        }
        let source = sm_compose::agent::source_of(&self.recipe)?;
        Ok(sm_compose::agent::build(recipe, &self.recipe, &source, arch, world)?)
    }
}

/// The agent's binary for this machine's architecture: as given, or beside this program.
pub(crate) fn agent(given: Option<&Path>, arch: Arch) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let beside = own.with_file_name("stationmaster-agent");
    if fs::metadata(&beside).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(beside);
    }
    Err(Unready::NoAgent { path: beside, arch }.into())
}

/// Architecture of this machine.
pub(crate) fn host_arch() -> anyhow::Result<Arch> {
    let found = std::env::consts::ARCH;
    let arch = Arch::ALL.into_iter().find(|arch| arch.uname() == found);
    Ok(arch.ok_or_else(|| Unready::ForeignHost(found.to_owned()))?)
}

/// Something that composing needs and this machine does not have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unready {
    /// No key was named.
    #[error("no key to sign the payload with: hosts take no update without a signature")]
    NoKey,
    /// No agent was named, and none lies beside this program.
    #[error("no update agent at `{}`", path.display())]
    NoAgent {
        /// Where it was looked for.
        path: PathBuf,
        /// What it must be built for.
        arch: Arch,
    },
    /// The tools exist for other machines only.
    #[error("no tools for this machine's architecture `{0}`: expected `x86_64` or `aarch64`")]
    ForeignHost(String),
    /// The version lies too far in the future for a date.
    #[error("version `{0}` has no date")]
    Dateless(Version),
}

impl Unready {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Unready::NoKey => {
                "make one with `stationmaster payload keygen`, then give it with `--key`".to_owned()
            }
            Unready::NoAgent { arch, .. } => {
                format!(
                    "build it with `cargo build --release -p sm-agent`, or give one for {arch} with `--agent`"
                )
            }
            Unready::ForeignHost(_) => "compose on another machine".to_owned(),
            Unready::Dateless(_) => "give one with `--source-date`".to_owned(),
        })
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        sm_model::exit::INVALID_INPUT
    }
}
