//! The two 32-bit cyclic redundancy checks that on-disk structures use. Small inputs only: bytewise tables.

const IEEE: [u32; 256] = table(0xedb8_8320);
const CASTAGNOLI: [u32; 256] = table(0x82f6_3b78);

/// CRC-32 as in GPT headers (UEFI 2.10, section 5.3.2: the CCITT32 ANSI polynomial, reflected).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !update(&IEEE, !0, bytes)
}

/// CRC-32C with EROFS's conventions: starts from all ones and is not inverted at the end.
pub(crate) fn crc32c_raw(bytes: &[u8]) -> u32 {
    update(&CASTAGNOLI, !0, bytes)
}

fn update(table: &[u32; 256], crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ polynomial } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check values of the CRC catalogue for the input `123456789`.
    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(!crc32c_raw(b"123456789"), 0xe306_9283);
    }
}
