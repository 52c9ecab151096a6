//! Reading, writing and making keys.

use sm_model::exit;
use sm_trust::{Error, PrivateKey, PublicKey};

use crate::fixtures::{
    ED25519, ENCRYPTED, EXPONENT_3, PAIR_PRIVATE, PAIR_PUBLIC, RSA_3072, TRADITIONAL, private, public, rng,
};

#[test]
fn a_key_pair_of_openssl_is_read_and_written_as_it_was() {
    assert_eq!(private().to_pem().unwrap().as_str(), PAIR_PRIVATE);
    assert_eq!(public().to_pem().unwrap(), PAIR_PUBLIC);
    assert_eq!(private().public(), &public());
}

#[test]
fn the_fingerprint_is_what_openssl_and_sha256sum_print() {
    assert_eq!(
        public().fingerprint().to_string(),
        "1b789aa8ce71f47e2987194dc7f9043ccd426e13d058071eb61c5b8d961d5e67"
    );
}

#[test]
fn a_new_key_reads_back_and_depends_on_the_randomness_alone() {
    let key = PrivateKey::generate(&mut rng(1)).unwrap();
    let again = PrivateKey::generate(&mut rng(1)).unwrap();
    let read = PrivateKey::from_pem(&key.to_pem().unwrap()).unwrap();
    assert_eq!(read.public(), key.public());
    assert_eq!(again.public(), key.public());
    assert_ne!(key.public(), private().public());
    assert_eq!(&PublicKey::from_pem(&key.public().to_pem().unwrap()).unwrap(), key.public());
}

#[test]
fn a_private_key_never_shows_in_debug() {
    let shown = format!("{:?}", private());
    assert_eq!(
        shown,
        "PrivateKey { public: PublicKey(1b789aa8ce71f47e2987194dc7f9043ccd426e13d058071eb61c5b8d961d5e67), .. }"
    );
}

#[test]
fn private_keys_of_other_forms_are_refused_with_the_command_that_converts_them() {
    for (text, found, command) in [
        (TRADITIONAL, "RSA PRIVATE KEY", "openssl pkcs8 -topk8"),
        (ENCRYPTED, "ENCRYPTED PRIVATE KEY", "openssl pkcs8 -in"),
        (PAIR_PUBLIC, "PUBLIC KEY", "private half"),
    ] {
        let error = PrivateKey::from_pem(text).unwrap_err();
        assert_eq!(error.to_string(), format!("found the PEM block `{found}`: expected `PRIVATE KEY`"));
        assert!(error.hint().unwrap().contains(command), "{:?}", error.hint());
    }
}

#[test]
fn a_private_key_given_as_the_public_one_is_refused_and_not_quoted() {
    let error = PublicKey::from_pem(PAIR_PRIVATE).unwrap_err();
    assert_eq!(error.to_string(), "found the PEM block `PRIVATE KEY`: expected `PUBLIC KEY`");
    assert_eq!(error.exit_code(), exit::INVALID_INPUT);
}

#[test]
fn public_keys_that_clients_do_not_take_are_refused() {
    let size = PublicKey::from_pem(RSA_3072).unwrap_err();
    assert_eq!(
        size.to_string(),
        "the key is RSA-3072 with exponent 65537: expected RSA-2048 with exponent 65537"
    );
    assert!(matches!(PublicKey::from_pem(EXPONENT_3), Err(Error::UnsupportedKey { bits: 2048, .. })));
    assert!(matches!(PublicKey::from_pem(ED25519), Err(Error::InvalidPublicKey(_))));
}

#[test]
fn texts_that_are_no_keys_are_refused() {
    for text in ["", "ssh-rsa AAAA", "-----BEGIN PUBLIC KEY", &"x".repeat(20_000)] {
        assert!(PublicKey::from_pem(text).is_err(), "{text:.20}");
        assert!(PrivateKey::from_pem(text).is_err(), "{text:.20}");
    }
}

#[test]
fn a_changed_letter_in_a_private_key_never_gives_another_key() {
    let lines: Vec<&str> = PAIR_PRIVATE.lines().collect();
    let mut n_refused = 0;
    for line in 1..lines.len() - 1 {
        let mut changed = lines.clone();
        let flipped = changed[line].replacen(|c: char| c.is_ascii_lowercase(), "9", 1);
        changed[line] = &flipped;
        match PrivateKey::from_pem(&changed.join("\n")) {
            // The last third of the encoding repeats what follows from the rest, and is computed anew.
            Ok(key) => assert_eq!(key.public(), private().public(), "line {line}"),
            Err(_) => n_refused += 1,
        }
    }
    assert!(n_refused > lines.len() / 2, "{n_refused} of {} lines", lines.len());
}
