//! Debian's own keys and a release that Debian signed: test keys cannot show that subkeys and RSA work.

use sm_model::Arch;

use super::at;
use crate::{Keyring, SuiteRef, VerifiedRelease, signature::Outcome, verified::VerifyError};

const KEYRING: &[u8] = include_bytes!("../../../../os/boxcar/keys/debian-archive-keyring.gpg");
const RELEASE: &[u8] = include_bytes!("data/trixie-security.InRelease");

fn open(message: &[u8], now: &str) -> Result<VerifiedRelease, VerifyError> {
    let wanted = SuiteRef {
        mirror: "debian-security".parse().unwrap(),
        suite: "trixie-security".parse().unwrap(),
        components: vec!["main".parse().unwrap()],
    };
    VerifiedRelease::open(message, &Keyring::parse(KEYRING).unwrap(), &wanted, Arch::Arm64, at(now))
}

#[test]
fn debians_keyring_signs_with_the_keys_that_its_readme_names() {
    let readme = include_str!("../../../../os/boxcar/keys/README.md").replace(' ', "");
    let fingerprints = Keyring::parse(KEYRING).unwrap().fingerprints();
    assert_eq!(
        fingerprints,
        [
            "B8E5F13176D2A7A75220028078DBA3BC47EF2265",
            "89C87ACEA5DD6B8E6A7068808E9F831205B4BA95",
            "41587F7DB8C774BCCF131416762F67A0B2C39DE4"
        ]
    );
    assert!(fingerprints.iter().all(|fingerprint| readme.contains(fingerprint)));
}

#[test]
fn a_release_that_debian_signed_is_opened() {
    let verified = open(RELEASE, "2026-11-23T06:00:00Z").unwrap();
    let outcomes: Vec<&Outcome> = verified.signatures().iter().map(|report| &report.outcome).collect();
    let ours = "Debian Security Archive Automatic Signing Key (13/trixie) <ftpmaster@debian.org>";
    assert_eq!(outcomes, [&Outcome::UnknownKey, &Outcome::Good(ours.to_owned())]);
    let release = verified.release();
    assert_eq!((release.suite.as_str(), release.codename.as_str()), ("stable-security", "trixie-security"));
    let index = release.package_index(&"main".parse().unwrap(), Arch::Arm64).unwrap();
    assert_eq!((index.file.size_bytes, index.unpacked.size_bytes), (308_716, 2_268_852));
}

#[test]
fn the_same_release_is_refused_when_it_or_its_keys_have_ended() {
    assert!(matches!(open(RELEASE, "2026-11-28T00:53:04Z"), Err(VerifyError::Expired { .. })));
    let text = open(RELEASE, "2035-03-29T00:00:00Z").unwrap_err();
    let reason = std::error::Error::source(&text).unwrap().to_string();
    assert!(reason.contains("89C87ACEA5DD6B8E6A7068808E9F831205B4BA95` expired on 2035-03-28"), "{reason}");
}

#[test]
fn one_changed_digit_of_a_digest_is_noticed() {
    let text = std::str::from_utf8(RELEASE).unwrap().replacen("d0be9fca9a3b", "d0be9fca9a3c", 1);
    assert_ne!(text.as_bytes(), RELEASE);
    assert!(matches!(open(text.as_bytes(), "2026-11-23T06:00:00Z"), Err(VerifyError::Signature { .. })));
}
