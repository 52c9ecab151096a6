//! `docs/recipe.md` describes every key there is, and no other.

use std::collections::BTreeSet;

use super::{load_texts, problems};
use crate::recipe::keys;

const DOCUMENT: &str = include_str!("../../../../../docs/recipe.md");

/// Keys that the document describes: rows of its tables, each a key in backticks, below a heading that names the section.
fn described() -> BTreeSet<String> {
    let mut section = String::new();
    let mut described = BTreeSet::new();
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            section = heading.trim_matches(['`', '[', ']']).to_owned();
        } else if let Some(row) = line.strip_prefix("| `") {
            let key = row.split('`').next().unwrap_or_default();
            described.insert(format!("{section}.{key}"));
        }
    }
    described
}

#[test]
fn every_key_is_described_and_every_description_has_its_key() {
    let image_sections =
        ["packages", "users", "groups", "files", "directories", "modes", "symlinks", "units", "drop"];
    let of_arch = |key: &String| key.starts_with("arch.NAME.");
    let known: BTreeSet<String> = keys().into_iter().filter(|key| !of_arch(key)).collect();
    assert!(image_sections.iter().all(|section| known.iter().any(|key| key.starts_with(section))));
    assert_eq!(
        described().difference(&known).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "described but unknown"
    );
    assert_eq!(
        known.difference(&described()).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "known but not described"
    );
}

#[test]
fn the_example_of_the_document_is_a_recipe_without_a_mistake_of_its_own() {
    let example = DOCUMENT.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let told: Vec<_> = problems(example)
        .into_iter()
        .filter(|problem| !problem.what.contains("does not exist beside"))
        .collect();
    assert_eq!(told, []);
    assert!(load_texts(example, &[]).is_err(), "the example names files that are not there");
}
