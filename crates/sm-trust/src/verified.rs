//! Evidence as a value: holding it proves that a signature was checked. It can be read, never forged.

use crate::Fingerprint;

/// A value whose signature was checked against a key.
///
/// Only this crate's verification code makes one. Functions that must not run on unchecked input ask for it:
///
/// ```compile_fail,E0451
/// let forged = sm_trust::Verified { value: "anything", by: todo!() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    by: Fingerprint,
}

impl<T> Verified<T> {
    pub(crate) fn new(value: T, by: Fingerprint) -> Self {
        Verified { value, by }
    }

    /// The value that was checked.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The key whose signature was found good.
    pub fn by(&self) -> Fingerprint {
        self.by
    }
}
