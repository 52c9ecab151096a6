//! Machine ids: how hosts name themselves to the update server.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// A host's machine id, as sent: 1 to 64 ASCII letters, digits or `-_.{}`.
///
/// Hosts send the 32 hexadecimal digits of machine-id(5); mirrors of an update server send a UUID in braces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MachineId(String);

/// A text that is no machine id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a machine id: expected 1 to {} letters, digits or `-_.{{}}`", .0.escape_debug(), MachineId::MAX_LEN)]
pub struct InvalidMachineId(String);

impl MachineId {
    /// Longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MachineId {
    type Err = InvalidMachineId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.{}".contains(&b));
        if clean && (1..=MachineId::MAX_LEN).contains(&text.len()) {
            Ok(MachineId(text.to_owned()))
        } else {
            Err(InvalidMachineId(text.chars().take(80).collect()))
        }
    }
}

serde_as_text!(MachineId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_clients_send_pass() {
        for text in
            ["0123456789abcdef0123456789abcdef", "{b191a3d2-7f0e-4a57-8a26-6b1a0a3f7f6e}", "box-7.rack_3"]
        {
            assert_eq!(text.parse::<MachineId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn empty_long_and_hostile_ids_are_refused() {
        for text in ["", "a b", "x\n", "<script>", "a/../b", "é", &"a".repeat(65)] {
            assert!(text.parse::<MachineId>().is_err(), "{text:?}");
        }
    }
}
