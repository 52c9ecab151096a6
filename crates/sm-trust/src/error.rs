//! What can be wrong with a key or a signature, with the next step for each.

use sm_model::exit;

use crate::Fingerprint;

/// A key that cannot be used, or a signature that is not good.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is longer than any key.
    #[error("the key text has {found_bytes} bytes: expected at most {limit_bytes}")]
    KeyTextTooLong {
        /// Length of the text.
        found_bytes: usize,
        /// Longest text that is read.
        limit_bytes: usize,
    },
    /// No PEM block in the text.
    #[error("no key found: expected a PEM block `{expected}`")]
    NotPem {
        /// The label that was looked for.
        expected: &'static str,
    },
    /// A PEM block, but of another kind.
    #[error("found the PEM block `{found}`: expected `{expected}`")]
    WrongKeyKind {
        /// The label that was found.
        found: String,
        /// The label that was looked for.
        expected: &'static str,
    },
    /// A private key whose encoding or numbers are wrong.
    #[error("cannot read the private key: expected RSA in PKCS#8")]
    InvalidPrivateKey(#[source] rsa::pkcs8::Error),
    /// A private key that decodes, but whose numbers do not belong together.
    #[error("the private key's numbers do not belong together")]
    InconsistentPrivateKey(#[source] rsa::Error),
    /// A public key whose encoding or numbers are wrong.
    #[error("cannot read the public key: expected RSA in SubjectPublicKeyInfo")]
    InvalidPublicKey(#[source] rsa::pkcs8::spki::Error),
    /// An RSA key of a size or exponent that update clients do not take.
    #[error("the key is RSA-{bits} with exponent {exponent}: expected RSA-2048 with exponent 65537")]
    UnsupportedKey {
        /// Bits of the modulus.
        bits: usize,
        /// Public exponent, in decimal.
        exponent: String,
    },
    /// A key could not be made from the given randomness.
    #[error("cannot make an RSA-2048 key")]
    KeyGeneration(#[source] rsa::Error),
    /// A key could not be written as PEM.
    #[error("cannot encode the key")]
    Encode(#[source] rsa::pkcs8::Error),
    /// The signature could not be made.
    #[error("cannot sign with the key `{key}`")]
    Sign {
        /// Fingerprint of the key.
        key: Fingerprint,
        /// Why not.
        source: rsa::Error,
    },
    /// None of the signatures is the key's over the digest.
    #[error("none of {n_signatures} signatures was made by the key `{key}` over these bytes")]
    NotSigned {
        /// Fingerprint of the key that was tried.
        key: Fingerprint,
        /// How many signatures were tried.
        n_signatures: usize,
    },
}

impl Error {
    /// The next command or step, where there is one.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::WrongKeyKind { found, expected } => return convert(found, expected),
            Error::NotPem { .. } | Error::KeyTextTooLong { .. } | Error::UnsupportedKey { .. } => {
                "make a key pair with `stationmaster payload keygen DIR`"
            }
            Error::InvalidPrivateKey(_) | Error::InconsistentPrivateKey(_) | Error::InvalidPublicKey(_) => {
                "look at the key with `openssl pkey -in FILE -noout -text` (public: add `-pubin`)"
            }
            Error::NotSigned { .. } => {
                "the bytes were changed after signing, or the key is another one: compare the fingerprint with the signer's"
            }
            Error::KeyGeneration(_) | Error::Encode(_) | Error::Sign { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The process exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::NotSigned { .. } => exit::VERIFICATION,
            Error::KeyGeneration(_) | Error::Encode(_) | Error::Sign { .. } => exit::FAILURE,
            _ => exit::INVALID_INPUT,
        }
    }
}

/// How to turn the key that was found into the one that was expected.
fn convert(found: &str, expected: &str) -> Option<String> {
    let command = match (found, expected) {
        ("PRIVATE KEY" | "RSA PRIVATE KEY", "PUBLIC KEY") => "openssl pkey -in FILE -pubout",
        ("RSA PUBLIC KEY", "PUBLIC KEY") => "openssl rsa -RSAPublicKey_in -in FILE -pubout",
        ("RSA PRIVATE KEY", "PRIVATE KEY") => "openssl pkcs8 -topk8 -nocrypt -in FILE",
        ("ENCRYPTED PRIVATE KEY", "PRIVATE KEY") => "openssl pkcs8 -in FILE",
        ("PUBLIC KEY" | "RSA PUBLIC KEY", "PRIVATE KEY") => {
            return Some("give the private half of the pair, `*.key.pem`".to_owned());
        }
        _ => return None,
    };
    Some(format!("convert it with `{command}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_mix_up_of_keys_gets_a_command() {
        for (found, expected) in [
            ("RSA PRIVATE KEY", "PRIVATE KEY"),
            ("ENCRYPTED PRIVATE KEY", "PRIVATE KEY"),
            ("PUBLIC KEY", "PRIVATE KEY"),
            ("PRIVATE KEY", "PUBLIC KEY"),
            ("RSA PUBLIC KEY", "PUBLIC KEY"),
        ] {
            let error = Error::WrongKeyKind { found: found.to_owned(), expected };
            assert!(error.hint().is_some(), "{found} for {expected}");
            assert_eq!(error.exit_code(), exit::INVALID_INPUT);
        }
    }
}
