//! `Packages` indexes: the fields that resolution and downloads need, read in place.
//!
//! An index was verified against a signed `Release` before it comes here, but its paths and sizes are still judged: a
//! signature says who wrote a text, not that the text is harmless.

use sm_model::{FileName, PackageName, PackageVersion, Sha256};

use crate::control::{MalformedField, Stanza, stanzas};

/// Most packages that one index may hold: bounds memory against an index made of tiny stanzas. Debian's largest has 70 000.
pub const MAX_PACKAGES: usize = 400_000;

/// Largest package that may be downloaded: stops an index from filling the disk. Debian's largest has 1.6 GB.
pub const MAX_PACKAGE_BYTES: u64 = 4 << 30;

/// An index that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The bytes are not text.
    #[error("the package index is not UTF-8 text")]
    NotText(#[source] std::str::Utf8Error),
    /// More stanzas than [`MAX_PACKAGES`].
    #[error("the package index holds more than {MAX_PACKAGES} packages")]
    TooManyPackages,
    /// A stanza is not control data.
    #[error("the package index is malformed after package `{after}`")]
    Malformed {
        /// The last package that was understood.
        after: String,
        /// What is wrong with the line.
        source: MalformedField,
    },
    /// A field that every package must have is absent or wrong.
    #[error("package `{package}`: field `{field}` is missing or wrong: `{}`", .value.escape_debug())]
    Field {
        /// The package, as named by the index.
        package: String,
        /// The field.
        field: &'static str,
        /// What was found; empty when absent.
        value: String,
    },
}

/// One binary package of an index. Relationship fields are raw: parse them with [`crate::relation::parse_clauses`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package<'a> {
    /// `Package:`
    pub name: PackageName,
    /// `Version:`
    pub version: PackageVersion,
    /// `Architecture:`
    pub arch: &'a str,
    /// `Source:`, where it differs from the package: a name, and a version in parentheses where that differs too.
    pub source: Option<&'a str>,
    /// Whether it says `Multi-Arch: allowed`.
    pub allows_any_arch: bool,
    /// `Pre-Depends:`
    pub pre_depends: &'a str,
    /// `Depends:`
    pub depends: &'a str,
    /// `Conflicts:`
    pub conflicts: &'a str,
    /// `Breaks:`
    pub breaks: &'a str,
    /// `Provides:`
    pub provides: &'a str,
    /// `Filename:`, a path below the mirror's root that starts with `pool/` and stays there.
    pub path: &'a str,
    /// `Size:`
    pub size_bytes: u64,
    /// `SHA256:`
    pub sha256: Sha256,
}

/// Reads an index of one architecture.
///
/// # Errors
/// When the bytes are no index, or a package lacks a field or has a hostile one.
pub fn parse(index: &[u8]) -> Result<Vec<Package<'_>>, IndexError> {
    let text = std::str::from_utf8(index).map_err(IndexError::NotText)?;
    let mut packages: Vec<Package<'_>> = Vec::new();
    for stanza in stanzas(text) {
        if packages.len() == MAX_PACKAGES {
            return Err(IndexError::TooManyPackages);
        }
        let fields = RawFields::of(stanza).map_err(|source| IndexError::Malformed {
            after: packages.last().map(|package| package.name.to_string()).unwrap_or_default(),
            source,
        })?;
        packages.push(fields.check()?);
    }
    Ok(packages)
}

/// Whether `path` names a file below `pool/` and nothing else, and is safe in a URL as it stands.
pub fn is_pool_path(path: &str) -> bool {
    path.starts_with("pool/")
        && path.len() <= 512
        && path.split('/').all(|part| part.parse::<FileName>().is_ok())
}

#[derive(Default)]
struct RawFields<'a> {
    package: &'a str,
    version: &'a str,
    architecture: &'a str,
    source: Option<&'a str>,
    multi_arch: &'a str,
    pre_depends: &'a str,
    depends: &'a str,
    conflicts: &'a str,
    breaks: &'a str,
    provides: &'a str,
    filename: &'a str,
    size: &'a str,
    sha256: &'a str,
}

impl<'a> RawFields<'a> {
    fn of(stanza: Stanza<'a>) -> Result<Self, MalformedField> {
        let mut fields = RawFields::default();
        for field in stanza.fields() {
            let (name, value) = field?;
            match name {
                "Package" => fields.package = value,
                "Version" => fields.version = value,
                "Architecture" => fields.architecture = value,
                "Source" => fields.source = Some(value),
                "Multi-Arch" => fields.multi_arch = value,
                "Pre-Depends" => fields.pre_depends = value,
                "Depends" => fields.depends = value,
                "Conflicts" => fields.conflicts = value,
                "Breaks" => fields.breaks = value,
                "Provides" => fields.provides = value,
                "Filename" => fields.filename = value,
                "Size" => fields.size = value,
                "SHA256" => fields.sha256 = value,
                _ => {}
            }
        }
        Ok(fields)
    }

    fn check(self) -> Result<Package<'a>, IndexError> {
        let wrong = |field, value: &str| IndexError::Field {
            package: self.package.chars().take(80).collect(),
            field,
            value: value.chars().take(80).collect(),
        };
        let size_bytes = self.size.parse().ok().filter(|size| (1..=MAX_PACKAGE_BYTES).contains(size));
        Ok(Package {
            name: self.package.parse().map_err(|_| wrong("Package", self.package))?,
            version: self.version.parse().map_err(|_| wrong("Version", self.version))?,
            arch: self.architecture,
            source: self.source,
            allows_any_arch: self.multi_arch == "allowed",
            pre_depends: self.pre_depends,
            depends: self.depends,
            conflicts: self.conflicts,
            breaks: self.breaks,
            provides: self.provides,
            path: Some(self.filename)
                .filter(|path| is_pool_path(path))
                .ok_or_else(|| wrong("Filename", self.filename))?,
            size_bytes: size_bytes.ok_or_else(|| wrong("Size", self.size))?,
            sha256: self.sha256.parse().map_err(|_| wrong("SHA256", self.sha256))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZA: &str = "Package: libc6\nSource: glibc\nVersion: 2.41-12\nArchitecture: amd64\nMulti-Arch: same\n\
        Depends: libgcc-s1\nFilename: pool/main/g/glibc/libc6_2.41-12_amd64.deb\nSize: 2847604\n\
        SHA256: 1111111111111111111111111111111111111111111111111111111111111111\n";

    fn refused(from: &str, to: &str) -> String {
        assert!(STANZA.contains(from));
        parse(STANZA.replace(from, to).as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_stanza_of_debian_is_read() {
        let packages = parse(STANZA.as_bytes()).unwrap();
        assert_eq!(packages.len(), 1);
        let package = &packages[0];
        assert_eq!((package.name.as_str(), package.version.as_str()), ("libc6", "2.41-12"));
        assert_eq!((package.arch, package.source), ("amd64", Some("glibc")));
        assert_eq!((package.depends, package.conflicts), ("libgcc-s1", ""));
        assert_eq!((package.size_bytes, package.sha256), (2_847_604, Sha256([0x11; 32])));
        assert!(!package.allows_any_arch);
    }

    #[test]
    fn hostile_fields_are_refused_by_name() {
        for path in
            ["/etc/passwd", "pool/../../x", "pool//x", "pool/%2e%2e/x", "pool/x y", "dists/x", "pool/-x", ""]
        {
            let text = refused("pool/main/g/glibc/libc6_2.41-12_amd64.deb", path);
            assert!(text.starts_with("package `libc6`: field `Filename` is missing or wrong"), "{text}");
        }
        for size in ["0", "-1", "18446744073709551616", "4294967297", "1e9", ""] {
            assert!(refused("2847604", size).contains("field `Size`"), "{size}");
        }
        assert!(refused("SHA256: 11", "SHA256: 1").contains("field `SHA256`"));
        assert!(refused("Package: libc6", "Package: ../libc6").contains("field `Package`"));
        assert!(refused("Version: 2.41-12", "Version: 2 41").contains("field `Version`"));
    }

    #[test]
    fn malformed_indexes_tell_where_they_break() {
        let text = format!("{STANZA}\nnonsense\n");
        assert_eq!(
            parse(text.as_bytes()).unwrap_err().to_string(),
            "the package index is malformed after package `libc6`"
        );
        assert!(matches!(parse(b"\xff"), Err(IndexError::NotText(_))));
        assert_eq!(parse(b"").unwrap(), []);
    }
}
