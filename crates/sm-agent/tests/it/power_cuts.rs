//! The power is cut after every single write of an update, and the host must boot the old or the new version, whole.

use sm_agent::fault::Fuse;

use crate::host::{Host, NEW, NEW_RELEASE, OLD, OLD_RELEASE};

/// Runs an update with `n_writes` until the power goes; tells whether it came to its end.
fn cut_after(host: &Host, n_writes: u64) -> bool {
    let fuse = Fuse::after(n_writes);
    let agent = host.agent_with(fuse.clone());
    let lock = agent.store().lock().unwrap();
    agent.change(&lock, |state, now| state.hurry(now)).unwrap();
    loop {
        // The turn that the cut falls into is not remembered: the power is gone.
        let before = std::fs::read(host.path("var/lib/boxcar/update/state.json")).unwrap();
        match agent.turn(&lock) {
            _ if fuse.is_blown() => {
                host.put("var/lib/boxcar/update/state.json", before);
                return false;
            }
            Ok(sm_agent::Turn::Acted(..)) => {}
            Ok(_) => return true,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn after_a_cut_at_any_write_the_old_or_the_new_version_boots_whole_and_the_update_goes_on() {
    let mut seen_new = 0;
    let mut n_writes = 0;
    loop {
        let host = Host::new();
        host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
        let finished = cut_after(&host, n_writes);
        let boots = host.boots().to_string();
        assert!(boots == OLD || boots == NEW, "after {n_writes} writes {boots} boots");
        if finished {
            assert_eq!(boots, NEW);
            break;
        }
        if boots == NEW {
            seen_new += 1;
            // It comes up, although nobody remembers that it was armed.
            host.boot_new("boxcar_4907.0.0.efi");
            host.answer(None);
            host.settle();
            assert_eq!(host.events().pop().unwrap().result.number(), 2);
        } else {
            host.settle();
            assert_eq!(host.boots().to_string(), NEW, "the update goes on after {n_writes} writes");
        }
        n_writes += 1;
    }
    assert!(n_writes > 20, "only {n_writes} writes were seen");
    assert!(seen_new > 0, "no cut fell between arming and remembering it");
}

#[test]
fn no_write_ever_reaches_the_slot_that_runs() {
    let host = Host::new();
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    host.settle();
    let disk = std::fs::read(host.disk()).unwrap();
    let table = sm_agent::disk::Disk::at(host.disk(), Fuse::solid()).table().unwrap().table().clone();
    for (number, content) in [(2, &OLD_RELEASE.usr), (3, &OLD_RELEASE.tree)] {
        let start = table.partition(number).unwrap().byte_range().start as usize;
        assert!(disk[start..start + content.len()] == content[..], "partition {number}");
    }
}

#[test]
fn leftovers_of_a_cut_install_are_removed_by_the_next() {
    let host = Host::new();
    host.put("efi/EFI/Linux/.partial-abc123", "half a kernel image");
    host.put("var/lib/boxcar/update/kernel.efi", "half a kernel image");
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    host.settle();
    assert_eq!(host.boots().to_string(), NEW);
    assert!(!host.path("efi/EFI/Linux/.partial-abc123").exists());
    assert!(!host.path("var/lib/boxcar/update/kernel.efi").exists());
}
