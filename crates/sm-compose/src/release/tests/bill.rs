//! The bill of materials: every file belongs somewhere, and the document is the same for the same image.

use std::collections::{BTreeMap, BTreeSet};

use sm_model::{ArtifactKind, Sha256};

use super::Fixture;
use crate::{
    release::{ReleaseDir, sbom},
    tree::Node,
};

fn document(fixture: &Fixture) -> sbom::Document {
    sbom::document(sbom::Described {
        plan: &fixture.plan,
        lock: &fixture.lock,
        tree: &fixture.image.tree,
        usr_sha256: Sha256([9; 32]),
        root_hash: fixture.image.root_hash,
    })
}

#[test]
fn every_file_has_exactly_one_owner_that_the_document_knows() {
    let fixture = Fixture::new("4893.2.0");
    let document = document(&fixture);
    let known: BTreeSet<_> = document.packages.iter().map(|package| package.spdx_id.as_str()).collect();
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for relationship in document.relationships.iter().filter(|one| one.relationship_type == "CONTAINS") {
        assert!(known.contains(relationship.spdx_element_id.as_str()), "{relationship:?}");
        owners.entry(&relationship.related_spdx_element).or_default().push(&relationship.spdx_element_id);
    }
    let owner = |path: &str| {
        let file = document.files.iter().find(|file| file.file_name == path).unwrap();
        owners[file.spdx_id.as_str()].clone()
    };
    assert_eq!(owner("./usr/bin/bash"), ["SPDXRef-Package-bash"]);
    assert_eq!(owner("./usr/lib/libstdc++.so.6"), ["SPDXRef-Package-libstdc.2B.2B6"]);
    assert_eq!(owner("./usr/bin/stationmaster-agent"), ["SPDXRef-Package-stationmaster-agent"]);
    assert_eq!(owner("./usr/share/boxcar/etc/passwd"), ["SPDXRef-OperatingSystem-boxcar"]);
    let regular =
        fixture.image.tree.entries().filter(|(_, entry)| matches!(entry.node, Node::File(_))).count();
    assert_eq!(document.files.len(), regular);
    assert!(document.files.iter().all(|file| owners[file.spdx_id.as_str()].len() == 1));
}

#[test]
fn identifiers_are_unique_and_every_relationship_ends_somewhere() {
    let document = document(&Fixture::new("4893.2.0"));
    let packages = document.packages.iter().map(|package| &package.spdx_id);
    let ids: Vec<_> = packages.chain(document.files.iter().map(|file| &file.spdx_id)).collect();
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len());
    for relationship in &document.relationships {
        assert!(unique.contains(&relationship.related_spdx_element), "{relationship:?}");
    }
}

#[test]
fn packages_tell_source_licence_checksum_and_url() {
    let document = document(&Fixture::new("4893.2.0"));
    let package = |id: &str| document.packages.iter().find(|package| package.spdx_id == id).unwrap();
    let bash = package("SPDXRef-Package-bash");
    assert_eq!(bash.license_declared, "GPL-3.0-or-later AND LicenseRef-bash-odd");
    assert_eq!(bash.source_info.as_deref(), Some("built package from: bash 5.2.37-2+deb13u1"));
    assert_eq!(bash.checksums[0].checksum_value, "05".repeat(32));
    assert_eq!(
        bash.external_refs[0].reference_locator,
        "pkg:deb/debian/bash@5.2.37-2%2Bdeb13u1?arch=amd64&distro=debian-13"
    );
    assert_eq!(document.has_extracted_licensing_infos[0].extracted_text, "Do as you like.");
    let fileless = package("SPDXRef-Package-systemd-dev");
    assert!(!fileless.files_analyzed && fileless.package_verification_code.is_none());
    assert_eq!(package("SPDXRef-Source-gcc-14-14.2.0-19").primary_package_purpose.as_deref(), Some("SOURCE"));
}

#[test]
fn verification_codes_follow_clause_7_9() {
    let document = document(&Fixture::new("4893.2.0"));
    let libstdcxx = document.packages.iter().find(|package| package.name == "libstdc++6").unwrap();
    // sha1(hex(sha1("library"))), by sha1sum.
    let code = &libstdcxx.package_verification_code.as_ref().unwrap().value;
    assert_eq!(code, "51d0f06e444f46e91d2a8ae809b105297bc38aea");
}

#[test]
fn the_document_reads_back_and_is_the_same_for_the_same_image() {
    let fixture = Fixture::new("4893.2.0");
    let directory = fixture.publish().unwrap().directory;
    let text = ReleaseDir::open(&directory).unwrap().text(ArtifactKind::Sbom).unwrap();
    let read: sbom::Document = serde_json::from_str(&text).unwrap();
    assert_eq!(read.packages[1..], document(&fixture).packages[1..]);
    assert_eq!(read.files, document(&fixture).files);
    assert_eq!(read.creation_info.created, "2026-11-23T05:26:00Z");
    assert_eq!(document(&fixture), document(&Fixture::new("4893.2.0")));
    assert!(read.document_namespace.ends_with(&"ab".repeat(32)));
}
