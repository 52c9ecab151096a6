//! `Range: bytes=…` (RFC 9110, section 14): the one range of a request, or why there is none.

use std::ops::Range;

/// What a `Range` header asks of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// One range that the file has bytes for: never empty, never beyond the end.
    Part(Range<u64>),
    /// A range that lies beyond the end: 416.
    Unsatisfiable,
    /// Nothing we understand, or several ranges: the header is as good as absent (section 14.2 allows both).
    Ignore,
}

/// Reads the header's value for a file of that length.
pub(super) fn parse(value: &str, len: u64) -> Asked {
    let Some((unit, spec)) = value.split_once('=') else { return Asked::Ignore };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Ignore };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Asked::Ignore;
    }
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => within(first, u64::MAX, len),
        (Some(first), Some(last)) if first <= last => within(first, last, len),
        (None, Some(suffix)) if first.is_empty() => suffix_of(suffix, len),
        _ => Asked::Ignore,
    }
}

/// `first` to `last`, both included; a last byte beyond the end means the end.
fn within(first: u64, last: u64, len: u64) -> Asked {
    if first >= len { Asked::Unsatisfiable } else { Asked::Part(first..last.saturating_add(1).min(len)) }
}

/// The last `n_bytes` of the file, or all of it when it is shorter.
fn suffix_of(n_bytes: u64, len: u64) -> Asked {
    if n_bytes == 0 || len == 0 {
        Asked::Unsatisfiable
    } else {
        Asked::Part(len.saturating_sub(n_bytes)..len)
    }
}

/// Digits only; a number too large for us is beyond the end of every file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_that_update_clients_send() {
        assert_eq!(parse("bytes=0-19", 100), Asked::Part(0..20));
        assert_eq!(parse("bytes=20-", 100), Asked::Part(20..100));
        assert_eq!(parse("bytes=99-", 100), Asked::Part(99..100));
        assert_eq!(parse("bytes=-30", 100), Asked::Part(70..100));
        assert_eq!(parse("bytes=-300", 100), Asked::Part(0..100));
        assert_eq!(parse("bytes=90-1000", 100), Asked::Part(90..100));
        assert_eq!(parse("Bytes = 0-0", 100), Asked::Part(0..1));
    }

    #[test]
    fn ranges_beyond_the_end_are_unsatisfiable() {
        for value in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(parse(value, 100), Asked::Unsatisfiable, "{value}");
        }
        for value in ["bytes=0-", "bytes=-1"] {
            assert_eq!(parse(value, 0), Asked::Unsatisfiable, "{value} of an empty file");
        }
    }

    #[test]
    fn what_is_not_one_range_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=1--2",
        ] {
            assert_eq!(parse(value, 100), Asked::Ignore, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_beyond_the_end(value in "bytes=[0-9]{0,21}-[0-9]{0,21}", len: u64) {
            if let Asked::Part(range) = parse(&value, len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }

        #[test]
        fn any_text_is_survived(value in ".{0,40}", len: u64) {
            parse(&value, len);
        }
    }
}
