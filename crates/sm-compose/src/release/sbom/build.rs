//! From an image to its bill of materials.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use sha1::Digest as _;
use sm_model::{Board, Lock, LockedPackage, PackageName, Sha256};

use super::{
    copyright,
    document::{
        Checksum, CreationInfo, Document, ExternalRef, ExtractedLicence, File, Package, Relationship,
        VerificationCode,
    },
    identifiers::{
        binary_purl, file_id, licence_ref, namespace, own_purl, package_id, source_of, source_purl,
    },
    licence,
};
use crate::{
    recipe::Plan,
    tree::{Blob, Node, Origin, Tree},
};

/// What a bill of materials is made from.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// Version, channel, time and names.
    pub plan: &'a Plan,
    /// The packages.
    pub lock: &'a Lock,
    /// Every file.
    pub tree: &'a Tree,
    /// SHA-256 of the /usr file system.
    pub usr_sha256: Sha256,
    /// dm-verity root hash of the /usr file system.
    pub root_hash: Sha256,
}

const NO_ASSERTION: &str = "NOASSERTION";
const DOCUMENT_ID: &str = "SPDXRef-DOCUMENT";
/// Path of the one program that comes from neither package nor recipe.
const AGENT_PATH: &str = "/usr/bin/stationmaster-agent";

/// Whose file it is: a package's, the agent's, or the operating system's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner<'a> {
    System,
    Agent,
    Package(&'a PackageName),
}

/// A file's identifier and digests.
struct Hashed<'a> {
    owner: Owner<'a>,
    sha1: String,
    file: File,
}

/// The bill of materials.
pub fn document(of: Described<'_>) -> Document {
    let files = hashed_files(of.tree);
    let mut builder =
        Builder { of, packages: Vec::new(), relationships: Vec::new(), licences: BTreeMap::new() };
    let codes = verification_codes(&files);
    builder.system(&codes);
    builder.agent(&codes);
    for package in &of.lock.packages {
        builder.binary(package, &codes);
    }
    builder.sources();
    builder.contained_files(&files);
    let version = of.plan.version;
    let name = format!("{}-{}-{version}", of.plan.os.id, Board(of.plan.target.arch));
    Document {
        spdx_version: "SPDX-2.3".to_owned(),
        data_license: "CC0-1.0".to_owned(),
        spdx_id: DOCUMENT_ID.to_owned(),
        document_namespace: format!("https://spdx.org/spdxdocs/{name}-{}", of.root_hash),
        name,
        creation_info: CreationInfo {
            created: of.plan.source_date.to_string(),
            creators: vec![format!("Tool: stationmaster-{}", env!("CARGO_PKG_VERSION"))],
        },
        packages: builder.packages,
        files: files.into_iter().map(|hashed| hashed.file).collect(),
        has_extracted_licensing_infos: builder.licences.into_values().collect(),
        relationships: builder.relationships,
    }
}

/// Digests of every regular file, on all cores, in the order of paths.
fn hashed_files(tree: &Tree) -> Vec<Hashed<'_>> {
    let files: Vec<(&str, &Blob, Owner<'_>)> = tree
        .entries()
        .filter_map(|(path, entry)| match (&entry.node, &entry.origin) {
            (Node::File(blob), _) if path == AGENT_PATH => Some((path, blob, Owner::Agent)),
            (Node::File(blob), Origin::Package(name)) => Some((path, blob, Owner::Package(name))),
            (Node::File(blob), Origin::Recipe | Origin::Composed) => Some((path, blob, Owner::System)),
            (Node::Directory | Node::Symlink(_), _) => None,
        })
        .collect();
    files.into_par_iter().map(|(path, blob, owner)| hashed(path, blob, owner)).collect()
}

fn hashed<'a>(path: &str, blob: &Blob, owner: Owner<'a>) -> Hashed<'a> {
    let sha1 = hex(&sha1::Sha1::digest(&**blob));
    let sha256 = Sha256(sha2::Sha256::digest(&**blob).into());
    let checksums = vec![Checksum::new("SHA1", &sha1), Checksum::new("SHA256", sha256)];
    Hashed { owner, sha1, file: File { spdx_id: file_id(path), file_name: format!(".{path}"), checksums } }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-1 over the sorted SHA-1 digests of each owner's files (SPDX 2.3, clause 7.9).
fn verification_codes<'a>(files: &[Hashed<'a>]) -> BTreeMap<Owner<'a>, String> {
    let mut by_owner: BTreeMap<Owner<'a>, Vec<&str>> = BTreeMap::new();
    for file in files {
        by_owner.entry(file.owner).or_default().push(&file.sha1);
    }
    let code = |mut digests: Vec<&str>| {
        digests.sort_unstable();
        hex(&sha1::Sha1::digest(digests.concat()))
    };
    by_owner.into_iter().map(|(owner, digests)| (owner, code(digests))).collect()
}

type Codes<'a> = BTreeMap<Owner<'a>, String>;

struct Builder<'a> {
    of: Described<'a>,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
    licences: BTreeMap<String, ExtractedLicence>,
}

impl Builder<'_> {
    fn relate(&mut self, from: &str, kind: &str, to: &str) {
        self.relationships.push(Relationship::new(from, kind, to));
    }

    fn system_id(&self) -> String {
        package_id("OperatingSystem", &self.of.plan.os.id)
    }

    /// The operating system itself: what everything else is contained in.
    fn system(&mut self, codes: &Codes<'_>) {
        let plan = self.of.plan;
        let id = self.system_id();
        let version = plan.version.to_string();
        self.relate(DOCUMENT_ID, "DESCRIBES", &id);
        self.packages.push(Package {
            supplier: format!("Organization: {}", plan.os.name),
            checksums: vec![Checksum::new("SHA256", self.of.usr_sha256)],
            comment: Some(format!(
                "The checksum is that of the /usr file system; its dm-verity root hash is {}",
                self.of.root_hash
            )),
            external_refs: vec![purl(own_purl(&plan.os.id, &plan.os.id, &version))],
            primary_package_purpose: Some("OPERATING-SYSTEM".to_owned()),
            ..package(id, &plan.os.id, &version, codes.get(&Owner::System))
        });
    }

    fn agent(&mut self, codes: &Codes<'_>) {
        let Some(code) = codes.get(&Owner::Agent) else { return };
        let os = self.of.plan.os.id.clone();
        let id = agent_id();
        let version = env!("CARGO_PKG_VERSION");
        self.relate(&self.system_id(), "CONTAINS", &id);
        self.packages.push(Package {
            supplier: format!("Organization: {}", self.of.plan.os.name),
            license_declared: env!("CARGO_PKG_LICENSE").to_owned(),
            external_refs: vec![purl(own_purl(&os, "stationmaster-agent", version))],
            primary_package_purpose: Some("APPLICATION".to_owned()),
            ..package(id, "stationmaster-agent", version, Some(code))
        });
    }

    fn binary(&mut self, locked: &LockedPackage, codes: &Codes<'_>) {
        let distro = &self.of.plan.os.distro;
        let id = package_id("Package", locked.name.as_str());
        let (source, source_version) = source_of(locked);
        let described = Package {
            package_file_name: locked.path.rsplit('/').next().map(str::to_owned),
            supplier: format!("Organization: {}", namespace(distro)),
            checksums: vec![Checksum::new("SHA256", locked.sha256)],
            source_info: Some(format!("built package from: {source} {source_version}")),
            license_declared: self.declared_licence(&locked.name),
            external_refs: vec![purl(binary_purl(locked, distro))],
            ..package(
                id.clone(),
                locked.name.as_str(),
                locked.version.as_str(),
                codes.get(&Owner::Package(&locked.name)),
            )
        };
        self.packages.push(described);
        self.relate(&self.system_id(), "CONTAINS", &id);
        self.relate(&id, "GENERATED_FROM", &source_id(&source, &source_version));
    }

    /// Every source package once, however many binary packages came from it.
    fn sources(&mut self) {
        let distro = self.of.plan.os.distro.clone();
        let sources: BTreeSet<_> = self.of.lock.packages.iter().map(source_of).collect();
        for (name, version) in sources {
            self.packages.push(Package {
                supplier: format!("Organization: {}", namespace(&distro)),
                external_refs: vec![purl(source_purl(&name, &version, &distro))],
                primary_package_purpose: Some("SOURCE".to_owned()),
                ..package(source_id(&name, &version), &name, &version, None)
            });
        }
    }

    fn contained_files(&mut self, files: &[Hashed<'_>]) {
        let system = self.system_id();
        for hashed in files {
            let owner = match hashed.owner {
                Owner::System => system.clone(),
                Owner::Agent => agent_id(),
                Owner::Package(name) => package_id("Package", name.as_str()),
            };
            self.relate(&owner, "CONTAINS", &hashed.file.spdx_id);
        }
    }

    /// What the package's copyright file declares, if it can be read.
    fn declared_licence(&mut self, name: &PackageName) -> String {
        let Some(found) = copyright_file(self.of.tree, name).and_then(|blob| copyright::parse(blob)) else {
            return NO_ASSERTION.to_owned();
        };
        let mut expressions = Vec::new();
        for expression in &found.expressions {
            let spdx = licence::to_spdx(expression, &mut |own| self.own_licence(name, own, &found));
            expressions.push(spdx);
        }
        licence::conjunction(expressions)
    }

    fn own_licence(&mut self, package: &PackageName, name: &str, found: &copyright::Licences) -> String {
        let id = licence_ref(package, name);
        let text = found.texts.get(name).cloned().unwrap_or_else(|| {
            format!("Named `{name}` in /usr/share/doc/{package}/copyright, which does not hold its text by itself.")
        });
        let extracted =
            ExtractedLicence { license_id: id.clone(), extracted_text: text, name: name.to_owned() };
        self.licences.entry(id.clone()).or_insert(extracted);
        id
    }
}

/// A package about which nothing is known but names and files.
fn package(id: String, name: &str, version: &str, code: Option<&String>) -> Package {
    Package {
        spdx_id: id,
        name: name.to_owned(),
        version_info: version.to_owned(),
        package_file_name: None,
        supplier: NO_ASSERTION.to_owned(),
        download_location: NO_ASSERTION.to_owned(),
        files_analyzed: code.is_some(),
        package_verification_code: code.map(|value| VerificationCode { value: value.clone() }),
        checksums: Vec::new(),
        source_info: None,
        license_concluded: NO_ASSERTION.to_owned(),
        license_declared: NO_ASSERTION.to_owned(),
        copyright_text: NO_ASSERTION.to_owned(),
        comment: None,
        external_refs: Vec::new(),
        primary_package_purpose: None,
    }
}

fn purl(locator: String) -> ExternalRef {
    ExternalRef {
        reference_category: "PACKAGE-MANAGER".to_owned(),
        reference_type: "purl".to_owned(),
        reference_locator: locator,
    }
}

fn agent_id() -> String {
    package_id("Package", "stationmaster-agent")
}

fn source_id(name: &str, version: &str) -> String {
    package_id("Source", &format!("{name}-{version}"))
}

/// The copyright file of a package; its documentation directory may be a link to another package's.
fn copyright_file<'t>(tree: &'t Tree, package: &PackageName) -> Option<&'t Blob> {
    let directory = format!("/usr/share/doc/{package}");
    let directory = match &tree.get(&directory)?.node {
        Node::Symlink(target) if !target.contains('/') => format!("/usr/share/doc/{target}"),
        _ => directory,
    };
    tree.file(&format!("{directory}/copyright"))
}
