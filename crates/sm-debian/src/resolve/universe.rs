//! Everything that could be chosen: candidates by name, providers by virtual name, and what is taken as present.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use resolvo::{DenseIndex, NameId, SolvableId};

use crate::{
    packages::Package,
    relation::{Atom, Qualifier, clause_texts, leading_name, parse_clauses},
    request::{Pin, Request},
    resolve::{Chosen, SuitePackages},
    version,
};

/// The candidates of a request. Solvables are numbered by name, then from the highest version down.
#[derive(Debug)]
pub(super) struct Universe<'r, 'a> {
    pub(super) request: &'r Request,
    pub(super) solvables: Vec<Chosen<'a>>,
    groups: Vec<Range<usize>>,
    group_of_name: HashMap<&'a str, usize>,
    group_of_solvable: Vec<usize>,
    providers: HashMap<&'a str, Vec<usize>>,
    assumed: HashSet<&'a str>,
}

/// Candidates of one name that an atom admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matches {
    pub(super) name: NameId,
    pub(super) solvables: Vec<SolvableId>,
}

pub(super) fn index_of(solvable: SolvableId) -> usize {
    solvable.to_index()
}

impl<'r, 'a> Universe<'r, 'a> {
    pub(super) fn new(request: &'r Request, suites: &'a [SuitePackages<'a>]) -> Self {
        let mut solvables = Vec::new();
        let mut assumed = HashSet::new();
        for (suite, packages) in suites.iter().enumerate() {
            for package in packages.iter().filter(|package| fits(request, package)) {
                if request.assumed.contains(&package.name) {
                    assumed.extend(provided_names(package));
                } else if is_candidate(request, package, suite) {
                    solvables.push(Chosen { package, suite });
                }
            }
        }
        order(&mut solvables);
        let mut universe = Universe {
            request,
            groups: Vec::new(),
            group_of_name: HashMap::new(),
            group_of_solvable: Vec::with_capacity(solvables.len()),
            providers: HashMap::new(),
            assumed,
            solvables,
        };
        universe.index();
        universe
    }

    fn index(&mut self) {
        for (id, chosen) in self.solvables.iter().enumerate() {
            let name = chosen.package.name.as_str();
            let group = *self.group_of_name.entry(name).or_insert_with(|| {
                self.groups.push(id..id);
                self.groups.len() - 1
            });
            self.groups[group].end = id + 1;
            self.group_of_solvable.push(group);
            for provided in provided_names(chosen.package) {
                self.providers.entry(provided).or_default().push(id);
            }
        }
    }

    /// A name that has no candidates.
    pub(super) fn nobody(&self) -> NameId {
        NameId::from_index(self.groups.len())
    }

    /// The candidates of one name, highest version first.
    pub(super) fn candidates(&self, name: NameId) -> impl Iterator<Item = SolvableId> + '_ {
        self.groups.get(name.to_index()).cloned().into_iter().flatten().map(SolvableId::from_index)
    }

    pub(super) fn name_of(&self, solvable: SolvableId) -> NameId {
        NameId::from_index(self.group_of_solvable[solvable.to_index()])
    }

    pub(super) fn text_of_name(&self, name: NameId) -> &'a str {
        let group = self.groups.get(name.to_index());
        group.map_or("nothing", |group| self.solvables[group.start].package.name.as_str())
    }

    pub(super) fn package(&self, solvable: SolvableId) -> &'a Package<'a> {
        self.solvables[solvable.to_index()].package
    }

    /// Whether a name, real or virtual, is taken as present.
    pub(super) fn is_assumed(&self, atom: &Atom) -> bool {
        self.request.assumed.contains(&atom.name) || self.assumed.contains(atom.name.as_str())
    }

    /// Who satisfies an atom, or is hit by it: real packages first, then providers by name.
    pub(super) fn matches(&self, atom: &Atom) -> Vec<Matches> {
        let fits_qualifier = |id: &usize| match atom.qualifier {
            Qualifier::Native => true,
            Qualifier::Any => self.solvables[*id].package.allows_any_arch,
            Qualifier::Foreign => false,
        };
        let real = self.group_of_name.get(atom.name.as_str()).map(|group| self.groups[*group].clone());
        let real = real.into_iter().flatten().filter(|id| atom.admits(&self.solvables[*id].package.version));
        let providers = self.providers.get(atom.name.as_str()).into_iter().flatten().copied();
        let providers = providers.filter(|id| self.provides(*id, atom));
        self.grouped(real.chain(providers).filter(fits_qualifier))
    }

    fn provides(&self, id: usize, atom: &Atom) -> bool {
        let package = self.solvables[id].package;
        let texts = clause_texts(package.provides).filter(|text| leading_name(text) == atom.name.as_str());
        let mut provided = texts.filter_map(|text| parse_clauses(text, self.request.arch).ok()).flatten();
        let of_its_own = package.name == atom.name;
        !of_its_own
            && provided.any(|clause| {
                let version = clause.alternatives[0].bound.as_ref().map(|(_, version)| version);
                atom.admits_provided(version)
            })
    }

    /// Groups solvables by name, keeping the order in which names first appear.
    fn grouped(&self, ids: impl Iterator<Item = usize>) -> Vec<Matches> {
        let mut matches: Vec<Matches> = Vec::new();
        for id in ids {
            let (name, solvable) =
                (NameId::from_index(self.group_of_solvable[id]), SolvableId::from_index(id));
            match matches.iter_mut().find(|matches| matches.name == name) {
                Some(matches) => matches.solvables.push(solvable),
                None => matches.push(Matches { name, solvables: vec![solvable] }),
            }
        }
        matches
    }
}

fn fits(request: &Request, package: &Package<'_>) -> bool {
    package.arch == request.arch.debian() || package.arch == "all"
}

fn is_candidate(request: &Request, package: &Package<'_>, suite: usize) -> bool {
    let pinned_here = match request.pins.get(&package.name) {
        None => true,
        Some(Pin::Version(version)) => version::compare(version, &package.version).is_eq(),
        Some(Pin::Suite(name)) => request.suites.get(suite).is_some_and(|suite| suite.suite == *name),
    };
    pinned_here && !request.excluded.contains(&package.name)
}

/// Sorts by name, from the highest version down, by suite; of equal versions the first suite's stays.
fn order(solvables: &mut Vec<Chosen<'_>>) {
    solvables.sort_by(|a, b| {
        let from_the_highest = || version::compare(&b.package.version, &a.package.version);
        a.package.name.cmp(&b.package.name).then_with(from_the_highest).then(a.suite.cmp(&b.suite))
    });
    solvables.dedup_by(|later, earlier| {
        later.package.name == earlier.package.name
            && version::compare(&later.package.version, &earlier.package.version).is_eq()
    });
}

fn provided_names<'a>(package: &Package<'a>) -> impl Iterator<Item = &'a str> {
    clause_texts(package.provides).map(leading_name)
}
