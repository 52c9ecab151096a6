//! The boot half of an image: module indexes, initial RAM disk, and the unified kernel image that carries the root hash.

use std::{fs, path::Path};

use sm_host::{
    files::{self, FileError},
    process::Runner,
    tools::ToolsTree,
};
use sm_image::{uki, verity::RootHash};

use super::{ComposeError, Inputs};
use crate::{
    fixups::BootFiles,
    initrd::{self, ModuleIndex},
    tree::{Entry, Node, Origin, Tree},
};

/// Largest index that depmod writes; Debian's are below 4 MiB.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// Texts that depmod reads beside the modules, and that are not its own.
const KERNELS_OWN: [&str; 3] = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];

/// Adds the indexes of its modules to the image's tree.
pub(super) fn index_modules(
    tree: &mut Tree,
    boot: &BootFiles,
    inputs: &Inputs<'_>,
    runner: &dyn Runner,
) -> Result<(), ComposeError> {
    add_module_indexes(tree, &boot.release, inputs, "depmod-image", runner)
}

/// Makes the archive of the initial RAM disk from an image's tree with module indexes.
pub(super) fn make_initrd(
    tree: &Tree,
    boot: &BootFiles,
    inputs: &Inputs<'_>,
    runner: &dyn Runner,
) -> Result<Vec<u8>, ComposeError> {
    let target = &inputs.plan.target;
    let dir = format!("/usr/lib/modules/{}", boot.release);
    let text =
        |name| tree.file(&format!("{dir}/{name}")).map(|blob| String::from_utf8_lossy(blob).into_owned());
    let index = ModuleIndex::parse(
        &text("modules.dep").unwrap_or_default(),
        &text("modules.builtin").unwrap_or_default(),
    );
    let mut initrd = initrd::select(tree, &target.initrd, target.arch, &boot.release, &index)?;
    for name in KERNELS_OWN {
        let path = format!("{dir}/{name}");
        if let Some(entry) = tree.get(&path) {
            initrd.put(&path, entry.clone())?;
        }
    }
    add_module_indexes(&mut initrd, &boot.release, inputs, "depmod-initrd", runner)?;
    initrd.take(&format!("{dir}/modules.builtin.modinfo"));
    Ok(initrd::pack(&initrd)?)
}

/// Runs `depmod` over the tree's modules, written out for it, and takes what it makes into the tree.
fn add_module_indexes(
    tree: &mut Tree,
    release: &str,
    inputs: &Inputs<'_>,
    scratch: &str,
    runner: &dyn Runner,
) -> Result<(), ComposeError> {
    let base = inputs.work.join(scratch);
    let modules = base.join("lib/modules").join(release);
    let tree_dir = format!("/usr/lib/modules/{release}");
    write_out(tree, &tree_dir, &modules)?;
    let config = base.join("config");
    files::create_dir_all(&config)?;
    run_depmod(inputs.tools, &base, &config, release, runner)?;
    for entry in fs::read_dir(&modules).map_err(FileError::io("list", &modules))? {
        let entry = entry.map_err(FileError::io("list", &modules))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("modules.") && !KERNELS_OWN.contains(&name.as_str()) {
            let bytes = files::read_limited(&entry.path(), MAX_INDEX_BYTES)?;
            tree.put(&format!("{tree_dir}/{name}"), Entry::file(bytes, Origin::Composed))?;
        }
    }
    Ok(files::remove(&base)?)
}

/// `depmod` with a configuration that is empty instead of the build host's.
fn run_depmod(
    tools: &ToolsTree,
    base: &Path,
    config: &Path,
    release: &str,
    runner: &dyn Runner,
) -> Result<(), ComposeError> {
    let run = tools.invocation("depmod")?.arg("--config").arg(config).arg("--basedir").arg(base).arg(release);
    runner.run(&run)?;
    Ok(())
}

fn write_out(tree: &Tree, tree_dir: &str, dir: &Path) -> Result<(), ComposeError> {
    use rayon::prelude::*;
    files::create_dir_all(dir)?;
    let all: Vec<(&str, &Entry)> = tree.below(tree_dir).collect();
    for (path, _) in all.iter().filter(|(_, entry)| entry.node == Node::Directory) {
        files::create_dir_all(&dir.join(&path[tree_dir.len() + 1..]))?;
    }
    all.par_iter().try_for_each(|(path, entry)| {
        let Node::File(blob) = &entry.node else { return Ok(()) };
        let to = dir.join(&path[tree_dir.len() + 1..]);
        fs::write(&to, &**blob).map_err(FileError::io("write", &to)).map_err(ComposeError::from)
    })
}

/// Builds the unified kernel image. One image fits either slot: it finds /usr by its root hash.
pub(super) fn build_uki(
    boot: &BootFiles,
    initrd: &[u8],
    root_hash: RootHash,
    inputs: &Inputs<'_>,
    os_release: &str,
) -> Result<Vec<u8>, ComposeError> {
    let arguments = inputs.plan.target.kernel.arguments.join(" ");
    let cmdline = format!("usrhash={root_hash} {arguments}");
    let mut image = Vec::new();
    let parts = uki::Parts {
        stub: &boot.stub,
        linux: &boot.kernel,
        initrd,
        cmdline: cmdline.trim_end(),
        os_release,
        uname: &boot.release,
    };
    uki::build(&parts, &mut image)?;
    Ok(image)
}
