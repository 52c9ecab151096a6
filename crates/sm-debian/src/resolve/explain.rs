//! A contradiction in sentences: who needs what, why it is in the set, and what stands against it.

use std::collections::{HashMap, HashSet, VecDeque};

use resolvo::{
    Interner, Requirement, SolvableId,
    conflict::{ConflictCause, ConflictEdge, ConflictGraph, ConflictNode},
};

use crate::{
    relation::{Atom, Clause},
    resolve::{provider::Provider, universe::index_of},
};

/// Most sentences shown: a contradiction deep in the archive can have hundreds of links, the first ones tell it.
const MAX_REASONS: usize = 12;

struct Edge {
    from: usize,
    to: usize,
    kind: ConflictEdge<SolvableId>,
}

struct Explainer<'e, 'r, 'a> {
    provider: &'e Provider<'r, 'a>,
    nodes: Vec<ConflictNode<SolvableId>>,
    edges: Vec<Edge>,
    /// By node: the node nearest to the root that needs it.
    needed_by: HashMap<usize, usize>,
}

/// Every link of the contradiction that a person can act on, at most [`MAX_REASONS`].
pub(super) fn reasons(graph: &ConflictGraph<SolvableId>, provider: &Provider<'_, '_>) -> Vec<String> {
    let explainer = Explainer::new(graph, provider);
    let mut seen = HashSet::new();
    let mut reasons: Vec<String> =
        explainer.edges.iter().filter_map(|edge| explainer.sentence(edge)).collect();
    reasons.retain(|reason| seen.insert(reason.clone()));
    let n_more = reasons.len().saturating_sub(MAX_REASONS);
    reasons.truncate(MAX_REASONS);
    if n_more > 0 {
        reasons.push(format!("… and {n_more} more that follow from these"));
    }
    reasons
}

/// Every wanted name that nothing offers: the search itself would stop at the first.
pub(super) fn missing_roots(provider: &Provider<'_, '_>) -> Vec<String> {
    let atoms = provider.universe.request.wanted.iter().map(Atom::of_name);
    let missing = atoms.filter(|atom| provider.universe.matches(atom).is_empty());
    missing.map(|atom| format!("`{atom}` is wanted, but {}", absence(provider, &atom))).collect()
}

impl<'e, 'r, 'a> Explainer<'e, 'r, 'a> {
    fn new(graph: &ConflictGraph<SolvableId>, provider: &'e Provider<'r, 'a>) -> Self {
        let raw = &graph.graph;
        let edges = raw.raw_edges().iter();
        let edges: Vec<Edge> = edges
            .map(|edge| Edge { from: edge.source().index(), to: edge.target().index(), kind: edge.weight })
            .collect();
        let nodes = raw.raw_nodes().iter().map(|node| node.weight).collect();
        let needed_by = nearest_needers(graph.root_node.index(), &edges);
        Explainer { provider, nodes, edges, needed_by }
    }

    fn sentence(&self, edge: &Edge) -> Option<String> {
        match (edge.kind, self.nodes[edge.to]) {
            (ConflictEdge::Requires(requirement), ConflictNode::UnresolvedDependency) => {
                Some(self.missing(edge.from, requirement))
            }
            (ConflictEdge::Conflict(ConflictCause::Constrains(set)), ConflictNode::Solvable(hit)) => {
                let (relation, hit) = (self.provider.label_of(set), self.shown(hit));
                Some(format!(
                    "{} says `{relation}`, but {hit} is {}",
                    self.with_why(edge.from),
                    self.why(edge.to)
                ))
            }
            (
                ConflictEdge::Conflict(ConflictCause::ForbidMultipleInstances),
                ConflictNode::Solvable(other),
            ) => {
                let ConflictNode::Solvable(one) = self.nodes[edge.from] else { return None };
                Some(format!(
                    "only one version can be chosen of {} ({}) and {} ({})",
                    self.shown(one),
                    self.why(edge.from),
                    self.shown(other),
                    self.why(edge.to)
                ))
            }
            (ConflictEdge::Conflict(ConflictCause::Excluded), ConflictNode::Excluded(reason)) => {
                Some(format!(
                    "{} cannot be used: {}",
                    self.with_why(edge.from),
                    self.provider.display_string(reason)
                ))
            }
            _ => None,
        }
    }

    fn missing(&self, from: usize, requirement: Requirement) -> String {
        let clause = self.provider.clause_of(requirement).unwrap_or(Clause { alternatives: Vec::new() });
        let absences: Vec<String> =
            clause.alternatives.iter().map(|atom| absence(self.provider, atom)).collect();
        let absences = absences.join(", and ");
        match self.nodes[from] {
            ConflictNode::Root => format!("`{clause}` is wanted, but {absences}"),
            _ => format!("{} needs `{clause}`, but {absences}", self.with_why(from)),
        }
    }

    fn shown(&self, solvable: SolvableId) -> String {
        format!("`{}`", self.provider.display_solvable(solvable))
    }

    fn with_why(&self, node: usize) -> String {
        match self.nodes[node] {
            ConflictNode::Solvable(solvable) => format!("{} ({})", self.shown(solvable), self.why(node)),
            _ => "the request".to_owned(),
        }
    }

    /// The chain of needs from a package up to the request.
    fn why(&self, node: usize) -> String {
        let mut chain = Vec::new();
        let mut at = node;
        while let Some(by) = self.needed_by.get(&at) {
            match self.nodes[*by] {
                ConflictNode::Solvable(solvable) => chain.push(format!("needed by {}", self.shown(solvable))),
                _ => chain.push("wanted".to_owned()),
            }
            at = *by;
        }
        match chain.len() {
            0 => "a candidate".to_owned(),
            _ => chain.join(", "),
        }
    }
}

/// Why nothing satisfies one alternative.
fn absence(provider: &Provider<'_, '_>, atom: &Atom) -> String {
    let (request, name) = (provider.universe.request, &atom.name);
    if request.excluded.contains(name) {
        return format!("`{name}` is excluded");
    }
    let offered = provider.universe.matches(&Atom { bound: None, ..atom.clone() });
    let offered = offered.iter().flat_map(|matches| &matches.solvables).map(|id| offer(provider, *id));
    let offered = offered.collect::<Vec<String>>().join(", ");
    match (request.pins.get(name), offered.is_empty()) {
        (Some(pin), true) => format!("no suite offers the {pin} that `{name}` is pinned to"),
        (Some(pin), false) => format!("`{name}` is pinned to {pin}: {offered}"),
        (None, true) => format!("no suite offers `{name}`"),
        (None, false) => format!("the suites only offer {offered}"),
    }
}

fn offer(provider: &Provider<'_, '_>, solvable: SolvableId) -> String {
    let universe = &provider.universe;
    let suite = universe.request.suites.get(universe.solvables[index_of(solvable)].suite);
    let suite = suite.map(|suite| suite.suite.as_str()).unwrap_or_default();
    format!("`{}` from `{suite}`", provider.display_solvable(solvable))
}

/// Breadth first from the root, so that chains are as short as can be.
fn nearest_needers(root: usize, edges: &[Edge]) -> HashMap<usize, usize> {
    let mut needed_by = HashMap::new();
    let mut queue = VecDeque::from([root]);
    while let Some(node) = queue.pop_front() {
        for edge in
            edges.iter().filter(|edge| edge.from == node && matches!(edge.kind, ConflictEdge::Requires(_)))
        {
            if edge.to != root && !needed_by.contains_key(&edge.to) {
                needed_by.insert(edge.to, node);
                queue.push_back(edge.to);
            }
        }
    }
    needed_by
}
