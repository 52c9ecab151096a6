//! Writing a release: every artifact once, hashed as it is written; the directory appears whole or not at all.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use sm_host::{
    files::FileError,
    progress::{Progress, Task, Unit},
};
use sm_image::payload::write::{self as payload, Compression, Signer, Source};
use sm_model::{ArtifactKind, Board, FileName, Lock, Manifest, Sha256, manifest::Inputs};

use super::{
    ReleaseError, changelogs, contents, names,
    package_list::package_list,
    sbom,
    staging::{Appeared, Digests, Packing, Staging, manifest_text},
    version_text::version_text,
};
use crate::{image::ComposedImage, recipe::Plan};

/// Everything a release directory is written from.
#[expect(missing_debug_implementations, reason = "a signer has nothing to show")]
pub struct Release<'a> {
    /// What was built.
    pub plan: &'a Plan,
    /// What building it gave.
    pub image: &'a ComposedImage,
    /// The packages it was built from.
    pub lock: &'a Lock,
    /// The same lock as its file holds it.
    pub lock_text: &'a str,
    /// SHA-256 of the tools tree's lock file.
    pub tools_lock_sha256: Sha256,
    /// SHA-256 of the agent's binary.
    pub agent_sha256: Sha256,
    /// How the payload is compressed.
    pub compression: Compression,
    /// Who signs the payload.
    pub signer: &'a mut (dyn Signer + Send),
}

/// A release directory that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// `ROOT/CHANNEL/BOARD/VERSION`.
    pub directory: PathBuf,
    /// Whether `current` points to it: not when a newer version is there.
    pub is_current: bool,
    /// What it holds.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.json`: what names this release in everything that follows.
    pub manifest_sha256: Sha256,
}

/// Writes the release below `root`, whole or not at all, and points `current` at it unless a newer one is there.
///
/// # Errors
/// When something cannot be read, made or written, or the version is there already with other content. Nothing of the
/// release is left then, and `current` points where it did.
pub fn publish(
    release: Release<'_>,
    root: &Path,
    progress: &dyn Progress,
) -> Result<Published, ReleaseError> {
    let Release { plan, image, lock, lock_text, tools_lock_sha256, agent_sha256, compression, signer } =
        release;
    let board = root.join(plan.channel.to_string()).join(Board(plan.target.arch).to_string());
    let described = Described { plan, image, lock, lock_text, tools_lock_sha256, agent_sha256 };
    let writer = Writer { staging: Staging::create(&board)?, release: described, progress };
    // None needs what another writes; the payload, the largest work, starts first.
    let (payload, (images, texts)) = rayon::join(
        || writer.payload(compression, signer),
        || rayon::join(|| writer.images(), || writer.texts()),
    );
    images.and(payload).and(texts)?;
    let manifest = writer.manifest();
    let Appeared { directory, is_current } = writer.staging.finish(&manifest)?;
    let manifest_sha256 = Digests::of(&manifest_text(&manifest)?).sha256;
    Ok(Published { directory, is_current, manifest, manifest_sha256 })
}

/// What a release says of itself.
struct Described<'a> {
    plan: &'a Plan,
    image: &'a ComposedImage,
    lock: &'a Lock,
    lock_text: &'a str,
    tools_lock_sha256: Sha256,
    agent_sha256: Sha256,
}

struct Writer<'a> {
    staging: Staging,
    release: Described<'a>,
    progress: &'a dyn Progress,
}

impl Writer<'_> {
    fn name(&self, kind: ArtifactKind) -> Result<FileName, ReleaseError> {
        Ok(names::artifact(&self.release.plan.os.id, kind)?)
    }

    fn images(&self) -> Result<(), ReleaseError> {
        let image = self.release.image;
        let images = [
            (ArtifactKind::DiskImage, &image.disk, Packing::Zstd),
            (ArtifactKind::QemuImage, &image.qcow2, Packing::Plain),
            (ArtifactKind::UsrImage, &image.usr, Packing::Zstd),
            (ArtifactKind::KernelImage, &image.uki, Packing::Plain),
        ];
        images.into_par_iter().with_max_len(1).try_for_each(|(kind, from, packing)| {
            let name = self.name(kind)?;
            let task = self.task(name.as_str(), from);
            self.staging.copy(kind, name, from, packing, &|n| task.advance(n))
        })
    }

    fn task(&self, name: &str, from: &Path) -> Box<dyn Task> {
        let total = std::fs::metadata(from).map(|metadata| metadata.len()).ok();
        self.progress.begin(&format!("write {name}"), Unit::Bytes, total)
    }

    fn payload(
        &self,
        compression: Compression,
        signer: &mut (dyn Signer + Send),
    ) -> Result<(), ReleaseError> {
        let name = self.name(ArtifactKind::Payload)?;
        let image = self.release.image;
        let mut usr = Watched::open(&image.usr, self.task(name.as_str(), &image.usr))?;
        let mut uki = Watched::open(&image.uki, Box::new(sm_host::progress::Silent))?;
        let mut spool = self.staging.spool()?;
        let failed = {
            let name = name.to_string();
            move |source| ReleaseError::Payload { name, source: Box::new(source) }
        };
        self.staging.write(ArtifactKind::Payload, name, |mut sink| {
            let partition = Source { size_bytes: image.usr_size_bytes, reader: &mut usr };
            let kernel = Source { size_bytes: uki.size_bytes, reader: &mut uki };
            payload::write(partition, Some(kernel), compression, &mut [signer], &mut spool, &mut sink)
                .map_err(failed)
        })?;
        Ok(())
    }

    fn texts(&self) -> Result<(), ReleaseError> {
        let (plan, image, lock) = (self.release.plan, self.release.image, self.release.lock);
        self.text(ArtifactKind::RootHash, format!("{}\n", image.root_hash).as_bytes())?;
        self.text(ArtifactKind::PackageList, package_list(lock).as_bytes())?;
        let names = account_names(plan, image);
        let list = contents::contents(&image.tree, &names, plan.source_date);
        self.text(ArtifactKind::ContentsList, list.as_bytes())?;
        self.text(ArtifactKind::KernelConfig, &image.kernel_config)?;
        let changelogs = changelogs::Changelogs::collect(lock, &image.changelogs);
        let name = self.name(ArtifactKind::Changelogs)?;
        let encoded = changelogs.encode().map_err(self.staging.failed(name.as_str()))?;
        self.staging.write_bytes(ArtifactKind::Changelogs, name, &encoded)?;
        self.sbom()?;
        self.text(ArtifactKind::Lock, self.release.lock_text.as_bytes())?;
        self.text(ArtifactKind::VersionText, version_text(plan).as_bytes())
    }

    fn text(&self, kind: ArtifactKind, bytes: &[u8]) -> Result<(), ReleaseError> {
        let name = self.name(kind)?;
        self.staging.write_bytes(kind, name, bytes)
    }

    fn sbom(&self) -> Result<(), ReleaseError> {
        let (plan, image, lock) = (self.release.plan, self.release.image, self.release.lock);
        let name = self.name(ArtifactKind::Sbom)?;
        let document = sbom::document(sbom::Described {
            plan,
            lock,
            tree: &image.tree,
            usr_sha256: image.usr_sha256,
            root_hash: image.root_hash,
        });
        let failed = self.staging.failed(name.as_str());
        self.staging.write(ArtifactKind::Sbom, name, |sink| {
            serde_json::to_writer_pretty(&mut *sink, &document)
                .map_err(std::io::Error::from)
                .and_then(|()| sink.write_all(b"\n"))
                .map_err(failed)
        })
    }

    fn manifest(&self) -> Manifest {
        let (plan, image) = (self.release.plan, self.release.image);
        Manifest {
            format: Manifest::FORMAT,
            os: plan.os.id.clone(),
            version: plan.version,
            channel: plan.channel,
            board: Board(plan.target.arch),
            source_date: plan.source_date,
            inputs: Inputs {
                recipe_sha256: plan.recipe_digest,
                lock_sha256: Digests::of(self.release.lock_text.as_bytes()).sha256,
                tools_lock_sha256: self.release.tools_lock_sha256,
                agent_sha256: self.release.agent_sha256,
                stationmaster: env!("CARGO_PKG_VERSION").to_owned(),
            },
            usr_root_hash: image.root_hash,
            usr_size_bytes: image.usr_size_bytes,
            kernel: image.kernel.clone(),
            artifacts: self.staging.artifacts(),
        }
    }
}

/// Names of the image's accounts, from its factory /etc.
fn account_names(plan: &Plan, image: &ComposedImage) -> contents::AccountNames {
    let text = |name: &str| {
        let path = format!("/usr/share/{}/etc/{name}", plan.os.id);
        image.tree.file(&path).map(|blob| String::from_utf8_lossy(blob).into_owned()).unwrap_or_default()
    };
    contents::AccountNames::new(&text("passwd"), &text("group"))
}

/// A file being read, with its size and somebody watching.
struct Watched {
    file: BufReader<File>,
    size_bytes: u64,
    task: Box<dyn Task>,
}

impl Watched {
    fn open(path: &Path, task: Box<dyn Task>) -> Result<Self, ReleaseError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        let size_bytes = file.metadata().map_err(FileError::io("measure", path))?.len();
        Ok(Watched { file: BufReader::with_capacity(1 << 20, file), size_bytes, task })
    }
}

impl std::io::Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.task.advance(n as u64);
        Ok(n)
    }
}
