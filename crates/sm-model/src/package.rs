//! Distribution packages: names and versions as texts that were checked once.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// A Debian package name (Debian Policy 5.6.1): 2 or more of `a-z 0-9 + - .`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageName(String);

/// A Debian package version (Debian Policy 5.6.12), as written. Its order lives in `sm-debian`: equality here is of texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackageVersion(String);

/// A text that is not a package name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a package name: expected lower-case letters, digits and `+-.`, starting with a letter or digit", .0.escape_debug())]
pub struct InvalidPackageName(String);

/// A text that is not a package version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a package version: expected [EPOCH:]UPSTREAM[-REVISION] of letters, digits and `.+-~:`", .0.escape_debug())]
pub struct InvalidPackageVersion(String);

/// Longest name or version we accept, in bytes. Debian's longest are under 100.
const MAX_LEN: usize = 255;

impl PackageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PackageVersion {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PackageName {
    type Err = InvalidPackageName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let clean = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if starts_well && clean && (2..=MAX_LEN).contains(&text.len()) {
            Ok(PackageName(text.to_owned()))
        } else {
            Err(InvalidPackageName(text.chars().take(80).collect()))
        }
    }
}

impl FromStr for PackageVersion {
    type Err = InvalidPackageVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-~:".contains(&b));
        let upstream = match text.split_once(':') {
            Some((epoch, rest)) if epoch.parse::<u32>().is_ok() => rest,
            Some(_) => "",
            None => text,
        };
        if clean && !upstream.is_empty() && text.len() <= MAX_LEN {
            Ok(PackageVersion(text.to_owned()))
        } else {
            Err(InvalidPackageVersion(text.chars().take(80).collect()))
        }
    }
}

serde_as_text!(PackageName);
serde_as_text!(PackageVersion);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_spellings_pass() {
        for text in ["libstdc++6", "0ad", "linux-image-6.12.117+deb13-cloud-amd64", "vi"] {
            assert_eq!(text.parse::<PackageName>().unwrap().as_str(), text);
        }
        for text in ["1:2.41-12+deb13u2", "2025c-0+deb13u1", "0~rc1", "257.9-1~deb13u1"] {
            assert_eq!(text.parse::<PackageVersion>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn hostile_spellings_are_refused() {
        for text in ["", "a", "A", "../x", "-a", "a/b", "a b"] {
            assert!(text.parse::<PackageName>().is_err(), "{text:?}");
        }
        for text in ["", ":", "1:", "x:1", "1 2", "1/2", "1_2"] {
            assert!(text.parse::<PackageVersion>().is_err(), "{text:?}");
        }
    }
}
