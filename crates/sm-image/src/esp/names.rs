//! File names: the long one, and the 8.3 alias that every file has besides (section 7).

use super::Error;

const ENTRY_LEN: usize = 32;
const ATTRIBUTE_LONG_NAME: u8 = 0x0f;
const UNITS_PER_ENTRY: usize = 13;
const LAST_LONG_ENTRY: u8 = 0x40;

/// A name in 11 bytes: eight and three, padded with spaces.
pub(super) type ShortName = [u8; 11];

/// The volume label as directories and boot sector store it.
pub(super) fn label(text: &str) -> Result<ShortName, Error> {
    let mut label = [b' '; 11];
    match label.get_mut(..text.len()) {
        Some(place) if !text.is_empty() && text.bytes().all(is_short_letter) => {
            place.copy_from_slice(text.as_bytes());
            Ok(label)
        }
        _ => Err(Error::Label(text.chars().take(40).collect())),
    }
}

/// Letters that aliases and labels may have: fewer than the format allows, more than we need.
fn is_short_letter(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
}

/// The alias of `name` that none of `taken` is: the name itself in upper case where it fits, else numbered.
pub(super) fn alias(name: &str, taken: impl Fn(&ShortName) -> bool) -> ShortName {
    let upper = name.to_ascii_uppercase();
    if let Some(exact) = exact(&upper).filter(|alias| !taken(alias)) {
        return exact;
    }
    let (base, extension) = upper.rsplit_once('.').unwrap_or((&upper, ""));
    let letters =
        |text: &str, n| text.chars().filter(|c| is_short_letter(*c as u8)).take(n).collect::<String>();
    let extension = letters(extension, 3);
    let numbered = (1u32..).map(|number| {
        let tail = format!("~{number}");
        padded(&(letters(base, 8 - tail.len()) + &tail), &extension)
    });
    // A directory has fewer than 2^16 entries, so a free number below 10^6 always exists.
    numbered.into_iter().find(|alias| !taken(alias)).unwrap_or([b'~'; 11])
}

/// The alias that says the same as the name, if there is one.
fn exact(upper: &str) -> Option<ShortName> {
    let (base, extension) = upper.split_once('.').unwrap_or((upper, ""));
    let fits = (1..=8).contains(&base.len()) && extension.len() <= 3 && !upper.ends_with('.');
    (fits && base.bytes().chain(extension.bytes()).all(is_short_letter)).then(|| padded(base, extension))
}

fn padded(base: &str, extension: &str) -> ShortName {
    let mut name = [b' '; 11];
    name[..base.len()].copy_from_slice(base.as_bytes());
    name[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
    name
}

/// How many entries the long form of `name` takes in a directory: none where the alias says the same.
pub(super) fn n_long_entries(name: &str, alias: &ShortName) -> usize {
    if exact(name).as_ref() == Some(alias) { 0 } else { name.len().div_ceil(UNITS_PER_ENTRY) }
}

/// The entries that hold the long form of `name`, last part first, as they precede the alias's entry.
pub(super) fn long_entries(name: &str, alias: &ShortName) -> Vec<u8> {
    let n = n_long_entries(name, alias);
    // Units beyond the name: one NUL, then all ones.
    let mut units: Vec<u16> = name.encode_utf16().chain([0]).collect();
    units.resize(name.len().next_multiple_of(UNITS_PER_ENTRY).max(units.len()), 0xffff);
    let checksum = checksum(alias);
    (0..n)
        .rev()
        .flat_map(|i| {
            let last = if i + 1 == n { LAST_LONG_ENTRY } else { 0 };
            let part = &units[i * UNITS_PER_ENTRY..(i + 1) * UNITS_PER_ENTRY];
            long_entry(last | (i as u8 + 1), checksum, part)
        })
        .collect()
}

fn long_entry(ordinal: u8, checksum: u8, units: &[u16]) -> [u8; ENTRY_LEN] {
    let mut entry = [0; ENTRY_LEN];
    entry[0] = ordinal;
    entry[11] = ATTRIBUTE_LONG_NAME;
    entry[13] = checksum;
    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
    for (place, unit) in places.zip(units) {
        entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
    }
    entry
}

/// Ties a long name to its alias (section 7.2).
fn checksum(alias: &ShortName) -> u8 {
    alias.iter().fold(0u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias_among(name: &str, taken: &[&ShortName]) -> String {
        String::from_utf8(alias(name, |alias| taken.contains(&alias)).to_vec()).unwrap()
    }

    #[test]
    fn aliases_say_as_much_as_eight_and_three_letters_can() {
        let cases = [
            ("BOOTX64.EFI", "BOOTX64 EFI", 0),
            ("EFI", "EFI        ", 0),
            ("loader", "LOADER     ", 1),
            ("loader.conf", "LOADER~1CON", 1),
            ("systemd-bootx64.efi", "SYSTEM~1EFI", 2),
            ("boxcar_4900.0.1+3.efi", "BOXCAR~1EFI", 2),
            ("a.b.c", "AB~1    C  ", 1),
            (".x", "~1      X  ", 1),
            ("+", "~1         ", 1),
        ];
        for (name, expected, n_entries) in cases {
            assert_eq!(alias_among(name, &[]), expected, "{name}");
            assert_eq!(n_long_entries(name, expected.as_bytes().try_into().unwrap()), n_entries, "{name}");
        }
    }

    #[test]
    fn aliases_are_numbered_until_free() {
        let taken: Vec<ShortName> = (1..=12)
            .map(|i| padded(&format!("{}~{i}", &"BOXCAR"[..if i < 10 { 6 } else { 5 }]), "EFI"))
            .collect();
        let taken: Vec<_> = taken.iter().collect();
        assert_eq!(alias_among("boxcar_1.0.0.efi", &taken), "BOXCA~13EFI");
    }

    /// The example of the specification's section 7: `The quick brown.fox`, alias `THEQUI~1.FOX`.
    #[test]
    fn long_names_are_those_of_the_specification() {
        let entries = long_entries("The quick brown.fox", b"THEQUI~1FOX");
        assert_eq!(&entries[..11], b"\x42w\0n\0.\0f\0o\0");
        assert_eq!(&entries[14..32], b"x\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\xff\xff\xff\xff");
        assert_eq!(&entries[32..43], b"\x01T\0h\0e\0 \0q\0");
        assert_eq!((entries[13], entries[45]), (entries[45], checksum(b"THEQUI~1FOX")));
    }

    #[test]
    fn names_that_fill_their_entries_have_no_terminator() {
        assert_eq!(long_entries("thirteen-long", b"THIRTE~1   ").len(), 32);
        assert_eq!(long_entries("fourteen--long", b"FOURTE~1   ").len(), 64);
    }

    #[test]
    fn labels_are_plain() {
        assert_eq!(label("ESP").unwrap(), *b"ESP        ");
        for text in ["", "esp", "TWELVE-CHARS", "A B", "É"] {
            assert!(label(text).is_err(), "{text}");
        }
    }
}
