//! How it is known who said something: OpenSSH signatures over canonical bytes, so that people vote with the keys they have and
//! anybody can check a vote with `ssh-keygen -Y verify`. Reads no key files and talks to no agent: texts and bytes are arguments.

use serde::Serialize;
use sha2::Digest as _;
use sm_model::{
    Sha256, canonical, exit,
    statement::{NAMESPACE, Proof, Signed},
};
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig, public::KeyData};

/// Longest signature or key that is read, in bytes: an Ed25519 signature has under 400.
pub const MAX_TEXT_BYTES: usize = 4096;

/// Digest of a document's canonical bytes. A document that JSON cannot hold has the digest of nothing, which names no document.
pub fn digest_of<T: Serialize>(document: &T) -> Sha256 {
    digest_bytes(canonical::to_text(document).unwrap_or_default().as_bytes())
}

/// SHA-256 of bytes.
pub fn digest_bytes(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// How well it is known who said something, from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Somebody says so.
    Word,
    /// An account in a chat room said it.
    Room,
    /// It is signed.
    Signature,
}

/// How well a proof would show who said something, if it is good.
pub fn claimed(proof: &Proof) -> Strength {
    match proof {
        Proof::Word => Strength::Word,
        Proof::Room { .. } => Strength::Room,
        Proof::Ssh { .. } => Strength::Signature,
    }
}

/// A key or a signature that is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A text that is no public key we take.
    #[error("cannot read the public key: expected `ssh-ed25519 AAAA…` as in a `.pub` file")]
    PublicKey,
    /// A text that is no private key we take.
    #[error("cannot read the private key: expected an Ed25519 key in OpenSSH's format")]
    PrivateKey,
    /// The private key has a passphrase.
    #[error("the private key has a passphrase")]
    Encrypted,
    /// The signature could not be made.
    #[error("cannot sign with the key")]
    Sign,
    /// A text that is no signature.
    #[error("cannot read the signature: expected `-----BEGIN SSH SIGNATURE-----`")]
    Signature,
    /// The signature was not made over these bytes by any of the keys.
    #[error("the signature over this statement was made by no key that is known ({n_keys})")]
    NotSigned {
        /// How many keys were tried.
        n_keys: usize,
    },
}

impl ProofError {
    /// The next command or step.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            ProofError::PublicKey | ProofError::PrivateKey => "make a key with `ssh-keygen -t ed25519`",
            ProofError::Encrypted => "add the key to the agent with `ssh-add FILE` and leave out `--key`",
            ProofError::NotSigned { .. } => {
                "the statement was changed after signing, or the key is not in `maintainers.toml`"
            }
            ProofError::Sign | ProofError::Signature => return None,
        };
        Some(hint.to_owned())
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            ProofError::NotSigned { .. } | ProofError::Signature => exit::VERIFICATION,
            ProofError::Sign => exit::FAILURE,
            _ => exit::INVALID_INPUT,
        }
    }
}

/// An Ed25519 public key in OpenSSH's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(ssh_key::PublicKey);

impl PublicKey {
    /// Reads `ssh-ed25519 AAAA… comment`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<PublicKey, ProofError> {
        let short = Some(text).filter(|text| text.len() <= MAX_TEXT_BYTES).ok_or(ProofError::PublicKey)?;
        let key = ssh_key::PublicKey::from_openssh(short.trim()).map_err(|_| ProofError::PublicKey)?;
        if key.algorithm() == Algorithm::Ed25519 { Ok(PublicKey(key)) } else { Err(ProofError::PublicKey) }
    }

    /// The key's bytes on the wire, by which an agent names it.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn blob(&self) -> Result<Vec<u8>, ProofError> {
        self.0.to_bytes().map_err(|_| ProofError::PublicKey)
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The bytes that an agent has to sign for a statement.
    ///
    /// # Errors
    /// When they cannot be encoded.
    pub fn to_be_signed(message: &[u8]) -> Result<Vec<u8>, ProofError> {
        SshSig::signed_data(NAMESPACE, HashAlg::Sha512, message).map_err(|_| ProofError::Sign)
    }

    /// Puts the 64 bytes of a signature that an agent made into OpenSSH's form.
    ///
    /// # Errors
    /// When they are no Ed25519 signature.
    pub fn armor(&self, signature: &[u8]) -> Result<Proof, ProofError> {
        let signature =
            ssh_key::Signature::new(Algorithm::Ed25519, signature).map_err(|_| ProofError::Sign)?;
        let key = KeyData::clone(self.0.key_data());
        let armored =
            SshSig::new(key, NAMESPACE, HashAlg::Sha512, signature).map_err(|_| ProofError::Sign)?;
        let signature = armored.to_pem(LineEnding::LF).map_err(|_| ProofError::Sign)?;
        Ok(Proof::Ssh { signature })
    }
}

/// An Ed25519 private key. Wiped from memory when dropped.
#[derive(Debug)]
pub struct PrivateKey(ssh_key::PrivateKey);

impl PrivateKey {
    /// Reads an OpenSSH private key without a passphrase.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<PrivateKey, ProofError> {
        let short = Some(text).filter(|text| text.len() <= MAX_TEXT_BYTES).ok_or(ProofError::PrivateKey)?;
        let key = ssh_key::PrivateKey::from_openssh(short).map_err(|_| ProofError::PrivateKey)?;
        match (key.is_encrypted(), key.algorithm()) {
            (true, _) => Err(ProofError::Encrypted),
            (false, Algorithm::Ed25519) => Ok(PrivateKey(key)),
            _ => Err(ProofError::PrivateKey),
        }
    }

    /// A key made from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32], comment: &str) -> Result<PrivateKey, ProofError> {
        let pair = ssh_key::private::Ed25519Keypair::from_seed(seed);
        ssh_key::PrivateKey::new(pair.into(), comment).map(PrivateKey).map_err(|_| ProofError::PrivateKey)
    }

    /// The key in OpenSSH's form. The text wipes itself when dropped.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn to_text(&self) -> Result<impl std::ops::Deref<Target = String>, ProofError> {
        self.0.to_openssh(LineEnding::LF).map_err(|_| ProofError::PrivateKey)
    }

    /// The half that everybody may know, in OpenSSH's form.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn public_text(&self) -> Result<String, ProofError> {
        self.0.public_key().to_openssh().map_err(|_| ProofError::PublicKey)
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().clone())
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign<T: Serialize>(&self, statement: T) -> Result<Signed<T>, ProofError> {
        let message = message(&statement)?;
        let signature =
            self.0.sign(NAMESPACE, HashAlg::Sha512, message.as_bytes()).map_err(|_| ProofError::Sign)?;
        let signature = signature.to_pem(LineEnding::LF).map_err(|_| ProofError::Sign)?;
        Ok(Signed { statement, proof: Proof::Ssh { signature } })
    }
}

/// The bytes of a statement that are signed: its canonical text.
///
/// # Errors
/// When JSON cannot hold the statement.
pub fn message<T: Serialize>(statement: &T) -> Result<String, ProofError> {
    canonical::to_text(statement).map_err(|_| ProofError::Sign)
}

/// How well it is known that one of `keys` made a statement.
///
/// # Errors
/// When there is a signature and it is not good: a bad proof is never taken for a weak one.
pub fn check<T: Serialize>(signed: &Signed<T>, keys: &[PublicKey]) -> Result<Strength, ProofError> {
    match &signed.proof {
        Proof::Word => Ok(Strength::Word),
        Proof::Room { .. } => Ok(Strength::Room),
        Proof::Ssh { signature } => {
            let armored =
                Some(signature).filter(|text| text.len() <= MAX_TEXT_BYTES).ok_or(ProofError::Signature)?;
            let parsed = SshSig::from_pem(armored).map_err(|_| ProofError::Signature)?;
            let message = message(&signed.statement)?;
            let good = |key: &PublicKey| key.0.verify(NAMESPACE, message.as_bytes(), &parsed).is_ok();
            let made = keys.iter().any(good);
            if made { Ok(Strength::Signature) } else { Err(ProofError::NotSigned { n_keys: keys.len() }) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32], "test").unwrap()
    }

    #[test]
    fn a_statement_is_good_under_its_own_key_only() {
        let signed = key(1).sign("go").unwrap();
        assert_eq!(check(&signed, &[key(2).public(), key(1).public()]), Ok(Strength::Signature));
        assert_eq!(check(&signed, &[key(2).public()]), Err(ProofError::NotSigned { n_keys: 1 }));
        let changed = Signed { statement: "no-go", ..signed };
        assert!(check(&changed, &[key(1).public()]).is_err());
    }

    #[test]
    fn a_signature_for_another_purpose_does_not_count() {
        let message = message(&"go").unwrap();
        let foreign = key(1).0.sign("file", HashAlg::Sha512, message.as_bytes()).unwrap();
        let signature = foreign.to_pem(LineEnding::LF).unwrap();
        let signed = Signed { statement: "go", proof: Proof::Ssh { signature } };
        assert!(check(&signed, &[key(1).public()]).is_err());
    }

    #[test]
    fn a_bare_signature_is_put_into_the_form_that_is_checked() {
        let key = key(3);
        let signed_by_file = key.sign("go").unwrap();
        let Proof::Ssh { signature } = &signed_by_file.proof else { panic!("signed with a key") };
        let raw = SshSig::from_pem(signature).unwrap().signature_bytes().to_vec();
        let proof = key.public().armor(&raw).unwrap();
        let signed = Signed { statement: "go", proof };
        assert_eq!(check(&signed, &[key.public()]), Ok(Strength::Signature));
        assert_eq!(signed, signed_by_file);
    }

    #[test]
    fn keys_read_back() {
        let key = key(4);
        let text = key.to_text().unwrap();
        assert_eq!(PrivateKey::parse(&text).unwrap().public(), key.public());
        assert_eq!(PublicKey::parse(&key.public_text().unwrap()), Ok(key.public()));
        assert!(key.public().fingerprint().starts_with("SHA256:"));
    }

    /// Made with `ssh-keygen -t ed25519` and `printf '"go"' | ssh-keygen -Y sign -n stationmaster` of OpenSSH 9.2.
    #[test]
    fn signatures_of_openssh_are_understood() {
        let key = PublicKey::parse(include_str!("../tests/data/openssh/key.pub")).unwrap();
        let signature = include_str!("../tests/data/openssh/go.sig").to_owned();
        let signed = Signed { statement: "go", proof: Proof::Ssh { signature } };
        assert_eq!(check(&signed, &[key]), Ok(Strength::Signature));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused_quietly(text in "\\PC{0,200}") {
            prop_assert!(PublicKey::parse(&text).is_err());
            prop_assert!(PrivateKey::parse(&text).is_err());
            let signed = Signed { statement: "go", proof: Proof::Ssh { signature: text } };
            prop_assert!(check(&signed, &[key(1).public()]).is_err());
        }
    }
}
