//! Signing and verifying, against OpenSSL's bytes and against hostile ones.

use proptest::prelude::*;
use sm_model::{Sha256, exit};
use sm_trust::{Error, PrivateKey, SIGNATURE_LEN};

use crate::fixtures::{BOXCAR_SIGNATURE, digest, private, public, rng};

#[test]
fn the_signature_is_openssls_whatever_the_randomness() {
    for seed in 0..3 {
        assert_eq!(private().sign(&digest("boxcar"), &mut rng(seed)).unwrap(), BOXCAR_SIGNATURE);
    }
}

#[test]
fn a_good_signature_gives_evidence_that_names_digest_and_key() {
    let evidence = public().verify_any(&digest("boxcar"), [BOXCAR_SIGNATURE]).unwrap();
    assert_eq!(evidence.get(), &digest("boxcar"));
    assert_eq!(evidence.by(), public().fingerprint());
}

#[test]
fn one_good_signature_among_foreign_ones_suffices_wherever_it_stands() {
    let foreign = PrivateKey::generate(&mut rng(2)).unwrap().sign(&digest("boxcar"), &mut rng(3)).unwrap();
    for signatures in [[&foreign[..], BOXCAR_SIGNATURE], [BOXCAR_SIGNATURE, &foreign[..]]] {
        assert!(public().verify_any(&digest("boxcar"), signatures).is_ok());
    }
}

#[test]
fn a_signature_by_another_key_or_over_another_digest_is_refused() {
    let other = PrivateKey::generate(&mut rng(2)).unwrap();
    let error = other.public().verify_any(&digest("boxcar"), [BOXCAR_SIGNATURE]).unwrap_err();
    assert!(matches!(error, Error::NotSigned { n_signatures: 1, .. }));
    assert_eq!(error.exit_code(), exit::VERIFICATION);
    assert!(public().verify_any(&digest("Boxcar"), [BOXCAR_SIGNATURE]).is_err());
}

#[test]
fn no_signature_is_no_good_signature() {
    let error = public().verify_any(&digest("boxcar"), []).unwrap_err();
    assert!(error.to_string().starts_with("none of 0 signatures"), "{error}");
}

#[test]
fn every_flipped_byte_and_every_wrong_length_is_refused() {
    for position in 0..SIGNATURE_LEN {
        let mut signature = BOXCAR_SIGNATURE.to_vec();
        signature[position] ^= 0x40;
        assert!(public().verify_any(&digest("boxcar"), [&signature[..]]).is_err(), "byte {position}");
    }
    for signature in [&[][..], &BOXCAR_SIGNATURE[1..], &[BOXCAR_SIGNATURE, &[0]].concat(), &[0; 100_000]] {
        assert!(public().verify_any(&digest("boxcar"), [signature]).is_err(), "{} bytes", signature.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn whatever_is_signed_verifies(bytes: [u8; 32], seed: u64) {
        let signature = private().sign(&Sha256(bytes), &mut rng(seed)).unwrap();
        prop_assert!(public().verify_any(&Sha256(bytes), [&signature[..]]).is_ok());
    }
}
