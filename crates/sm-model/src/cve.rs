//! CVE ids: names of vulnerabilities.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// A CVE id: `CVE-2024-12345`. Orders by year, then number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CveId {
    /// Year it was assigned in.
    pub year: u16,
    /// Number within the year.
    pub number: u32,
}

/// A text that is no CVE id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a CVE id: expected CVE-YEAR-NUMBER with four digits or more in NUMBER", .0.escape_debug())]
pub struct InvalidCveId(String);

impl fmt::Display for CveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CVE-{}-{:04}", self.year, self.number)
    }
}

impl FromStr for CveId {
    type Err = InvalidCveId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = leading_cve_id(text).filter(|(_, length)| *length == text.len());
        whole.map(|(id, _)| id).ok_or_else(|| InvalidCveId(text.chars().take(40).collect()))
    }
}

/// Every CVE id in a text.
pub fn cve_ids(text: &str) -> impl Iterator<Item = CveId> {
    let word = |at: usize| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let starts = text.match_indices("CVE-").filter(move |(at, _)| word(*at));
    starts.filter_map(|(at, _)| leading_cve_id(&text[at..])).map(|(id, _)| id)
}

/// The CVE id that a text starts with, and its length.
fn leading_cve_id(text: &str) -> Option<(CveId, usize)> {
    let (year, rest) = text.strip_prefix("CVE-")?.split_once('-')?;
    let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if year.len() != 4 || !digits(year) || !(4..=9).contains(&n_digits) {
        return None;
    }
    let id = CveId { year: year.parse().ok()?, number: rest[..n_digits].parse().ok()? };
    Some((id, "CVE-".len() + 5 + n_digits))
}

serde_as_text!(CveId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        for text in ["CVE-2025-0001", "CVE-1999-123456789"] {
            assert_eq!(text.parse::<CveId>().unwrap().to_string(), text);
        }
        for text in
            ["CVE-2025-001", "cve-2025-0001", "CVE-2025-0001 ", "CVE-2025-1234567890", "CVE-20255-0001"]
        {
            assert!(text.parse::<CveId>().is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_found_in_prose_and_only_as_whole_words() {
        let text = "Fixes CVE-2025-9230 (also [CVE-2025-9231](https://example.org/CVE-2025-9231)), not XCVE-2025-1234 or CVE-25-1.";
        let found: Vec<String> = cve_ids(text).map(|id| id.to_string()).collect();
        assert_eq!(found, ["CVE-2025-9230", "CVE-2025-9231", "CVE-2025-9231"]);
    }
}
