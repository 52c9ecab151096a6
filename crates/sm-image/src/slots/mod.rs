//! The two /usr slots as a value: which one runs, which one may be overwritten, and the legal changes between.
//!
//! A slot is a data partition and its verity partition. What a slot holds is told by its partitions' identities, which
//! are the halves of a root hash, and for people by their labels. Every method returns a new partition table; writing
//! it ([`OnDisk::replace`](crate::gpt::OnDisk::replace)) is the caller's separate act. The active slot is never changed.

use sha2::{Digest, Sha256};
use sm_model::{Arch, Version, exit};

use crate::{
    Guid,
    bytes::put,
    gpt::{self, Attributes, Partition, Table, kinds},
    verity::RootHash,
};

/// Label of a slot's data partition that holds nothing.
pub const EMPTY_LABEL: &str = "_empty";
/// Label of a slot's verity partition that holds nothing.
pub const EMPTY_TREE_LABEL: &str = "_empty_v";

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotName {
    /// The one whose partitions come first in the table.
    A,
    /// The other.
    B,
}

/// A slot: its two partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Which slot.
    pub name: SlotName,
    /// The partition that holds the image.
    pub data: Numbered,
    /// The partition that holds its verity tree.
    pub tree: Numbered,
}

/// A partition with its number in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The number, from 1.
    pub number: u32,
    /// The partition.
    pub partition: Partition,
}

impl Slot {
    /// What it holds, as far as the table tells.
    pub fn content(&self) -> Content {
        let is_labelled = |part: &Numbered, label: &str| part.partition.label.as_str() == label;
        if is_labelled(&self.data, EMPTY_LABEL) || is_labelled(&self.tree, EMPTY_TREE_LABEL) {
            Content::Empty
        } else {
            Content::Image(self.identity())
        }
    }

    /// The root hash whose halves are the partitions' identities.
    fn identity(&self) -> RootHash {
        let mut bytes = [0; 32];
        put(&mut bytes, 0, *self.data.partition.guid.as_bytes());
        put(&mut bytes, 16, *self.tree.partition.guid.as_bytes());
        RootHash::from_bytes(bytes)
    }
}

/// A disk's slots, seen from the running system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    table: Table,
    arch: Arch,
    active: Slot,
    passive: Slot,
}

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing, or something half-written: its partitions are labelled empty.
    Empty,
    /// What was complete when it was labelled: the image whose root hash its identities are.
    Image(RootHash),
}

/// Why a table has no usable slots, or a change is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the partitions of an A/B disk for this architecture.
    #[error(
        "the disk has {data} /usr and {tree} verity partitions for {arch}: expected two of each, in pairs"
    )]
    Partitions {
        /// /usr partitions found.
        data: usize,
        /// Verity partitions found.
        tree: usize,
        /// The architecture whose types were looked for.
        arch: Arch,
    },
    /// The running system was not started from this disk.
    #[error("neither slot holds the running system, whose root hash is `{running}`")]
    NotFromHere {
        /// Root hash of the running system.
        running: RootHash,
    },
    /// The image to be installed is the one that runs.
    #[error("the image `{root_hash}` is running from slot {active:?}: it cannot be installed beside itself")]
    Running {
        /// Root hash of both.
        root_hash: RootHash,
        /// The slot it runs from.
        active: SlotName,
    },
    /// A slot must be emptied before it can be filled.
    #[error("slot {slot:?} is not marked empty: it cannot be completed before its overwriting has begun")]
    NotBegun {
        /// The slot.
        slot: SlotName,
    },
    /// The image or its tree is larger than the partition.
    #[error("{what} of {needed_bytes} bytes does not fit slot {slot:?}, which has {available_bytes}")]
    TooLarge {
        /// The image or its verity tree.
        what: &'static str,
        /// Its size.
        needed_bytes: u64,
        /// The slot.
        slot: SlotName,
        /// Size of the slot's partition.
        available_bytes: u64,
    },
    /// A label that does not fit a table entry.
    #[error(transparent)]
    Label(#[from] gpt::InvalidLabel),
    /// A change that the table does not take.
    #[error("cannot change the partition table")]
    Table(#[source] gpt::Error),
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Partitions { .. } => "updates need a disk that was written from an image of this system",
            Error::NotFromHere { .. } => {
                "is another disk with the same system attached? `lsblk -o NAME,PARTUUID` tells"
            }
            Error::TooLarge { .. } => {
                "the image needs larger slots than this disk has: reinstall from a disk image"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::TooLarge { .. } => exit::STORAGE,
            Error::Label(_) => exit::INVALID_INPUT,
            _ => exit::FAILURE,
        }
    }
}

impl Slots {
    /// Finds the slots of a disk on which the image `running` was started.
    ///
    /// # Errors
    /// When the table has not two pairs of partitions, or neither holds the running image.
    pub fn find(table: Table, arch: Arch, running: RootHash) -> Result<Slots, Error> {
        let [a, b] = pair_up(&table, arch)?;
        match (a.identity() == running, b.identity() == running) {
            (true, _) => Ok(Slots { table, arch, active: a, passive: b }),
            (_, true) => Ok(Slots { table, arch, active: b, passive: a }),
            _ => Err(Error::NotFromHere { running }),
        }
    }

    /// The table as it is or, after a change, is to be written.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The slot that runs.
    pub fn active(&self) -> &Slot {
        &self.active
    }

    /// The slot that may be overwritten.
    pub fn passive(&self) -> &Slot {
        &self.passive
    }

    /// Checks that an image and its tree fit the passive slot, before anything is changed.
    ///
    /// # Errors
    /// When one of them is larger than its partition.
    pub fn check_fits(&self, data_bytes: u64, tree_bytes: u64) -> Result<(), Error> {
        let slot = self.passive.name;
        let places =
            [("an image", data_bytes, &self.passive.data), ("a verity tree", tree_bytes, &self.passive.tree)];
        for (what, needed_bytes, place) in places {
            let available_bytes = place.partition.size_bytes();
            if needed_bytes > available_bytes {
                return Err(Error::TooLarge { what, needed_bytes, slot, available_bytes });
            }
        }
        Ok(())
    }

    /// The slots with the passive one marked empty. To be on the disk before the first byte of the slot is overwritten:
    /// no boot entry finds a half-written image by its old identity.
    ///
    /// # Errors
    /// When the table does not take the change.
    pub fn begin_overwrite(self) -> Result<Slots, Error> {
        let disk = self.table.disk_guid();
        let [data, tree] = [self.passive.data.number, self.passive.tree.number];
        self.relabelled([
            (data, empty_guid(disk, data), EMPTY_LABEL.to_owned()),
            (tree, empty_guid(disk, tree), EMPTY_TREE_LABEL.to_owned()),
        ])
    }

    /// The slots with the passive one holding the image `root_hash` of that OS and version. To be on the disk after
    /// the slot's every byte was written, read back and verified.
    ///
    /// # Errors
    /// When the slot was not marked empty, the image is the running one, or the label is too long.
    pub fn complete(self, root_hash: RootHash, os: &str, version: Version) -> Result<Slots, Error> {
        if self.active.identity() == root_hash {
            return Err(Error::Running { root_hash, active: self.active.name });
        }
        if self.passive.content() != Content::Empty {
            return Err(Error::NotBegun { slot: self.passive.name });
        }
        let [data, tree] = [self.passive.data.number, self.passive.tree.number];
        self.relabelled([
            (data, root_hash.data_guid(), data_label(os, version)),
            (tree, root_hash.tree_guid(), tree_label(os, version)),
        ])
    }

    fn relabelled(self, changes: [(u32, Guid, String); 2]) -> Result<Slots, Error> {
        let Slots { mut table, arch, active, .. } = self;
        for (number, guid, label) in changes {
            table = table
                .relabelled(number, guid, label.parse()?, Attributes::READ_ONLY)
                .map_err(Error::Table)?;
        }
        let [a, b] = pair_up(&table, arch)?;
        let (active, passive) = if active.name == SlotName::A { (a, b) } else { (b, a) };
        Ok(Slots { table, arch, active, passive })
    }
}

/// Label of a data partition that holds that version.
pub fn data_label(os: &str, version: Version) -> String {
    format!("{os}_{version}")
}

/// Label of a verity partition that holds that version's tree.
pub fn tree_label(os: &str, version: Version) -> String {
    format!("{os}_{version}_v")
}

/// Identity of a slot's partition that holds nothing: the same for every builder and every agent, but no two alike.
pub fn empty_guid(disk: Guid, number: u32) -> Guid {
    let digest = Sha256::new_with_prefix(b"empty slot")
        .chain_update(disk.as_bytes())
        .chain_update(number.to_be_bytes())
        .finalize();
    Guid::derived(crate::bytes::array(&digest, 0))
}

/// The first /usr partition belongs to the first verity partition, the second to the second.
fn pair_up(table: &Table, arch: Arch) -> Result<[Slot; 2], Error> {
    let of_kind = |kind: Guid| -> Vec<Numbered> {
        let wanted = table.partitions().filter(|(_, partition)| partition.kind == kind);
        wanted.map(|(number, partition)| Numbered { number, partition: partition.clone() }).collect()
    };
    let (data, tree) = (of_kind(kinds::usr(arch)), of_kind(kinds::usr_verity(arch)));
    let (n_data, n_tree) = (data.len(), tree.len());
    match (<[Numbered; 2]>::try_from(data), <[Numbered; 2]>::try_from(tree)) {
        (Ok([data_a, data_b]), Ok([tree_a, tree_b])) => Ok([
            Slot { name: SlotName::A, data: data_a, tree: tree_a },
            Slot { name: SlotName::B, data: data_b, tree: tree_b },
        ]),
        _ => Err(Error::Partitions { data: n_data, tree: n_tree, arch }),
    }
}

#[cfg(test)]
mod tests;
