//! Fragments and package differences as one document: a pure function, so that a draft can be made again at any time and loses
//! nothing. What people change, they change in fragments.

use std::collections::BTreeSet;

use sm_model::{
    Channel, CveId, FragmentId, Version,
    evidence::PackageChangeKind,
    notes::{Changes, NoteItem, ReleaseNotes, Since, SourceUpdate},
};

use super::{Fragment, Prose, fragment::names};

/// What the notes are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Name of the operating system, as people read it.
    pub os: String,
    /// Channel.
    pub channel: Channel,
    /// Version.
    pub version: Version,
}

/// An earlier release that the new one is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The release; `None` when there is none.
    pub since: Option<Since>,
    /// The fragments that there were when it was made.
    pub known: BTreeSet<FragmentId>,
    /// Source packages that are not the same.
    pub packages: Vec<SourceUpdate>,
}

/// The notes. Fragments that an earlier release knew are not told again: a change of one is a correction.
pub fn draft(subject: Subject, fragments: &[Fragment], compared: Vec<Compared>) -> ReleaseNotes {
    let changes = |compared: Compared| {
        let new = fragments.iter().filter(|fragment| !compared.known.contains(&fragment.id));
        let mut items: Vec<NoteItem> = new.map(item).collect();
        items.sort_by(|a, b| a.fragment.cmp(&b.fragment));
        let mut packages = compared.packages;
        packages.sort_by(|a, b| a.source.cmp(&b.source));
        Changes { since: compared.since, items, packages }
    };
    ReleaseNotes {
        format: ReleaseNotes::FORMAT,
        os: subject.os,
        channel: subject.channel,
        version: subject.version,
        changes: compared.into_iter().map(changes).collect(),
        inventory: fragments.iter().map(|fragment| fragment.id.clone()).collect(),
    }
}

fn item(fragment: &Fragment) -> NoteItem {
    NoteItem {
        fragment: fragment.id.clone(),
        digest: fragment.digest,
        entries: fragment.entries.iter().map(Prose::to_markdown).collect(),
        cves: fragment.cves.clone(),
        packages: fragment.packages.clone(),
        action: fragment.action.as_ref().map(Prose::to_markdown),
        known_issue: fragment.known_issue,
    }
}

/// Changes that no fragment tells about and that do not explain themselves: packages that are new, gone, or older than before.
/// Newer versions are in the notes by themselves.
pub fn unexplained(notes: &ReleaseNotes) -> Vec<String> {
    let Some(changes) = notes.changes.first().filter(|changes| changes.since.is_some()) else {
        return Vec::new();
    };
    let tells = |item: &NoteItem, source: &str| {
        item.packages.contains(source)
            || item.entries.iter().any(|entry| names(&Prose::parse(entry).words(), source))
    };
    let explained = |update: &SourceUpdate| changes.items.iter().any(|item| tells(item, &update.source));
    let what = |update: &SourceUpdate| {
        let word = match update.change {
            PackageChangeKind::Added => "new",
            PackageChangeKind::Removed => "gone",
            PackageChangeKind::Downgraded => "older than before",
            PackageChangeKind::Rebuilt => "built anew",
            PackageChangeKind::Upgraded => return None,
        };
        Some(format!("{} is {word}", update.source))
    };
    changes.packages.iter().filter(|update| !explained(update)).filter_map(what).collect()
}

/// CVE ids that fragments say are fixed and that no package's changelog names: mistakes of typing, or fixes of our own.
pub fn unconfirmed(notes: &ReleaseNotes) -> Vec<String> {
    let Some(changes) = notes.changes.first() else { return Vec::new() };
    let confirmed = |cve: &CveId| changes.packages.iter().any(|update| update.cves.contains(cve));
    let doubtful = |item: &NoteItem| {
        let fragment = item.fragment.clone();
        let doubtful: Vec<_> = item.cves.iter().filter(|cve| !confirmed(cve)).copied().collect();
        doubtful.into_iter().map(move |cve| {
            format!(
                "`{fragment}` tells of {cve}, which no package's changelog names between the two releases"
            )
        })
    };
    changes.items.iter().filter(|item| !item.known_issue).flat_map(doubtful).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn fragment(id: &str, text: &str) -> Fragment {
        Fragment::parse(&id.parse().unwrap(), text.as_bytes()).unwrap()
    }

    pub(crate) fn update(source: &str, versions: [&str; 2], cves: &[&str]) -> SourceUpdate {
        let [from, to] = versions.map(|text| text.parse().ok());
        let change = match (&from, &to) {
            (None, _) => PackageChangeKind::Added,
            (_, None) => PackageChangeKind::Removed,
            (Some(_), Some(_)) => PackageChangeKind::Upgraded,
        };
        let cves = cves.iter().map(|text| text.parse().unwrap()).collect();
        SourceUpdate { source: source.to_owned(), change, from, to, cves, is_complete: true }
    }

    pub(crate) fn subject() -> Subject {
        Subject {
            os: "Boxcar Linux".to_owned(),
            channel: Channel::Beta,
            version: "4902.1.0".parse().unwrap(),
        }
    }

    pub(crate) fn since(channel: Channel, version: &str) -> Option<Since> {
        Some(Since { channel, version: version.parse().unwrap() })
    }

    /// A promotion with something in every section, and hostile words.
    pub(crate) fn sample() -> ReleaseNotes {
        let old = fragment("changes/2026-10-01-old.md", "- Known before.");
        let fragments = [
            old.clone(),
            fragment(
                "security/2026-11-20-openssl.md",
                "+++\npackages = [\"openssl\"]\naction = \"Restart services that keep connections of old `libssl3` open.\"\n+++\n- openssl: out-of-bounds read ([CVE-2025-9230](https://example.org/CVE-2025-9230))\n",
            ),
            fragment(
                "bugfixes/2026-11-19-dhcp.md",
                "- Fixed `systemd-networkd` forgetting leases ([#12](https://example.org/issues/12)).\n",
            ),
            fragment(
                "changes/2026-11-18-x.md",
                "- Hostile *words*: <blink> & [a] (javascript:b) stay words.\n",
            ),
            fragment(
                "changes/2026-11-18-y.md",
                "+++\nknown-issue = true\n+++\n- USB printers are not found after resuming.\n",
            ),
        ];
        let kernel: Vec<String> = (1..=40).map(|n| format!("CVE-2026-{n:04}")).collect();
        let kernel: Vec<&str> = kernel.iter().map(String::as_str).collect();
        let packages = vec![
            update("linux", ["6.12.48-1", "6.12.57-1"], &kernel),
            update("openssl", ["3.5.1-1", "3.5.1-1+deb13u1"], &["CVE-2025-9230", "CVE-2025-9231"]),
            update("tzdata", ["2025a-1", "2025b-1"], &[]),
            update("vim", ["", "2:9.1-1"], &[]),
        ];
        let beta = Compared {
            since: since(Channel::Beta, "4888.1.2"),
            known: [old.id].into(),
            packages: packages.clone(),
        };
        let alpha = Compared {
            since: since(Channel::Alpha, "4902.0.0"),
            known: fragments[..3].iter().map(|fragment| fragment.id.clone()).collect(),
            packages: packages[2..3].to_vec(),
        };
        draft(subject(), &fragments, vec![beta, alpha])
    }

    #[test]
    fn fragments_of_earlier_releases_are_not_told_again() {
        let notes = sample();
        let told = |idx: usize| {
            notes.changes[idx].items.iter().map(|item| item.fragment.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told(0), ["openssl", "dhcp", "x", "y"]);
        assert_eq!(told(1), ["x", "y"]);
        assert_eq!(notes.inventory.len(), 5);
    }

    #[test]
    fn what_is_new_or_gone_needs_a_fragment() {
        let mut notes = sample();
        assert_eq!(unexplained(&notes), ["vim is new"]);
        notes.changes[0].items[2].entries.push("Added vim.".to_owned());
        assert_eq!(unexplained(&notes), [""; 0]);
        notes.changes[0].packages[0].change = PackageChangeKind::Downgraded;
        assert_eq!(unexplained(&notes), ["linux is older than before"]);
        notes.changes[0].since = None;
        assert_eq!(unexplained(&notes), [""; 0], "everything is new in the first release");
    }

    #[test]
    fn ids_that_no_changelog_confirms_are_told() {
        let mut notes = sample();
        assert_eq!(unconfirmed(&notes), [""; 0]);
        notes.changes[0].packages[1].cves.clear();
        assert_eq!(unconfirmed(&notes).len(), 1);
    }

    proptest! {
        #[test]
        fn every_fragment_is_told_in_exactly_one_of_two_releases_in_a_row(known in prop::collection::btree_set(0..6_usize, 0..6)) {
            let fragments: Vec<Fragment> =
                (0..6).map(|n| fragment(&format!("changes/2026-11-0{}-x.md", n + 1), "- x")).collect();
            let ids = |n: &usize| fragments[*n].id.clone();
            let earlier: Vec<Fragment> = known.iter().map(|n| fragments[*n].clone()).collect();
            let compared = |known| vec![Compared { since: None, known, packages: Vec::new() }];
            let first = draft(subject(), &earlier, compared(BTreeSet::new()));
            let second = draft(subject(), &fragments, compared(first.inventory.clone()));
            prop_assert_eq!(&first.inventory, &known.iter().map(ids).collect::<BTreeSet<_>>());
            let told = |notes: &ReleaseNotes| {
                notes.changes[0].items.iter().map(|item| item.fragment.clone()).collect::<BTreeSet<_>>()
            };
            prop_assert!(told(&first).is_disjoint(&told(&second)));
            prop_assert_eq!(told(&first).len() + told(&second).len(), 6);
        }
    }
}
