//! What each artifact is called. Clients and tools find artifacts by these names: changing one breaks them.

use sm_model::{ArtifactKind, FileName};

/// Name of the document that describes a release.
pub const MANIFEST: &str = "manifest.json";
/// SHA-256 digests of every file, as `sha256sum --check` and systemd-sysupdate read them.
pub const SHA256SUMS: &str = "SHA256SUMS";
/// SHA-512 digests of every file, as `sha512sum --check` reads them.
pub const SHA512SUMS: &str = "SHA512SUMS";
/// The link to the newest version of a channel and board.
pub const CURRENT: &str = "current";

/// Every kind of artifact, in the order of writing: what fails most likely comes first.
pub const ALL: [ArtifactKind; 13] = [
    ArtifactKind::DiskImage,
    ArtifactKind::QemuImage,
    ArtifactKind::UsrImage,
    ArtifactKind::KernelImage,
    ArtifactKind::Payload,
    ArtifactKind::RootHash,
    ArtifactKind::PackageList,
    ArtifactKind::ContentsList,
    ArtifactKind::KernelConfig,
    ArtifactKind::Changelogs,
    ArtifactKind::Sbom,
    ArtifactKind::Lock,
    ArtifactKind::VersionText,
];

/// The file name of an artifact of the operating system `os`.
pub fn artifact(os: &str, kind: ArtifactKind) -> Result<FileName, sm_model::file_name::UnsafeFileName> {
    match suffix(kind) {
        Some(suffix) => format!("{os}_production_{suffix}").parse(),
        None => "version.txt".parse(),
    }
}

/// Flatcar's suffix where Flatcar has the artifact; otherwise one in its manner.
fn suffix(kind: ArtifactKind) -> Option<&'static str> {
    Some(match kind {
        ArtifactKind::DiskImage => "image.bin.zst",
        ArtifactKind::QemuImage => "qemu_uefi_image.img",
        ArtifactKind::UsrImage => "update.bin.zst",
        ArtifactKind::KernelImage => "image.vmlinuz",
        ArtifactKind::RootHash => "image_verity.txt",
        ArtifactKind::PackageList => "image_packages.txt",
        ArtifactKind::ContentsList => "image_contents.txt",
        ArtifactKind::Sbom => "image_sbom.json",
        ArtifactKind::KernelConfig => "image_kernel_config.txt",
        ArtifactKind::Changelogs => "image_changelogs.json.zst",
        ArtifactKind::Payload => "update.gz",
        ArtifactKind::Lock => "image_packages.lock",
        ArtifactKind::VersionText => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_flatcars_with_the_systems_id() {
        let names: Vec<_> = ALL.iter().map(|kind| artifact("boxcar", *kind).unwrap().to_string()).collect();
        assert_eq!(
            names,
            [
                "boxcar_production_image.bin.zst",
                "boxcar_production_qemu_uefi_image.img",
                "boxcar_production_update.bin.zst",
                "boxcar_production_image.vmlinuz",
                "boxcar_production_update.gz",
                "boxcar_production_image_verity.txt",
                "boxcar_production_image_packages.txt",
                "boxcar_production_image_contents.txt",
                "boxcar_production_image_kernel_config.txt",
                "boxcar_production_image_changelogs.json.zst",
                "boxcar_production_image_sbom.json",
                "boxcar_production_image_packages.lock",
                "version.txt",
            ]
        );
    }

    #[test]
    fn every_name_is_documented() {
        let document = include_str!("../../../../docs/release-directory.md");
        let artifacts = ALL.iter().map(|kind| artifact("boxcar", *kind).unwrap().to_string());
        for name in artifacts.chain([MANIFEST, SHA256SUMS, SHA512SUMS].map(str::to_owned)) {
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }
}
