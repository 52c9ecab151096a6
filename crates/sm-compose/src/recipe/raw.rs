//! The recipe as written: every key optional, every value with its place, nothing judged yet.
//!
//! This is the schema. `docs/recipe.md` describes each key; a test compares the two.

use toml::{de::DeTable, value::Date};

use super::{
    place::{At, Place},
    section::{Field, Named, Reader, refuse_unknown_keys, section},
};

pub(crate) type Text = Option<At<String>>;
pub(crate) type Texts = Vec<At<String>>;
pub(crate) type Number = Option<At<u32>>;
pub(crate) type Flag = Option<At<bool>>;

section! {
    /// `[os]`
    RawOs {
        "id" => id: Text,
        "name" => name: Text,
        "epoch" => epoch: Option<At<Date>>,
        "app-id" => app_id: Text,
        "channels" => channels: Texts,
        "distro" => distro: Text,
    }
}

section! {
    /// `[archive]`
    RawArchive {
        "keyring" => keyring: Text,
        "suites" => suites: Named<RawSuite>,
    }
}

section! {
    /// `[archive.suites.NAME]`
    RawSuite {
        "mirror" => mirror: Text,
        "components" => components: Texts,
        "enabled" => enabled: Flag,
    }
}

section! {
    /// `[packages]`
    RawPackages {
        "wanted" => wanted: Texts,
        "excluded" => excluded: Texts,
        "assumed" => assumed: Texts,
        "pins" => pins: Named<RawPin>,
    }
}

section! {
    /// `[packages.pins]`
    RawPin {
        "suite" => suite: Text,
        "version" => version: Text,
    }
}

section! {
    /// `[tools]`, `[compiler]`, `[sysroot]`
    RawTools {
        "suites" => suites: Texts,
        "wanted" => wanted: Texts,
        "excluded" => excluded: Texts,
        "assumed" => assumed: Texts,
    }
}

section! {
    /// `[users]`
    RawUser {
        "uid" => uid: Number,
        "group" => group: Text,
        "description" => description: Text,
        "home" => home: Text,
        "shell" => shell: Text,
    }
}

section! {
    /// `[groups]`
    RawGroup {
        "gid" => gid: Number,
        "members" => members: Texts,
    }
}

section! {
    /// `[[files]]`
    RawFile {
        "path" => path: Text,
        "source" => source: Text,
        "text" => text: Text,
        "mode" => mode: Text,
        "user" => user: Text,
        "group" => group: Text,
        "replace" => replace: Flag,
    }
}

section! {
    /// `[[directories]]` and `[[modes]]`
    RawMode {
        "path" => path: Text,
        "mode" => mode: Text,
        "user" => user: Text,
        "group" => group: Text,
    }
}

section! {
    /// `[units]`
    RawUnits {
        "default-target" => default_target: Text,
        "enabled" => enabled: Texts,
        "masked" => masked: Texts,
        "health" => health: Texts,
    }
}

section! {
    /// `[drop]`
    RawDrop {
        "paths" => paths: Texts,
        "keep" => keep: Texts,
    }
}

section! {
    /// `[kernel]`
    RawKernel {
        "package" => package: Text,
        "arguments" => arguments: Texts,
    }
}

section! {
    /// `[initrd]`
    RawInitrd {
        "modules" => modules: Texts,
        "files" => files: Texts,
        "units" => units: Texts,
        "placed" => placed: Vec<RawFile>,
        "symlinks" => symlinks: Named<Text>,
    }
}

section! {
    /// `[disk]`
    RawDisk {
        "esp-mib" => esp_mib: Number,
        "usr-mib" => usr_mib: Number,
        "verity-mib" => verity_mib: Number,
        "root-mib" => root_mib: Number,
        "compression" => compression: Text,
        "cluster-bytes" => cluster_bytes: Number,
        "extent-bytes" => extent_bytes: Number,
    }
}

section! {
    /// `[update]`
    RawUpdate {
        "server" => server: Text,
        "reboot-strategy" => reboot_strategy: Text,
        "payload-key" => payload_key: Text,
    }
}

section! {
    /// What may differ between architectures: the sections of an image.
    RawTarget {
        "packages" => packages: RawPackages,
        "users" => users: Named<RawUser>,
        "groups" => groups: Named<RawGroup>,
        "files" => files: Vec<RawFile>,
        "directories" => directories: Vec<RawMode>,
        "modes" => modes: Vec<RawMode>,
        "symlinks" => symlinks: Named<Text>,
        "units" => units: RawUnits,
        "drop" => drop: RawDrop,
        "kernel" => kernel: RawKernel,
        "initrd" => initrd: RawInitrd,
        "disk" => disk: RawDisk,
        "update" => update: RawUpdate,
    }
}

section! {
    /// What is the same for every architecture.
    RawShared {
        "os" => os: RawOs,
        "archive" => archive: RawArchive,
        "tools" => tools: RawTools,
        "compiler" => compiler: RawTools,
        "sysroot" => sysroot: RawTools,
        "arch" => arch: Named<RawTarget>,
    }
}

/// A whole document: a recipe or a variant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RawRecipe {
    pub(crate) shared: RawShared,
    pub(crate) target: RawTarget,
}

impl RawRecipe {
    /// Reads the root table.
    pub(crate) fn read(table: &DeTable<'_>, reader: &mut Reader<'_>) -> Self {
        refuse_unknown_keys(table, &[RawShared::KEYS, RawTarget::KEYS].concat(), reader);
        let place = Some(Place { document: reader.document, offset: 0 });
        let shared = RawShared { place, ..RawShared::from_table(table, reader) };
        let target = RawTarget { place, ..RawTarget::from_table(table, reader) };
        RawRecipe { shared, target }
    }

    /// Lays a variant over this recipe.
    pub(crate) fn lay(&mut self, over: Self) {
        self.shared.lay(over.shared);
        self.target.lay(over.target);
    }

    /// Names of all keys: `os.id`, `files.path`, `archive.suites.NAME.mirror`. Those of `[arch.NAME]` repeat the target's.
    pub(crate) fn keys() -> Vec<String> {
        let mut names = Vec::new();
        RawShared::keys("", &mut names);
        RawTarget::keys("", &mut names);
        names
    }
}
