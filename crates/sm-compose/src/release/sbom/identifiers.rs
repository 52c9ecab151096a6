//! Names of packages and files in an SPDX document: package URLs, and SPDX's own identifiers.

use std::fmt::Write as _;

use sha2::Digest as _;
use sm_model::{LockedPackage, PackageName};

/// The source package of a binary package: its name and version.
pub(super) fn source_of(package: &LockedPackage) -> (String, String) {
    match package.source.split_once(" (") {
        Some((name, version)) => (name.to_owned(), version.trim_end_matches(')').to_owned()),
        None if package.source.is_empty() => (package.name.to_string(), package.version.to_string()),
        None => (package.source.clone(), package.version.to_string()),
    }
}

/// Package URL of a binary package (purl specification, type `deb`): the distribution's namespace, the epoch inside the
/// version, qualifiers in order.
pub(super) fn binary_purl(package: &LockedPackage, distro: &str) -> String {
    let (source, source_version) = source_of(package);
    let namespace = namespace(distro);
    let version = encode(package.version.as_str());
    let mut purl = format!(
        "pkg:deb/{namespace}/{}@{version}?arch={}&distro={}",
        encode(package.name.as_str()),
        encode(&package.arch),
        encode(distro)
    );
    if source != package.name.as_str() || source_version != package.version.as_str() {
        let upstream = format!("{source}@{source_version}");
        // Writing to a String cannot fail.
        let _ = write!(purl, "&upstream={}", encode_fully(&upstream));
    }
    purl
}

/// Package URL of a source package.
pub(super) fn source_purl(name: &str, version: &str, distro: &str) -> String {
    let namespace = namespace(distro);
    format!("pkg:deb/{namespace}/{}@{}?arch=source&distro={}", encode(name), encode(version), encode(distro))
}

/// Package URL of something of the operating system's own: not the distribution's, or scanners would give its answers.
pub(super) fn own_purl(os: &str, name: &str, version: &str) -> String {
    format!("pkg:generic/{}/{}@{}", encode(os), encode(name), encode(version))
}

/// `debian` of `debian-13`.
pub(super) fn namespace(distro: &str) -> &str {
    distro.split('-').next().unwrap_or(distro)
}

/// Percent-encoding of the purl specification: letters, digits, `.-_~` and the colon stay.
fn encode(text: &str) -> String {
    encode_but(text, b".-_~:")
}

/// The same for a value that holds an `@`, whose colon readers take for part of another URL.
fn encode_fully(text: &str) -> String {
    encode_but(text, b".-_~")
}

fn encode_but(text: &str, plain: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `SPDXRef-KIND-NAME` (SPDX 2.3, clause 7.2): letters, digits, dots and dashes. Names differ where package names do:
/// those hold no capitals, so that `.2B` stands for nothing else.
pub(super) fn package_id(kind: &str, name: &str) -> String {
    let mut id = format!("SPDXRef-{kind}-");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b".-".contains(&byte) {
            id.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(id, ".{byte:02X}");
        }
    }
    id
}

/// Identifier of a file, from its path: the same in every release.
pub(super) fn file_id(path: &str) -> String {
    let digest = sha2::Sha256::digest(path);
    let short: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("SPDXRef-File-{short}")
}

/// Identifier of a licence as one package words it.
pub(super) fn licence_ref(package: &PackageName, name: &str) -> String {
    let package = package_id("x", package.as_str()).replace("SPDXRef-x-", "");
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    format!("LicenseRef-{package}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::tests::locked as package;

    #[test]
    fn package_urls_hold_distribution_epoch_and_source() {
        assert_eq!(
            binary_purl(&package("libstdc++6", "14.2.0-19", "gcc-14"), "debian-13"),
            "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13&upstream=gcc-14%4014.2.0-19"
        );
        assert_eq!(
            binary_purl(&package("login", "1:4.16.0-2+really2.41-5", "util-linux (2.41-5)"), "debian-13"),
            "pkg:deb/debian/login@1:4.16.0-2%2Breally2.41-5?arch=amd64&distro=debian-13&upstream=util-linux%402.41-5"
        );
        assert_eq!(
            binary_purl(&package("bash", "5.2.37-2", "bash"), "debian-13"),
            "pkg:deb/debian/bash@5.2.37-2?arch=amd64&distro=debian-13"
        );
        assert_eq!(own_purl("boxcar", "boxcar", "4893.0.0"), "pkg:generic/boxcar/boxcar@4893.0.0");
    }

    #[test]
    fn identifiers_keep_names_apart() {
        assert_eq!(package_id("Package", "libstdc++6"), "SPDXRef-Package-libstdc.2B.2B6");
        assert_ne!(package_id("Package", "a+b"), package_id("Package", "a.b"));
        assert_ne!(file_id("./a"), file_id("./b"));
    }
}
