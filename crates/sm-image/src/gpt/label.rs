//! Partition labels: up to 36 UTF-16 code units.

use std::{fmt, str::FromStr};

/// The label of a partition: at most [`Label::MAX_UNITS`] UTF-16 code units, none of them NUL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Label(String);

/// A text that cannot be a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a partition label: expected at most {} UTF-16 code units without NUL", .0.escape_debug(), Label::MAX_UNITS)]
pub struct InvalidLabel(String);

impl Label {
    /// Longest label, in UTF-16 code units.
    pub const MAX_UNITS: usize = 36;

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 72 bytes of a table entry.
    pub(super) fn encode(&self) -> [u8; 72] {
        let mut bytes = [0; 72];
        for (place, unit) in bytes.chunks_exact_mut(2).zip(self.0.encode_utf16()) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
        bytes
    }

    /// From the 72 bytes of a table entry: up to the first NUL. `None` when it is not UTF-16.
    pub(super) fn decode(bytes: &[u8; 72]) -> Option<Self> {
        let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        char::decode_utf16(units.take_while(|&unit| unit != 0)).collect::<Result<_, _>>().ok().map(Label)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.encode_utf16().count() <= Label::MAX_UNITS && !text.contains('\0') {
            Ok(Label(text.to_owned()))
        } else {
            Err(InvalidLabel(text.chars().take(80).collect()))
        }
    }
}
