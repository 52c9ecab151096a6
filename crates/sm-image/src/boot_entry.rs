//! Names of unified kernel images on the EFI system partition, with boot counters.
//!
//! `boxcar_4900.0.1+2-1.efi` is Boxcar 4900.0.1 with two tries left after one was spent (UAPI.1, Boot Loader
//! Specification, "Boot counting"). The boot loader counts down by renaming; a name without counter was marked good.

use std::{cmp::Ordering, fmt, str::FromStr};

use sm_model::{Version, exit};

/// The name of a kernel image. Prints and parses as its file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BootEntry {
    os: String,
    version: Version,
    tries: Option<Tries>,
}

/// A boot counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tries {
    /// Boots that may still be tried.
    pub left: u32,
    /// Boots that were tried without being marked good.
    pub done: u32,
}

/// A name that is not a kernel image of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a kernel image: expected OS_VERSION.efi or OS_VERSION+LEFT[-DONE].efi, for example `boxcar_4900.0.1+3.efi`", .0.escape_debug())]
pub struct Error(String);

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        None
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        exit::INVALID_INPUT
    }
}

impl BootEntry {
    /// Boots that a fresh image gets to prove itself.
    pub const TRIES: u32 = 3;

    /// The name under which a fresh image is installed: to be tried [`BootEntry::TRIES`] times.
    ///
    /// # Errors
    /// When `os` is not 1 to 64 lower-case letters, digits, `.` and `-`.
    pub fn fresh(os: &str, version: Version) -> Result<Self, Error> {
        let tries = Some(Tries { left: Self::TRIES, done: 0 });
        is_os_id(os)
            .then(|| BootEntry { os: os.to_owned(), version, tries })
            .ok_or_else(|| Error(os.chars().take(80).collect()))
    }

    /// The operating system's id.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The operating system's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The boot counter; `None` once marked good.
    pub fn tries(&self) -> Option<Tries> {
        self.tries
    }

    /// Whether every try failed: the boot loader takes it only when nothing else is left.
    pub fn is_spent(&self) -> bool {
        self.tries.is_some_and(|tries| tries.left == 0)
    }

    /// The same image given up: the boot loader takes it only when nothing else is left.
    pub fn given_up(&self) -> BootEntry {
        let done = self.tries.map_or(0, |tries| tries.done.saturating_add(tries.left)).max(1);
        BootEntry { tries: Some(Tries { left: 0, done }), ..self.clone() }
    }

    /// The order in which systemd-boot prefers entries of one OS, best first: spent ones last, then newest first,
    /// then most tries left, then fewest done.
    pub fn preference(&self, other: &BootEntry) -> Ordering {
        let uncounted = Tries { left: u32::MAX, done: 0 };
        let rank = |entry: &BootEntry| {
            let tries = entry.tries.unwrap_or(uncounted);
            (!entry.is_spent(), entry.version, tries.left, std::cmp::Reverse(tries.done))
        };
        rank(other).cmp(&rank(self)).then_with(|| self.os.cmp(&other.os))
    }
}

impl fmt::Display for BootEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.os, self.version)?;
        match self.tries {
            None => {}
            Some(Tries { left, done: 0 }) => write!(f, "+{left}")?,
            Some(Tries { left, done }) => write!(f, "+{left}-{done}")?,
        }
        f.write_str(".efi")
    }
}

impl FromStr for BootEntry {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| Error(text.chars().take(80).collect()))
    }
}

fn parse(text: &str) -> Option<BootEntry> {
    let stem = text.strip_suffix(".efi")?;
    let (name, tries) = match stem.split_once('+') {
        None => (stem, None),
        Some((name, counter)) => (name, Some(parse_tries(counter)?)),
    };
    let (os, version) = name.rsplit_once('_')?;
    is_os_id(os).then_some(())?;
    Some(BootEntry { os: os.to_owned(), version: version.parse().ok()?, tries })
}

fn parse_tries(counter: &str) -> Option<Tries> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    match counter.split_once('-') {
        None => Some(Tries { left: number(counter)?, done: 0 }),
        Some((left, done)) => Some(Tries { left: number(left)?, done: number(done)? }),
    }
}

/// An `ID` of os-release(5), without the underscore that separates it from the version.
fn is_os_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed) && text.as_bytes()[0].is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sm_model::FileName;

    fn entry(text: &str) -> BootEntry {
        text.parse().unwrap()
    }

    #[test]
    fn a_fresh_entry_carries_its_tries() {
        let fresh = BootEntry::fresh("boxcar", "4900.0.1".parse().unwrap()).unwrap();
        assert_eq!(fresh.to_string(), "boxcar_4900.0.1+3.efi");
    }

    #[test]
    fn counters_of_every_stage_are_understood() {
        let cases = [
            ("boxcar_1.2.3.efi", None, false),
            ("boxcar_1.2.3+3.efi", Some(Tries { left: 3, done: 0 }), false),
            ("boxcar_1.2.3+2-1.efi", Some(Tries { left: 2, done: 1 }), false),
            ("boxcar_1.2.3+0-3.efi", Some(Tries { left: 0, done: 3 }), true),
            // systemd-boot keeps the width of the number it counts down.
            ("boxcar_1.2.3+09-01.efi", Some(Tries { left: 9, done: 1 }), false),
        ];
        for (text, tries, spent) in cases {
            assert_eq!((entry(text).tries(), entry(text).is_spent()), (tries, spent), "{text}");
        }
    }

    #[test]
    fn the_boot_loader_prefers_new_over_old_and_anything_over_spent() {
        let mut entries = [
            "boxcar_4900.0.0.efi",
            "boxcar_4914.0.0+0-3.efi",
            "boxcar_4907.0.0+1-2.efi",
            "boxcar_4907.0.0+3.efi",
            "boxcar_999.0.0.efi",
        ]
        .map(entry);
        entries.sort_by(BootEntry::preference);
        assert_eq!(
            entries.map(|e| e.to_string()),
            [
                "boxcar_4907.0.0+3.efi",
                "boxcar_4907.0.0+1-2.efi",
                "boxcar_4900.0.0.efi",
                "boxcar_999.0.0.efi",
                "boxcar_4914.0.0+0-3.efi",
            ]
        );
    }

    #[test]
    fn what_is_given_up_is_spent_whatever_its_counter_was() {
        for (name, given_up) in [
            ("boxcar_4900.0.1.efi", "boxcar_4900.0.1+0-1.efi"),
            ("boxcar_4900.0.1+2-1.efi", "boxcar_4900.0.1+0-3.efi"),
            ("boxcar_4900.0.1+0-3.efi", "boxcar_4900.0.1+0-3.efi"),
        ] {
            assert_eq!(entry(name).given_up().to_string(), given_up);
            assert!(entry(given_up).is_spent());
        }
    }

    #[test]
    fn foreign_names_are_refused() {
        for text in [
            "",
            ".efi",
            "boxcar.efi",
            "boxcar_1.2.efi",
            "boxcar_1.2.3",
            "boxcar_1.2.3+.efi",
            "boxcar_1.2.3+-1.efi",
            "boxcar_1.2.3+1-.efi",
            "boxcar_1.2.3++1.efi",
            "boxcar_1.2.3+1-2-3.efi",
            "boxcar_1.2.3+4294967296.efi",
            "_1.2.3.efi",
            "../x_1.2.3.efi",
            "Box_1.2.3.efi",
            "é_1.2.3.efi",
        ] {
            assert!(text.parse::<BootEntry>().is_err(), "{text:?}");
        }
        assert!(BootEntry::fresh("../x", "1.2.3".parse().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn names_read_back(os in "[a-z0-9][a-z0-9.-]{0,63}", major: u32, level in 0..=3u8, patch: u32, tries: Option<(u32, u32)>) {
            let version = Version { major, level, patch };
            let tries = tries.map(|(left, done)| Tries { left, done });
            let entry = BootEntry { os, version, tries };
            let name: FileName = entry.to_string().parse().unwrap();
            prop_assert_eq!(name.as_str().parse(), Ok(entry));
        }

        #[test]
        fn preference_is_an_order(names in proptest::collection::vec("box_[1-2]\\.0\\.0(\\+[0-2](-[1-2])?)?\\.efi", 3)) {
            let mut entries: Vec<BootEntry> = names.iter().map(|name| entry(name)).collect();
            entries.sort_by(BootEntry::preference);
            for pair in entries.windows(2) {
                prop_assert_ne!(pair[0].preference(&pair[1]), Ordering::Greater);
                prop_assert_eq!(pair[0].preference(&pair[1]), pair[1].preference(&pair[0]).reverse());
            }
        }
    }
}
