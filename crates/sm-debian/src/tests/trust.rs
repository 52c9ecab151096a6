//! What is refused between an archive and us: every kind of untrustworthy release.

use sm_model::Arch;

use super::at;
use crate::{
    Keyring, SuiteRef, VerifiedRelease,
    signature::{self, MAX_SIGNED_LINES, Outcome, SignatureError},
    test_archive::{KeyTraits, SignatureTraits, TestKey, TestSuite, sign},
    verified::VerifyError,
};

const NOW: &str = "2026-11-23T06:00:00Z";
const YESTERDAY: &str = "2026-11-22T06:00:00Z";

fn key(user: &str) -> TestKey {
    TestKey::new(user, KeyTraits::made(at("2025-01-01T00:00:00Z"))).unwrap()
}

fn keyring(keys: &[&TestKey]) -> Keyring {
    let bytes: Vec<u8> = keys.iter().flat_map(|key| key.certificate().unwrap()).collect();
    Keyring::parse(&bytes).unwrap()
}

fn suite() -> TestSuite {
    TestSuite::new("trixie", at(YESTERDAY), &["bash 5.2-1"])
}

fn signed(suite: &TestSuite, keys: &[&TestKey]) -> String {
    sign(&suite.release(Arch::Amd64), keys, SignatureTraits::made(at(YESTERDAY))).unwrap()
}

fn wanted(suite: &str, component: &str) -> SuiteRef {
    SuiteRef {
        mirror: "debian".parse().unwrap(),
        suite: suite.parse().unwrap(),
        components: vec![component.parse().unwrap()],
    }
}

fn open(message: &str, keyring: &Keyring) -> Result<VerifiedRelease, VerifyError> {
    VerifiedRelease::open(message.as_bytes(), keyring, &wanted("trixie", "main"), Arch::Amd64, at(NOW))
}

/// The words of an untrusted text's refusal.
fn refusal(message: &str, keyring: &Keyring) -> String {
    match open(message, keyring) {
        Err(VerifyError::Signature { source, .. }) => source.to_string(),
        other => panic!("expected a refused signature, got {other:?}"),
    }
}

#[test]
fn a_release_signed_by_a_trusted_key_is_opened_and_every_signature_reported() {
    let (ours, theirs) = (key("Ours"), key("Theirs"));
    let verified = open(&signed(&suite(), &[&theirs, &ours]), &keyring(&[&ours])).unwrap();
    assert_eq!(verified.release().codename, "trixie");
    let outcomes: Vec<&Outcome> = verified.signatures().iter().map(|report| &report.outcome).collect();
    assert_eq!(outcomes, [&Outcome::UnknownKey, &Outcome::Good("Ours".to_owned())]);
    let unknown = keyring(&[&theirs]).fingerprints().remove(0);
    assert_eq!(
        verified.summary(),
        format!("trixie 1.0 of {YESTERDAY}, signed by Ours; key `{unknown}` is not in the keyring")
    );
}

#[test]
fn no_changed_byte_ever_opens_to_another_text() {
    let ours = key("Ours");
    let keyring = keyring(&[&ours]);
    let message = signed(&suite(), &[&ours]).into_bytes();
    let honest = signature::open(&message, &keyring, at(NOW)).unwrap().text;
    for position in 0..message.len() {
        let mut changed = message.clone();
        changed[position] ^= 0x04;
        if let Ok(opened) = signature::open(&changed, &keyring, at(NOW)) {
            assert_eq!(opened.text, honest, "byte {position}");
        }
    }
}

#[test]
fn a_changed_digest_is_told_as_tampering() {
    let ours = key("Ours");
    let message = signed(&suite(), &[&ours]).replace("Codename: trixie", "Codename: trixia");
    let text = refusal(&message, &keyring(&[&ours]));
    assert!(text.contains("does not match the text"), "{text}");
    assert!(open(&message, &keyring(&[&ours])).unwrap_err().hint().unwrap().contains("another mirror"));
}

#[test]
fn one_forged_signature_spoils_a_good_one() {
    let (ours, other) = (key("Ours"), key("Other"));
    let traits = SignatureTraits::made(at(YESTERDAY));
    let good = sign("Suite: x\n", &[&ours], traits).unwrap();
    let forged = sign("Suite: y\n", &[&other], traits).unwrap();
    let armor = |message: &str| message[message.find("-----BEGIN PGP SIGNATURE").unwrap()..].to_owned();
    let both = format!("{}{}", good, armor(&forged));
    // Two armour blocks are no message at all; within one block, the forged one is a mismatch.
    assert!(matches!(
        signature::open(both.as_bytes(), &keyring(&[&ours, &other]), at(NOW)),
        Err(SignatureError::Malformed(_))
    ));
}

#[test]
fn text_around_the_signed_text_never_gets_in() {
    let ours = key("Ours");
    let message = signed(&suite(), &[&ours]);
    for around in [format!("Suite: evil\n\n{message}"), format!("{message}\nSuite: evil\n")] {
        if let Ok(opened) = signature::open(around.as_bytes(), &keyring(&[&ours]), at(NOW)) {
            assert!(!opened.text.contains("evil"));
        }
    }
    let headers = message.replacen("\n\n", "\nSuite: evil\n\n", 1);
    assert!(signature::open(headers.as_bytes(), &keyring(&[&ours]), at(NOW)).is_err());
}

#[test]
fn an_unknown_key_is_named() {
    let (ours, theirs) = (key("Ours"), key("Theirs"));
    let text = refusal(&signed(&suite(), &[&theirs]), &keyring(&[&ours]));
    let fingerprint = keyring(&[&theirs]).fingerprints().remove(0);
    assert_eq!(text, format!("no trust in the signed text: key `{fingerprint}` is not in the keyring"));
}

#[test]
fn keys_that_have_ended_or_not_begun_are_not_relied_on() {
    let traits = KeyTraits::made(at("2025-01-01T00:00:00Z"));
    let cases = [
        (KeyTraits { lifetime_secs: Some(86_400), ..traits }, "expired on 2025-01-02T00:00:00Z"),
        (KeyTraits { revoked: true, ..traits }, "was revoked"),
        (KeyTraits { created: at("2027-01-01T00:00:00Z"), ..traits }, "was made in the future"),
    ];
    for (traits, words) in cases {
        let ended = TestKey::new("Ended", traits).unwrap();
        let text = refusal(&signed(&suite(), &[&ended]), &keyring(&[&ended]));
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_key_that_may_not_sign_is_not_in_the_keyring() {
    let traits = KeyTraits { may_sign: false, ..KeyTraits::made(at("2025-01-01T00:00:00Z")) };
    let certifier = TestKey::new("Certifier", traits).unwrap();
    let error = Keyring::parse(&certifier.certificate().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "the keyring holds 0 keys, expected 1 to 64");
}

#[test]
fn signatures_that_are_out_of_time_are_not_accepted() {
    let ours = key("Ours");
    let traits = SignatureTraits::made(at(YESTERDAY));
    let cases = [
        (SignatureTraits { made: at("2026-11-24T06:00:00Z"), ..traits }, "was made in the future"),
        (SignatureTraits { lifetime_secs: Some(3600), ..traits }, "has expired"),
    ];
    for (traits, words) in cases {
        let message = sign(&suite().release(Arch::Amd64), &[&ours], traits).unwrap();
        let text = refusal(&message, &keyring(&[&ours]));
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_message_without_signatures_or_without_end_is_refused() {
    let ours = key("Ours");
    let keyring = keyring(&[&ours]);
    for message in
        ["", "Suite: trixie\n", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nSuite: trixie\n"]
    {
        assert!(matches!(
            signature::open(message.as_bytes(), &keyring, at(NOW)),
            Err(SignatureError::Malformed(_))
        ));
    }
    let endless = "x\n".repeat(MAX_SIGNED_LINES + 1);
    assert!(matches!(
        signature::open(endless.as_bytes(), &keyring, at(NOW)),
        Err(SignatureError::TooLarge(_))
    ));
    let huge = vec![b'x'; signature::MAX_SIGNED_BYTES + 1];
    assert!(matches!(signature::open(&huge, &keyring, at(NOW)), Err(SignatureError::TooLarge(_))));
}

#[test]
fn keyrings_that_are_none_are_refused() {
    for bytes in [
        &b""[..],
        b"not a keyring",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
    ] {
        assert!(Keyring::parse(bytes).is_err());
    }
    let many: Vec<u8> =
        (0..=signature::MAX_KEYS).flat_map(|n| key(&format!("Key {n}")).certificate().unwrap()).collect();
    assert!(matches!(Keyring::parse(&many), Err(SignatureError::KeyCount(_))));
}

#[test]
fn stale_and_future_releases_are_refused_with_the_dates() {
    let ours = key("Ours");
    let mut stale = suite();
    stale.valid_until = Some(at("2026-11-23T05:59:59Z"));
    assert_eq!(
        open(&signed(&stale, &[&ours]), &keyring(&[&ours])).unwrap_err().to_string(),
        "the release file of suite `trixie` expired on 2026-11-23T05:59:59Z, now is 2026-11-23T06:00:00Z"
    );
    stale.valid_until = Some(at(NOW));
    assert!(open(&signed(&stale, &[&ours]), &keyring(&[&ours])).is_ok());
    let mut future = suite();
    future.date = at("2026-11-23T06:05:01Z");
    assert_eq!(
        open(&signed(&future, &[&ours]), &keyring(&[&ours])).unwrap_err().to_string(),
        "the release file of suite `trixie` is dated 2026-11-23T06:05:01Z, now is 2026-11-23T06:00:00Z"
    );
}

#[test]
fn a_release_of_something_else_is_refused_by_name() {
    let ours = key("Ours");
    let message = signed(&suite(), &[&ours]);
    let open_as = |suite, component, arch| {
        let wanted = wanted(suite, component);
        VerifiedRelease::open(message.as_bytes(), &keyring(&[&ours]), &wanted, arch, at(NOW))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        open_as("sid", "main", Arch::Amd64),
        "asked for suite `sid`, the mirror answered with suite `trixie`"
    );
    assert_eq!(
        open_as("trixie", "main", Arch::Arm64),
        "suite `trixie` has no packages for `arm64`; it has all, amd64"
    );
    assert_eq!(
        open_as("trixie", "contrib", Arch::Amd64),
        "suite `trixie` has no component `contrib`; it has main"
    );
}

#[test]
fn an_index_of_absurd_size_is_refused_before_it_is_fetched() {
    let ours = key("Ours");
    let release = suite().release(Arch::Amd64);
    let size = suite().index().len();
    let bloated = release.replace(&format!(" {size} main/"), " 999999999999 main/");
    assert_ne!(bloated, release);
    let message = sign(&bloated, &[&ours], SignatureTraits::made(at(YESTERDAY))).unwrap();
    let verified = open(&message, &keyring(&[&ours])).unwrap();
    let wanted = wanted("trixie", "main");
    let error = verified.package_index(&wanted, &wanted.components[0], Arch::Amd64).unwrap_err();
    assert!(matches!(error, VerifyError::OversizeIndex { size_bytes: 999_999_999_999, .. }));
}
