//! The evidence that a suite's index was signed by a trusted key, is the suite asked for, and is neither stale nor from
//! the future. Whoever holds a [`VerifiedRelease`] may rely on its digests.

use sha2::Digest as _;
use sm_model::{Arch, Sha256, Timestamp};

use crate::{
    names::ComponentName,
    release::{IndexToFetch, Release, ReleaseError},
    request::SuiteRef,
    signature::{self, Keyring, MAX_CLOCK_SKEW_SECS, Outcome, SignatureError, SignatureReport},
};

/// Largest package index that is unpacked: stops a decompression bomb and bounds memory. Debian's largest has 57 MB.
pub const MAX_INDEX_BYTES: u64 = 512 << 20;

/// An `InRelease` that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not signed by a key we trust.
    #[error("the release file of suite `{suite}` is not trustworthy")]
    Signature {
        /// The suite.
        suite: String,
        /// Why.
        source: SignatureError,
    },
    /// Signed, but not readable.
    #[error("the release file of suite `{suite}` cannot be read")]
    Release {
        /// The suite.
        suite: String,
        /// Why.
        source: ReleaseError,
    },
    /// A signed release of something else: a mirror that answers with the wrong suite.
    #[error("asked for suite `{suite}`, the mirror answered with suite `{found}`")]
    WrongSuite {
        /// The suite asked for.
        suite: String,
        /// What the release calls itself.
        found: String,
    },
    /// `Valid-Until` has passed: a mirror that stands still, or one that hides updates.
    #[error("the release file of suite `{suite}` expired on {valid_until}, now is {now}")]
    Expired {
        /// The suite.
        suite: String,
        /// Its end.
        valid_until: Timestamp,
        /// When it was judged.
        now: Timestamp,
    },
    /// `Date` has not come yet.
    #[error("the release file of suite `{suite}` is dated {date}, now is {now}")]
    FromFuture {
        /// The suite.
        suite: String,
        /// Its date.
        date: Timestamp,
        /// When it was judged.
        now: Timestamp,
    },
    /// The suite lacks what was asked for.
    #[error("suite `{suite}` has no {what}; it has {found}")]
    Absent {
        /// The suite.
        suite: String,
        /// What was asked for, in words.
        what: String,
        /// What there is instead.
        found: String,
    },
    /// An index that is larger than any sane one.
    #[error(
        "suite `{suite}` announces a package index of {size_bytes} bytes, at most {MAX_INDEX_BYTES} are accepted"
    )]
    OversizeIndex {
        /// The suite.
        suite: String,
        /// What it announces.
        size_bytes: u64,
    },
}

impl VerifyError {
    /// The next step, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        match self {
            VerifyError::Signature { source, .. } => source.hint(),
            VerifyError::Expired { .. } => Some("the mirror has stopped updating: try another one with --mirror, or check this machine's clock".to_owned()),
            VerifyError::FromFuture { .. } => Some("check this machine's clock".to_owned()),
            VerifyError::WrongSuite { .. } | VerifyError::Absent { .. } => {
                Some("check the suites in the recipe, and the mirror's address".to_owned())
            }
            VerifyError::Release { .. } | VerifyError::OversizeIndex { .. } => Some("try another mirror with --mirror".to_owned()),
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            VerifyError::WrongSuite { .. } | VerifyError::Absent { .. } => sm_model::exit::INVALID_INPUT,
            _ => sm_model::exit::VERIFICATION,
        }
    }
}

/// A release that passed every check. Only [`VerifiedRelease::open`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedRelease {
    release: Release,
    sha256: Sha256,
    signatures: Vec<SignatureReport>,
}

impl VerifiedRelease {
    /// Checks the bytes of an `InRelease` file as the suite `wanted` of architecture `arch` at the instant `now`.
    ///
    /// # Errors
    /// When a signature, a date, a name, an architecture or a component is not as it should be.
    pub fn open(
        inrelease: &[u8],
        keyring: &Keyring,
        wanted: &SuiteRef,
        arch: Arch,
        now: Timestamp,
    ) -> Result<Self, VerifyError> {
        let suite = || wanted.suite.to_string();
        let signed = signature::open(inrelease, keyring, now)
            .map_err(|source| VerifyError::Signature { suite: suite(), source })?;
        let release =
            Release::parse(&signed.text).map_err(|source| VerifyError::Release { suite: suite(), source })?;
        check_identity(&release, wanted)?;
        check_dates(&release, wanted, now)?;
        check_content(&release, wanted, arch)?;
        let sha256 = Sha256(sha2::Sha256::digest(inrelease).into());
        Ok(VerifiedRelease { release, sha256, signatures: signed.reports })
    }

    /// What it says.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// SHA-256 of the signed file.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// What became of each of its signatures.
    pub fn signatures(&self) -> &[SignatureReport] {
        &self.signatures
    }

    /// What it is and who vouches for it, in one line for people.
    pub fn summary(&self) -> String {
        let Release { codename, version, date, .. } = &self.release;
        let good = self.signatures.iter().filter_map(|report| match &report.outcome {
            Outcome::Good(user) => Some(user.split(" <").next().unwrap_or(user)),
            _ => None,
        });
        let others = self.signatures.iter().filter(|report| !matches!(report.outcome, Outcome::Good(_)));
        let good = good.collect::<Vec<_>>().join(", ");
        let others = others.map(|report| format!("; {report}")).collect::<String>();
        format!("{codename} {version} of {date}, signed by {good}{others}")
    }

    /// The package index of a component that was checked to be there.
    ///
    /// # Errors
    /// When the release lists none, or one of an absurd size.
    pub fn package_index(
        &self,
        wanted: &SuiteRef,
        component: &ComponentName,
        arch: Arch,
    ) -> Result<IndexToFetch, VerifyError> {
        let suite = || wanted.suite.to_string();
        let index = self.release.package_index(component, arch).ok_or_else(|| VerifyError::Absent {
            suite: suite(),
            what: format!("package index for component `{component}` on `{arch}`"),
            found: "no such file in its list".to_owned(),
        })?;
        let size_bytes = index.file.size_bytes.max(index.unpacked.size_bytes);
        if size_bytes > MAX_INDEX_BYTES {
            return Err(VerifyError::OversizeIndex { suite: suite(), size_bytes });
        }
        Ok(index)
    }
}

fn check_identity(release: &Release, wanted: &SuiteRef) -> Result<(), VerifyError> {
    if release.is_called(&wanted.suite) {
        return Ok(());
    }
    let found = if release.codename.is_empty() { &release.suite } else { &release.codename };
    Err(VerifyError::WrongSuite { suite: wanted.suite.to_string(), found: found.chars().take(80).collect() })
}

fn check_dates(release: &Release, wanted: &SuiteRef, now: Timestamp) -> Result<(), VerifyError> {
    let suite = wanted.suite.to_string();
    if release.date.secs_since(now) > MAX_CLOCK_SKEW_SECS {
        return Err(VerifyError::FromFuture { suite, date: release.date, now });
    }
    match release.valid_until {
        Some(valid_until) if valid_until < now => Err(VerifyError::Expired { suite, valid_until, now }),
        _ => Ok(()),
    }
}

fn check_content(release: &Release, wanted: &SuiteRef, arch: Arch) -> Result<(), VerifyError> {
    let absent = |what: String, found: &[String]| VerifyError::Absent {
        suite: wanted.suite.to_string(),
        what,
        found: found.join(", ").chars().take(400).collect(),
    };
    if !release.architectures.iter().any(|found| found == arch.debian()) {
        return Err(absent(format!("packages for `{arch}`"), &release.architectures));
    }
    match wanted.components.iter().find(|component| !release.has_component(component)) {
        Some(component) => Err(absent(format!("component `{component}`"), &release.components)),
        None => Ok(()),
    }
}
