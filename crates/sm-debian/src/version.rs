//! The order of Debian versions (Debian Policy 5.6.12, as `dpkg --compare-versions` decides it).

use std::{cmp::Ordering, fmt, str::FromStr};

use sm_model::PackageVersion;

/// Compares two versions. `Equal` means that the archive takes them for the same, not that the texts are equal: `1.0` and `1.00`.
///
/// ```
/// # use std::cmp::Ordering;
/// let compare = |a: &str, b: &str| sm_debian::version::compare(&a.parse().unwrap(), &b.parse().unwrap());
/// assert_eq!(compare("1.0~rc1-1", "1.0-1"), Ordering::Less);
/// assert_eq!(compare("1:0.1", "2.0"), Ordering::Greater);
/// ```
pub fn compare(a: &PackageVersion, b: &PackageVersion) -> Ordering {
    compare_texts(a.as_str(), b.as_str())
}

pub(crate) fn compare_texts(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    a.epoch
        .cmp(&b.epoch)
        .then_with(|| compare_part(a.upstream.as_bytes(), b.upstream.as_bytes()))
        .then_with(|| compare_part(a.revision.as_bytes(), b.revision.as_bytes()))
}

/// `[EPOCH:]UPSTREAM[-REVISION]`. An absent revision compares like `0`, an absent epoch is 0.
struct Parts<'a> {
    epoch: u32,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Parts { epoch, upstream, revision }
    }
}

/// Compares runs of non-digits and runs of digits in turn, until one differs or both texts end.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_words, a_rest) = split_run(a, |byte| !byte.is_ascii_digit());
        let (b_words, b_rest) = split_run(b, |byte| !byte.is_ascii_digit());
        let (a_digits, a_rest) = split_run(a_rest, |byte| byte.is_ascii_digit());
        let (b_digits, b_rest) = split_run(b_rest, |byte| byte.is_ascii_digit());
        let order = compare_words(a_words, b_words).then_with(|| compare_digits(a_digits, b_digits));
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

fn split_run(text: &[u8], in_run: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !in_run(*byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// Letters sort before other signs, the end before letters, and `~` before even the end.
fn compare_words(a: &[u8], b: &[u8]) -> Ordering {
    const END: i32 = 0;
    let a = a.iter().copied().map(weight).chain([END]);
    let b = b.iter().copied().map(weight).chain([END]);
    a.cmp(b)
}

fn weight(byte: u8) -> i32 {
    match byte {
        b'~' => -1,
        letter if letter.is_ascii_alphabetic() => i32::from(letter),
        sign => i32::from(sign) + 256,
    }
}

/// Numbers of any length: without leading zeros the longer one is greater.
fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let n_leading_zeros = |text: &[u8]| text.iter().take_while(|digit| **digit == b'0').count();
    let (a, b) = (&a[n_leading_zeros(a)..], &b[n_leading_zeros(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// How a dependency bounds a version (Debian Policy 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// `<<`: strictly earlier.
    Earlier,
    /// `<=`: earlier or equal. The obsolete `<` means the same.
    EarlierOrEqual,
    /// `=`: exactly equal.
    Equal,
    /// `>=`: later or equal. The obsolete `>` means the same.
    LaterOrEqual,
    /// `>>`: strictly later.
    Later,
}

/// A text that is no relation between versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a version relation: expected `<<`, `<=`, `=`, `>=` or `>>`", .0.escape_debug())]
pub struct UnknownRelation(String);

impl Relation {
    /// Whether `found` lies within the bound `wanted`.
    pub fn admits(self, found: &PackageVersion, wanted: &PackageVersion) -> bool {
        let order = compare(found, wanted);
        match self {
            Relation::Earlier => order.is_lt(),
            Relation::EarlierOrEqual => order.is_le(),
            Relation::Equal => order.is_eq(),
            Relation::LaterOrEqual => order.is_ge(),
            Relation::Later => order.is_gt(),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Relation::Earlier => "<<",
            Relation::EarlierOrEqual => "<=",
            Relation::Equal => "=",
            Relation::LaterOrEqual => ">=",
            Relation::Later => ">>",
        })
    }
}

impl FromStr for Relation {
    type Err = UnknownRelation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "<<" => Ok(Relation::Earlier),
            "<=" | "<" => Ok(Relation::EarlierOrEqual),
            "=" => Ok(Relation::Equal),
            ">=" | ">" => Ok(Relation::LaterOrEqual),
            ">>" => Ok(Relation::Later),
            other => Err(UnknownRelation(other.chars().take(16).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every pair as `dpkg --compare-versions` of dpkg 1.21.22 decides it.
    const DPKG_SAYS: [(&str, Ordering, &str); 28] = [
        ("1.0", Ordering::Equal, "1.0"),
        ("1.0", Ordering::Equal, "1.00"),
        ("1.0", Ordering::Equal, "1.0-0"),
        ("0:1.0", Ordering::Equal, "1.0"),
        ("1.0-1", Ordering::Less, "1.0-2"),
        ("1.0-9", Ordering::Less, "1.0-10"),
        ("1.0~rc1", Ordering::Less, "1.0"),
        ("1.0~", Ordering::Less, "1.0"),
        ("1.0~~", Ordering::Less, "1.0~"),
        ("1.0~~a", Ordering::Less, "1.0~"),
        ("1.0", Ordering::Less, "1.0a"),
        ("1.0a", Ordering::Less, "1.0+"),
        ("1.0+b1", Ordering::Less, "1.0.1"),
        ("1.0-1", Ordering::Less, "1.0-1+b1"),
        ("1.0-1+deb13u1", Ordering::Less, "1.0-1+deb13u2"),
        ("1.0-1~deb13u1", Ordering::Less, "1.0-1"),
        ("257.9-1~deb13u1", Ordering::Less, "257.9-1"),
        ("6.12.9-1", Ordering::Less, "6.12.117-1"),
        ("9.0", Ordering::Less, "10.0"),
        ("99999999999999999999", Ordering::Less, "100000000000000000000"),
        ("2.0", Ordering::Less, "1:0.1"),
        ("2:1", Ordering::Less, "10:0"),
        ("1.2-a-1", Ordering::Less, "1.2-a-2"),
        ("1.2-3", Ordering::Less, "1.2.3"),
        ("a", Ordering::Less, "b"),
        ("0A", Ordering::Less, "0a"),
        ("0z", Ordering::Greater, "0-1.z"),
        ("1.0.0", Ordering::Less, "1.0.0.0"),
    ];

    #[test]
    fn the_order_agrees_with_dpkg_both_ways() {
        for (a, order, b) in DPKG_SAYS {
            assert_eq!(compare_texts(a, b), order, "{a} {b}");
            assert_eq!(compare_texts(b, a), order.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn relations_admit_exactly_their_half_of_the_order() {
        let version = |text: &str| text.parse::<PackageVersion>().unwrap();
        let admitted = |relation: Relation| {
            ["1.0", "2.0", "3.0"].map(|found| relation.admits(&version(found), &version("2.0")))
        };
        assert_eq!(admitted(Relation::Earlier), [true, false, false]);
        assert_eq!(admitted(Relation::EarlierOrEqual), [true, true, false]);
        assert_eq!(admitted(Relation::Equal), [false, true, false]);
        assert_eq!(admitted(Relation::LaterOrEqual), [false, true, true]);
        assert_eq!(admitted(Relation::Later), [false, false, true]);
    }

    #[test]
    fn relations_read_back_and_the_obsolete_ones_are_inclusive() {
        for text in ["<<", "<=", "=", ">=", ">>"] {
            assert_eq!(text.parse::<Relation>().unwrap().to_string(), text);
        }
        assert_eq!("<".parse(), Ok(Relation::EarlierOrEqual));
        assert_eq!(">".parse(), Ok(Relation::LaterOrEqual));
        assert!("==".parse::<Relation>().is_err());
    }

    /// Short texts over a small alphabet, so that ties and near ties are frequent.
    fn version_text() -> impl Strategy<Value = String> {
        "([0-2]:)?[0-1][01a~+.]{0,4}(-[01a~+]{1,3})?"
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in version_text(), b in version_text(), c in version_text()) {
            prop_assert_eq!(compare_texts(&a, &a), Ordering::Equal);
            prop_assert_eq!(compare_texts(&a, &b), compare_texts(&b, &a).reverse());
            let mut sorted = [&a, &b, &c];
            sorted.sort_by(|x, y| compare_texts(x, y));
            prop_assert!(compare_texts(sorted[0], sorted[1]).is_le());
            prop_assert!(compare_texts(sorted[1], sorted[2]).is_le());
            prop_assert!(compare_texts(sorted[0], sorted[2]).is_le());
        }

        #[test]
        fn a_tilde_always_goes_back_and_anything_else_forward(a in "[0-9][0-9a-z.]{0,6}[0-9]", tail in "[a-z+.][0-9a-z]{0,3}") {
            prop_assert_eq!(compare_texts(&format!("{a}~{tail}"), &a), Ordering::Less);
            prop_assert_eq!(compare_texts(&format!("{a}{tail}"), &a), Ordering::Greater);
        }
    }
}
