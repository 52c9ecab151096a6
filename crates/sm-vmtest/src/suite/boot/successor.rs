//! Later releases, made of the one under test for tests that update from it: the same files, which say another version, under
//! the operator's own signature. Nothing is composed: every text that names the version is exchanged in place, and what hangs on
//! it (verity tree, kernel image, payload, manifest) is made anew.

use std::{
    fs::{self, File},
    io::{self, Cursor, Read},
    ops::Range,
    path::Path,
};

use rand_core::OsRng;
use sha2::Digest as _;
use sm_host::files;
use sm_image::{
    payload::{
        read::{Installer, Limits, Part, ReadError, Signature, Target},
        write::{Compression, Signer, Source, WriteError, write},
    },
    uki,
    verity::{self, Superblock},
};
use sm_model::{Artifact, ArtifactKind, Manifest, Sha256, Sha512, Version};
use sm_trust::{PrivateKey, PublicKey};

use crate::suite::{
    bench::Bench,
    finding::{Stop, in_words},
    gather::trouble,
    machine::Machine,
    release::Release,
};

/// Largest /usr image that is taken into memory.
const MAX_USR_BYTES: u64 = 2 << 30;
/// Longest key file that is read.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// The file system's own checksum covers its first block: nothing there may change.
const FIRST_BLOCK_BYTES: usize = 4096;

/// What a successor's kernel is told beside what the release's own is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Nothing.
    Good,
    /// That a service which the health check asks for must not start.
    Unhealthy,
}

impl Health {
    fn arguments(self) -> &'static str {
        match self {
            Health::Good => "",
            Health::Unhealthy => " systemd.mask=containerd.service",
        }
    }
}

/// Takes what a payload would write, and writes nothing.
struct Nowhere;

impl Target for Nowhere {
    fn write_at(&mut self, _part: Part, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// Makes releases that follow the one under test.
pub(super) struct Maker<'a> {
    bench: &'a Bench<'a>,
    key: PrivateKey,
    manifest: &'a Manifest,
    usr: Vec<u8>,
    kernel: Vec<u8>,
}

impl<'a> Maker<'a> {
    /// Takes the release under test and the operator's key.
    ///
    /// # Errors
    /// When there is no key, or the release's files cannot be used.
    pub(super) fn new(bench: &'a Bench<'a>) -> Result<Self, Stop> {
        let key_file = bench.signing_key()?;
        bench.phase("make successors");
        let pem = files::read_limited(key_file, MAX_KEY_BYTES)?;
        let key = PrivateKey::from_pem(&String::from_utf8_lossy(&pem))
            .map_err(|error| Stop::trouble("input", &error))?;
        let release = bench.release();
        let kernel = release.path_of(ArtifactKind::KernelImage)?;
        Ok(Maker {
            bench,
            key,
            manifest: release.manifest(),
            usr: unpacked(&release.path_of(ArtifactKind::UsrImage)?)?,
            kernel: fs::read(&kernel).map_err(trouble("read", &kernel))?,
        })
    }

    /// Makes sure that the release under test trusts the key that successors are signed with.
    ///
    /// # Errors
    /// When it trusts another one.
    pub(super) fn check_trust(&self, machine: &mut Machine<'_>) -> Result<(), Stop> {
        let trusted =
            machine.ask(&format!("cat /usr/share/{}/update-payload-key.pub.pem", self.manifest.os))?;
        let ours = self.key.public().to_pem().map_err(|error| Stop::trouble("input", &error))?;
        if trusted.trim() == ours.trim() {
            return Ok(());
        }
        let version = self.manifest.version;
        let trusted = PublicKey::from_pem(&trusted).map_err(|error| {
            Stop::Broken(format!("{version} trusts a payload key that is none: {}", in_words(&error)))
        })?;
        self.check_own_signature(&trusted)?;
        Err(Stop::Trouble {
            class: "input",
            message: format!(
                "{version} trusts another payload key: name the private half of its own with `--signing-key`"
            ),
        })
    }

    /// A release whose own payload is not signed with the key that it trusts could not be installed by itself: that is no matter of
    /// which key was given here.
    fn check_own_signature(&self, trusted: &PublicKey) -> Result<(), Stop> {
        let path = self.bench.release().path_of(ArtifactKind::Payload)?;
        let mut payload = File::open(&path).map_err(trouble("open", &path))?;
        let mut installer = Installer::new(Limits::for_slot(MAX_USR_BYTES, MAX_USR_BYTES), None);
        let mut buffer = vec![0; 1 << 20];
        let wrong = |error: ReadError| {
            Stop::Broken(format!(
                "its own payload is not good under the key that {} trusts, {trusted:?}: {}",
                self.manifest.version,
                in_words(&error)
            ))
        };
        loop {
            match payload.read(&mut buffer).map_err(trouble("read", &path))? {
                0 => break,
                n_bytes => installer.push(&buffer[..n_bytes], &mut Nowhere).map_err(wrong)?,
            }
        }
        let verify = |digest: &Sha256, signatures: &[Signature]| {
            trusted.verify_any(digest, signatures.iter().map(|signature| signature.data.as_slice()))
        };
        installer.finish(verify).map(drop).map_err(wrong)
    }

    /// The `nth` release that follows.
    ///
    /// # Errors
    /// When the release under test does not lend itself to it, or files cannot be written.
    pub(super) fn make(&mut self, nth: u32, health: Health) -> Result<Release, Stop> {
        let version = follower(self.manifest.version, nth)?;
        let (from, to) = (self.manifest.version.to_string(), version.to_string());
        let mut usr = self.usr.clone();
        exchange_all(&mut usr, &from, &to)?;
        let root_hash = root_hash(&usr)?;
        let kernel = self.kernel_for(&root_hash.to_string(), (&from, &to), health)?;
        let folder = self.bench.dir().join("made").join(&to);
        files::create_dir_all(&folder)?;
        let payload = self.payload(&folder, (&usr, &kernel))?;
        let manifest = Manifest {
            version,
            usr_root_hash: root_hash.digest(),
            artifacts: vec![payload],
            ..self.manifest.clone()
        };
        let text = serde_json::to_vec_pretty(&manifest).expect("a manifest has only text and numbers");
        files::write_atomic(&folder.join("manifest.json"), &text)?;
        self.bench.note(&format!("made {version}, {health:?}, with root hash {root_hash}"));
        Ok(Release::new(manifest, folder))
    }

    /// The kernel image, bound to another /usr.
    fn kernel_for(&self, root_hash: &str, (from, to): (&str, &str), health: Health) -> Result<Vec<u8>, Stop> {
        let unusable = |error: uki::Error| Stop::Broken(format!("the kernel image is unusable: {error}"));
        let image = uki::Image::read(&mut Cursor::new(&self.kernel)).map_err(unusable)?;
        let old_hash = image.usrhash().map_err(unusable)?.to_string();
        let cmdline = image.cmdline().replace(&old_hash, root_hash) + health.arguments();
        let section = image.section(".osrel").ok_or_else(|| unusable(uki::Error::NoSection(".osrel")))?;
        let Range { start, end } = section.bytes;
        let os_release =
            String::from_utf8_lossy(&self.kernel[start as usize..end as usize]).replace(from, to);
        uki::reword(&self.kernel, &cmdline, os_release.trim_end_matches(['\0', '\n'])).map_err(unusable)
    }

    /// Writes the signed payload.
    fn payload(&self, folder: &Path, (usr, kernel): (&[u8], &[u8])) -> Result<Artifact, Stop> {
        let mut known = self
            .manifest
            .artifact(ArtifactKind::Payload)
            .ok_or_else(|| Stop::Broken("the release has no payload".to_owned()))?
            .clone();
        let path = folder.join(known.name.as_str());
        let mut spool = tempfile::tempfile_in(folder).map_err(trouble("make a spool file in", folder))?;
        let mut out = File::create(&path).map_err(trouble("create", &path))?;
        let mut sign = |digest: &Sha256| self.key.sign(digest, &mut OsRng);
        let mut signers: [&mut dyn Signer; 1] = [&mut sign];
        let written = write(
            Source { reader: &mut { usr }, size_bytes: usr.len() as u64 },
            Some(Source { reader: &mut { kernel }, size_bytes: kernel.len() as u64 }),
            Compression::Auto,
            &mut signers,
            &mut spool,
            &mut out,
        )
        .map_err(|error: WriteError| Stop::trouble("host-disk", &error))?;
        (known.size_bytes, known.sha256) = (written.size_bytes, written.sha256);
        // The server announces SHA-256; nobody reads the other one.
        known.sha512 = Sha512(sha2::Sha512::digest([]).into());
        Ok(known)
    }
}

fn unpacked(path: &Path) -> Result<Vec<u8>, Stop> {
    let file = File::open(path).map_err(trouble("open", path))?;
    let broken =
        |error: std::io::Error| Stop::Broken(format!("`{}` cannot be unpacked: {error}", path.display()));
    let mut bytes = Vec::new();
    zstd::Decoder::new(file).map_err(broken)?.take(MAX_USR_BYTES).read_to_end(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

/// The `nth` version after this one whose text is as long: it has to fit where the old one stands.
fn follower(version: Version, nth: u32) -> Result<Version, Stop> {
    let Version { major, level, patch } = version;
    let len = version.to_string().len();
    let later_patch = Version { patch: patch + nth, ..version };
    let later_major = Version { major: major + nth, level, patch: 0 };
    let padded = Version { major: major + nth, ..version };
    [later_patch, padded, later_major].into_iter().find(|later| later.to_string().len() == len).ok_or_else(
        || Stop::Trouble {
            class: "suite",
            message: format!("no version that follows {version} is as long as it"),
        },
    )
}

/// Exchanges a version wherever the files name it.
fn exchange_all(usr: &mut [u8], from: &str, to: &str) -> Result<(), Stop> {
    let cannot = |why: &str| Stop::Trouble {
        class: "suite",
        message: format!("no successor can be made of the release: {why}"),
    };
    let places = places(usr, from.as_bytes());
    for wanted in [format!("VERSION_ID={from}"), format!("RELEASE_VERSION={from}")] {
        if !places.iter().any(|&at| usr[..at + from.len()].ends_with(wanted.as_bytes())) {
            return Err(cannot(&format!("`{wanted}` is compressed, or not there")));
        }
    }
    if places.iter().any(|&at| at < FIRST_BLOCK_BYTES) {
        return Err(cannot("the first block of /usr names the version"));
    }
    for at in places {
        usr[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    Ok(())
}

/// Where a version stands by itself, not as a part of a longer number.
fn places(bytes: &[u8], version: &[u8]) -> Vec<usize> {
    let is_more = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    let first = version[0];
    let candidates = bytes.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(at, _)| at);
    candidates
        .filter(|&at| bytes[at..].starts_with(version))
        .filter(|&at| !is_more(bytes.get(at + version.len())))
        .filter(|&at| !is_more(at.checked_sub(1).and_then(|before| bytes.get(before))))
        .collect()
}

fn root_hash(usr: &[u8]) -> Result<verity::RootHash, Stop> {
    let unusable =
        |error: verity::Error| Stop::Broken(format!("no verity tree can be made of /usr: {error}"));
    let digest = Sha256(sha2::Sha256::digest(usr).into());
    let superblock = Superblock::of_image(usr.len() as u64, &digest).map_err(unusable)?;
    verity::root_hash(&mut { usr }, &superblock).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn followers_are_later_and_as_long() {
        for (from, nth, expected) in [
            ("4893.0.1", 1, "4893.0.2"),
            ("4893.0.8", 2, "4895.0.8"),
            ("4893.0.12", 1, "4893.0.13"),
            ("9998.0.9", 1, "9999.0.9"),
        ] {
            let follower = follower(version(from), nth).unwrap();
            assert_eq!(follower.to_string(), expected);
            assert!(follower > version(from));
        }
        assert!(matches!(follower(version("9999.0.9"), 1), Err(Stop::Trouble { class: "suite", .. })));
    }

    fn usr(text: &str) -> Vec<u8> {
        let mut bytes = vec![0; FIRST_BLOCK_BYTES];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    const TEXT: &str = "VERSION_ID=4893.0.1\nBOXCAR_RELEASE_VERSION=4893.0.1\nother 14893.0.1 4893.0.12 4893.0.1.5 `4893.0.1`";

    #[test]
    fn only_the_version_itself_is_exchanged() {
        let mut bytes = usr(TEXT);
        exchange_all(&mut bytes, "4893.0.1", "4893.0.2").unwrap();
        let text = String::from_utf8(bytes[FIRST_BLOCK_BYTES..].to_vec()).unwrap();
        assert_eq!(
            text,
            "VERSION_ID=4893.0.2\nBOXCAR_RELEASE_VERSION=4893.0.2\nother 14893.0.1 4893.0.12 4893.0.1.5 `4893.0.2`"
        );
    }

    #[test]
    fn an_image_that_hides_its_version_is_refused() {
        for text in ["VERSION_ID=4893.0.1\n", "RELEASE_VERSION=4893.0.1\n", ""] {
            assert!(exchange_all(&mut usr(text), "4893.0.1", "4893.0.2").is_err(), "{text}");
        }
        let mut first = usr(TEXT);
        first[100..108].copy_from_slice(b"4893.0.1");
        assert!(exchange_all(&mut first, "4893.0.1", "4893.0.2").is_err());
    }
}
