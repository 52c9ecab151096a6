//! OpenPGP signatures over a cleartext-signed text (RFC 9580, section 7), judged against a keyring.
//!
//! Every signature is checked and reported. The text that comes out is exactly the text that was signed: nothing before,
//! between or after the armour ever reaches a parser.

use std::fmt;

use pgp::{
    composed::{CleartextSignedMessage, Deserializable, SignedPublicKey},
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureType, SubpacketType},
    types::{Fingerprint, KeyDetails},
};
use sm_model::Timestamp;

use crate::signing_key::SigningKey;

/// Largest signed text: stops an endless file. Debian's largest has 200 kB.
pub const MAX_SIGNED_BYTES: usize = 1 << 20;

/// Most lines of a signed text: the cleartext parser takes time that grows with lines times bytes. Debian's longest has 1 700.
pub const MAX_SIGNED_LINES: usize = 8_000;

/// Most signatures of one text: each costs a public-key operation per key. Debian's releases have two or three.
pub const MAX_SIGNATURES: usize = 16;

/// Most keys of one keyring, for the same reason. Debian's whole keyring has 10.
pub const MAX_KEYS: usize = 64;

/// How far ahead of us another clock may be.
pub(crate) const MAX_CLOCK_SKEW_SECS: i64 = 300;

/// A keyring or signed text that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The keyring is not OpenPGP public keys.
    #[error("the keyring is not a list of OpenPGP public keys")]
    Keyring(#[source] Box<pgp::errors::Error>),
    /// The keyring holds no key, or too many.
    #[error("the keyring holds {0} keys, expected 1 to {MAX_KEYS}")]
    KeyCount(usize),
    /// The signed text exceeds a limit.
    #[error("the signed text exceeds a limit: {0}")]
    TooLarge(String),
    /// The signed text is not in the cleartext signature framework.
    #[error("not a cleartext-signed OpenPGP message")]
    Malformed(#[source] Box<pgp::errors::Error>),
    /// Text and signatures do not fit together, or no signature is by a key we hold.
    #[error("no trust in the signed text: {}", list(.0))]
    Untrusted(Vec<SignatureReport>),
}

impl SignatureError {
    /// The next step, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        match self {
            SignatureError::Keyring(_) | SignatureError::KeyCount(_) => {
                Some("give the archive's keyring, for example the file from Debian's package `debian-archive-keyring`".to_owned())
            }
            SignatureError::Untrusted(reports) if reports.iter().any(|report| report.outcome.is_tampering()) => {
                Some("the text was changed after it was signed: try another mirror".to_owned())
            }
            SignatureError::Untrusted(_) => Some("add the signing key to the recipe's keyring, if you trust it".to_owned()),
            SignatureError::TooLarge(_) | SignatureError::Malformed(_) => {
                Some("the mirror sent something that is no signed release file: check the mirror's address".to_owned())
            }
        }
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            SignatureError::Keyring(_) | SignatureError::KeyCount(_) => sm_model::exit::INVALID_INPUT,
            _ => sm_model::exit::VERIFICATION,
        }
    }
}

/// Public keys that an archive may be signed with.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<SigningKey>,
}

impl Keyring {
    /// Reads a keyring, armoured or not. Keys and subkeys that may not sign, or whose bindings do not verify, are left out.
    ///
    /// # Errors
    /// When the bytes are no keys, or none of them may sign.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let malformed = |error| SignatureError::Keyring(Box::new(error));
        let certificates: Vec<SignedPublicKey> = if bytes.starts_with(b"-----BEGIN") {
            let (certificates, _) = SignedPublicKey::from_armor_many(bytes).map_err(malformed)?;
            certificates.take(MAX_KEYS + 1).collect::<Result<_, _>>().map_err(malformed)?
        } else {
            let certificates = SignedPublicKey::from_bytes_many(bytes).map_err(malformed)?;
            certificates.take(MAX_KEYS + 1).collect::<Result<_, _>>().map_err(malformed)?
        };
        let keys: Vec<SigningKey> = certificates.iter().flat_map(SigningKey::all_of).collect();
        if certificates.len() > MAX_KEYS || keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(SignatureError::KeyCount(keys.len()));
        }
        Ok(Keyring { keys })
    }

    /// Fingerprints of the keys that may sign, in the keyring's order.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| shown(&key.key.fingerprint())).collect()
    }
}

/// What became of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureReport {
    /// Fingerprint or key id of the key that the signature says it is by.
    pub issuer: String,
    /// The verdict.
    pub outcome: Outcome,
}

/// The verdict on one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Valid, by a key of the keyring, which belongs to this user.
    Good(String),
    /// By a key that the keyring does not hold.
    UnknownKey,
    /// By a key of the keyring, but not over this text.
    Mismatch,
    /// By a key of the keyring that has expired, was revoked, or did not exist yet.
    UnusableKey(String),
    /// Made with an algorithm, a type or a restriction that we do not accept.
    Unacceptable(String),
}

impl Outcome {
    fn is_good(&self) -> bool {
        matches!(self, Outcome::Good(_))
    }

    fn is_tampering(&self) -> bool {
        matches!(self, Outcome::Mismatch)
    }
}

impl fmt::Display for SignatureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = &self.issuer;
        match &self.outcome {
            Outcome::Good(user) => write!(f, "signature by `{issuer}` ({user}) is valid"),
            Outcome::UnknownKey => write!(f, "key `{issuer}` is not in the keyring"),
            Outcome::Mismatch => write!(f, "the signature by `{issuer}` does not match the text"),
            Outcome::UnusableKey(why) => write!(f, "key `{issuer}` {why}"),
            Outcome::Unacceptable(why) => write!(f, "the signature by `{issuer}` {why}"),
        }
    }
}

fn list(reports: &[SignatureReport]) -> String {
    if reports.is_empty() {
        return "it carries no signature".to_owned();
    }
    reports.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A text together with the proof that a key of the keyring signed it.
#[derive(Debug, Clone)]
pub(crate) struct SignedText {
    pub(crate) text: String,
    pub(crate) reports: Vec<SignatureReport>,
}

/// Checks all signatures of a cleartext-signed message: at least one must be good, none may be a mismatch.
pub(crate) fn open(message: &[u8], keyring: &Keyring, now: Timestamp) -> Result<SignedText, SignatureError> {
    let message = parse_message(message)?;
    let signed_text = message.signed_text();
    let judge = |signature| report_on(signature, signed_text.as_bytes(), keyring, now);
    let reports: Vec<SignatureReport> = message.signatures().iter().map(judge).collect();
    let good = reports.iter().any(|report| report.outcome.is_good());
    if !good || reports.iter().any(|report| report.outcome.is_tampering()) {
        return Err(SignatureError::Untrusted(reports));
    }
    Ok(SignedText { text: signed_text.replace("\r\n", "\n"), reports })
}

fn parse_message(message: &[u8]) -> Result<CleartextSignedMessage, SignatureError> {
    if message.len() > MAX_SIGNED_BYTES {
        return Err(SignatureError::TooLarge(format!("more than {MAX_SIGNED_BYTES} bytes")));
    }
    if message.iter().filter(|byte| **byte == b'\n').count() > MAX_SIGNED_LINES {
        return Err(SignatureError::TooLarge(format!("more than {MAX_SIGNED_LINES} lines")));
    }
    let (message, _) = CleartextSignedMessage::from_armor(message)
        .map_err(|error| SignatureError::Malformed(Box::new(error)))?;
    if message.signatures().len() > MAX_SIGNATURES {
        return Err(SignatureError::TooLarge(format!("more than {MAX_SIGNATURES} signatures")));
    }
    Ok(message)
}

fn report_on(signature: &Signature, text: &[u8], keyring: &Keyring, now: Timestamp) -> SignatureReport {
    let issuer = issuer_of(signature);
    let signer = keyring.keys.iter().find(|key| key.has_issued(signature));
    let outcome = match (unacceptable(signature, now), signer) {
        (_, None) => Outcome::UnknownKey,
        (Some(why), Some(_)) => Outcome::Unacceptable(why),
        (None, Some(key)) => match key.unusable(now) {
            Some(why) => Outcome::UnusableKey(why),
            None if signature.verify(&key.key, text).is_ok() => Outcome::Good(key.user.clone()),
            None => Outcome::Mismatch,
        },
    };
    SignatureReport { issuer, outcome }
}

fn issuer_of(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| shown(fingerprint));
    let key_id = || signature.issuer_key_id().first().map(|id| id.to_string().to_uppercase());
    fingerprint.or_else(key_id).unwrap_or_else(|| "unnamed".to_owned())
}

pub(crate) fn shown(fingerprint: &Fingerprint) -> String {
    fingerprint.to_string().to_uppercase()
}

/// Why a signature is not accepted, whoever made it.
fn unacceptable(signature: &Signature, now: Timestamp) -> Option<String> {
    let Some(config) = signature.config() else {
        return Some("has an unknown version".to_owned());
    };
    if !matches!(config.typ(), SignatureType::Binary | SignatureType::Text) {
        return Some(format!("is of type {:?}, not over a document", config.typ()));
    }
    if !is_strong(config.hash_alg) {
        return Some(format!("uses the broken hash {}", config.hash_alg));
    }
    // RFC 9580, section 5.2.3.7: an unknown critical subpacket makes the signature an error.
    let unknown = |kind| matches!(kind, SubpacketType::Experimental(_) | SubpacketType::Other(_));
    if config.hashed_subpackets().any(|subpacket| subpacket.is_critical && unknown(subpacket.typ())) {
        return Some("has a critical part that we do not understand".to_owned());
    }
    let Some(made) = signature.created().map(|created| i64::from(created.as_secs())) else {
        return Some("does not say when it was made".to_owned());
    };
    if made > now.unix_secs() + MAX_CLOCK_SKEW_SECS {
        return Some("was made in the future".to_owned());
    }
    let lifetime = signature.signature_expiration_time().map_or(0, |lifetime| i64::from(lifetime.as_secs()));
    (lifetime > 0 && made + lifetime < now.unix_secs()).then(|| "has expired".to_owned())
}

fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

impl SigningKey {
    fn has_issued(&self, signature: &Signature) -> bool {
        let fingerprints = signature.issuer_fingerprint();
        if fingerprints.is_empty() {
            return signature.issuer_key_id().contains(&&self.key.legacy_key_id());
        }
        fingerprints.contains(&&self.key.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_with_known_collisions_are_not_accepted() {
        for broken in [HashAlgorithm::None, HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Ripemd160]
        {
            assert!(!is_strong(broken), "{broken:?}");
        }
        for strong in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
            assert!(is_strong(strong), "{strong:?}");
        }
    }
}
