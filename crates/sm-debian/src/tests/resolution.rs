//! What a request means, shown on archives of a few packages each.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sm_model::{Arch, PackageName};

use crate::{Pin, Request, SuiteRef, packages, resolve, test_archive::TestSuite};

/// Suites of packages, given as lines (see [`crate::test_archive::TestPackage::new`]).
struct World {
    request: Request,
    indexes: Vec<String>,
}

fn names(list: &str) -> Vec<PackageName> {
    list.split_ascii_whitespace().map(|name| name.parse().unwrap()).collect()
}

impl World {
    fn new(suites: &[(&str, &[&str])]) -> Self {
        let suite_ref = |(suite, _): &(&str, &[&str])| SuiteRef {
            mirror: "debian".parse().unwrap(),
            suite: suite.parse().unwrap(),
            components: vec!["main".parse().unwrap()],
        };
        let index = |(suite, lines): &(&str, &[&str])| {
            TestSuite::new(suite, "2026-11-22T00:00:00Z".parse().unwrap(), lines).index()
        };
        World {
            request: Request {
                arch: Arch::Amd64,
                suites: suites.iter().map(suite_ref).collect(),
                wanted: Default::default(),
                excluded: Default::default(),
                assumed: Default::default(),
                pins: Default::default(),
            },
            indexes: suites.iter().map(index).collect(),
        }
    }

    fn of(lines: &[&str]) -> Self {
        World::new(&[("trixie", lines)])
    }

    fn excluding(mut self, list: &str) -> Self {
        self.request.excluded = names(list).into_iter().collect();
        self
    }

    fn assuming(mut self, list: &str) -> Self {
        self.request.assumed = names(list).into_iter().collect();
        self
    }

    fn pinning(mut self, name: &str, pin: Pin) -> Self {
        self.request.pins.insert(name.parse().unwrap(), pin);
        self
    }

    fn answer(&self, wanted: &str, keep: &[(&str, &str)]) -> Result<String, Vec<String>> {
        let request = Request { wanted: names(wanted).into_iter().collect(), ..self.request.clone() };
        let suites: Vec<_> =
            self.indexes.iter().map(|index| packages::parse(index.as_bytes()).unwrap()).collect();
        let keep: BTreeMap<_, _> =
            keep.iter().map(|(name, version)| (name.parse().unwrap(), version.parse().unwrap())).collect();
        let chosen = resolve(&request, &suites, &keep).map_err(|error| error.reasons)?;
        let shown = chosen.iter().map(|chosen| format!("{}={}", chosen.package.name, chosen.package.version));
        Ok(shown.collect::<Vec<_>>().join(" "))
    }

    /// The answer to a request for some packages, as `NAME=VERSION …`.
    fn want(&self, wanted: &str) -> String {
        self.answer(wanted, &[]).unwrap()
    }

    /// Why there is none.
    fn refuse(&self, wanted: &str) -> Vec<String> {
        self.answer(wanted, &[]).unwrap_err()
    }
}

#[test]
fn dependencies_follow_and_recommendations_do_not() {
    let world = World::of(&[
        "app 1; Depends: lib (>= 1); Pre-Depends: base; Recommends: doc",
        "lib 1; Depends: app",
        "base 1",
        "doc 1",
        "other 1",
    ]);
    assert_eq!(world.want("app"), "app=1 base=1 lib=1");
}

#[test]
fn the_highest_version_over_all_suites_wins_and_of_equals_the_first_suites() {
    let world = World::new(&[
        ("trixie", &["curl 8-1; Source: first", "jq 1-1"]),
        ("trixie-security", &["curl 8-1; Source: second", "jq 1-1+deb13u1"]),
    ]);
    assert_eq!(world.want("curl jq"), "curl=8-1 jq=1-1+deb13u1");
    let request = Request { wanted: names("curl").into_iter().collect(), ..world.request.clone() };
    let suites: Vec<_> =
        world.indexes.iter().map(|index| packages::parse(index.as_bytes()).unwrap()).collect();
    assert_eq!(resolve(&request, &suites, &BTreeMap::new()).unwrap()[0].suite, 0);
}

#[test]
fn a_lower_version_is_taken_when_only_that_fits() {
    let world = World::of(&["app 1; Depends: lib (<< 2)", "lib 2", "lib 1.9"]);
    assert_eq!(world.want("app"), "app=1 lib=1.9");
}

#[test]
fn the_first_alternative_is_preferred_and_the_next_one_taken_when_it_cannot_be() {
    let lines = ["app 1; Depends: first | second", "first 1", "second 1"];
    assert_eq!(World::of(&lines).want("app"), "app=1 first=1");
    assert_eq!(World::of(&lines).excluding("first").want("app"), "app=1 second=1");
}

#[test]
fn a_real_package_is_preferred_to_its_providers_and_providers_go_by_name() {
    let world =
        World::of(&["app 1; Depends: mta", "mta 1", "zmail 1; Provides: mta", "amail 1; Provides: mta"]);
    assert_eq!(world.want("app"), "app=1 mta=1");
    let world = World::of(&["app 1; Depends: mta", "zmail 1; Provides: mta", "amail 1; Provides: mta"]);
    assert_eq!(world.want("app"), "amail=1 app=1");
    assert_eq!(world.want("app zmail"), "app=1 zmail=1");
}

#[test]
fn only_a_versioned_provision_satisfies_a_bound() {
    let world = World::of(&[
        "app 1; Depends: api (>= 2)",
        "low 1; Provides: api (= 1)",
        "bare 1; Provides: api",
        "high 1; Provides: api (= 3)",
    ]);
    assert_eq!(world.want("app"), "app=1 high=1");
}

#[test]
fn conflicts_and_breaks_keep_packages_apart_unless_the_version_is_spared() {
    let world = World::of(&["app 1; Depends: left | right", "old 1; Conflicts: left", "left 1", "right 1"]);
    assert_eq!(world.want("app old"), "app=1 old=1 right=1");
    let world = World::of(&["app 1; Breaks: lib (<< 2)", "lib 2", "lib 1"]);
    assert_eq!(world.want("app lib"), "app=1 lib=2");
}

#[test]
fn a_package_never_conflicts_with_itself_or_what_it_provides() {
    let world =
        World::of(&["exim 1; Provides: mta; Conflicts: mta", "postfix 1; Provides: mta; Conflicts: mta"]);
    assert_eq!(world.want("exim"), "exim=1");
    assert_eq!(
        world.refuse("exim postfix"),
        ["`exim 1` (wanted) says `Conflicts: mta`, but `postfix 1` is wanted"]
    );
}

#[test]
fn assumed_packages_satisfy_any_version_and_all_they_provide() {
    let world = World::of(&[
        "app 1; Depends: dpkg (>= 99), perl:any, perlapi, ghost | nothing",
        "dpkg 1; Depends: tar",
        "perl 5; Provides: perlapi; Multi-Arch: allowed",
    ]);
    assert_eq!(world.assuming("dpkg perl ghost").want("app"), "app=1");
}

#[test]
fn any_needs_a_package_that_allows_it() {
    let lines = ["app 1; Depends: python:any", "python 1; Multi-Arch: allowed"];
    assert_eq!(World::of(&lines).want("app"), "app=1 python=1");
    let world = World::of(&["app 1; Depends: python:any", "python 1"]);
    assert_eq!(world.refuse("app").len(), 1);
}

#[test]
fn packages_of_other_architectures_do_not_exist() {
    let world =
        World::of(&["app 1; Depends: data", "data 1; Architecture: all", "data 2; Architecture: arm64"]);
    assert_eq!(world.want("app"), "app=1 data=1");
}

#[test]
fn pins_hold_a_version_or_a_suite() {
    let suites: &[(&str, &[&str])] = &[("trixie", &["jq 1"]), ("trixie-security", &["jq 2"])];
    let world = World::new(suites).pinning("jq", Pin::Suite("trixie".parse().unwrap()));
    assert_eq!(world.want("jq"), "jq=1");
    let world = World::new(suites).pinning("jq", Pin::Version("2".parse().unwrap()));
    assert_eq!(world.want("jq"), "jq=2");
    let world = World::new(suites).pinning("jq", Pin::Version("3".parse().unwrap()));
    assert_eq!(
        world.refuse("jq"),
        ["`jq` is wanted, but no suite offers the version 3 that `jq` is pinned to"]
    );
}

#[test]
fn kept_versions_stay_while_they_can() {
    let world = World::of(&["app 2; Depends: lib (>= 2)", "app 1", "lib 2", "lib 1", "tool 2", "tool 1"]);
    let keep = [("app", "1"), ("lib", "1"), ("tool", "1")];
    assert_eq!(world.answer("app lib tool", &keep).unwrap(), "app=1 lib=1 tool=1");
    assert_eq!(world.answer("app lib tool", &keep[1..]).unwrap(), "app=2 lib=2 tool=1");
    assert_eq!(world.answer("tool", &[("tool", "1.5")]).unwrap(), "tool=2");
}

#[test]
fn everything_wanted_that_is_missing_is_told_at_once() {
    let world = World::of(&["bash 1"]).excluding("perl");
    assert_eq!(
        world.refuse("bash nano perl vim"),
        [
            "`nano` is wanted, but no suite offers `nano`",
            "`perl` is wanted, but `perl` is excluded",
            "`vim` is wanted, but no suite offers `vim`"
        ]
    );
}

#[test]
fn a_missing_dependency_is_told_with_the_chain_that_needs_it() {
    let world = World::of(&["app 1; Depends: mid", "mid 3; Depends: lib (>= 2) | alt", "lib 1.5", "alt 1"])
        .excluding("alt");
    assert_eq!(
        world.refuse("app"),
        [
            "`mid 3` (needed by `app 1`, wanted) needs `lib (>= 2) | alt`, but the suites only offer `lib 1.5` from `trixie`, \
          and `alt` is excluded"
        ]
    );
}

#[test]
fn two_needs_of_one_package_in_two_versions_are_both_told() {
    let world = World::of(&["one 1; Depends: lib (= 1)", "two 1; Depends: lib (= 2)", "lib 1", "lib 2"]);
    let reasons = world.refuse("one two").join("\n");
    assert!(reasons.contains("only one version can be chosen of"), "{reasons}");
    for link in ["`lib 1` (needed by `one 1`, wanted)", "`lib 2` (needed by `two 1`, wanted)"] {
        assert!(reasons.contains(link), "{reasons}");
    }
}

#[test]
fn a_package_with_a_malformed_dependency_is_avoided_or_told() {
    let world = World::of(&["app 1; Depends: a b c", "app 0.9"]);
    assert_eq!(world.want("app"), "app=0.9");
    let world = World::of(&["app 1; Depends: a b c"]);
    assert!(
        world.refuse("app")[0]
            .starts_with("`app 1` (wanted) cannot be used: `a b c` is not a package relation")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random small archives: an answer satisfies every relation within it, and is the same every time.
    #[test]
    fn every_answer_is_closed_and_stable(edges in prop::collection::vec((0_u8..8, 0_u8..8, 0_u8..3), 0..16)) {
        let lines: Vec<String> = (0..8_u8).map(|n| {
            let related = |kind| edges.iter().filter(move |edge| edge.0 == n && edge.2 == kind);
            let depends: Vec<String> = related(0).map(|edge| format!("p{}", edge.1)).collect();
            let either: Vec<String> = related(1).map(|edge| format!("p{} | p{}", edge.1, (edge.1 + 1) % 8)).collect();
            let conflicts: Vec<String> = related(2).map(|edge| format!("p{}", edge.1)).collect();
            format!("p{n} 1; Depends: {}; Conflicts: {}", [depends, either].concat().join(", "), conflicts.join(", "))
        }).collect();
        let world = World::of(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let answer = world.answer("p0 p1", &[]);
        prop_assert_eq!(&answer, &world.answer("p0 p1", &[]));
        if let Ok(answer) = answer {
            let has = |n: u8| answer.contains(&format!("p{n}=1"));
            prop_assert!(has(0) && has(1));
            for (from, to, kind) in edges.into_iter().filter(|edge| has(edge.0)) {
                match kind {
                    0 => prop_assert!(has(to), "{answer}"),
                    1 => prop_assert!(has(to) || has((to + 1) % 8), "{answer}"),
                    _ => prop_assert!(to == from || !has(to), "{answer}"),
                }
            }
        }
    }
}
