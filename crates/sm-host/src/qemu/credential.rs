//! systemd credentials as SMBIOS type 11 strings, the way a machine is told its secrets and its start-up changes from outside
//! (systemd.system-credentials(7); smbios-type-11(7), `io.systemd.credential.binary:`).

use base64ct::{Base64, Encoding};

/// One credential: a name that systemd knows or a unit asks for, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    name: String,
    value: Vec<u8>,
}

/// A credential that systemd or QEMU would refuse or misread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCredential {
    /// The name is no file name of plain characters.
    #[error("`{}` is not a credential name: expected 1 to {} letters, digits, `.`, `_`, `-`, `@` or `\\`", .0.escape_debug(), Credential::MAX_NAME_LEN)]
    Name(String),
    /// The value is larger than what fits beside others into one table.
    #[error("credential `{name}` has {len} bytes: expected at most {}", Credential::MAX_LEN)]
    TooLong {
        /// The credential.
        name: String,
        /// Bytes of its value.
        len: usize,
    },
}

impl Credential {
    /// Longest name: a file name.
    pub const MAX_NAME_LEN: usize = 255;
    /// Largest value: all SMBIOS strings together must stay below 64 KiB (SMBIOS 2.1 entry point), in base64.
    pub const MAX_LEN: usize = 32 * 1024;

    /// A credential `name` that holds `value`.
    ///
    /// # Errors
    /// When the name or the value's size would not reach the guest as they are.
    pub fn new(name: &str, value: impl Into<Vec<u8>>) -> Result<Self, InvalidCredential> {
        let value = value.into();
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@\\".contains(&b));
        if !plain || name.is_empty() || name.len() > Self::MAX_NAME_LEN || name.starts_with('.') {
            return Err(InvalidCredential::Name(name.chars().take(80).collect()));
        }
        if value.len() > Self::MAX_LEN {
            return Err(InvalidCredential::TooLong { name: name.to_owned(), len: value.len() });
        }
        Ok(Credential { name: name.to_owned(), value })
    }

    /// The credential's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SMBIOS string that carries it.
    pub fn smbios_string(&self) -> String {
        format!("io.systemd.credential.binary:{}={}", self.name, Base64::encode_string(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_travel_as_base64() {
        let credential = Credential::new("tmpfiles.extra", "f /etc/x - - - - a,b\n\0").unwrap();
        assert_eq!(
            credential.smbios_string(),
            "io.systemd.credential.binary:tmpfiles.extra=ZiAvZXRjL3ggLSAtIC0gLSBhLGIKAA=="
        );
    }

    #[test]
    fn names_that_systemd_would_drop_are_refused() {
        for name in ["", ".hidden", "a/b", "a b", "a=b", "a,b", "é", &"a".repeat(256)] {
            assert!(Credential::new(name, "").is_err(), "{name:?}");
        }
        assert!(Credential::new("systemd.extra-unit.a@b\\x2d.service", "").is_ok());
    }

    #[test]
    fn a_value_that_fits_no_table_is_refused() {
        assert!(Credential::new("a", vec![0; Credential::MAX_LEN]).is_ok());
        assert!(Credential::new("a", vec![0; Credential::MAX_LEN + 1]).is_err());
    }
}
