//! Revocation data (shim, SBAT.md): one CSV line per component that can be revoked, stub, kernel and image alike.

const HEADER: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";
const IMAGE: &str = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/";

/// The `.sbat` section of an image made from parts with these sections: header once, every component once, NUL.
pub(super) fn merge(sections: &[&[u8]]) -> Vec<u8> {
    let mut lines = vec![HEADER.to_owned()];
    for section in sections {
        let text = String::from_utf8_lossy(section);
        let own =
            text.trim_end_matches('\0').lines().filter(|line| !line.is_empty() && !line.starts_with("sbat,"));
        for line in own {
            if !lines.iter().any(|known| known == line) {
                lines.push(line.to_owned());
            }
        }
    }
    lines.push(IMAGE.to_owned());
    let mut bytes = lines.join("\n").into_bytes();
    bytes.extend(b"\n\0");
    bytes
}
