//! What maintainer scripts would have done, done as declared: packages' files become the factory state of an OS.
//!
//! Pure: a tree and a plan go in, the tree of /usr and the files for booting come out.

mod accounts;
mod boot;
mod certificates;
mod error;
mod identity;
mod kernel_modules;
mod sysusers;
#[cfg(test)]
mod tests;
mod units;

use crate::{
    image::PackageFile,
    recipe::{PlacedFile, Plan},
    tree::{Blob, Entry, Origin, Tree},
};

pub(crate) use boot::BootFiles;
pub use error::FixupError;
pub(crate) use identity::os_release;
pub use sysusers::SysusersError;

/// A tree ready to be written as /usr, and what boots it.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The tree; everything it will ship lies below `/usr`, `/etc` still stands at its place.
    pub(crate) tree: Tree,
    /// The kernel and the boot loader, which the image does not ship.
    pub(crate) boot: BootFiles,
}

/// Applies every declared fix-up to what the packages bring.
pub(crate) fn apply(
    mut tree: Tree,
    plan: &Plan,
    packages: &[PackageFile],
    agent: Blob,
) -> Result<Prepared, FixupError> {
    let boot = BootFiles::take(&mut tree, plan.target.arch)?;
    kernel_modules::decompress(&mut tree)?;
    place(&mut tree, plan)?;
    accounts::write(&mut tree, &plan.target, &plan.os.id, plan.source_date)?;
    certificates::bundle(&mut tree)?;
    identity::write(&mut tree, plan, packages)?;
    install_agent(&mut tree, agent)?;
    units::apply(&mut tree, &plan.target.units)?;
    Ok(Prepared { tree, boot })
}

/// Moves `/etc` to where the overlay finds its factory state, and leaves only `/usr`.
pub(crate) fn seal(tree: &mut Tree, os_id: &str) -> Result<(), FixupError> {
    tree.rename("/etc", &format!("/usr/share/{os_id}/etc"))?;
    tree.retain(|path, _| path == "/usr" || path.starts_with("/usr/"));
    Ok(())
}

/// The recipe's own files, directories, links and modes.
fn place(tree: &mut Tree, plan: &Plan) -> Result<(), FixupError> {
    let target = &plan.target;
    for (path, mode) in &target.directories {
        tree.put(path.as_str(), Entry { mode: mode.clone(), ..Entry::directory(Origin::Recipe) })?;
    }
    for (path, file) in &target.files {
        tree.put(path.as_str(), placed(file))?;
    }
    for (path, link) in &target.symlinks {
        tree.put(path.as_str(), Entry::symlink(link, Origin::Recipe))?;
    }
    for (path, mode) in &target.modes {
        let entry =
            tree.get_mut(path.as_str()).ok_or_else(|| FixupError::NoFile { path: path.to_string() })?;
        entry.mode = mode.clone();
    }
    Ok(())
}

/// A placed file as an entry.
pub(crate) fn placed(file: &PlacedFile) -> Entry {
    Entry { mode: file.mode.clone(), ..Entry::file(file.bytes.to_vec(), Origin::Recipe) }
}

fn install_agent(tree: &mut Tree, agent: Blob) -> Result<(), FixupError> {
    let mut entry = Entry::file(agent, Origin::Composed);
    entry.mode.mode = 0o755;
    tree.put("/usr/bin/stationmaster-agent", entry)?;
    Ok(())
}
