//! Debian's relations as the solver wants them: sets of candidates, each set of one name.
//!
//! A dependency becomes a union over its alternatives: for each the real packages within the bound, then the providers.
//! A conflict becomes, for every name it hits, the set of the candidates that it leaves alone.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId, Requirement, SolvableId, SolverCache,
    StringId, VersionSetId, VersionSetUnionId,
};
use sm_model::{PackageName, PackageVersion};

use crate::{
    relation::{Atom, Clause, MalformedRelation, parse_clauses},
    resolve::universe::{Matches, Universe},
    version,
};

/// Candidates of one name, with the relation they stand for.
#[derive(Debug)]
struct VersionSet {
    matches: Matches,
    label: String,
}

/// What the solver has asked for so far. Grows while it searches, so it lies behind a cell.
#[derive(Debug, Default)]
struct Interned {
    version_sets: Vec<VersionSet>,
    unions: Vec<Vec<VersionSetId>>,
    strings: Vec<String>,
    requirement_of_clause: HashMap<String, Requirement>,
    clause_of_requirement: HashMap<Requirement, Clause>,
}

/// The solver's view of a [`Universe`].
#[derive(Debug)]
pub(super) struct Provider<'r, 'a> {
    pub(super) universe: Universe<'r, 'a>,
    keep: &'r BTreeMap<PackageName, PackageVersion>,
    interned: RefCell<Interned>,
}

impl<'r, 'a> Provider<'r, 'a> {
    pub(super) fn new(universe: Universe<'r, 'a>, keep: &'r BTreeMap<PackageName, PackageVersion>) -> Self {
        Provider { universe, keep, interned: RefCell::default() }
    }

    /// The requirement that a package of this name, or a provider of it, is there.
    pub(super) fn require_name(&self, name: &PackageName) -> Requirement {
        self.require(Clause { alternatives: vec![Atom::of_name(name)] })
    }

    /// The clause that a requirement stands for.
    pub(super) fn clause_of(&self, requirement: Requirement) -> Option<Clause> {
        self.interned.borrow().clause_of_requirement.get(&requirement).cloned()
    }

    /// The relation that a version set stands for.
    pub(super) fn label_of(&self, version_set: VersionSetId) -> String {
        self.interned.borrow().version_sets[version_set.0 as usize].label.clone()
    }

    fn require(&self, clause: Clause) -> Requirement {
        let text = clause.to_string();
        if let Some(known) = self.interned.borrow().requirement_of_clause.get(&text) {
            return *known;
        }
        let matches = clause.alternatives.iter().flat_map(|atom| self.universe.matches(atom));
        let sets: Vec<VersionSetId> = matches.map(|matches| self.version_set(matches, &text)).collect();
        let requirement = self.union(sets, &text);
        let mut interned = self.interned.borrow_mut();
        interned.requirement_of_clause.insert(text, requirement);
        interned.clause_of_requirement.insert(requirement, clause);
        requirement
    }

    /// A clause that nothing satisfies becomes an empty set of a name without candidates, so that the solver sees it and refuses.
    fn union(&self, sets: Vec<VersionSetId>, label: &str) -> Requirement {
        if let [single] = sets[..] {
            return Requirement::Single(single);
        }
        if sets.is_empty() {
            let nobody = Matches { name: self.universe.nobody(), solvables: Vec::new() };
            return Requirement::Single(self.version_set(nobody, label));
        }
        let mut interned = self.interned.borrow_mut();
        interned.unions.push(sets);
        Requirement::Union(VersionSetUnionId(next_id(interned.unions.len())))
    }

    fn version_set(&self, matches: Matches, label: &str) -> VersionSetId {
        let mut interned = self.interned.borrow_mut();
        interned.version_sets.push(VersionSet { matches, label: label.to_owned() });
        VersionSetId(next_id(interned.version_sets.len()))
    }

    fn dependencies(&self, solvable: SolvableId) -> Result<KnownDependencies, MalformedRelation> {
        let package = self.universe.package(solvable);
        let arch = self.universe.request.arch;
        let mut known = KnownDependencies::default();
        for field in [package.pre_depends, package.depends] {
            let clauses = parse_clauses(field, arch)?;
            let open = clauses.into_iter().filter(|clause| !self.is_assumed(clause));
            known.requirements.extend(open.map(|clause| ConditionalRequirement::from(self.require(clause))));
        }
        for (field, text) in [("Conflicts", package.conflicts), ("Breaks", package.breaks)] {
            let atoms = parse_clauses(text, arch)?.into_iter().flat_map(|clause| clause.alternatives);
            known.constrains.extend(atoms.flat_map(|atom| self.forbid(solvable, field, &atom)));
        }
        Ok(known)
    }

    fn is_assumed(&self, clause: &Clause) -> bool {
        clause.alternatives.iter().any(|atom| self.universe.is_assumed(atom))
    }

    /// One set per name that the atom hits, of the candidates it leaves alone. A package never conflicts with itself
    /// (Debian Policy 7.4).
    fn forbid(&self, owner: SolvableId, field: &str, atom: &Atom) -> Vec<VersionSetId> {
        let own_name = self.universe.name_of(owner);
        let hit = self.universe.matches(atom).into_iter().filter(|matches| matches.name != own_name);
        hit.map(|hit| {
            let spared =
                self.universe.candidates(hit.name).filter(|id| !hit.solvables.contains(id)).collect();
            self.version_set(Matches { name: hit.name, solvables: spared }, &format!("{field}: {atom}"))
        })
        .collect()
    }
}

/// The id of the last of `length` things. The solver counts in `u32`; indexes are limited to far fewer packages.
fn next_id(length: usize) -> u32 {
    u32::try_from(length - 1).unwrap_or(u32::MAX)
}

impl Interner for Provider<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        let package = self.universe.package(solvable);
        format!("{} {}", package.name, package.version)
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.universe.text_of_name(name)
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        self.label_of(version_set)
    }

    fn display_string(&self, id: StringId) -> impl Display + '_ {
        self.interned.borrow().strings[id.0 as usize].clone()
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        self.interned.borrow().version_sets[version_set.0 as usize].matches.name
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.universe.name_of(solvable)
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.interned.borrow().unions[union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, _condition: ConditionId) -> Condition {
        unreachable!("no requirement of ours has a condition")
    }
}

impl DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        version_set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let interned = self.interned.borrow();
        let members = &interned.version_sets[version_set.0 as usize].matches.solvables;
        candidates.iter().copied().filter(|candidate| members.contains(candidate) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let candidates: Vec<SolvableId> = self.universe.candidates(name).collect();
        let kept = self.keep.get(&self.universe.package(*candidates.first()?).name);
        let is_kept = |id: &&SolvableId| {
            kept.is_some_and(|kept| version::compare(kept, &self.universe.package(**id).version).is_eq())
        };
        let favored = candidates.iter().find(is_kept).copied();
        let hint_dependencies_available = HintDependenciesAvailable::None;
        Some(Candidates { candidates, favored, hint_dependencies_available, ..Candidates::default() })
    }

    async fn sort_candidates(&self, _solver: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        // Solvables are numbered from the highest version of a name down.
        solvables.sort_unstable();
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        match self.dependencies(solvable) {
            Ok(known) => Dependencies::Known(known),
            Err(malformed) => {
                let mut interned = self.interned.borrow_mut();
                interned.strings.push(malformed.to_string());
                Dependencies::Unknown(StringId(next_id(interned.strings.len())))
            }
        }
    }
}
