//! The two /usr slots of this host: found, and changed on the disk. What is legal is decided by [`sm_image::slots`].

use sm_image::{gpt::Health, slots, verity::RootHash};
use sm_model::{Arch, Version};

use crate::{
    Error,
    disk::{Access, Disk, RunningUsr, Window, unusable},
    esp::Retired,
};

/// Both slots of a host, and the disk they are on.
#[derive(Debug, Clone)]
pub struct Slots {
    disk: Disk,
    found: slots::Slots,
}

impl Slots {
    /// Tells the slots apart. Three independent sources must agree on what runs: the mapping that /usr is mounted from, the
    /// root hash on the kernel's command line, and the identities in the partition table.
    ///
    /// # Errors
    /// When they do not agree, or the disk does not have two slots of this architecture.
    pub fn find(usr: &RunningUsr, cmdline: &str, arch: Arch) -> Result<Self, Error> {
        let table = usr.disk.table()?.table().clone();
        let found = slots::Slots::find(table, arch, running_root_hash(cmdline)?)?;
        let mut mapped = usr.partitions.clone();
        mapped.sort_unstable();
        let mut named = vec![found.active().data.number, found.active().tree.number];
        named.sort_unstable();
        if mapped != named {
            return Err(unusable(format!(
                "/usr is mounted from partitions {mapped:?}, the partition table says it is in {named:?}"
            )));
        }
        Ok(Slots { disk: usr.disk.clone(), found })
    }

    /// The slot that runs.
    pub fn active(&self) -> &slots::Slot {
        self.found.active()
    }

    /// The slot that may be overwritten.
    pub fn passive(&self) -> &slots::Slot {
        self.found.passive()
    }

    /// Checks that an image and its verity tree fit the passive slot.
    ///
    /// # Errors
    /// When one of them does not.
    pub fn check_fits(&self, data_bytes: u64, tree_bytes: u64) -> Result<(), slots::Error> {
        self.found.check_fits(data_bytes, tree_bytes)
    }

    /// Takes the passive slot's identity away, durably, and hands the slot out for overwriting. The kernel image that belongs
    /// to it must be gone before: otherwise it would start a half-written /usr.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub fn clear_passive(self, _retired: &Retired) -> Result<Cleared, Error> {
        let Slots { disk, found } = self;
        let found = found.begin_overwrite()?;
        write_table(&disk, &found)?;
        Ok(Cleared { disk, found })
    }
}

/// Evidence that the passive slot has no identity and no kernel image: only now may it be overwritten.
#[derive(Debug)]
pub struct Cleared {
    disk: Disk,
    found: slots::Slots,
}

impl Cleared {
    /// Opens the data partition of the slot.
    pub(crate) fn data(&self, access: Access) -> Result<Window, Error> {
        self.disk.open_range(self.found.passive().data.partition.byte_range(), access)
    }

    /// Opens the verity partition of the slot.
    pub(crate) fn tree(&self, access: Access) -> Result<Window, Error> {
        self.disk.open_range(self.found.passive().tree.partition.byte_range(), access)
    }

    /// Gives the slot the identity that its root hash demands, durably, so that the new kernel finds it.
    ///
    /// # Errors
    /// When the root hash is that of the slot that runs, or the table cannot be written.
    pub fn complete(self, root: RootHash, os: &str, version: Version) -> Result<Completed, Error> {
        let found = self.found.complete(root, os, version)?;
        write_table(&self.disk, &found)?;
        Ok(Completed { _private: () })
    }
}

/// Evidence that the passive slot holds a whole, verified version under its identity: only now may its kernel image appear.
#[derive(Debug)]
pub struct Completed {
    _private: (),
}

/// Exchanges the table on the disk for that of `slots`, unless it is there already.
fn write_table(disk: &Disk, slots: &slots::Slots) -> Result<(), Error> {
    let on_disk = disk.table()?;
    if on_disk.table() == slots.table() && *on_disk.health() == Health::Sound {
        return Ok(());
    }
    let mut window = disk.open_table()?;
    on_disk.replace(&mut window, slots.table().clone()).map_err(|error| disk.table_error("write", error))?;
    Ok(())
}

/// The root hash that the running kernel was told: the value of the only `usrhash=` on its command line.
fn running_root_hash(cmdline: &str) -> Result<RootHash, Error> {
    let mut found = cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix("usrhash="));
    match (found.next(), found.next()) {
        (Some(hash), None) => hash.parse().map_err(|_| unusable(format!("`usrhash={hash}` is no root hash"))),
        (None, _) => Err(unusable("the kernel's command line has no `usrhash=`")),
        (Some(_), Some(_)) => Err(unusable("the kernel's command line has several `usrhash=`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_names_one_root_hash() {
        let hash = "ab".repeat(32);
        let line = format!("quiet usrhash={hash} rw\n");
        assert_eq!(running_root_hash(&line).unwrap().to_string(), hash);
        for line in ["quiet", "usrhash=abc", &format!("usrhash={hash} usrhash={hash}"), "xusrhash="] {
            assert!(running_root_hash(line).is_err(), "{line}");
        }
    }
}
