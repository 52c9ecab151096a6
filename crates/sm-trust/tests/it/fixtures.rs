//! Keys that OpenSSL made (see `tests/data/README.md`), and randomness that repeats.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::Digest;
use sm_model::Sha256;
use sm_trust::{PrivateKey, PublicKey};

pub(crate) const PAIR_PRIVATE: &str = include_str!("../data/pair.key.pem");
pub(crate) const PAIR_PUBLIC: &str = include_str!("../data/pair.pub.pem");
pub(crate) const TRADITIONAL: &str = include_str!("../data/traditional.key.pem");
pub(crate) const ENCRYPTED: &str = include_str!("../data/encrypted.key.pem");
pub(crate) const RSA_3072: &str = include_str!("../data/rsa3072.pub.pem");
pub(crate) const EXPONENT_3: &str = include_str!("../data/exponent3.pub.pem");
pub(crate) const ED25519: &str = include_str!("../data/ed25519.pub.pem");
pub(crate) const BOXCAR_SIGNATURE: &[u8] = include_bytes!("../data/boxcar.sig");

pub(crate) fn private() -> PrivateKey {
    PrivateKey::from_pem(PAIR_PRIVATE).unwrap()
}

pub(crate) fn public() -> PublicKey {
    PublicKey::from_pem(PAIR_PUBLIC).unwrap()
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn digest(text: &str) -> Sha256 {
    Sha256(sha2::Sha256::digest(text).into())
}
