//! The suite for verbs that made releases themselves: some classes, with what lies in their working directory.

use std::path::{Path, PathBuf};

use sm_model::test_report::Isolation;
use sm_vmtest::suite::{
    catalog::{self, Class, Test},
    matrix::NotYet,
};

use super::{Places, Store, answer::Judged, bench::Bench};
use crate::context::Context;

/// Where the working directory has what a run needs.
pub(crate) struct Workplace<'a> {
    /// The recipe that the releases were composed from.
    pub(crate) recipe: &'a Path,
    /// The lock of the tools they were composed with.
    pub(crate) tools_lock: PathBuf,
    /// The history of all tests.
    pub(crate) db: PathBuf,
    /// Where archives are, instead of what APT says.
    pub(crate) mirror: &'a [String],
}

/// Runs these classes once at a release. What does not exist yet is told and keeps nothing back.
pub(crate) fn judge(
    release: &Path,
    classes: &[Class],
    workplace: &Workplace<'_>,
    ctx: &Context<'_>,
) -> anyhow::Result<Judged> {
    let places = Places {
        recipe: workplace.recipe.to_owned(),
        tools_lock: Some(workplace.tools_lock.clone()),
        store: Store { db: workplace.db.clone() },
        mirror: workplace.mirror.to_vec(),
        ..Places::default()
    };
    let bench = Bench::set_up(release, &places, ctx)?;
    let tests: Vec<&'static Test> = catalog::choose(classes, None).collect();
    bench.run(&tests, Isolation::Suite)?;
    let (matrix, report) = bench.matrix(&tests, NotYet::IsAllowed)?;
    Ok(Judged::new(matrix, report))
}
