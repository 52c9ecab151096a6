//! Who may depend on whom (ARCHITECTURE.md, "Crates"), and how much foreign code there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Problem;
use crate::cargo::root;

/// Crate, and the workspace crates it may use.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("sm-model", &[]),
    ("sm-debian", &["sm-model"]),
    ("sm-image", &["sm-model"]),
    ("sm-trust", &["sm-model"]),
    ("sm-release", &["sm-model"]),
    ("sm-rollout", &["sm-model", "sm-trust"]),
    ("sm-host", &["sm-model"]),
    // The hash chain is sm-trust's; blobs are files that are whole or absent, which is sm-host's.
    ("sm-store", &["sm-model", "sm-trust", "sm-host"]),
    // What a message means is sm-release's.
    ("sm-matrix", &["sm-model", "sm-release", "sm-host"]),
    ("sm-compose", &["sm-model", "sm-debian", "sm-image", "sm-trust", "sm-host"]),
    // Signatures of failures and verdicts over attempts are sm-release's; tests of updates sign releases of their own.
    ("sm-vmtest", &["sm-model", "sm-image", "sm-trust", "sm-release", "sm-host"]),
    (
        "sm-pipeline",
        &[
            "sm-model",
            "sm-debian",
            "sm-image",
            "sm-trust",
            "sm-rollout",
            "sm-host",
            "sm-store",
            "sm-compose",
            "sm-vmtest",
        ],
    ),
    ("sm-server", &["sm-model", "sm-debian", "sm-image", "sm-trust", "sm-rollout", "sm-host", "sm-store"]),
    ("sm-agent", &["sm-model", "sm-image", "sm-trust", "sm-rollout", "sm-host"]),
    ("xtask", &[]),
];

/// Packages in the lock file at most: every one is read, trusted and compiled. 89 of them come with `pgp`, which checks
/// archives' signatures: OpenPGP is not ours to write.
const MAX_LOCKED: usize = 350;
/// Packages below the agent at most: they run as root on every host.
const MAX_AGENT: usize = 150;

/// The reviewed list of the agent's dependencies, one name a line.
const AGENT_LIST: &str = "xtask/agent-dependencies.txt";

pub(super) fn check(metadata: &Value) -> Result<Vec<Problem>> {
    let graph = Graph::read(metadata)?;
    let mut problems = directions(&graph);
    problems.extend(agent(&graph)?);
    let n_locked = metadata["packages"].as_array().map_or(0, Vec::len);
    if n_locked > MAX_LOCKED {
        problems.push(problem("Cargo.lock", format!("{n_locked} packages, expected at most {MAX_LOCKED}")));
    }
    Ok(problems)
}

fn problem(place: &str, what: String) -> Problem {
    Problem { place: place.to_owned(), what }
}

fn directions(graph: &Graph) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (krate, allowed) in ALLOWED {
        let used = graph.normal.get(krate).into_iter().flatten();
        let ours = used.filter(|name| graph.members.contains(*name));
        problems.extend(ours.filter(|name| !allowed.contains(&name.as_str())).map(|name| {
            problem(krate, format!("depends on `{name}`, which its place in the architecture forbids"))
        }));
    }
    let listed: BTreeSet<&str> = ALLOWED.iter().map(|(krate, _)| *krate).chain(["stationmaster"]).collect();
    problems.extend(graph.members.iter().filter(|name| !listed.contains(name.as_str())).map(|name| {
        problem(
            name,
            "has no line in the table of allowed dependencies (xtask/src/tidy/dependencies.rs)".to_owned(),
        )
    }));
    if graph.normal.get("stationmaster").is_some_and(|used| used.contains("sm-agent")) {
        problems.push(problem(
            "stationmaster",
            "depends on `sm-agent`: the agent is a program of its own".to_owned(),
        ));
    }
    problems
}

fn agent(graph: &Graph) -> Result<Vec<Problem>> {
    let used: BTreeSet<String> = graph.below("sm-agent").difference(&graph.members).cloned().collect();
    let listed =
        fs::read_to_string(root().join(AGENT_LIST)).with_context(|| format!("cannot read `{AGENT_LIST}`"))?;
    let listed: BTreeSet<String> =
        listed.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let added = used
        .difference(&listed)
        .map(|name| format!("`{name}` runs as root on every host: review it, then add a line"));
    let gone = listed
        .difference(&used)
        .map(|name| format!("`{name}` is listed but no longer used: remove the line"));
    let mut problems: Vec<Problem> = added.chain(gone).map(|what| problem(AGENT_LIST, what)).collect();
    if used.len() > MAX_AGENT {
        problems.push(problem(
            "sm-agent",
            format!("{} packages below it, expected at most {MAX_AGENT}", used.len()),
        ));
    }
    Ok(problems)
}

/// Normal (not build, not dev) dependencies for Linux, by package name.
struct Graph {
    members: BTreeSet<String>,
    normal: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Result<Graph> {
        let names: BTreeMap<&str, &str> = list(&metadata["packages"])
            .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
            .collect();
        let name = |id: &Value| id.as_str().and_then(|id| names.get(id)).map(|name| (*name).to_owned());
        let members = list(&metadata["workspace_members"]).filter_map(name).collect();
        let mut normal: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let from = name(&node["id"]).context("a node without a name")?;
            let to = list(&node["deps"]).filter(|dep| list(&dep["dep_kinds"]).any(is_normal_on_linux));
            normal.entry(from).or_default().extend(to.filter_map(|dep| name(&dep["pkg"])));
        }
        Ok(Graph { members, normal })
    }

    fn below(&self, krate: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![krate.to_owned()];
        while let Some(next) = open.pop() {
            let used = self.normal.get(&next).into_iter().flatten();
            open.extend(used.filter(|name| seen.insert((*name).clone())).cloned());
        }
        seen
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn is_normal_on_linux(kind: &Value) -> bool {
    const FOREIGN: [&str; 8] =
        ["windows", "wasm", "macos", "hermit", "wasi", "cygwin", "redox", "target_vendor = \"apple\""];
    let target = kind["target"].as_str().unwrap_or_default();
    kind["kind"].is_null() && !FOREIGN.iter().any(|os| target.contains(os) && !target.contains("not("))
}
