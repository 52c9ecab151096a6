//! The parts of SPDX 2.3 that we write, as its JSON schema names them.

use serde::{Deserialize, Serialize};

/// A document. Annex and clause numbers are those of the SPDX 2.3 specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// 6.1: `SPDX-2.3`.
    pub spdx_version: String,
    /// 6.2: `CC0-1.0`.
    pub data_license: String,
    /// 6.3: `SPDXRef-DOCUMENT`.
    #[serde(rename = "SPDXID")]
    pub spdx_id: String,
    /// 6.4
    pub name: String,
    /// 6.5: unique to these bytes.
    pub document_namespace: String,
    /// 6.8, 6.9
    pub creation_info: CreationInfo,
    /// 7
    pub packages: Vec<Package>,
    /// 8
    pub files: Vec<File>,
    /// 10
    pub has_extracted_licensing_infos: Vec<ExtractedLicence>,
    /// 11
    pub relationships: Vec<Relationship>,
}

/// Who made the document, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreationInfo {
    /// RFC 3339: the release's own time stamp.
    pub created: String,
    /// `Tool: stationmaster-0.1.0`.
    pub creators: Vec<String>,
}

/// A package: the operating system, a binary package, or a source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// 7.2
    #[serde(rename = "SPDXID")]
    pub spdx_id: String,
    /// 7.1
    pub name: String,
    /// 7.3
    pub version_info: String,
    /// 7.4: name of the package's own file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package_file_name: Option<String>,
    /// 7.5
    pub supplier: String,
    /// 7.7: always `NOASSERTION`, mirrors differ.
    pub download_location: String,
    /// 7.8
    pub files_analyzed: bool,
    /// 7.9
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package_verification_code: Option<VerificationCode>,
    /// 7.10
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub checksums: Vec<Checksum>,
    /// 7.12
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_info: Option<String>,
    /// 7.13
    pub license_concluded: String,
    /// 7.15
    pub license_declared: String,
    /// 7.17
    pub copyright_text: String,
    /// 7.20
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// 7.21
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub external_refs: Vec<ExternalRef>,
    /// 7.24
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub primary_package_purpose: Option<String>,
}

/// SHA-1 over the sorted SHA-1 digests of a package's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationCode {
    /// 40 hexadecimal digits.
    #[serde(rename = "packageVerificationCodeValue")]
    pub value: String,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checksum {
    /// `SHA1`, `SHA256`.
    pub algorithm: String,
    /// In hexadecimal.
    pub checksum_value: String,
}

/// A name that other tools know a package by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalRef {
    /// `PACKAGE-MANAGER`.
    pub reference_category: String,
    /// `purl`.
    pub reference_type: String,
    /// The package URL.
    pub reference_locator: String,
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// 8.2
    #[serde(rename = "SPDXID")]
    pub spdx_id: String,
    /// 8.1: the path, with `./` in front.
    pub file_name: String,
    /// 8.4: SHA-1 and SHA-256.
    pub checksums: Vec<Checksum>,
}

/// A licence that has no SPDX identifier, with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtractedLicence {
    /// 10.1: `LicenseRef-…`.
    pub license_id: String,
    /// 10.2
    pub extracted_text: String,
    /// 10.3
    pub name: String,
}

/// How two elements are related.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relationship {
    /// From.
    pub spdx_element_id: String,
    /// How.
    pub relationship_type: String,
    /// To.
    pub related_spdx_element: String,
}

impl Relationship {
    pub(super) fn new(from: &str, kind: &str, to: &str) -> Self {
        Relationship {
            spdx_element_id: from.to_owned(),
            relationship_type: kind.to_owned(),
            related_spdx_element: to.to_owned(),
        }
    }
}

impl Checksum {
    pub(super) fn new(algorithm: &str, value: impl ToString) -> Self {
        Checksum { algorithm: algorithm.to_owned(), checksum_value: value.to_string() }
    }
}
