//! `image.layout`: the disk a machine starts from, partition by partition.

use sm_image::{
    Guid,
    gpt::{ALIGNMENT_BYTES, Attributes, Partition, kinds},
    slots,
    verity::{self, RootHash},
};
use sm_model::{ArtifactKind, Manifest};

use crate::suite::{
    facts::{Disk, Facts, Kernel, known},
    finding::{Findings, Looked},
};

/// Smallest EFI system partition: two kernel images and room to write a third beside them.
const MIN_ESP_BYTES: u64 = 512 << 20;

/// ESP, two /usr slots with their verity trees; slot A is the /usr image, proven by its tree, the ESP boots it.
///
/// # Errors
/// When disk or kernel image could not be looked at.
pub fn layout(facts: &Facts) -> Looked {
    let (disk, kernel) = (known(&facts.disk)?, known(&facts.kernel)?);
    let mut findings = Findings::of(format!("{} partitions", disk.table.partitions().count()));
    table(disk, &facts.manifest, &facts.lists.identity.partitions_mib, &mut findings);
    slot_a(disk, &facts.manifest, &mut findings);
    boot(disk, kernel, &facts.manifest, &mut findings);
    Ok(findings)
}

fn table(disk: &Disk, manifest: &Manifest, partitions_mib: &[u64], findings: &mut Findings) {
    let arch = manifest.board.0;
    if let Err(flaw) = &disk.table_health {
        findings.problems.push(format!("the partition table is damaged: {flaw}"));
    }
    findings.expect_equal("the disk's size in the table", disk.table.disk_bytes(), disk.size_bytes);
    let (version, os) = (manifest.version, manifest.os.as_str());
    let (usr, tree) = (kinds::usr(arch), kinds::usr_verity(arch));
    let expected: [(&str, Guid, String); 5] = [
        ("ESP", kinds::ESP, "ESP".to_owned()),
        ("USR-A", usr, slots::data_label(os, version)),
        ("USR-A-verity", tree, slots::tree_label(os, version)),
        ("USR-B", usr, "_empty".to_owned()),
        ("USR-B-verity", tree, "_empty_v".to_owned()),
    ];
    findings.expect_equal("the number of partitions", disk.table.partitions().count(), expected.len());
    for (number, (name, kind, label)) in (1..).zip(expected) {
        let Some(partition) = disk.table.partition(number) else {
            findings.problems.push(format!("partition {number} ({name}) is absent"));
            continue;
        };
        findings.expect_equal(&format!("the type of partition {number} ({name})"), partition.kind, kind);
        findings.expect_equal(&format!("the label of partition {number}"), partition.label.as_str(), &label);
        let range = partition.byte_range();
        let aligned = range.start % ALIGNMENT_BYTES == 0 && range.end % ALIGNMENT_BYTES == 0;
        findings.require(aligned, || format!("partition {number} ({name}) is not aligned to 1 MiB"));
    }
    for (number, &mib) in (1..).zip(partitions_mib) {
        let found = disk.table.partition(number).map_or(0, Partition::size_bytes) >> 20;
        findings.expect_equal(&format!("the size of partition {number} in MiB"), found, mib);
    }
    let size = |number: u32| disk.table.partition(number).map_or(0, Partition::size_bytes);
    findings.require(size(1) >= MIN_ESP_BYTES, || format!("the ESP has {} bytes, expected 512 MiB", size(1)));
    findings.expect_equal("the size of USR-B", size(4), size(2));
    findings.expect_equal("the size of USR-B-verity", size(5), size(3));
    let tree_bytes = verity::tree_bytes(size(2));
    findings.require(size(3) >= tree_bytes || size(3) >= verity::tree_bytes(manifest.usr_size_bytes), || {
        format!("the verity partitions have {} bytes, too few for a tree", size(3))
    });
}

fn slot_a(disk: &Disk, manifest: &Manifest, findings: &mut Findings) {
    let root_hash = RootHash::from(manifest.usr_root_hash);
    for (number, guid) in [(2, root_hash.data_guid()), (3, root_hash.tree_guid())] {
        let Some(partition) = disk.table.partition(number) else { continue };
        findings.expect_equal(&format!("the GUID of partition {number}"), partition.guid, guid);
        let is_read_only = partition.attributes.0 & Attributes::READ_ONLY.0 != 0;
        findings.require(is_read_only, || format!("partition {number} is not marked read-only"));
    }
    findings.expect_equal("the digest of USR-A's bytes", disk.usr_sha256, disk.artifact_sha256);
    if let Err(flaw) = &disk.verity {
        findings.problems.push(format!("the verity tree of slot A does not prove slot A: {flaw}"));
    }
}

fn boot(disk: &Disk, kernel: &Kernel, manifest: &Manifest, findings: &mut Findings) {
    match &kernel.usrhash {
        Ok(hash) => findings.expect_equal("`usrhash=` of the kernel image", *hash, manifest.usr_root_hash),
        Err(flaw) => findings.problems.push(format!("the kernel image names no root hash: {flaw}")),
    }
    let files = match &disk.boot_files {
        Ok(files) => files,
        Err(flaw) => return findings.problems.push(format!("the ESP cannot be read: {flaw}")),
    };
    let loader = format!("/EFI/BOOT/BOOT{}.EFI", manifest.board.0.efi().to_uppercase());
    findings.require(files.contains_key(&loader), || format!("the ESP has no `{loader}`"));
    let image = format!("/EFI/Linux/{}_{}+3.efi", manifest.os, manifest.version);
    let artifact = manifest.artifact(ArtifactKind::KernelImage).map(|artifact| artifact.sha256);
    match files.get(&image) {
        Some(found) => findings.require(Some(*found) == artifact, || {
            format!("`{image}` in the ESP is not the release's kernel image")
        }),
        None => findings.problems.push(format!("the ESP has no `{image}`")),
    }
    let others = files.keys().filter(|path| path.starts_with("/EFI/Linux/") && **path != image);
    findings.problems.extend(others.map(|path| format!("the ESP has another kernel image: `{path}`")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};
    use sm_model::Sha256;

    fn broken(break_it: impl FnOnce(&mut Disk)) -> String {
        let mut facts = sample::facts();
        break_it(facts.disk.as_mut().unwrap());
        problems(layout(&facts))
    }

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(layout(&sample::facts())), "");
    }

    #[test]
    fn a_slot_with_other_bytes_is_caught() {
        assert!(broken(|disk| disk.usr_sha256 = Sha256([9; 32])).contains("digest of USR-A's bytes"));
        assert!(
            broken(|disk| disk.verity = Err("block 3".into())).contains("does not prove slot A: block 3")
        );
    }

    #[test]
    fn a_table_of_another_form_is_caught() {
        assert!(broken(|disk| disk.table = sample::table(&[])).contains("partition 1 (ESP) is absent"));
        let swapped = broken(|disk| disk.table = sample::table(&[1, 0, 2, 3, 4]));
        assert!(swapped.contains("the type of partition 1 (ESP)"), "{swapped}");
        assert!(broken(|disk| disk.size_bytes += 512).contains("disk's size"));
        assert!(broken(|disk| disk.table_health = Err("CRC".into())).contains("table is damaged: CRC"));
    }

    #[test]
    fn an_esp_that_boots_nothing_or_something_else_is_caught() {
        let files = |disk: &mut Disk| disk.boot_files.clone().unwrap();
        assert!(broken(|disk| disk.boot_files = Err("no FAT".into())).contains("cannot be read: no FAT"));
        for path in ["/EFI/BOOT/BOOTX64.EFI", "/EFI/Linux/boxcar_4893.0.0+3.efi"] {
            let without = |disk: &mut Disk| {
                let mut left = files(disk);
                left.remove(path).unwrap();
                disk.boot_files = Ok(left);
            };
            assert!(broken(without).contains(&format!("the ESP has no `{path}`")));
        }
        let replaced = |disk: &mut Disk| {
            let mut other = files(disk);
            other.insert("/EFI/Linux/boxcar_4893.0.0+3.efi".into(), Sha256([9; 32]));
            other.insert("/EFI/Linux/evil.efi".into(), Sha256([9; 32]));
            disk.boot_files = Ok(other);
        };
        let found = broken(replaced);
        assert!(found.contains("is not the release's kernel image") && found.contains("evil.efi"), "{found}");
    }

    #[test]
    fn a_kernel_that_starts_another_image_is_caught() {
        let mut facts = sample::facts();
        facts.kernel.as_mut().unwrap().usrhash = Ok(Sha256([9; 32]));
        assert!(problems(layout(&facts)).contains("`usrhash=` of the kernel image"));
    }
}
