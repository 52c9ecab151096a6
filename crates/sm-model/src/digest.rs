//! SHA-2 digests as identities. Computing them is other crates' work.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// A text that is not a digest in lower- or upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {name} digest: expected {n_digits} hexadecimal digits")]
pub struct InvalidDigest {
    text: String,
    name: &'static str,
    n_digits: usize,
}

macro_rules! digest {
    ($(#[$doc:meta])* $type:ident, $name:literal, $n_bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(pub [u8; $n_bytes]);

        impl $type {
            /// Length in bytes.
            pub const LEN: usize = $n_bytes;

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $n_bytes] {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl FromStr for $type {
            type Err = InvalidDigest;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                decode_hex(text).map($type).ok_or_else(|| InvalidDigest {
                    text: text.chars().take(2 * $n_bytes + 8).collect(),
                    name: $name,
                    n_digits: 2 * $n_bytes,
                })
            }
        }

        impl From<[u8; $n_bytes]> for $type {
            fn from(bytes: [u8; $n_bytes]) -> Self {
                $type(bytes)
            }
        }

        serde_as_text!($type);
    };
}

digest!(
    /// A SHA-256 digest (FIPS 180-4). Prints and parses as 64 hexadecimal digits.
    Sha256, "SHA-256", 32
);
digest!(
    /// A SHA-512 digest (FIPS 180-4). Prints and parses as 128 hexadecimal digits.
    Sha512, "SHA-512", 64
);

fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(hex_value(pair[0])? << 4 | hex_value(pair[1])?).ok()?;
    }
    Some(bytes)
}

fn hex_value(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hex_reads_back(bytes: [u8; 32]) {
            prop_assert_eq!(Sha256(bytes).to_string().parse(), Ok(Sha256(bytes)));
            prop_assert_eq!(Sha256(bytes).to_string().to_uppercase().parse(), Ok(Sha256(bytes)));
        }
    }

    #[test]
    fn wrong_length_and_foreign_letters_are_refused() {
        for text in ["", "ab", &"g".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<Sha256>().is_err(), "{text:?}");
        }
    }
}
