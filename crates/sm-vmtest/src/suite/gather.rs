//! Facts from the artifacts of a release. Whatever cannot be had is told as such: the image's fault, or this host's.
//!
//! The images are looked into as they will be installed: the /usr image is read inode by inode and unpacked by the tools
//! tree's `fsck.erofs`; the disk image is read partition by partition. Nothing comes from what composed them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    ops::Range,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256 as Hasher};
use sm_host::{files, process::Runner, tools::ToolsTree};
use sm_image::{
    erofs::{self, Limits, inventory},
    gpt::{Health, OnDisk, Table},
    uki,
    verity::{self, RootHash},
};
use sm_model::{Manifest, Sha256};

use super::{
    artifacts::Checked,
    facts::{Bill, Disk, Fact, Facts, Kernel, Listed},
    finding::Stop,
    lists::Lists,
    usr::{Contents, Usr},
};

/// Against archives that never end: bytes of an unpacked image at most.
const MAX_IMAGE_BYTES: u64 = 64 << 30;
/// Files of an EFI system partition at most, and how deep they lie at most.
const MAX_BOOT_FILES: usize = 4096;
const MAX_BOOT_DEPTH: usize = 8;
/// Less room than this on the scratch disk explains a tool that failed.
const FULL_DISK_BYTES: u64 = 64 << 20;
const BUFFER_BYTES: usize = 1 << 20;

/// What is known about a release without looking into its images.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether its artifacts are those that the manifest names.
    pub artifacts: Fact<Checked>,
    /// The /usr image, compressed.
    pub usr_image: Fact<PathBuf>,
    /// The disk image, compressed.
    pub disk_image: Fact<PathBuf>,
    /// The kernel image.
    pub kernel_image: Fact<PathBuf>,
    /// Build configuration of the kernel.
    pub kernel_config: Fact<String>,
    /// The list of files.
    pub contents: Fact<BTreeMap<String, Listed>>,
    /// The bill of materials, as SPDX 2.3 JSON.
    pub bill: Fact<Vec<u8>>,
    /// The text that names the version.
    pub version_text: Fact<String>,
    /// The text that names the root hash.
    pub root_hash_text: Fact<String>,
    /// Versions of the packages, by name.
    pub packages: Fact<BTreeMap<String, String>>,
    /// The manifest of a second composition.
    pub twin: Fact<Manifest>,
}

/// Looks into the images of a release. Files go below `scratch`, which must outlive the facts.
pub fn gather(
    described: Described,
    lists: Lists,
    tools: &ToolsTree,
    runner: &dyn Runner,
    scratch: &Path,
) -> Facts {
    let Described { manifest, usr_image, disk_image, kernel_image, .. } = described;
    let packed = scratch.join("usr.erofs");
    let unpacked = usr_image.and_then(|from| unpack(&from, &packed));
    let (usr, disk) = rayon::join(
        || {
            contained("the /usr image", || {
                usr(unpacked.clone().map(|_| packed.as_path())?, &manifest.os, tools, runner, scratch)
            })
        },
        || contained("the disk image", || disk(&disk_image?, unpacked.clone()?, &manifest, scratch)),
    );
    let kernel = contained("the kernel image", || kernel(&kernel_image?));
    Facts {
        lists,
        artifacts: described.artifacts,
        usr,
        disk,
        kernel,
        kernel_config: described.kernel_config,
        contents: described.contents,
        bill: described.bill.and_then(|bytes| bill(&bytes)),
        version_text: described.version_text,
        root_hash_text: described.root_hash_text,
        packages: described.packages,
        twin: described.twin,
        manifest,
    }
}

/// A panic while looking is this program's fault, and no reason to lose the other facts.
fn contained<T>(what: &str, look: impl FnOnce() -> Fact<T>) -> Fact<T> {
    panic::catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| {
        Err(Stop::Trouble { class: "panic", message: format!("looking into {what} panicked") })
    })
}

pub(super) fn trouble(what: &'static str, path: &Path) -> impl Fn(io::Error) -> Stop {
    let message = format!("cannot {what} `{}`", path.display());
    move |error| Stop::Trouble { class: "host-disk", message: format!("{message}: {error}") }
}

/// Unpacks a zstd file; blocks of zeros stay holes. Gives the digest of what it held.
fn unpack(from: &Path, to: &Path) -> Fact<Sha256> {
    let file = File::open(from).map_err(trouble("open", from))?;
    let broken = |error: io::Error| Stop::Broken(format!("`{}` cannot be unpacked: {error}", from.display()));
    let decoder = zstd::stream::read::Decoder::new(file).map_err(broken)?;
    let mut decoder = decoder.take(MAX_IMAGE_BYTES);
    let mut output = File::create(to).map_err(trouble("create", to))?;
    let (mut hash, mut at) = (Hasher::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let n_read = decoder.read(&mut buffer).map_err(broken)?;
        if n_read == 0 {
            break;
        }
        let block = &buffer[..n_read];
        hash.update(block);
        if block.iter().any(|&byte| byte != 0) {
            output
                .seek(SeekFrom::Start(at))
                .and_then(|_| output.write_all(block))
                .map_err(trouble("write", to))?;
        }
        at += n_read as u64;
    }
    output.set_len(at).map_err(trouble("write", to))?;
    Ok(Sha256(hash.finalize().into()))
}

fn usr(image: &Path, os: &str, tools: &ToolsTree, runner: &dyn Runner, scratch: &Path) -> Fact<Usr> {
    let mut file = BufReader::new(File::open(image).map_err(trouble("open", image))?);
    let entries = inventory(&mut file, &Limits::default()).map_err(|error| match error {
        erofs::Error::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            trouble("read", image)(source)
        }
        damaged => Stop::Broken(format!("the /usr image is damaged: {}", chain(&damaged))),
    })?;
    let entries = entries.into_iter().map(|(path, inode)| (format!("/usr{path}"), inode)).collect();
    let root = scratch.join("usr");
    extract(image, &root, tools, runner)?;
    Ok(Usr::new(os, entries, Box::new(Unpacked { root })))
}

/// Unpacks the files of a /usr image, as whoever runs this: modes and owners come from its inodes.
fn extract(image: &Path, root: &Path, tools: &ToolsTree, runner: &dyn Runner) -> Result<(), Stop> {
    let tool = |message: String| Stop::Trouble { class: "tool", message };
    let program = tools.invocation("fsck.erofs").map_err(|error| tool(chain(&error)))?;
    let mut extract = std::ffi::OsString::from("--extract=");
    extract.push(root);
    let run = program.arg(extract).arg("--no-preserve").arg(image);
    match runner.run(&run) {
        Ok(_) => Ok(()),
        Err(error) if files::free_bytes(image).is_ok_and(|free| free < FULL_DISK_BYTES) => {
            Err(Stop::Trouble { class: "host-disk", message: chain(&error) })
        }
        Err(error) => Err(Stop::Broken(format!("the /usr image cannot be unpacked: {}", chain(&error)))),
    }
}

/// Files unpacked on this host.
#[derive(Debug)]
struct Unpacked {
    root: PathBuf,
}

impl Contents for Unpacked {
    fn read(&self, path: &str, max_bytes: u64) -> io::Result<Vec<u8>> {
        let below = path.strip_prefix("/usr/").unwrap_or(path);
        let place = self.root.join(below);
        // A link here would lead out of the unpacked tree.
        if !fs::symlink_metadata(&place)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        File::open(place)?.take(max_bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn disk(compressed: &Path, artifact_sha256: Sha256, manifest: &Manifest, scratch: &Path) -> Fact<Disk> {
    let image = scratch.join("disk.raw");
    unpack(compressed, &image)?;
    let mut file = File::open(&image).map_err(trouble("open", &image))?;
    let size_bytes = file.metadata().map_err(trouble("measure", &image))?.len();
    let on_disk = OnDisk::read(&mut file, size_bytes)
        .map_err(|error| Stop::Broken(format!("the disk image has no partition table: {}", chain(&error))))?;
    let table = on_disk.table().clone();
    let window = |number| Window::open(&image, range_of(&table, number)).map_err(trouble("open", &image));
    let usr_sha256 =
        digest(&mut window(2)?.take(manifest.usr_size_bytes)).map_err(trouble("read", &image))?;
    let mut data = BufReader::with_capacity(BUFFER_BYTES, window(2)?);
    let root_hash = RootHash::from(manifest.usr_root_hash);
    Ok(Disk {
        size_bytes,
        table_health: health(on_disk.health()),
        usr_sha256,
        verity: verity::verify(&mut data, &mut window(3)?, root_hash)
            .map(drop)
            .map_err(|error| chain(&error)),
        boot_files: boot_files(window(1)?).map_err(|error| error.to_string()),
        artifact_sha256,
        table,
    })
}

fn range_of(table: &Table, number: u32) -> Range<u64> {
    table.partition(number).map_or(0..0, |partition| partition.byte_range())
}

fn health(health: &Health) -> Result<(), String> {
    match health {
        Health::Sound => Ok(()),
        Health::BackupOutdated => Err("its two copies differ".to_owned()),
        Health::BackupBroken(flaw) => Err(format!("its backup is unusable: {flaw}")),
        Health::PrimaryBroken(flaw) => Err(format!("its primary is unusable: {flaw}")),
    }
}

/// Files of the FAT file system with their digests.
fn boot_files(window: Window) -> io::Result<BTreeMap<String, Sha256>> {
    let volume = fatfs::FileSystem::new(window, fatfs::FsOptions::new())?;
    let mut files = BTreeMap::new();
    let mut open = vec![(String::new(), volume.root_dir(), 0)];
    while let Some((path, directory, depth)) = open.pop() {
        for entry in directory.iter() {
            let entry = entry?;
            let name = entry.file_name();
            let path = format!("{path}/{name}");
            if depth >= MAX_BOOT_DEPTH || files.len() >= MAX_BOOT_FILES {
                return Err(io::Error::other("it holds too much"));
            }
            if entry.is_file() {
                files.insert(path, digest(&mut entry.to_file())?);
            } else if name != "." && name != ".." {
                open.push((path, entry.to_dir(), depth + 1));
            }
        }
    }
    Ok(files)
}

fn digest(from: &mut impl Read) -> io::Result<Sha256> {
    let mut hash = Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(Sha256(hash.finalize().into())),
            Ok(n_read) => hash.update(&buffer[..n_read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A part of a file, as a file of its own that cannot be written.
struct Window {
    file: File,
    range: Range<u64>,
    at: u64,
}

impl Window {
    fn open(path: &Path, range: Range<u64>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(range.start))?;
        Ok(Window { file, at: range.start, range })
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.range.end.saturating_sub(self.at);
        let n_wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n_read = self.file.read(&mut buffer[..n_wanted])?;
        self.at += n_read as u64;
        Ok(n_read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(n) => self.range.start.checked_add(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
            SeekFrom::End(n) => self.range.end.checked_add_signed(n),
        };
        let target =
            target.filter(|&target| target >= self.range.start).ok_or(io::ErrorKind::InvalidInput)?;
        self.at = self.file.seek(SeekFrom::Start(target))?;
        Ok(self.at - self.range.start)
    }
}

impl Write for Window {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn kernel(path: &Path) -> Fact<Kernel> {
    let mut file = File::open(path).map_err(trouble("open", path))?;
    let image = uki::Image::read(&mut file)
        .map_err(|error| Stop::Broken(format!("the kernel image is damaged: {}", chain(&error))))?;
    Ok(Kernel {
        uname: image.uname().to_owned(),
        cmdline: image.cmdline().to_owned(),
        version_id: image.os_release("VERSION_ID").map(str::to_owned),
        usrhash: image.usrhash().map(RootHash::digest).map_err(|error| chain(&error)),
    })
}

/// An SPDX 2.3 document, as far as it names files and who contains them.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spdx {
    packages: Vec<SpdxPackage>,
    files: Vec<SpdxFile>,
    relationships: Vec<SpdxRelationship>,
}

#[derive(serde::Deserialize)]
struct SpdxPackage {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxFile {
    #[serde(rename = "SPDXID")]
    id: String,
    file_name: String,
    checksums: Vec<SpdxChecksum>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxChecksum {
    algorithm: String,
    checksum_value: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxRelationship {
    spdx_element_id: String,
    relationship_type: String,
    related_spdx_element: String,
}

/// Reads a bill of materials.
///
/// # Errors
/// When it is no SPDX 2.3 JSON.
pub fn bill(bytes: &[u8]) -> Fact<Bill> {
    let spdx: Spdx = serde_json::from_slice(bytes)
        .map_err(|error| Stop::Broken(format!("the bill of materials is no SPDX 2.3 JSON: {error}")))?;
    let names: BTreeMap<&str, &str> =
        spdx.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let mut owners: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for relationship in spdx.relationships.iter().filter(|one| one.relationship_type == "CONTAINS") {
        let id = relationship.spdx_element_id.as_str();
        let owner = names.get(id).copied().unwrap_or(id).to_owned();
        owners.entry(&relationship.related_spdx_element).or_default().push(owner);
    }
    let files = spdx.files.iter().map(|file| {
        let sha256 = file.checksums.iter().find(|checksum| checksum.algorithm == "SHA256");
        let billed = super::facts::BilledFile {
            sha256: sha256.map(|checksum| checksum.checksum_value.clone()),
            owners: owners.get(file.id.as_str()).cloned().unwrap_or_default(),
        };
        (file.file_name.trim_start_matches('.').to_owned(), billed)
    });
    Ok(Bill {
        files: files.collect(),
        components: spdx.packages.iter().map(|package| package.name.clone()).collect(),
    })
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample;

    fn described(file: &Path) -> Described {
        let facts = sample::facts();
        Described {
            manifest: facts.manifest,
            artifacts: facts.artifacts,
            usr_image: Ok(file.to_owned()),
            disk_image: Ok(file.to_owned()),
            kernel_image: Ok(file.to_owned()),
            kernel_config: Ok(String::new()),
            contents: facts.contents,
            bill: Ok(b"{}".to_vec()),
            version_text: facts.version_text,
            root_hash_text: facts.root_hash_text,
            packages: facts.packages,
            twin: facts.twin,
        }
    }

    fn gathered(bytes: &[u8]) -> Facts {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("artifact");
        fs::write(&file, bytes).unwrap();
        let libraries = scratch.path().join("usr/lib/x86_64-linux-gnu");
        fs::create_dir_all(&libraries).unwrap();
        fs::write(libraries.join("ld-linux-x86-64.so.2"), "").unwrap();
        let tools = ToolsTree::open(scratch.path(), sm_model::Arch::Amd64).unwrap();
        let runner = sm_host::process::SystemRunner;
        gather(described(&file), sample::lists(), &tools, &runner, scratch.path())
    }

    fn is_broken<T>(fact: &Fact<T>) -> bool {
        matches!(fact, Err(Stop::Broken(_)))
    }

    #[test]
    fn artifacts_of_any_other_bytes_are_the_images_fault() {
        let noise = zstd::encode_all(&[7; 100_000][..], 1).unwrap();
        for bytes in [&b""[..], b"noise", &noise, &noise[..noise.len() - 3]] {
            let facts = gathered(bytes);
            assert!(is_broken(&facts.usr), "{bytes:.20?}: {:?}", facts.usr);
            assert!(is_broken(&facts.disk) && is_broken(&facts.kernel) && is_broken(&facts.bill));
        }
    }

    #[test]
    fn an_artifact_that_cannot_be_opened_is_not_the_images_fault() {
        let scratch = tempfile::tempdir().unwrap();
        let gone = unpack(&scratch.path().join("gone"), &scratch.path().join("to")).unwrap_err();
        assert!(matches!(gone, Stop::Trouble { class: "host-disk", .. }), "{gone:?}");
    }

    #[test]
    fn unpacking_keeps_every_byte_and_leaves_holes() {
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        let mut bytes = vec![0; 5 << 20];
        bytes[3 << 20] = 1;
        fs::write(&from, zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
        assert_eq!(unpack(&from, &to).unwrap(), Sha256(Hasher::digest(&bytes).into()));
        assert_eq!(fs::read(&to).unwrap(), bytes);
    }

    #[test]
    fn a_window_shows_its_part_and_no_more() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        fs::write(&path, b"0123456789").unwrap();
        let mut window = Window::open(&path, 2..6).unwrap();
        let mut text = String::new();
        window.read_to_string(&mut text).unwrap();
        assert_eq!(text, "2345");
        assert_eq!(window.seek(SeekFrom::End(-1)).unwrap(), 3);
        text.clear();
        window.read_to_string(&mut text).unwrap();
        assert_eq!(text, "5");
        assert!(window.seek(SeekFrom::Current(-9)).is_err() && window.write(b"x").is_err());
    }

    #[test]
    fn bills_name_files_with_their_owners() {
        let bill = bill(
            br#"{"packages": [{"SPDXID": "P1", "name": "bash"}],
                 "files": [{"SPDXID": "F1", "fileName": "./usr/bin/bash",
                            "checksums": [{"algorithm": "SHA256", "checksumValue": "ab"}]}],
                 "relationships": [
                     {"spdxElementId": "P1", "relationshipType": "CONTAINS", "relatedSpdxElement": "F1"},
                     {"spdxElementId": "D", "relationshipType": "DESCRIBES", "relatedSpdxElement": "F1"}]}"#,
        )
        .unwrap();
        let expected =
            crate::suite::facts::BilledFile { sha256: Some("ab".into()), owners: vec!["bash".into()] };
        assert_eq!(bill.files["/usr/bin/bash"], expected);
        assert_eq!(bill.components, ["bash"]);
    }
}
