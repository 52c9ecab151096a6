//! Relationship fields (Debian Policy 7.1): `Depends`, `Conflicts`, `Provides` and their kin, parsed for one architecture.

use sm_model::{Arch, PackageName, PackageVersion};

use crate::version::Relation;

/// A text that is no relationship field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a package relation: expected NAME[:ARCH] [(RELATION VERSION)] [[ARCH…]]", .0.escape_debug())]
pub struct MalformedRelation(String);

/// Alternatives of which one must be there: `a (>= 1) | b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The alternatives, the preferred one first.
    pub alternatives: Vec<Atom>,
}

/// One package name with its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// Name of a real or virtual package.
    pub name: PackageName,
    /// Which architecture's package will do.
    pub qualifier: Qualifier,
    /// Bound on the version.
    pub bound: Option<(Relation, PackageVersion)>,
}

/// What follows the colon behind a package name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// Nothing, or the architecture resolved for.
    Native,
    /// `:any`: a package that says `Multi-Arch: allowed`.
    Any,
    /// An architecture that is not resolved for: nothing satisfies it.
    Foreign,
}

impl Atom {
    /// Any version of a package of this name.
    pub fn of_name(name: &PackageName) -> Self {
        Atom { name: name.clone(), qualifier: Qualifier::Native, bound: None }
    }

    /// Whether a real package of this version lies within the bound.
    pub fn admits(&self, version: &PackageVersion) -> bool {
        self.bound.as_ref().is_none_or(|(relation, wanted)| relation.admits(version, wanted))
    }

    /// Whether a package that provides the name lies within the bound: an unversioned provision satisfies no bound
    /// (Debian Policy 7.5).
    pub fn admits_provided(&self, version: Option<&PackageVersion>) -> bool {
        match (&self.bound, version) {
            (None, _) => true,
            (Some(_), Some(version)) => self.admits(version),
            (Some(_), None) => false,
        }
    }
}

/// Parses a relationship field. Alternatives restricted to other architectures are dropped, and clauses without any left.
///
/// # Errors
/// When a part of the field is not a relation.
pub fn parse_clauses(field: &str, arch: Arch) -> Result<Vec<Clause>, MalformedRelation> {
    let mut clauses = Vec::new();
    for clause in clause_texts(field) {
        let alternatives = clause.split('|').filter_map(|atom| parse_atom(atom.trim(), arch).transpose());
        let alternatives: Vec<Atom> = alternatives.collect::<Result<_, _>>()?;
        if !alternatives.is_empty() {
            clauses.push(Clause { alternatives });
        }
    }
    Ok(clauses)
}

/// The clauses of a field as texts; a trailing comma is tolerated.
pub fn clause_texts(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(str::trim).filter(|clause| !clause.is_empty())
}

/// The name that a relation starts with, without judging it.
pub(crate) fn leading_name(relation: &str) -> &str {
    let end =
        relation.find(|c: char| c.is_ascii_whitespace() || "(:[|".contains(c)).unwrap_or(relation.len());
    &relation[..end]
}

/// `None` when the relation is restricted to other architectures.
fn parse_atom(text: &str, arch: Arch) -> Result<Option<Atom>, MalformedRelation> {
    parse_atom_parts(text, arch).ok_or_else(|| MalformedRelation(text.chars().take(80).collect()))
}

/// The outer `Option` is `None` for malformed texts.
fn parse_atom_parts(text: &str, arch: Arch) -> Option<Option<Atom>> {
    let (name, rest) = text.split_at(leading_name(text).len());
    let name = name.parse().ok()?;
    let (qualifier, rest) = parse_qualifier(rest, arch)?;
    let (bound, rest) = parse_bound(rest.trim_start())?;
    let applies = parse_restriction(rest.trim(), arch)?;
    Some(applies.then_some(Atom { name, qualifier, bound }))
}

fn parse_qualifier(text: &str, arch: Arch) -> Option<(Qualifier, &str)> {
    let Some(text) = text.strip_prefix(':') else {
        return Some((Qualifier::Native, text));
    };
    let (qualifier, rest) = text.split_at(text.find([' ', '\t', '\n', '(', '[']).unwrap_or(text.len()));
    match qualifier {
        "any" => Some((Qualifier::Any, rest)),
        native if native == arch.debian() || native == "native" => Some((Qualifier::Native, rest)),
        foreign if !foreign.is_empty() && foreign.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            Some((Qualifier::Foreign, rest))
        }
        _ => None,
    }
}

type Bound = Option<(Relation, PackageVersion)>;

fn parse_bound(text: &str) -> Option<(Bound, &str)> {
    let Some(text) = text.strip_prefix('(') else {
        return Some((None, text));
    };
    let (bound, rest) = text.split_once(')')?;
    let bound = bound.trim();
    let (relation, version) = bound.split_at(bound.find(|c| !"<>=".contains(c))?);
    Some((Some((relation.parse().ok()?, version.trim().parse().ok()?)), rest))
}

/// Whether `[amd64 i386]` or `[!amd64]` includes `arch`; an absent restriction includes all.
fn parse_restriction(text: &str, arch: Arch) -> Option<bool> {
    if text.is_empty() {
        return Some(true);
    }
    let listed = text.strip_prefix('[')?.strip_suffix(']')?;
    let is_ours = |name: &str| name == arch.debian() || name == "any" || name == "linux-any";
    if listed.contains('!') {
        let mut excluded = listed.split_ascii_whitespace().map(|name| name.strip_prefix('!'));
        return excluded.try_fold(true, |applies, name| Some(applies && !is_ours(name?)));
    }
    Some(listed.split_ascii_whitespace().any(is_ours))
}

impl std::fmt::Display for Atom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)?;
        match self.qualifier {
            Qualifier::Native => {}
            Qualifier::Any => f.write_str(":any")?,
            Qualifier::Foreign => f.write_str(" of another architecture")?,
        }
        match &self.bound {
            Some((relation, version)) => write!(f, " ({relation} {version})"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Clause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, atom) in self.alternatives.iter().enumerate() {
            let separator = if i > 0 { " | " } else { "" };
            write!(f, "{separator}{atom}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(field: &str) -> Vec<String> {
        parse_clauses(field, Arch::Amd64).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn debians_own_spellings_are_understood() {
        assert_eq!(
            shown("libc6 (>= 2.38), libfoo1(<<3:1~) | bar,\n baz:any (= 1.0-1) , perl:any, xz:amd64, "),
            ["libc6 (>= 2.38)", "libfoo1 (<< 3:1~) | bar", "baz:any (= 1.0-1)", "perl:any", "xz"]
        );
        assert_eq!(shown(""), [""; 0]);
    }

    #[test]
    fn restrictions_to_architectures_are_applied() {
        assert_eq!(
            shown("aa [amd64], bb [arm64 i386], cc [!amd64], dd [!arm64 !i386], ee [linux-any] | ff [arm64]"),
            ["aa", "dd", "ee"]
        );
    }

    #[test]
    fn a_foreign_qualifier_is_kept_as_unsatisfiable() {
        let clauses = parse_clauses("libc6:i386", Arch::Amd64).unwrap();
        assert_eq!(clauses[0].alternatives[0].qualifier, Qualifier::Foreign);
    }

    #[test]
    fn an_unversioned_provision_satisfies_no_bound() {
        let atom = |text| parse_clauses(text, Arch::Amd64).unwrap().remove(0).alternatives.remove(0);
        let version = "2".parse().unwrap();
        assert!(atom("vv").admits_provided(None));
        assert!(!atom("vv (>= 1)").admits_provided(None));
        assert!(atom("vv (>= 1)").admits_provided(Some(&version)));
        assert!(!atom("vv (>= 3)").admits_provided(Some(&version)));
    }

    #[test]
    fn malformed_relations_are_refused_with_their_text() {
        for text in [
            "AA",
            "aa (1)",
            "aa (>= )",
            "aa (>= 1",
            "aa bb",
            "aa:",
            "aa [amd64",
            "aa <!nocheck>",
            "aa (~ 1)",
            "|",
            "aa [!x y]",
        ] {
            let error = parse_clauses(text, Arch::Amd64).unwrap_err();
            assert!(error.to_string().contains("is not a package relation"), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "[ab1 :|,()<>=\\[\\]!é~]{0,30}") {
            let _ = parse_clauses(&text, Arch::Arm64);
        }

        #[test]
        fn what_is_shown_reads_back(text in "[a-z]{2,4}(:any)?( \\((<<|<=|=|>=|>>) [0-9.]{1,3}\\))?( \\| [a-z]{2,4})?") {
            let clauses = parse_clauses(&text, Arch::Amd64).unwrap();
            prop_assert_eq!(clauses[0].to_string(), text);
        }
    }
}
