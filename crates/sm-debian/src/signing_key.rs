//! Which keys of an OpenPGP certificate may sign documents, and until when (RFC 9580, sections 5.2.1 and 10.1).

use pgp::{
    composed::{SignedPublicKey, SignedPublicSubKey},
    crypto::{hash::HashAlgorithm, public_key::PublicKeyAlgorithm},
    packet::{PublicKey, PublicSubkey, Signature, SignatureType},
    types::{Fingerprint, KeyDetails, KeyId, KeyVersion, PublicParams, SignatureBytes, Tag, VerifyingKey},
};
use sm_model::Timestamp;

/// A key or subkey that may sign, with what limits it.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    pub(crate) key: AnyKey,
    pub(crate) user: String,
    created_secs: i64,
    expires_secs: Option<i64>,
    revoked: bool,
}

/// A primary key or a subkey: both verify alike.
#[derive(Debug, Clone)]
pub(crate) enum AnyKey {
    Primary(PublicKey),
    Subkey(PublicSubkey),
}

impl SigningKey {
    /// The keys of a certificate that its owner has bound for signing. Bindings that do not verify bind nothing.
    pub(crate) fn all_of(certificate: &SignedPublicKey) -> Vec<SigningKey> {
        let Some(own) = newest_self_signature(certificate) else {
            return Vec::new();
        };
        let primary = primary(certificate, own);
        let subkeys = certificate.public_subkeys.iter().filter_map(|key| subkey(certificate, &primary, key));
        let subkeys: Vec<SigningKey> = subkeys.collect();
        own.key_flags().sign().then_some(primary).into_iter().chain(subkeys).collect()
    }

    /// Why the key may not be relied on at `now`, in words that follow the key's name.
    pub(crate) fn unusable(&self, now: Timestamp) -> Option<String> {
        let now_secs = now.unix_secs();
        if self.revoked {
            return Some("was revoked".to_owned());
        }
        if self.created_secs > now_secs + crate::signature::MAX_CLOCK_SKEW_SECS {
            return Some("was made in the future".to_owned());
        }
        let expired = self.expires_secs.filter(|expires_secs| *expires_secs <= now_secs)?;
        let expired =
            Timestamp::from_unix_secs(expired).map(|expired| expired.to_string()).unwrap_or_default();
        Some(format!("expired on {expired}"))
    }
}

fn primary(certificate: &SignedPublicKey, own: &Signature) -> SigningKey {
    let key = &certificate.primary_key;
    let revocations = &certificate.details.revocation_signatures;
    let user =
        certificate.details.users.first().map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
    SigningKey {
        key: AnyKey::Primary(key.clone()),
        user: user.unwrap_or_default(),
        created_secs: i64::from(key.created_at().as_secs()),
        expires_secs: expiry(key, own),
        revoked: revocations.iter().any(|revocation| revocation.verify_key(key).is_ok()),
    }
}

/// A subkey with a binding that both keys have signed (RFC 9580, section 5.2.1.9: 0x19 within 0x18).
fn subkey(
    certificate: &SignedPublicKey,
    primary: &SigningKey,
    subkey: &SignedPublicSubKey,
) -> Option<SigningKey> {
    let owner = &certificate.primary_key;
    let of_type = |wanted| move |signature: &&Signature| signature.typ() == Some(wanted);
    let verified = |signature: &&Signature| signature.verify_subkey_binding(owner, &subkey.key).is_ok();
    let bindings = subkey.signatures.iter().filter(of_type(SignatureType::SubkeyBinding)).filter(verified);
    let binding = bindings.max_by_key(|binding| binding.created())?;
    let back = binding.embedded_signature()?;
    if !binding.key_flags().sign() || back.verify_primary_key_binding(&subkey.key, owner).is_err() {
        return None;
    }
    let mut revocations = subkey.signatures.iter().filter(of_type(SignatureType::SubkeyRevocation));
    Some(SigningKey {
        key: AnyKey::Subkey(subkey.key.clone()),
        user: primary.user.clone(),
        created_secs: i64::from(subkey.key.created_at().as_secs()).max(primary.created_secs),
        expires_secs: expiry(&subkey.key, binding).into_iter().chain(primary.expires_secs).min(),
        revoked: primary.revoked || revocations.any(|revocation| verified(&revocation)),
    })
}

/// The newest valid signature by which the key describes itself: over a user id or over the key.
fn newest_self_signature(certificate: &SignedPublicKey) -> Option<&Signature> {
    let key = &certificate.primary_key;
    let users = certificate.details.users.iter().flat_map(|user| {
        let verified = move |own: &&Signature| own.verify_certification(key, Tag::UserId, &user.id).is_ok();
        user.signatures.iter().filter(|own| own.typ() != Some(SignatureType::CertRevocation)).filter(verified)
    });
    let direct = certificate.details.direct_signatures.iter().filter(|own| own.verify_key(key).is_ok());
    users.chain(direct).max_by_key(|own| own.created())
}

/// When a key ends, in seconds of Unix time; a lifetime of 0 means never (RFC 9580, section 5.2.3.13).
fn expiry(key: &impl KeyDetails, binding: &Signature) -> Option<i64> {
    let lifetime_secs = i64::from(binding.key_expiration_time()?.as_secs());
    (lifetime_secs > 0).then(|| i64::from(key.created_at().as_secs()) + lifetime_secs)
}

/// Calls the same method of whichever key it is.
macro_rules! delegate {
    ($self:expr, $method:ident ( $($argument:expr),* )) => {
        match $self {
            AnyKey::Primary(key) => key.$method($($argument),*),
            AnyKey::Subkey(key) => key.$method($($argument),*),
        }
    };
}

impl KeyDetails for AnyKey {
    fn version(&self) -> KeyVersion {
        delegate!(self, version())
    }

    fn fingerprint(&self) -> Fingerprint {
        delegate!(self, fingerprint())
    }

    fn legacy_key_id(&self) -> KeyId {
        delegate!(self, legacy_key_id())
    }

    fn algorithm(&self) -> PublicKeyAlgorithm {
        delegate!(self, algorithm())
    }

    fn created_at(&self) -> pgp::types::Timestamp {
        delegate!(self, created_at())
    }

    fn legacy_v3_expiration_days(&self) -> Option<u16> {
        delegate!(self, legacy_v3_expiration_days())
    }

    fn public_params(&self) -> &PublicParams {
        delegate!(self, public_params())
    }
}

impl VerifyingKey for AnyKey {
    fn verify(
        &self,
        hash: HashAlgorithm,
        data: &[u8],
        signature: &SignatureBytes,
    ) -> pgp::errors::Result<()> {
        delegate!(self, verify(hash, data, signature))
    }
}
