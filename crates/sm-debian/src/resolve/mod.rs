//! From a request and the indexes of its suites to the one set of packages that answers it.
//!
//! The search itself is `resolvo`'s; this module says what it means in Debian's terms and turns a refusal into words.
//! Same request and same indexes give the same set, always.

mod explain;
mod provider;
mod universe;

use std::collections::BTreeMap;

use resolvo::{ConditionalRequirement, Problem, Requirement, Solver, UnsolvableOrCancelled};
use sm_model::{PackageName, PackageVersion};

use crate::{packages::Package, request::Request};
use provider::Provider;
use universe::Universe;

/// The packages of one suite: [`crate::packages::parse`] of all its components.
pub type SuitePackages<'a> = Vec<Package<'a>>;

/// One package of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The package.
    pub package: &'a Package<'a>,
    /// Which of the request's suites it is taken from, as an index into [`Request::suites`].
    pub suite: usize,
}

/// A request that no set of packages answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no set of packages answers the request:\n{}", .reasons.iter().map(|reason| format!("  - {reason}")).collect::<Vec<_>>().join("\n"))]
pub struct Unresolvable {
    /// Why, in sentences: every link of the contradiction.
    pub reasons: Vec<String>,
}

impl Unresolvable {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        Some(
            "change the recipe: add a suite that offers what is missing, take a package as present (`assumed`), \
             drop an exclusion or a pin, or want something else"
                .to_owned(),
        )
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        sm_model::exit::UNRESOLVED
    }
}

/// Finds the packages that answer `request`, sorted by name.
///
/// `suites` holds the packages of each of the request's suites, in the request's order. `keep` names versions that are
/// preferred over higher ones while they are still offered: a lock that is only partly renewed.
///
/// Highest versions are preferred, then the suite named first; of alternatives the first that can be had, and real
/// packages before those that only provide a name.
///
/// # Errors
/// When no set of packages answers the request.
pub fn resolve<'a>(
    request: &Request,
    suites: &'a [SuitePackages<'a>],
    keep: &BTreeMap<PackageName, PackageVersion>,
) -> Result<Vec<Chosen<'a>>, Unresolvable> {
    let provider = Provider::new(Universe::new(request, suites), keep);
    let missing = explain::missing_roots(&provider);
    if !missing.is_empty() {
        return Err(Unresolvable { reasons: missing });
    }
    let wanted = request.wanted.iter().map(|name| provider.require_name(name)).collect::<Vec<Requirement>>();
    let requirements = wanted.into_iter().map(ConditionalRequirement::from).collect();
    let mut solver = Solver::new(provider);
    match solver.solve(Problem::new().requirements(requirements)) {
        Ok(ids) => {
            let universe = &solver.provider().universe;
            let mut ids: Vec<_> = ids.into_iter().map(universe::index_of).collect();
            ids.sort_unstable();
            Ok(ids.into_iter().map(|id| universe.solvables[id]).collect())
        }
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            Err(Unresolvable { reasons: explain::reasons(&conflict.graph(&solver), solver.provider()) })
        }
        // `Provider` never cancels: it leaves `should_cancel_with_value` at its default.
        Err(UnsolvableOrCancelled::Cancelled(_)) => {
            Err(Unresolvable { reasons: vec!["the search was cancelled".to_owned()] })
        }
    }
}
