//! Keys, signatures, and the evidence that something was verified.
//!
//! Whoever needs a checked thing takes [`Verified<T>`] as a parameter: only the code in this crate can make one, so a
//! forgotten check does not compile. This crate reads no files, no clock and no source of randomness: key texts and
//! random number generators are arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`chain`] | the hash chain of an append-only log |
//! | [`payload_key`] | the RSA-2048 key pair that signs update payloads, as update_engine's clients expect it |
//! | [`verified`] | the evidence type |
//! | [`error`] | what can be wrong with a key or a signature, and what to do about it |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod chain;
pub mod error;
pub mod payload_key;
pub mod verified;

mod pem;

pub use error::Error;
pub use payload_key::{Fingerprint, PrivateKey, PublicKey, SIGNATURE_LEN};
pub use verified::Verified;

/// What a random number generator must be to make keys and to blind signatures.
pub use rsa::rand_core::CryptoRngCore;
