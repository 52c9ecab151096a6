//! Fuzz targets are a workspace of their own, which no test run builds: here it is seen that every one of them can be run and found.

use super::{Problem, sources::SourceFile};

const TARGETS: &str = "fuzz/fuzz_targets/";
const MANIFEST: &str = "fuzz/Cargo.toml";
const TABLE: &str = "fuzz/README.md";

/// Every target is a program of the manifest and stands in the table of the README.
pub(super) fn check(files: &[SourceFile]) -> Vec<Problem> {
    let text_of = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| &file.text);
    let (manifest, table) = (text_of(MANIFEST), text_of(TABLE));
    let targets = files.iter().filter_map(|file| file.path.strip_prefix(TARGETS)?.strip_suffix(".rs"));
    targets.flat_map(|target| missing(target, manifest, table)).collect()
}

fn missing(target: &str, manifest: &str, table: &str) -> Vec<Problem> {
    let problem = |place: &str, what: String| Problem { place: place.to_owned(), what };
    let mut problems = Vec::new();
    if !manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")) {
        problems.push(problem(MANIFEST, format!("the target `{target}` is not among its programs")));
    }
    if !table.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{target}`"))) {
        problems.push(problem(TABLE, format!("the target `{target}` is not in the table")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_nobody_can_run_or_find_is_told() {
        let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
        let target = file("fuzz/fuzz_targets/lock.rs", "");
        let manifest = file(MANIFEST, "path = \"fuzz_targets/lock.rs\"\n");
        let table = file(TABLE, "| `recipe`, `lock` | `sm-compose` | release engineers |\n");
        let places = |files: &[SourceFile]| check(files).into_iter().map(|p| p.place).collect::<Vec<_>>();
        assert_eq!(places(&[target]), [MANIFEST, TABLE]);
        assert_eq!(places(&[file("fuzz/fuzz_targets/lock.rs", ""), manifest, table]), [""; 0]);
    }
}
