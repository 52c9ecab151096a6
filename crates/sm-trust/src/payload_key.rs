//! The key pair that signs update payloads: RSA-2048, RSASSA-PKCS1-v1_5 over SHA-256 (RFC 8017 §8.2).
//!
//! Size, padding and hash are what update_engine and its relatives check, so they are fixed here and not parameters.
//! Private numbers are wiped from memory when a key is dropped and never appear in `Debug`.

use std::fmt;

use rsa::{
    Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey,
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding},
    traits::PublicKeyParts,
};
use sha2::Digest;
use sm_model::Sha256;
use zeroize::Zeroizing;

use crate::{CryptoRngCore, Error, Verified, pem};

/// Length of a signature in bytes: that of the RSA-2048 modulus.
pub const SIGNATURE_LEN: usize = 256;

const MODULUS_BITS: usize = 8 * SIGNATURE_LEN;
const EXPONENT: u32 = 65_537;

/// Names a public key: SHA-256 of its DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
///
/// `openssl pkey -pubin -in FILE -outform DER | sha256sum` prints the same digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub Sha256);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The half of the pair that signs.
pub struct PrivateKey {
    key: RsaPrivateKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`Error::KeyGeneration`] when no key can be made from what `rng` gives.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Result<Self, Error> {
        RsaPrivateKey::new(rng, MODULUS_BITS).map_err(Error::KeyGeneration).and_then(PrivateKey::new)
    }

    /// Reads an unencrypted PKCS#8 key (`-----BEGIN PRIVATE KEY-----`, RFC 5958).
    ///
    /// # Errors
    /// When `text` is no such key, is not RSA-2048, or its numbers do not belong together.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        pem::expect_label(text, "PRIVATE KEY")?;
        let key = RsaPrivateKey::from_pkcs8_pem(text).map_err(Error::InvalidPrivateKey)?;
        key.validate().map_err(Error::InconsistentPrivateKey)?;
        PrivateKey::new(key)
    }

    fn new(key: RsaPrivateKey) -> Result<Self, Error> {
        let public = PublicKey::new(key.to_public_key())?;
        Ok(PrivateKey { key, public })
    }

    /// The key as PKCS#8 PEM. The text wipes itself when dropped.
    ///
    /// # Errors
    /// [`Error::Encode`] when the key cannot be encoded.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        self.key.to_pkcs8_pem(LineEnding::LF).map_err(Error::Encode)
    }

    /// The half of the pair that hosts get.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a digest. The signature depends on key and digest only; `rng` blinds the computation against timing.
    ///
    /// # Errors
    /// [`Error::Sign`] when the computation does not pass its own check.
    pub fn sign(&self, digest: &Sha256, rng: &mut impl CryptoRngCore) -> Result<[u8; SIGNATURE_LEN], Error> {
        let sign_error = |source| Error::Sign { key: self.public.fingerprint, source };
        let signature = self.key.sign_with_rng(rng, scheme(), &digest.0).map_err(sign_error)?;
        signature.try_into().map_err(|_| sign_error(rsa::Error::Internal))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The half of the pair that verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: RsaPublicKey,
    fingerprint: Fingerprint,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo key (`-----BEGIN PUBLIC KEY-----`), the only form that update_engine takes.
    ///
    /// # Errors
    /// When `text` is no such key or is not RSA-2048 with exponent 65537.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        pem::expect_label(text, "PUBLIC KEY")?;
        RsaPublicKey::from_public_key_pem(text).map_err(Error::InvalidPublicKey).and_then(PublicKey::new)
    }

    fn new(key: RsaPublicKey) -> Result<Self, Error> {
        let bits = key.n().bits();
        if bits != MODULUS_BITS || *key.e() != EXPONENT.into() {
            return Err(Error::UnsupportedKey { bits, exponent: key.e().to_string() });
        }
        let der = key.to_public_key_der().map_err(Error::InvalidPublicKey)?;
        let fingerprint = Fingerprint(Sha256(sha2::Sha256::digest(der.as_bytes()).into()));
        Ok(PublicKey { key, fingerprint })
    }

    /// The key as SubjectPublicKeyInfo PEM.
    ///
    /// # Errors
    /// [`Error::InvalidPublicKey`] when the key cannot be encoded.
    pub fn to_pem(&self) -> Result<String, Error> {
        self.key.to_public_key_pem(LineEnding::LF).map_err(Error::InvalidPublicKey)
    }

    /// The name of this key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Checks that one of `signatures` is this key's over `digest`.
    ///
    /// All are tried, whatever their order: a payload carries one signature for each key that its hosts may hold.
    ///
    /// # Errors
    /// [`Error::NotSigned`] when none is.
    pub fn verify_any<'a>(
        &self,
        digest: &Sha256,
        signatures: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Verified<Sha256>, Error> {
        let mut n_signatures = 0;
        for signature in signatures {
            n_signatures += 1;
            if self.key.verify(scheme(), &digest.0, signature).is_ok() {
                return Ok(Verified::new(*digest, self.fingerprint));
            }
        }
        Err(Error::NotSigned { key: self.fingerprint, n_signatures })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint)
    }
}

/// RSASSA-PKCS1-v1_5 with the DigestInfo prefix of SHA-256 (RFC 8017 §9.2).
fn scheme() -> Pkcs1v15Sign {
    Pkcs1v15Sign::new::<sha2::Sha256>()
}
