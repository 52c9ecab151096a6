//! GUIDs: 128-bit identifiers of partitions, partition types and file systems.
//!
//! Stored here in the order in which their text is read; GPT keeps the first three fields little-endian on disk.

use std::{fmt, str::FromStr};

/// A GUID. Prints as lower-case text (`c12a7328-f81f-11d2-ba4b-00a0c93ec93b`), parses either case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

/// A text that is no GUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a GUID: expected 8-4-4-4-12 hexadecimal digits")]
pub struct InvalidGuid(String);

impl Guid {
    /// All zeros: in a partition table, the type of an unused entry.
    pub const NIL: Guid = Guid([0; 16]);

    /// From 16 bytes in the order of the text.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Guid(bytes)
    }

    /// From the number whose hexadecimal digits are the text's.
    pub const fn from_u128(number: u128) -> Self {
        Guid(number.to_be_bytes())
    }

    /// From 16 bytes of a digest, with version and variant bits set so that the result is a valid UUID
    /// (RFC 9562, section 5.8: version 8, made by a rule of our own).
    pub const fn derived(mut digest: [u8; 16]) -> Self {
        digest[6] = digest[6] & 0x0f | 0x80;
        digest[8] = digest[8] & 0x3f | 0x80;
        Guid(digest)
    }

    /// The 16 bytes in the order of the text, as file systems store them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 16 bytes as EFI structures store them (UEFI 2.10, appendix A).
    pub const fn to_efi(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let [i, j, k, l, m, n, o, p] = rest;
        [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
    }

    /// Inverse of [`Guid::to_efi`].
    pub const fn from_efi(bytes: [u8; 16]) -> Self {
        Guid(Guid(bytes).to_efi())
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = InvalidGuid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidGuid(text.chars().take(64).collect()))
    }
}

fn parse(text: &str) -> Option<Guid> {
    let well_formed = text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    well_formed.then(|| u128::from_str_radix(&text.replace('-', ""), 16).ok().map(Guid::from_u128))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_disk_form_read_back(bytes: [u8; 16]) {
            let guid = Guid::from_bytes(bytes);
            prop_assert_eq!(guid.to_string().parse(), Ok(guid));
            prop_assert_eq!(guid.to_string().to_uppercase().parse(), Ok(guid));
            prop_assert_eq!(Guid::from_efi(guid.to_efi()), guid);
        }

        #[test]
        fn derived_guids_say_version_8(digest: [u8; 16]) {
            let text = Guid::derived(digest).to_string();
            prop_assert_eq!(&text[14..15], "8");
            prop_assert!("89ab".contains(&text[19..20]));
        }
    }

    /// The EFI system partition's type, as every GPT disk has it in its first entry.
    #[test]
    fn first_three_fields_are_little_endian_on_disk() {
        let esp: Guid = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".parse().unwrap();
        let on_disk = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
        assert_eq!(esp.to_efi(), on_disk);
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b0";
        let signed = "+12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        for text in ["", "c12a7328f81f11d2ba4b00a0c93ec93b", long, signed, &"é".repeat(18)] {
            assert!(text.parse::<Guid>().is_err(), "{text:?}");
        }
    }
}
