//! Kernel modules by name, with what they depend on, from the indexes that `depmod` writes (depmod(8), modules.dep(5)).

use std::collections::{BTreeMap, BTreeSet};

/// `modules.dep` and `modules.builtin` of one kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ModuleIndex {
    /// By canonical name: path below the kernel's directory.
    paths: BTreeMap<String, String>,
    /// By path: the paths of everything that must be loaded before.
    needs: BTreeMap<String, Vec<String>>,
    built_in: BTreeSet<String>,
}

impl ModuleIndex {
    /// Reads both texts. Lines that are not understood name no module.
    pub(crate) fn parse(dep: &str, builtin: &str) -> Self {
        let mut index = ModuleIndex::default();
        for (path, needs) in dep.lines().filter_map(|line| line.split_once(':')) {
            index.paths.insert(canonical_name(path), path.to_owned());
            index.needs.insert(path.to_owned(), needs.split_whitespace().map(str::to_owned).collect());
        }
        index.built_in = builtin.lines().map(canonical_name).collect();
        index
    }

    /// Paths, below the kernel's directory, of the named modules and all they need; and the names that no module has.
    pub(crate) fn closure(&self, names: &[String]) -> (BTreeSet<String>, Vec<String>) {
        let mut paths = BTreeSet::new();
        let mut unknown = Vec::new();
        for name in names {
            match self.paths.get(&canonical_name(name)) {
                Some(path) => {
                    paths.insert(path.clone());
                    paths.extend(self.needs.get(path).into_iter().flatten().cloned());
                }
                None if self.built_in.contains(&canonical_name(name)) => {}
                None => unknown.push(name.clone()),
            }
        }
        (paths, unknown)
    }
}

/// `dm_verity` for `kernel/drivers/md/dm-verity.ko` and for `dm-verity`.
fn canonical_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_brings_what_it_needs_and_built_in_ones_bring_nothing() {
        let index = ModuleIndex::parse(
            "kernel/md/dm-verity.ko: kernel/md/dm-bufio.ko kernel/md/dm-mod.ko\nkernel/md/dm-bufio.ko:\nkernel/md/dm-mod.ko:\n",
            "kernel/fs/ext4/ext4.ko\n",
        );
        let names = ["dm_verity", "ext4", "nosuch"].map(str::to_owned);
        let (paths, unknown) = index.closure(&names);
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        assert_eq!(paths, ["kernel/md/dm-bufio.ko", "kernel/md/dm-mod.ko", "kernel/md/dm-verity.ko"]);
        assert_eq!(unknown, ["nosuch"]);
    }
}
