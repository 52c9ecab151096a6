//! What packages cost, by composing: one image without and one with them, of the same packages otherwise, for the same version.

use std::{fmt, fs, path::Path};

use anyhow::{Context as _, bail};
use rand_core::OsRng;
use sm_compose::{
    archive::lock_file,
    build::{self, Circumstances, Places, Steps, World},
    cost,
    image::PackageFile,
    recipe::{self, Choices, DropRules, Recipe},
    release::ReleaseDir,
    unpack::unpack_all,
};
use sm_debian::{Keyring, lock::versions_to_keep};
use sm_host::files::{self, FileError};
use sm_model::{Arch, Channel, Lock, PackageName, Sha256, request::Cost};
use sm_release::requests::Requests;
use sm_trust::PrivateKey;

use super::{Args, Image, Measure, Preview, show};
use crate::{
    compose::{agent, host_arch},
    context::{Context, Outcome},
    project::Project,
    workshop::with_world,
};

pub(super) fn run(args: &Args, measure: &Measure, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let project = Project::open(&args.project, ctx)?;
    project.who()?;
    let requests = Requests::replay(&project.events);
    let request = requests.get(measure.id).with_context(|| format!("there is no request {}", measure.id))?;
    let cost = of(measure, &request.asked.packages, ctx)?;
    // Composing takes minutes: others may have recorded something meanwhile.
    let recorded = Project::open(&args.project, ctx)?.record(|project, _| {
        Ok(vec![Requests::replay(&project.events).measure(measure.id, cost.clone())?])
    })?;
    ctx.data(&show::Recorded::of(&recorded[0]))?;
    Ok(Outcome::Done)
}

fn of(measure: &Measure, packages: &[PackageName], ctx: &Context<'_>) -> anyhow::Result<Cost> {
    fs::create_dir_all(&measure.work).map_err(FileError::io("create", &measure.work))?;
    let work = tempfile::Builder::new()
        .prefix(".measuring-")
        .tempdir_in(&measure.work)
        .map_err(FileError::io("create a folder in", &measure.work))?;
    let trial = Trial::new(&measure.image, packages, work.path())?;
    let agent = agent(measure.agent.as_deref(), trial.arch)?;
    let key = PrivateKey::generate(&mut OsRng)?;
    with_world(&measure.image.mirror, ctx, |world| {
        let locks = trial.locks(&world)?;
        let tools_lock = measure.tools_lock.clone();
        let tools_lock =
            tools_lock.unwrap_or_else(|| Places::default_tools_lock(&measure.image.recipe, world.host));
        let compose = |name: &str, recipe: &Recipe| {
            ctx.progress.note(&format!("composing {name} the packages"));
            let places = Places {
                lock: work.path().join(format!("{name}.lock")),
                tools_lock: tools_lock.clone(),
                agent: agent.clone(),
            };
            compose(recipe, trial.arch, &places, &work.path().join(name), &key, &world)
        };
        let (without, with) = (compose("without", &trial.without)?, compose("with", &trial.with)?);
        let brought = brought(&locks, &world)?;
        Ok(cost::cost(&without, &with, &brought)?)
    })
}

/// A recipe without and with packages.
struct Trial<'a> {
    without: Recipe,
    with: Recipe,
    arch: Arch,
    image: &'a Image,
    packages: &'a [PackageName],
    work: &'a Path,
}

/// Packages without and with those that are asked for.
struct Locks {
    without: Lock,
    with: Lock,
}

impl<'a> Trial<'a> {
    fn new(image: &'a Image, packages: &'a [PackageName], work: &'a Path) -> anyhow::Result<Self> {
        let arch = image.arch.map_or_else(host_arch, Ok)?;
        let without = recipe::load(&image.recipe, &[])?;
        let there = |name: &PackageName| {
            without.targets.get(&arch).is_some_and(|target| target.packages.wanted.contains(name))
        };
        if let Some(name) = packages.iter().find(|name| there(name)) {
            bail!("`{name}` is in the image already: `{}` wants it", image.recipe.display());
        }
        let names: Vec<String> = packages.iter().map(|name| format!("\"{name}\"")).collect();
        let variant = work.join("request.toml");
        files::write_atomic(&variant, format!("[packages]\nwanted = [{}]\n", names.join(", ")).as_bytes())?;
        Ok(Trial { without, with: recipe::load(&image.recipe, &[variant])?, arch, image, packages, work })
    }

    /// The recipe's own lock, and that one with the packages: whatever both need has the same version in both.
    fn locks(&self, world: &World<'_>) -> anyhow::Result<Locks> {
        let keyring = Keyring::parse(&self.without.keyring).context("cannot use the recipe's keyring")?;
        let lock_of = |name: &str| self.work.join(format!("{name}.lock"));
        let own = Places::default_lock(&self.image.recipe, &[], self.arch);
        if let Some(lock) = lock_file::read_if_present(&own)? {
            lock_file::write(&lock_of("without"), &lock)?;
        }
        let request = |recipe: &Recipe| {
            let target = recipe.targets.get(&self.arch);
            let target = target.with_context(|| format!("the recipe has no architecture `{}`", self.arch))?;
            anyhow::Ok(target.packages.clone())
        };
        let without =
            world.archive.lock(&lock_of("without"), &request(&self.without)?, &keyring, world.now)?;
        let keep = versions_to_keep(&without, self.packages);
        let with = world.archive.resolve(&request(&self.with)?, &keyring, &keep, world.now)?;
        lock_file::write(&lock_of("with"), &with)?;
        Ok(Locks { without, with })
    }
}

fn compose(
    recipe: &Recipe,
    arch: Arch,
    places: &Places,
    root: &Path,
    key: &PrivateKey,
    world: &World<'_>,
) -> anyhow::Result<ReleaseDir> {
    let version = recipe.os.version_on(world.now, Channel::Alpha);
    let source_date =
        recipe.os.date_of(version).with_context(|| format!("version `{version}` has no date"))?;
    let payload_key_pem = Some(key.public().to_pem()?);
    let plan =
        recipe.plan(Choices { arch, channel: Channel::Alpha, version, source_date, payload_key_pem })?;
    let mut steps = Steps::default();
    let ingredients = build::prepare(recipe, &plan, places, world, &mut steps)?;
    let mut signer = |digest: &Sha256| key.sign(digest, &mut OsRng);
    let circumstances = Circumstances { work: root.parent().unwrap_or(root), jobs: 0 };
    let published = build::compose(&plan, &ingredients, &mut signer, root, circumstances, world, &mut steps)?;
    Ok(ReleaseDir::open(&published.directory)?)
}

/// What the packages unpack to that only the second lock has.
fn brought(locks: &Locks, world: &World<'_>) -> anyhow::Result<sm_compose::tree::Tree> {
    let names = cost::packages_brought(&locks.without, &locks.with);
    let mut only = locks.with.clone();
    only.packages.retain(|package| names.contains(&package.name));
    let paths = world.archive.fetch_all(&only)?;
    let files: Vec<PackageFile> =
        only.packages.into_iter().zip(paths).map(|(package, path)| PackageFile { package, path }).collect();
    Ok(unpack_all(&files, &DropRules { paths: Vec::new(), keep: Vec::new() }, world.progress)?.tree)
}

pub(super) fn preview(preview: &Preview, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let work = tempfile::tempdir().context("cannot create a temporary folder")?;
    let trial = Trial::new(&preview.image, &preview.packages, work.path())?;
    let locks = with_world(&preview.image.mirror, ctx, |world| trial.locks(&world))?;
    let names = cost::packages_brought(&locks.without, &locks.with);
    let brought = locks.with.packages.iter().filter(|package| names.contains(&package.name));
    let lines = brought.map(|package| Line {
        name: package.name.clone(),
        version: package.version.to_string(),
        size_bytes: package.size_bytes,
    });
    ctx.data(&Brought(lines.collect()))?;
    Ok(Outcome::Done)
}

#[derive(serde::Serialize)]
struct Brought(Vec<Line>);

#[derive(serde::Serialize)]
struct Line {
    name: PackageName,
    version: String,
    size_bytes: u64,
}

impl fmt::Display for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            writeln!(f, "{:>10} KiB  {} {}", line.size_bytes.div_ceil(1024), line.name, line.version)?;
        }
        let total: u64 = self.0.iter().map(|line| line.size_bytes).sum();
        write!(
            f,
            "{:>10} KiB  packed, {} packages; composing tells what they cost",
            total.div_ceil(1024),
            self.0.len()
        )
    }
}
