//! The checked recipe: every value has its final type, every name is resolved, nothing contradicts.
//!
//! What the rest of the crate works from. Nothing here knows TOML or where a value was written.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use sm_debian::Request;
use sm_model::{Arch, Channel, PackageName, Sha256, Timestamp, Version};

use super::image_path::ImagePath;

/// A checked recipe, with every variant applied, for every architecture it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Identity of the operating system.
    pub os: Os,
    /// What to build, by architecture: the recipe's own sections with `[arch.NAME]` laid over them.
    pub targets: BTreeMap<Arch, Target>,
    /// OpenPGP keyring that every suite must be signed with.
    pub keyring: Arc<[u8]>,
    /// Which packages the tools tree is made of; its architecture is set by [`Recipe::tools_for`].
    pub(super) tools: Request,
    /// What builds the update agent for an image of another architecture than the build host's, if anything does.
    pub toolchain: Option<Toolchain>,
    /// Names of the variants applied, in order: file names without `.toml`.
    pub variants: Vec<String>,
    /// Digest of the recipe, its variants and every file they name.
    pub digest: Sha256,
}

impl Recipe {
    /// Which packages the tools tree of a build host of that architecture is made of.
    pub fn tools_for(&self, host: Arch) -> Request {
        Request { arch: host, ..self.tools.clone() }
    }
}

/// Packages that build programs for an image: a compiler that runs on the build host, and what its programs are linked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    pub(super) compiler: Request,
    pub(super) sysroot: Request,
}

impl Toolchain {
    /// Which packages the compiler for a build host of that architecture is made of.
    pub fn compiler_for(&self, host: Arch) -> Request {
        Request { arch: host, ..self.compiler.clone() }
    }

    /// Which packages programs for an image of that architecture are linked with.
    pub fn sysroot_for(&self, target: Arch) -> Request {
        Request { arch: target, ..self.sysroot.clone() }
    }
}

/// Identity of the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Os {
    /// `ID` of os-release, and the first word of every artifact's name.
    pub id: String,
    /// `NAME` of os-release, for people.
    pub name: String,
    /// Day that MAJOR of every version counts from.
    pub epoch: Timestamp,
    /// Channels that releases may be composed for.
    pub channels: Vec<Channel>,
    /// Application id of update requests, with braces: `{7a1f8e9c-…}`.
    pub app_id: String,
    /// Prefix of Debian release the packages belong to, for package URLs: `debian-13`.
    pub distro: String,
}

/// Everything that decides the image of one architecture, apart from version, channel and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Architecture.
    pub arch: Arch,
    /// Which packages the image is made of, the kernel's among them.
    pub packages: Request,
    /// The static users, by name.
    pub users: BTreeMap<String, User>,
    /// The static groups, by name.
    pub groups: BTreeMap<String, Group>,
    /// Files placed over what the packages bring, by path.
    pub files: BTreeMap<ImagePath, PlacedFile>,
    /// Directories made beside what the packages bring, by path.
    pub directories: BTreeMap<ImagePath, Mode>,
    /// Symbolic links, by path: alternatives among them. Values are link targets as written.
    pub symlinks: BTreeMap<ImagePath, String>,
    /// Owner and mode of files from packages, by path: what maintainer scripts would have set.
    pub modes: BTreeMap<ImagePath, Mode>,
    /// Units of systemd.
    pub units: Units,
    /// What is left out of the packages' files.
    pub drop: DropRules,
    /// The kernel.
    pub kernel: Kernel,
    /// The initial RAM disk.
    pub initrd: Initrd,
    /// Sizes and the file system.
    pub disk: Disk,
    /// Defaults of the update agent.
    pub update: UpdateDefaults,
}

/// Who owns a file, and what others may do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// Permission bits, set-id and sticky bits included: `0o4755`.
    pub mode: u32,
    /// Owning user's number.
    pub uid: u32,
    /// Owning group's number.
    pub gid: u32,
}

/// One file the recipe places. Its bytes were read when the recipe was, so that digest and image cannot disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFile {
    /// What it holds.
    pub bytes: Arc<[u8]>,
    /// Owner and mode.
    pub mode: Mode,
    /// The file beside the recipe it came from; `None` when the recipe holds its text.
    pub source: Option<PathBuf>,
}

/// A static user: the image's users never depend on what else is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Number.
    pub uid: u32,
    /// Number of the primary group.
    pub gid: u32,
    /// Name for people (GECOS).
    pub description: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A static group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Number.
    pub gid: u32,
    /// Members beside those who have it as primary group.
    pub members: Vec<String>,
}

/// What is done with units of systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// What `default.target` points to.
    pub default_target: String,
    /// Units whose `[Install]` section is followed.
    pub enabled: Vec<String>,
    /// Units linked to `/dev/null`.
    pub masked: Vec<String>,
    /// Units that `boot-complete.target` requires: a version is good only after they succeeded.
    pub health: Vec<String>,
}

/// What of the packages' files is left out. Patterns are globs over image paths; `*` stays within a component, `**` does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRules {
    /// Patterns of paths left out.
    pub paths: Vec<String>,
    /// Patterns of paths kept although a pattern above matches.
    pub keep: Vec<String>,
}

/// The kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Package that brings it, or depends on the package that does.
    pub package: PackageName,
    /// Arguments beside `usrhash=`, in order.
    pub arguments: Vec<String>,
}

/// What the initial RAM disk is made of. Libraries and module dependencies follow by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initrd {
    /// Kernel modules, by name.
    pub modules: Vec<String>,
    /// Patterns of files taken from the tree.
    pub files: Vec<String>,
    /// Units taken from the tree.
    pub units: Vec<String>,
    /// Files placed in the initial RAM disk only, by path.
    pub placed: BTreeMap<ImagePath, PlacedFile>,
    /// Symbolic links in the initial RAM disk only, by path.
    pub symlinks: BTreeMap<ImagePath, String>,
}

/// Sizes of the disk, and how /usr is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Size of the EFI system partition.
    pub esp_mib: u32,
    /// Size of each /usr slot.
    pub usr_mib: u32,
    /// Size of each slot for the verity tree of /usr.
    pub verity_mib: u32,
    /// Least size of ROOT, made on first boot.
    pub root_mib: u32,
    /// Compressor of EROFS as `mkfs.erofs -z` takes it: `zstd,level=3`; `None` writes it uncompressed.
    pub compression: Option<String>,
    /// Physical cluster of EROFS: `mkfs.erofs -C`.
    pub cluster_bytes: u32,
    /// Most bytes of a file that are compressed together: `mkfs.erofs --max-extent-bytes`; `None` leaves it to mkfs.
    pub extent_bytes: Option<u32>,
}

/// Defaults of the update agent, which a host's own configuration overrides key by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateDefaults {
    /// URL of the update server, or `disabled`.
    pub server: String,
    /// `reboot` or `off`.
    pub reboot_strategy: String,
    /// Public key that payloads must be signed with (PEM); composing may give another.
    pub payload_key_pem: Option<String>,
}

/// What composing starts from: one target of a recipe, with the choices a release adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Identity of the operating system.
    pub os: Os,
    /// What to build.
    pub target: Target,
    /// Version of the release.
    pub version: Version,
    /// Channel of the release.
    pub channel: Channel,
    /// The one time stamp of every file.
    pub source_date: Timestamp,
    /// Public key that payloads must be signed with: PEM text.
    pub payload_key_pem: String,
    /// Digest of the recipe, its variants and every file they name.
    pub recipe_digest: Sha256,
}
