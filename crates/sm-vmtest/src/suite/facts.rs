//! What tests are told about a release: plain values, each of which may be missing for a reason of its own.
//!
//! A test that needs a fact that could not be had ends as that fact did; every other test goes on.

use std::collections::BTreeMap;

use sm_image::gpt::Table;
use sm_model::{Manifest, Sha256};

use super::{artifacts::Checked, finding::Stop, lists::Lists, usr::Usr};

/// A fact, or why it could not be had.
pub type Fact<T> = Result<T, Stop>;

/// Everything that is known about a release.
#[derive(Debug)]
pub struct Facts {
    /// The release as its manifest describes it.
    pub manifest: Manifest,
    /// The reviewed lists.
    pub lists: Lists,
    /// Every artifact that the manifest names, and what is wrong with it, if anything.
    pub artifacts: Fact<Checked>,
    /// The files of /usr, read from the image's own bytes.
    pub usr: Fact<Usr>,
    /// The disk image.
    pub disk: Fact<Disk>,
    /// The kernel image.
    pub kernel: Fact<Kernel>,
    /// Build configuration of the kernel.
    pub kernel_config: Fact<String>,
    /// The release's own list of files.
    pub contents: Fact<BTreeMap<String, Listed>>,
    /// The bill of materials.
    pub bill: Fact<Bill>,
    /// The text that names the version.
    pub version_text: Fact<String>,
    /// The text that names the root hash.
    pub root_hash_text: Fact<String>,
    /// Packages with their versions, by name.
    pub packages: Fact<BTreeMap<String, String>>,
    /// The manifest of a second composition from the same inputs.
    pub twin: Fact<Manifest>,
}

/// Borrows a fact, or ends the test as getting it ended.
pub fn known<T>(fact: &Fact<T>) -> Result<&T, Stop> {
    fact.as_ref().map_err(Clone::clone)
}

/// An entry of the release's list of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As ls writes it: `-rwxr-xr-x`.
    pub mode: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// A disk image and what its partitions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Size of the image.
    pub size_bytes: u64,
    /// Its partition table.
    pub table: Table,
    /// Whether both copies of the table are valid and agree; otherwise what is wrong.
    pub table_health: Result<(), String>,
    /// Digest of as many bytes of the first /usr partition as the /usr image has.
    pub usr_sha256: Sha256,
    /// Whether the tree beside it is the one over its bytes, with the manifest's root hash; otherwise what is wrong.
    pub verity: Result<(), String>,
    /// Files of the EFI system partition, by path, with their digests; otherwise why it cannot be read.
    pub boot_files: Result<BTreeMap<String, Sha256>, String>,
    /// Digest of the /usr image artifact, unpacked.
    pub artifact_sha256: Sha256,
}

/// A unified kernel image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// `uname -r`.
    pub uname: String,
    /// The kernel command line.
    pub cmdline: String,
    /// `VERSION_ID` of its os-release.
    pub version_id: Option<String>,
    /// The root hash on its command line; otherwise why there is none.
    pub usrhash: Result<Sha256, String>,
}

/// A bill of materials, as far as it names files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// Files by path, with SHA-256 and the names of the components that contain them.
    pub files: BTreeMap<String, BilledFile>,
    /// Names of the components.
    pub components: Vec<String>,
}

/// A file of a bill of materials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledFile {
    /// Digest in hexadecimal, if it names one.
    pub sha256: Option<String>,
    /// Names of the components that contain it.
    pub owners: Vec<String>,
}
