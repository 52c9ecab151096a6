//! Judges a raw recipe: turns every value into its final type and notes every contradiction. Never stops at the first.

mod accounts;
mod disk;
mod files;
mod identity;
mod packages;
mod target;
mod units;

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use super::{
    beside::Beside,
    place::{At, Place},
    problem::Problems,
    raw::{RawRecipe, RawTarget},
    section::Field,
    types::Recipe,
};
use sm_model::{Arch, Sha256};

/// What every check needs: where to complain, and the files beside the recipe.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    pub(super) problems: &'a mut Problems,
    pub(super) beside: &'a mut Beside,
}

/// A section's name and place, for complaints about what it lacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'r> {
    pub(super) name: &'static str,
    pub(super) place: Place,
    written: &'r [&'static str],
}

/// A place for complaints about a section that was not written at all: the top of the recipe.
const TOP: Place = Place { document: 0, offset: 0 };

impl<'r> Section<'r> {
    pub(super) fn new(name: &'static str, place: Option<Place>, written: &'r [&'static str]) -> Self {
        Section { name, place: place.unwrap_or(TOP), written }
    }
}

impl Checker<'_> {
    /// The value, or a complaint that the section lacks it.
    pub(super) fn required<'v, T>(
        &mut self,
        value: &'v Option<At<T>>,
        section: Section<'_>,
        key: &str,
        expected: &str,
    ) -> Option<&'v At<T>> {
        if value.is_none() {
            self.lacks(section, key, expected);
        }
        value.as_ref()
    }

    /// Complains that a section lacks a key, unless it was written with a value of a wrong type: that is told already.
    pub(super) fn lacks(&mut self, section: Section<'_>, key: &str, expected: &str) {
        if !section.written.contains(&key) {
            let what = format!("{} lacks `{key}`", section.name);
            self.problems.note(section.place, what).expected(expected);
        }
    }

    /// The text as a typed value, or the type's own complaint at the text's place.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, text: &At<String>) -> Option<T> {
        match text.value.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.note(text.place, error.to_string());
                None
            }
        }
    }

    /// Every text as a typed value; complains about those that are none, and about those written twice.
    pub(super) fn parsed_set<T: FromStr<Err: Display> + Ord + Clone>(
        &mut self,
        texts: &[At<String>],
    ) -> BTreeMap<T, Place> {
        let mut set = BTreeMap::new();
        for text in texts {
            let Some(value) = self.parsed::<T>(text) else { continue };
            if set.insert(value, text.place).is_some() {
                self.problems
                    .note(text.place, format!("`{}` is written twice", text.value))
                    .hint("remove one of the two");
            }
        }
        set
    }
}

/// Judges a recipe with all variants laid over it. `None` when there are problems; all of them are noted.
pub(super) fn check(raw: RawRecipe, variants: Vec<String>, mut checker: Checker<'_>) -> Option<Recipe> {
    let os = checker.os(&raw.shared.os);
    let os_id = os.as_ref().map_or("", |os| os.id.as_str());
    let archive = checker.archive(&raw.shared.archive);
    let tools = checker.tools("`[tools]`", &raw.shared.tools, &archive);
    let toolchain = checker.toolchain(&raw.shared.compiler, &raw.shared.sysroot, &archive);
    let mut targets = BTreeMap::new();
    for (name, over) in &raw.shared.arch.0 {
        let Some(arch) = checker.parsed::<Arch>(name) else { continue };
        let target = overlaid(&raw.target, over);
        targets.extend(checker.target(arch, &target, &archive, os_id).map(|target| (arch, target)));
    }
    if raw.shared.arch.0.is_empty() {
        checker
            .problems
            .note(TOP, "no architecture is declared")
            .expected("at least one of `[arch.amd64]`, `[arch.arm64]`");
    }
    let recipe = Recipe {
        os: os?,
        targets,
        keyring: archive.keyring,
        tools,
        toolchain,
        variants,
        digest: Sha256([0; 32]),
    };
    checker.problems.is_empty().then_some(recipe)
}

fn overlaid(base: &RawTarget, over: &RawTarget) -> RawTarget {
    let mut target = base.clone();
    target.lay(over.clone());
    target
}
