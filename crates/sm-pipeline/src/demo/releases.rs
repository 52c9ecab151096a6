//! The releases of the demonstration: A of the last point release's packages, B with every update since, C like B and broken.

use std::path::Path;

use sha2::Digest as _;
use sm_compose::{
    build::{self, Circumstances, Ingredients, Places},
    recipe::{self, Choices, Os, Plan, Recipe},
    release::ReleaseDir,
};
use sm_debian::Keyring;
use sm_host::tools::ToolsTree;
use sm_model::{Board, Lock, Released, Sha256, Timestamp, Version};
use sm_vmtest::endpoint::Served;

use super::{CHANNEL, DemoPlan, Extent, Surroundings, Train, remove_dir};
use crate::{Error, journal::Journal};

/// The releases, and the tools tree that they were composed with.
pub(super) struct Releases {
    pub(super) a: ReleaseDir,
    pub(super) b: ReleaseDir,
    pub(super) c: Option<ReleaseDir>,
    pub(super) tools: ToolsTree,
}

/// A recipe and the lock that answers it.
struct Locked {
    recipe: Recipe,
    lock: Lock,
    places: Places,
}

/// Makes every release that is not there from the same inputs.
pub(super) fn make(
    plan: &DemoPlan,
    surroundings: &mut Surroundings<'_>,
    journal: &mut Journal<'_>,
) -> Result<Releases, Error> {
    let load = |variants: &[&Path]| {
        let variants: Vec<_> = variants.iter().map(|path| path.to_path_buf()).collect();
        recipe::load(&plan.recipe, &variants)
    };
    let current = load(&[])?;
    let (older, broken) = match plan.extent {
        Extent::Whole => (Some(load(&[&plan.older_variant])?), Some(load(&[&plan.broken_variant])?)),
        Extent::Smoke => (None, None),
    };
    let b = lock(plan, surroundings, journal, current.clone(), "B")?;
    let a = match older {
        Some(recipe) => lock(plan, surroundings, journal, recipe, "A")?,
        None => Locked { recipe: current, lock: b.lock.clone(), places: b.places.clone() },
    };
    let train = surroundings.train.as_deref_mut();
    let versions = match train {
        Some(train) => journal.step("open a train for B", |_| on_train(train, &b.recipe.os, &a.lock))?,
        None => versions(&b.recipe.os, &a.lock, &b.lock),
    };
    let plan_of = |recipe: &Recipe, version: Version| {
        let source_date = recipe.os.date_of(version).ok_or_else(|| undated(version))?;
        Ok::<_, Error>(recipe.plan(Choices {
            arch: plan.arch,
            channel: CHANNEL,
            version,
            source_date,
            payload_key_pem: Some(surroundings.public_key_pem.clone()),
        })?)
    };
    let plan_a = plan_of(&a.recipe, versions[0])?;
    let plan_b = plan_of(&b.recipe, versions[1])?;
    let plan_c = broken.map(|recipe| plan_of(&recipe, versions[2])).transpose()?;

    let world = surroundings.world;
    let mut prepare = |name: &str, plan: &Plan, places: &Places| {
        journal.step(&format!("packages of {name}, and tools"), |step| {
            let mut steps = build::Steps::default();
            let ingredients = build::prepare(&b.recipe, plan, places, &world, &mut steps)?;
            step.count_bytes(steps.ended().iter().map(|ended| ended.bytes).sum());
            Ok(ingredients)
        })
    };
    let ingredients_b = prepare("B", &plan_b, &b.places)?;
    let ingredients_a = match plan.extent {
        Extent::Whole => Some(prepare("A", &plan_a, &a.places)?),
        Extent::Smoke => None,
    };
    let public = Served::below(&plan.out).root;
    let waiting = if surroundings.train.is_some() { plan.out.join("staged") } else { public.clone() };
    let mut compose = |name: &str, release: &Plan, ingredients: &Ingredients, root: &Path| {
        compose(name, release, ingredients, Place { plan, root }, surroundings, journal)
    };
    let a = compose("A", &plan_a, ingredients_a.as_ref().unwrap_or(&ingredients_b), &public)?;
    let b = compose("B", &plan_b, &ingredients_b, &waiting)?;
    let c = plan_c.map(|plan_c| compose("C", &plan_c, &ingredients_b, &public)).transpose()?;
    Ok(Releases { a, b, c, tools: ingredients_b.tools().clone() })
}

fn undated(version: Version) -> Error {
    Error::unexpected("a version that has a date", version.to_string())
}

/// Locks the packages of a recipe, or finds the lock of an earlier run that answers it.
fn lock(
    plan: &DemoPlan,
    surroundings: &Surroundings<'_>,
    journal: &mut Journal<'_>,
    recipe: Recipe,
    name: &str,
) -> Result<Locked, Error> {
    let world = surroundings.world;
    let locks = plan.out.join("locks");
    let places = Places {
        lock: locks.join(format!("{name}.lock")),
        tools_lock: locks.join("tools.lock"),
        agent: plan.agent.clone(),
    };
    let request = recipe.target(plan.arch)?.packages.clone();
    let keyring = Keyring::parse(&recipe.keyring).map_err(build::BuildError::from)?;
    let suites: Vec<String> = request.suites.iter().map(|suite| suite.suite.to_string()).collect();
    let lock = journal.step(&format!("lock {name}: {}", suites.join(", ")), |_| {
        Ok(world.archive.lock(&places.lock, &request, &keyring, world.now)?)
    })?;
    Ok(Locked { recipe, lock, places })
}

/// Versions of A, B and C: A's of its index's day, B's as its train computes it.
fn on_train(train: &mut (dyn Train + '_), os: &Os, a: &Lock) -> Result<[Version; 3], Error> {
    let (version, date) = (cut(os, a), newest(os, a));
    let b = train.open(&Released { date, channel: CHANNEL, version }).map_err(Error::Train)?;
    Ok([version, b, next(b)])
}

/// The day of the newest signed index that a lock was made from.
fn newest(os: &Os, lock: &Lock) -> Timestamp {
    lock.archives.iter().map(|archive| archive.date).max().unwrap_or(os.epoch)
}

fn cut(os: &Os, lock: &Lock) -> Version {
    os.version_on(newest(os, lock), CHANNEL)
}

fn next(version: Version) -> Version {
    Version { patch: version.patch + 1, ..version }
}

/// Versions of A, B and C: of branches cut on the days of the newest signed index that each was made from, and rising.
fn versions(os: &Os, a: &Lock, b: &Lock) -> [Version; 3] {
    let a = cut(os, a);
    let b = cut(os, b).max(next(a));
    [a, b, next(b)]
}

/// Where a release is composed.
#[derive(Clone, Copy)]
struct Place<'a> {
    plan: &'a DemoPlan,
    root: &'a Path,
}

/// Composes one release, unless it is there from the same inputs.
fn compose(
    name: &str,
    release: &Plan,
    ingredients: &Ingredients,
    Place { plan, root }: Place<'_>,
    surroundings: &mut Surroundings<'_>,
    journal: &mut Journal<'_>,
) -> Result<ReleaseDir, Error> {
    let board = Board(plan.arch).to_string();
    let dir = root.join(CHANNEL.to_string()).join(board).join(release.version.to_string());
    let world = surroundings.world;
    journal.step_unless_done(
        &format!("compose {name}: {}", release.version),
        &key(release, ingredients, plan.program_sha256),
        || ReleaseDir::open(&dir).ok().filter(|found| found.verify().is_ok()),
        |step| {
            // A version is used once; but this directory is the demonstration's own, and no host outside it has it.
            remove_dir(&dir)?;
            let mut steps = build::Steps::default();
            let work = plan.out.join("work");
            remove_dir(&work)?;
            let circumstances = Circumstances { work: &work, jobs: 0 };
            let signer = &mut *surroundings.signer;
            let published =
                build::compose(release, ingredients, signer, root, circumstances, &world, &mut steps)?;
            let sizes = published.manifest.artifacts.iter().map(|artifact| artifact.size_bytes);
            step.count_bytes(sizes.sum());
            Ok(ReleaseDir::open(&published.directory)?)
        },
    )
}

/// Everything that decides a release's bytes, in one digest.
fn key(release: &Plan, ingredients: &Ingredients, program: Sha256) -> String {
    let inputs = ingredients.inputs(release);
    let Plan { version, source_date, payload_key_pem, .. } = release;
    let text = format!("{program} {inputs:?} {version} {source_date} {payload_key_pem}");
    Sha256(sha2::Sha256::digest(text).into()).to_string()
}

#[cfg(test)]
mod tests {
    use sm_model::{Arch, LockedArchive};

    use super::*;

    fn lock_of(dates: &[&str]) -> Lock {
        let archive = |date: &&str| LockedArchive {
            suite: "trixie".to_owned(),
            mirror: "debian".to_owned(),
            release_sha256: Sha256([0; 32]),
            date: date.parse().unwrap(),
        };
        Lock {
            format: Lock::FORMAT,
            arch: Arch::Amd64,
            request: Sha256([0; 32]),
            archives: dates.iter().map(archive).collect(),
            packages: Vec::new(),
        }
    }

    #[test]
    fn versions_are_of_the_archives_days_and_rise() {
        let os = Os {
            id: "boxcar".to_owned(),
            name: "Boxcar Linux".to_owned(),
            epoch: "2013-07-01T00:00:00Z".parse().unwrap(),
            channels: vec![CHANNEL],
            app_id: String::new(),
            distro: "debian-13".to_owned(),
        };
        let a = lock_of(&["2026-09-05T08:00:00Z"]);
        let b = lock_of(&["2026-09-05T08:00:00Z", "2026-11-22T20:00:00Z", "2026-11-20T00:00:00Z"]);
        let text = |a, b| versions(&os, a, b).map(|version| version.to_string());
        assert_eq!(text(&a, &b), ["4814.0.0", "4892.0.0", "4892.0.1"]);
        assert_eq!(text(&a, &a), ["4814.0.0", "4814.0.1", "4814.0.2"]);
    }
}
