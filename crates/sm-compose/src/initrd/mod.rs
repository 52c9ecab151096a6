//! The initial RAM disk: a list of the image's own files with all they need, as one compressed archive.
//!
//! Nothing is in it that the image's packages or the recipe do not bring; the same list gives the same bytes.

pub(crate) mod elf;
mod modules;
mod select;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use sm_image::cpio;
use sm_model::Arch;

use crate::{
    fixups::placed,
    recipe::Initrd,
    tree::{Entry, InvalidPattern, Node, Origin, Tree, TreeError},
};

pub use elf::ElfError;
pub(crate) use modules::ModuleIndex;
use select::Selection;
pub(crate) use select::{final_file, resolve};

/// Directories that the kernel, PID 1 and the switch to the real root expect.
const DIRECTORIES: [&str; 9] =
    ["/dev", "/etc", "/proc", "/root", "/run", "/sys", "/sysroot", "/tmp", "/var/tmp"];
/// The merged-/usr layout, and what the kernel starts.
const LINKS: [(&str, &str); 6] = [
    ("/bin", "usr/bin"),
    ("/init", "usr/lib/systemd/systemd"),
    ("/lib", "usr/lib"),
    ("/lib64", "usr/lib64"),
    ("/etc/os-release", "initrd-release"),
    ("/sbin", "usr/sbin"),
];
/// The image's accounts: udev rules and units name them.
const ACCOUNTS: [&str; 2] = ["/etc/group", "/etc/passwd"];

/// An initial RAM disk that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitrdError {
    /// A pattern of the recipe is no pattern.
    #[error("cannot read the files of the initial RAM disk")]
    Pattern(#[from] InvalidPattern),
    /// A pattern matches nothing.
    #[error("nothing in the image matches `{pattern}` of the initial RAM disk")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A unit is not in the image.
    #[error("the image has no unit `{unit}` for the initial RAM disk")]
    NoUnit {
        /// The unit.
        unit: String,
    },
    /// A file is not in the image.
    #[error("the image has no `{path}` for the initial RAM disk")]
    NoFile {
        /// The path.
        path: String,
    },
    /// A library is not in the image.
    #[error("`{path}` needs `{library}`, which the image does not have")]
    NoLibrary {
        /// The library or loader.
        library: String,
        /// Who needs it.
        path: String,
    },
    /// The kernel has no such module.
    #[error("the kernel has no module {}", .names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    NoModule {
        /// The names.
        names: Vec<String>,
    },
    /// A program cannot be read.
    #[error("cannot read what `{path}` needs")]
    Elf {
        /// The program or library.
        path: String,
        /// What is wrong with it.
        source: ElfError,
    },
    /// The parts do not fit into one tree.
    #[error("cannot put the initial RAM disk together")]
    Tree(#[from] TreeError),
    /// The archive cannot be written.
    #[error("cannot write the initial RAM disk's archive")]
    Archive(#[from] cpio::Error),
    /// The archive cannot be compressed.
    #[error("cannot compress the initial RAM disk")]
    Compress(#[source] io::Error),
}

impl InitrdError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            InitrdError::NoMatch { .. } | InitrdError::NoUnit { .. } | InitrdError::NoModule { .. } => Some(
                "correct `[initrd]` of the recipe, or check that `drop` does not match what it names"
                    .to_owned(),
            ),
            InitrdError::NoLibrary { library, .. } => Some(format!(
                "add the package of `{library}` to the recipe, or leave out the program that needs it"
            )),
            InitrdError::Tree(error) => error.hint(),
            _ => None,
        }
    }
}

/// Chooses the files: a tree of its own, without the module indexes that `depmod` makes for it.
pub(crate) fn select(
    tree: &Tree,
    initrd: &Initrd,
    arch: Arch,
    kernel: &str,
    index: &ModuleIndex,
) -> Result<Tree, InitrdError> {
    let mut selection = Selection::new(tree, arch.triplet());
    selection.add_patterns(&initrd.files)?;
    selection.add_units(initrd)?;
    for path in ACCOUNTS {
        selection.add(path)?;
    }
    let (modules, unknown) = index.closure(&initrd.modules);
    if !unknown.is_empty() {
        return Err(InitrdError::NoModule { names: unknown });
    }
    for module in modules {
        selection.add(&format!("/usr/lib/modules/{kernel}/{module}"))?;
    }
    assemble(selection.into_taken(), initrd, tree)
}

fn assemble(taken: BTreeMap<String, Entry>, initrd: &Initrd, image: &Tree) -> Result<Tree, InitrdError> {
    let mut tree = Tree::default();
    for path in DIRECTORIES {
        tree.put(path, Entry::directory(Origin::Composed))?;
    }
    for (path, entry) in taken {
        tree.put(&path, entry)?;
    }
    for (path, target) in LINKS {
        tree.put(path, Entry::symlink(target, Origin::Composed))?;
    }
    // systemd knows by this file that it runs in an initial RAM disk (os-release(5), "initrd-release").
    let release = image.file("/usr/lib/os-release").cloned();
    let release = release.ok_or_else(|| InitrdError::NoFile { path: "/usr/lib/os-release".to_owned() })?;
    tree.put("/etc/initrd-release", Entry::file(release, Origin::Composed))?;
    for (path, file) in &initrd.placed {
        tree.put(path.as_str(), placed(file))?;
    }
    for (path, target) in &initrd.symlinks {
        tree.put(path.as_str(), Entry::symlink(target, Origin::Recipe))?;
    }
    Ok(tree)
}

/// How the archive is compressed: what the kernel can unpack (window up to 2^27), on a fixed number of workers because
/// zstd cuts its work by that number.
const ZSTD_LEVEL: i32 = 9;
const ZSTD_WORKERS: u32 = 2;

/// Writes the tree as the kernel expects it.
pub(crate) fn pack(tree: &Tree) -> Result<Vec<u8>, InitrdError> {
    let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(InitrdError::Compress)?;
    encoder.multithread(ZSTD_WORKERS).map_err(InitrdError::Compress)?;
    encoder.include_checksum(false).map_err(InitrdError::Compress)?;
    let mut archive = cpio::Writer::new(&mut encoder);
    for (path, entry) in tree.entries() {
        let name = &path[1..];
        let permissions = u16::try_from(entry.mode.mode & 0o7777).unwrap_or(0o644);
        match &entry.node {
            Node::Directory => archive.directory(name, permissions)?,
            Node::File(blob) => archive.file(name, permissions, blob)?,
            Node::Symlink(target) => archive.symlink(name, target)?,
        }
    }
    archive.finish()?.flush().map_err(InitrdError::Compress)?;
    encoder.finish().map_err(InitrdError::Compress)
}
