//! The numbers that gates ask for: which there are, and how they are read off a candidate and its comparison.

use serde::{Deserialize, Serialize};
use sm_model::{
    PackageVersion, Version,
    evidence::{Candidate, ImageDiff, PackageChange, PackageChangeKind},
};

/// Bytes of the /usr image.
pub const USR_BYTES: &str = "image.usr-bytes";
/// Growth of the /usr image against the release before, in basis points (100 are 1 %).
pub const GROWTH_BP: &str = "image.growth-bp";
/// Packages whose version fell.
pub const DOWNGRADES: &str = "image.downgrades";
/// Packages that are new.
pub const NEW_PACKAGES: &str = "image.new-packages";
/// Files that are gone.
pub const DELETED_FILES: &str = "image.deleted-files";
/// Files that gained a set-user-ID or set-group-ID bit.
pub const NEW_SETUID: &str = "image.new-setuid";
/// Sockets that nothing listened on before.
pub const NEW_LISTENERS: &str = "image.new-listeners";
/// Changes that a long-term stream does not take.
pub const LTS_FOREIGN: &str = "lts.foreign-changes";
/// 1 when the notes were accepted.
pub const NOTES_ACCEPTED: &str = "notes.accepted";
/// Changes that no fragment tells about.
pub const MISSING_FRAGMENTS: &str = "notes.missing-fragments";
/// Blockers that are open for the channel.
pub const OPEN_BLOCKERS: &str = "blockers.open";
/// Days that the branch has been in the channel below.
pub const SOAK_DAYS: &str = "soak.days";
/// Days that the youngest watched component has been in the channel below, in the very version.
pub const COMPONENT_DAYS: &str = "soak.component-days";
/// Muted tests beyond the share that may be muted.
pub const MUTED_OVER_BUDGET: &str = "quarantine.over-budget";

/// A number, or why it does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The number, and what it counts, one by one.
    Value {
        /// The number.
        value: i64,
        /// What it counts.
        items: Vec<String>,
    },
    /// The question makes no sense here, which follows from the plan and never from missing evidence.
    DoesNotApply {
        /// Why.
        reason: String,
    },
}

impl Finding {
    /// A number of things.
    pub fn count(items: Vec<String>) -> Finding {
        Finding::Value { value: i64::try_from(items.len()).unwrap_or(i64::MAX), items }
    }

    /// A number.
    pub const fn number(value: i64) -> Finding {
        Finding::Value { value, items: Vec::new() }
    }
}

/// Whether a text can name a fact: dotted words of `a-z`, `0-9` and `-`.
pub fn is_fact_name(text: &str) -> bool {
    let clean = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 64 && text.contains('.') && text.split('.').all(clean)
}

/// Whether a fact is read off images, so that every board has its own.
pub(crate) fn is_about_image(fact: &str) -> bool {
    fact == USR_BYTES || is_about_difference(fact)
}

/// What makes a fact known.
pub(crate) fn way_to_know(fact: &str) -> &'static str {
    match fact {
        MISSING_FRAGMENTS | NOTES_ACCEPTED => "accepting the notes",
        NEW_LISTENERS => "a comparison that looks at listeners",
        fact if is_about_difference(fact) => "comparing the candidate with the release before it",
        fact if is_about_image(fact) => "composing a candidate",
        _ => "recording it: `stationmaster release evidence fact`",
    }
}

/// What changes a fact that does not fit.
pub(crate) fn way_to_fit(fact: &str) -> &'static str {
    match fact {
        OPEN_BLOCKERS => "closing them: `stationmaster blocker close`",
        MISSING_FRAGMENTS => "writing them: `stationmaster notes new`",
        NOTES_ACCEPTED => "accepting the notes",
        SOAK_DAYS | COMPONENT_DAYS => "waiting",
        fact if is_about_image(fact) => "a candidate that keeps to it",
        _ => "a number that fits, recorded anew",
    }
}

/// Reads a fact off the image of one board. `None` when the evidence for it is missing, or it is no fact about an image.
pub(crate) fn of_image(
    fact: &str,
    candidate: &Candidate,
    diff: Option<&ImageDiff>,
    previous: Option<Version>,
) -> Option<Finding> {
    if fact == USR_BYTES {
        return Some(Finding::number(i64::try_from(candidate.usr_size_bytes).unwrap_or(i64::MAX)));
    }
    if !is_about_difference(fact) {
        return None;
    }
    match (diff, previous) {
        // A comparison with another release than the one before answers another question.
        (Some(diff), Some(_)) if fact == NEW_LISTENERS && diff.new_listeners.is_none() => None,
        (Some(diff), Some(previous)) if diff.against == previous => Some(of_diff(fact, diff)),
        (None, None) => {
            Some(Finding::DoesNotApply { reason: "there is no release to compare with".to_owned() })
        }
        _ => None,
    }
}

fn is_about_difference(fact: &str) -> bool {
    [GROWTH_BP, DOWNGRADES, NEW_PACKAGES, DELETED_FILES, NEW_SETUID, NEW_LISTENERS, LTS_FOREIGN]
        .contains(&fact)
}

fn of_diff(fact: &str, diff: &ImageDiff) -> Finding {
    let packages = |kind| {
        let changed = diff.packages.iter().filter(|change| change.kind == kind);
        Finding::count(changed.map(describe).collect())
    };
    match fact {
        GROWTH_BP => Finding::number(growth_bp(diff)),
        DOWNGRADES => packages(PackageChangeKind::Downgraded),
        NEW_PACKAGES => packages(PackageChangeKind::Added),
        DELETED_FILES => Finding::count(diff.deleted_files.clone()),
        NEW_SETUID => Finding::count(diff.new_setuid.clone()),
        NEW_LISTENERS => Finding::count(diff.new_listeners.clone().unwrap_or_default()),
        _ => Finding::count(crate::lts::foreign(&diff.packages)),
    }
}

/// `bash 5.2-1 → 5.3-1`.
pub(crate) fn describe(change: &PackageChange) -> String {
    let version = |version: &Option<PackageVersion>| {
        version.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    format!("{} {} → {}", change.name, version(&change.from), version(&change.to))
}

fn growth_bp(diff: &ImageDiff) -> i64 {
    let (old, new) = (i128::from(diff.old_usr_size_bytes), i128::from(diff.new_usr_size_bytes));
    let bp = if old == 0 { i128::from(i64::MAX) } else { (new - old) * 10_000 / old };
    i64::try_from(bp).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_model::Sha256;

    fn diff() -> ImageDiff {
        ImageDiff {
            document: Sha256([1; 32]),
            against: "4890.0.0".parse().unwrap(),
            old_usr_size_bytes: 200,
            new_usr_size_bytes: 206,
            packages: vec![],
            deleted_files: vec!["/usr/bin/gone".to_owned()],
            new_setuid: vec![],
            new_listeners: None,
        }
    }

    fn candidate() -> Candidate {
        Candidate {
            manifest: Sha256([2; 32]),
            version: "4893.0.0".parse().unwrap(),
            usr_size_bytes: 206,
            packages: [].into(),
        }
    }

    #[test]
    fn a_comparison_with_another_release_answers_nothing() {
        let [before, other] = ["4890.0.0", "4880.0.0"].map(|text| text.parse().unwrap());
        let ask = |diff: Option<&ImageDiff>, previous| of_image(GROWTH_BP, &candidate(), diff, previous);
        let diff = diff();
        assert_eq!(ask(Some(&diff), Some(before)), Some(Finding::number(300)));
        assert_eq!(ask(Some(&diff), Some(other)), None);
        let listeners = |diff| of_image(NEW_LISTENERS, &candidate(), Some(diff), Some(before));
        assert_eq!(listeners(&diff), None, "nobody looked");
        let looked = ImageDiff { new_listeners: Some(vec![]), ..diff.clone() };
        assert_eq!(listeners(&looked), Some(Finding::count(vec![])));
        assert_eq!(ask(None, Some(before)), None);
        assert!(matches!(ask(None, None), Some(Finding::DoesNotApply { .. })));
    }

    #[test]
    fn facts_have_dotted_names() {
        for name in [USR_BYTES, LTS_FOREIGN, "keys.days-left", "cve.exploited-open"] {
            assert!(is_fact_name(name), "{name}");
        }
        for name in ["", "size", "a..b", "A.b", "a b.c", ".a"] {
            assert!(!is_fact_name(name), "{name}");
        }
    }
}
