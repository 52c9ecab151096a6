//! Documents as they lie in the database: JSON text, one spelling.

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// The text to store.
pub(crate) fn write<T: Serialize>(subject: &'static str, document: &T) -> Result<String, Error> {
    serde_json::to_string(document).map_err(|source| Error::Document { operation: "write", subject, source })
}

/// The document that a stored text holds.
pub(crate) fn read<T: DeserializeOwned>(subject: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Document { operation: "read", subject, source })
}
