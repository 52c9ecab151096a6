//! Every legal change, every refusal, and that no sequence of them touches the active slot.

use proptest::prelude::*;

use super::*;
use crate::gpt::NewPartition;

const RUNNING: RootHash = root_hash(0x11);
const NEW: RootHash = root_hash(0x22);
const MIB: u64 = 1 << 20;

/// A root hash with two different halves.
const fn root_hash(byte: u8) -> RootHash {
    let mut bytes = [byte; 32];
    bytes[31] = !byte;
    RootHash::from_bytes(bytes)
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// ESP, then two slots that hold these images, if any.
fn table(held: [Option<RootHash>; 2]) -> Table {
    let disk = Guid::from_u128(1);
    let part = |kind, guid, label: &str, size_bytes| NewPartition {
        kind,
        guid,
        label: label.parse().unwrap(),
        attributes: Attributes::READ_ONLY,
        size_bytes,
    };
    let mut partitions = vec![part(kinds::ESP, Guid::from_u128(2), "ESP", MIB)];
    for (i, held) in held.into_iter().enumerate() {
        let number = 2 + 2 * i as u32;
        let data = held.map_or_else(|| empty_guid(disk, number), RootHash::data_guid);
        let tree = held.map_or_else(|| empty_guid(disk, number + 1), RootHash::tree_guid);
        let (data_label, tree_label) = match held {
            Some(_) => ("boxcar_4900.0.0", "boxcar_4900.0.0_v"),
            None => (EMPTY_LABEL, EMPTY_TREE_LABEL),
        };
        partitions.push(part(kinds::usr(Arch::Amd64), data, data_label, 4 * MIB));
        partitions.push(part(kinds::usr_verity(Arch::Amd64), tree, tree_label, MIB));
    }
    Table::lay_out(disk, 64 * MIB, &partitions).unwrap()
}

fn found(held: [Option<RootHash>; 2]) -> Slots {
    Slots::find(table(held), Arch::Amd64, RUNNING).unwrap()
}

#[test]
fn the_active_slot_is_the_one_whose_identities_are_the_running_hash() {
    assert_eq!(found([Some(RUNNING), None]).active().name, SlotName::A);
    let slots = found([Some(NEW), Some(RUNNING)]);
    assert_eq!(
        (slots.active().name, slots.active().data.number, slots.active().tree.number),
        (SlotName::B, 4, 5)
    );
    assert_eq!(slots.passive().content(), Content::Image(NEW));
}

#[test]
fn an_update_empties_the_passive_slot_then_fills_it() {
    let begun = found([Some(RUNNING), Some(NEW)]).begin_overwrite().unwrap();
    assert_eq!(begun.passive().content(), Content::Empty);
    assert_eq!(begun.table(), &table([Some(RUNNING), None]));
    let done = begun.complete(NEW, "boxcar", version("4914.0.0")).unwrap();
    assert_eq!(done.passive().content(), Content::Image(NEW));
    assert_eq!(done.passive().data.partition.label.as_str(), "boxcar_4914.0.0");
    assert_eq!(done.passive().tree.partition.label.as_str(), "boxcar_4914.0.0_v");
}

#[test]
fn beginning_twice_is_the_same_as_once() {
    let once = found([Some(RUNNING), Some(NEW)]).begin_overwrite().unwrap();
    assert_eq!(once.clone().begin_overwrite().unwrap(), once);
}

#[test]
fn a_slot_is_not_completed_before_it_was_emptied() {
    let refused = found([Some(RUNNING), Some(NEW)]).complete(NEW, "boxcar", version("1.0.0"));
    assert!(matches!(refused, Err(Error::NotBegun { slot: SlotName::B })));
}

#[test]
fn the_running_image_is_not_installed_beside_itself() {
    let refused = found([None, Some(RUNNING)]).complete(RUNNING, "boxcar", version("1.0.0"));
    assert!(matches!(refused, Err(Error::Running { active: SlotName::B, .. })));
}

#[test]
fn images_too_large_for_the_slot_are_refused_before_any_change() {
    let slots = found([Some(RUNNING), None]);
    assert!(slots.check_fits(4 * MIB, MIB).is_ok());
    let error = slots.check_fits(4 * MIB + 1, MIB).unwrap_err();
    let expected = "an image of 4194305 bytes does not fit slot B, which has 4194304";
    assert_eq!((error.to_string().as_str(), error.exit_code()), (expected, exit::STORAGE));
    assert!(slots.check_fits(MIB, MIB + 1).is_err());
}

#[test]
fn foreign_disks_are_refused() {
    let elsewhere = Slots::find(table([Some(NEW), None]), Arch::Amd64, RUNNING);
    assert!(matches!(elsewhere, Err(Error::NotFromHere { .. })));
    let other_arch = Slots::find(table([Some(RUNNING), None]), Arch::Arm64, RUNNING);
    assert!(matches!(other_arch, Err(Error::Partitions { data: 0, tree: 0, .. })));
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let long = "x".repeat(40);
    let refused = found([Some(RUNNING), None]).complete(NEW, &long, version("1.0.0"));
    assert!(matches!(refused, Err(Error::Label(_))));
}

/// Legal calls in any order.
#[derive(Debug, Clone)]
enum Step {
    Begin,
    Complete(u8),
}

proptest! {
    #[test]
    fn no_sequence_of_changes_touches_the_active_slot(
        active_is_b: bool,
        steps in proptest::collection::vec(prop_oneof![Just(Step::Begin), any::<u8>().prop_map(Step::Complete)], 0..12),
    ) {
        let held = if active_is_b { [Some(NEW), Some(RUNNING)] } else { [Some(RUNNING), None] };
        let mut slots = found(held);
        let before = slots.active().clone();
        for step in steps {
            let changed = match step {
                Step::Begin => slots.clone().begin_overwrite(),
                Step::Complete(byte) => slots.clone().complete(root_hash(byte), "boxcar", version("1.0.0")),
            };
            slots = changed.unwrap_or(slots);
            prop_assert_eq!(slots.active(), &before);
            let found_again = Slots::find(slots.table().clone(), Arch::Amd64, RUNNING).unwrap();
            prop_assert_eq!(&found_again, &slots);
        }
    }
}
