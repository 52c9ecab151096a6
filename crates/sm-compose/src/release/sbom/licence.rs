//! Licence expressions: from Debian's spelling (copyright-format 1.0, section 7) to SPDX's (SPDX 2.3, annex D).

/// Debian's short names with their SPDX identifiers. Names not here are the package's own (`LicenseRef-…`).
const IDENTIFIERS: [(&str, &str); 47] = [
    ("0bsd", "0BSD"),
    ("apache-1.1", "Apache-1.1"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("artistic-2.0", "Artistic-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsl-1.0", "BSL-1.0"),
    ("bzip2", "bzip2-1.0.6"),
    ("cc-by-4.0", "CC-BY-4.0"),
    ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("cc0", "CC0-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("curl", "curl"),
    ("expat", "MIT"),
    ("fsfap", "FSFAP"),
    ("fsful", "FSFUL"),
    ("fsfullr", "FSFULLR"),
    ("gfdl-1.1+", "GFDL-1.1-or-later"),
    ("gfdl-1.2+", "GFDL-1.2-or-later"),
    ("gfdl-1.3", "GFDL-1.3-only"),
    ("gfdl-1.3+", "GFDL-1.3-or-later"),
    ("gpl-1", "GPL-1.0-only"),
    ("gpl-1+", "GPL-1.0-or-later"),
    ("gpl-2", "GPL-2.0-only"),
    ("gpl-2+", "GPL-2.0-or-later"),
    ("gpl-3", "GPL-3.0-only"),
    ("gpl-3+", "GPL-3.0-or-later"),
    ("isc", "ISC"),
    ("lgpl-2", "LGPL-2.0-only"),
    ("lgpl-2+", "LGPL-2.0-or-later"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-2.1+", "LGPL-2.1-or-later"),
    ("lgpl-3", "LGPL-3.0-only"),
    ("lgpl-3+", "LGPL-3.0-or-later"),
    ("mit", "MIT"),
    ("mit-0", "MIT-0"),
    ("mpl-1.1", "MPL-1.1"),
    ("mpl-2.0", "MPL-2.0"),
    ("openssl", "OpenSSL"),
    ("unicode-3.0", "Unicode-3.0"),
    ("x11", "X11"),
    ("zlib", "Zlib"),
];

/// The SPDX form of a Debian expression. `own` gives the identifier of a name that SPDX does not know.
///
/// `and` binds tighter than `or`, and a comma in front of either loosens it (copyright-format 1.0, section 7.2).
pub(super) fn to_spdx(expression: &str, own: &mut dyn FnMut(&str) -> String) -> String {
    let words: Vec<&str> = expression.split_whitespace().collect();
    alternatives(&words, own)
}

/// How loosely each joint binds, loosest first: the word in front ends with a comma or not.
const JOINTS: [(bool, &str); 4] = [(true, "or"), (true, "and"), (false, "or"), (false, "and")];

fn alternatives(words: &[&str], own: &mut dyn FnMut(&str) -> String) -> String {
    for (comma, joint) in JOINTS {
        let parts = split(words, comma, joint);
        if parts.len() > 1 {
            let spdx: Vec<_> = parts.iter().map(|part| grouped(alternatives(part, own))).collect();
            return spdx.join(if joint == "or" { " OR " } else { " AND " });
        }
    }
    atom(&words.join(" "), own)
}

/// A part of a larger expression: in parentheses when it is itself joined.
fn grouped(part: String) -> String {
    if part.contains(" AND ") || part.contains(" OR ") { format!("({part})") } else { part }
}

/// Parts between the joints of one kind; words only where both sides have some.
fn split<'a, 'w>(words: &'a [&'w str], comma: bool, joint: &str) -> Vec<&'a [&'w str]> {
    let mut parts = Vec::new();
    let mut start = 0;
    for at in 1..words.len().saturating_sub(1) {
        let after_comma = words[at - 1].ends_with(',');
        if at > start && words[at].eq_ignore_ascii_case(joint) && after_comma == comma {
            parts.push(&words[start..at]);
            start = at + 1;
        }
    }
    parts.push(&words[start..]);
    parts
}

fn atom(name: &str, own: &mut dyn FnMut(&str) -> String) -> String {
    let name = name.trim_end_matches(',');
    let lower = name.to_ascii_lowercase();
    let normal = lower.replace(".0+", "+").replace("gpl-2.0", "gpl-2").replace("gpl-3.0", "gpl-3");
    let find = |text: &str| IDENTIFIERS.iter().find(|(debian, _)| *debian == text).map(|(_, spdx)| *spdx);
    find(&lower).or_else(|| find(&normal)).map_or_else(|| own(name), str::to_owned)
}

/// Several declared expressions as one: all of them hold for some file.
pub(super) fn conjunction(mut expressions: Vec<String>) -> String {
    expressions.sort();
    expressions.dedup();
    match expressions.as_slice() {
        [] => "NOASSERTION".to_owned(),
        [one] => one.clone(),
        many => many.iter().map(|one| grouped(one.clone())).collect::<Vec<_>>().join(" AND "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spdx(expression: &str) -> String {
        to_spdx(expression, &mut |name| format!("LicenseRef-{}", name.replace(' ', "-")))
    }

    #[test]
    fn known_names_become_identifiers() {
        assert!(IDENTIFIERS.is_sorted());
        assert_eq!(spdx("GPL-2+"), "GPL-2.0-or-later");
        assert_eq!(spdx("GPL-2.0+"), "GPL-2.0-or-later");
        assert_eq!(spdx("LGPL-2.1"), "LGPL-2.1-only");
        assert_eq!(spdx("Expat"), "MIT");
        assert_eq!(spdx("GPL-3+ with Bison exception"), "LicenseRef-GPL-3+-with-Bison-exception");
    }

    #[test]
    fn and_binds_tighter_than_or_and_commas_loosen() {
        assert_eq!(spdx("GPL-2 or GPL-3 and Expat"), "GPL-2.0-only OR (GPL-3.0-only AND MIT)");
        assert_eq!(spdx("GPL-2 or GPL-3, and Expat"), "(GPL-2.0-only OR GPL-3.0-only) AND MIT");
        assert_eq!(spdx("A and B or C"), "(LicenseRef-A AND LicenseRef-B) OR LicenseRef-C");
        assert_eq!(spdx("or"), "LicenseRef-or");
    }

    #[test]
    fn a_package_has_all_its_licences() {
        assert_eq!(conjunction(vec![]), "NOASSERTION");
        assert_eq!(conjunction(vec!["MIT".into(), "MIT".into()]), "MIT");
        assert_eq!(conjunction(vec!["MIT".into(), "A OR B".into()]), "(A OR B) AND MIT");
    }

    proptest! {
        #[test]
        fn parentheses_pair_whatever_is_written(words in proptest::collection::vec("(or|and|,|GPL-2|Expat,)", 0..12)) {
            let text = spdx(&words.join(" "));
            prop_assert_eq!(text.matches('(').count(), text.matches(')').count());
        }
    }
}
