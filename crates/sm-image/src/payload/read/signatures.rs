//! The signatures at the end of a payload. Whether one is good is for whoever holds the key.

use super::{
    Malformed, ReadError,
    protobuf::{Fields, set_once},
};
use crate::payload::schema::{signature, signatures};

/// One signature over SHA-256 of all bytes before the signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Clients of update_engine look only at the one with version 2, by convention the last.
    pub version: Option<u32>,
    /// The signature itself: 256 bytes for RSA-2048.
    pub data: Vec<u8>,
}

/// Reads the `Signatures` message. The caller has limited its length.
///
/// # Errors
/// [`ReadError::Malformed`] when it is none.
pub fn parse_signatures(bytes: &[u8]) -> Result<Vec<Signature>, ReadError> {
    all(bytes).map_err(|source| source.in_message("signatures"))
}

fn all(bytes: &[u8]) -> Result<Vec<Signature>, Malformed> {
    let mut found = Vec::new();
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number == signatures::SIGNATURES {
            found.push(one(field.bytes("signatures")?)?);
        }
    }
    Ok(found)
}

fn one(bytes: &[u8]) -> Result<Signature, Malformed> {
    let (mut version, mut data) = (None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            signature::VERSION => set_once(&mut version, field.number_u32("version")?, "version")?,
            signature::DATA => set_once(&mut data, field.bytes("data")?, "data")?,
            _ => {}
        }
    }
    let data = data.ok_or(Malformed::Missing("data"))?;
    Ok(Signature { version, data: data.to_vec() })
}
