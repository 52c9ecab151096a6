//! What a package set is resolved from: the question to which a lock is the answer. Never reads a recipe.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sha2::Digest as _;
use sm_model::{Arch, PackageName, PackageVersion, Sha256};

use crate::names::{ComponentName, MirrorName, SuiteName};

/// Which packages are wanted, from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Architecture of the packages; `all` is always included.
    pub arch: Arch,
    /// Suites to take packages from. The highest version over all suites wins; of equal versions the first suite's.
    pub suites: Vec<SuiteRef>,
    /// Packages wanted in the set. Their dependencies follow by themselves; recommendations do not.
    pub wanted: BTreeSet<PackageName>,
    /// Packages that never enter the set: whatever needs one of them cannot enter either.
    pub excluded: BTreeSet<PackageName>,
    /// Packages taken as present, at any version and with all they provide, without being in the set.
    pub assumed: BTreeSet<PackageName>,
    /// Packages held to one version, or to the versions of one suite.
    pub pins: BTreeMap<PackageName, Pin>,
}

/// One suite of one archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SuiteRef {
    /// Which configured mirror serves it.
    pub mirror: MirrorName,
    /// Suite or codename, as in `dists/SUITE/InRelease`.
    pub suite: SuiteName,
    /// Components to read, in order.
    pub components: Vec<ComponentName>,
}

/// What a pin holds a package to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// This version only.
    Version(PackageVersion),
    /// The highest version of this suite.
    Suite(SuiteName),
}

impl Request {
    /// Digest that a lock stores, so that a changed request is noticed without the network.
    pub fn digest(&self) -> Sha256 {
        Sha256(sha2::Sha256::digest(self.to_string()).into())
    }
}

/// The canonical text of a request. Changing it makes every stored lock look out of date.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "stationmaster package request 1\narch {}", self.arch)?;
        for suite in &self.suites {
            write!(f, "suite {} {}", suite.mirror, suite.suite)?;
            suite.components.iter().try_for_each(|component| write!(f, " {component}"))?;
            writeln!(f)?;
        }
        self.wanted.iter().try_for_each(|name| writeln!(f, "want {name}"))?;
        self.excluded.iter().try_for_each(|name| writeln!(f, "exclude {name}"))?;
        self.assumed.iter().try_for_each(|name| writeln!(f, "assume {name}"))?;
        self.pins.iter().try_for_each(|(name, pin)| writeln!(f, "pin {name} {pin}"))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Version(version) => write!(f, "version {version}"),
            Pin::Suite(suite) => write!(f, "suite {suite}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            arch: Arch::Amd64,
            suites: vec![SuiteRef {
                mirror: "debian".parse().unwrap(),
                suite: "trixie".parse().unwrap(),
                components: vec!["main".parse().unwrap(), "contrib".parse().unwrap()],
            }],
            wanted: ["systemd", "bash"].map(|name| name.parse().unwrap()).into(),
            excluded: ["perl"].map(|name| name.parse().unwrap()).into(),
            assumed: ["dpkg"].map(|name| name.parse().unwrap()).into(),
            pins: [("bash".parse().unwrap(), Pin::Suite("trixie".parse().unwrap()))].into(),
        }
    }

    #[test]
    fn the_canonical_text_is_pinned() {
        assert_eq!(
            request().to_string(),
            "stationmaster package request 1\narch amd64\nsuite debian trixie main contrib\n\
             want bash\nwant systemd\nexclude perl\nassume dpkg\npin bash suite trixie\n"
        );
    }

    #[test]
    fn every_field_changes_the_digest() {
        let mut changed = vec![request(); 6];
        changed[0].arch = Arch::Arm64;
        changed[1].suites[0].components.pop();
        changed[2].wanted.pop_first();
        changed[3].excluded.clear();
        changed[4].assumed.clear();
        changed[5].pins.clear();
        for other in changed {
            assert_ne!(request().digest(), other.digest(), "{other}");
        }
    }
}
