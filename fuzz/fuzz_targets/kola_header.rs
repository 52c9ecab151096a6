//! What the author of an external test says about it, in its header or beside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_model::Arch;
use sm_vmtest::suite::{external::wishes, room::Room};

fuzz_target!(|bytes: &[u8]| {
    let beside = std::str::from_utf8(bytes).ok();
    for wishes in [wishes(bytes, None, Arch::Amd64), wishes(b"#!/bin/sh\n", beside, Arch::Arm64)] {
        let Ok(wishes) = wishes else { continue };
        assert!(wishes.limit.as_secs() <= 24 * 3600);
        // Whatever was wished for has room or is refused; no sum goes round.
        let has_room = Room::new(64 << 10, 4).reserve(wishes.needs).is_ok();
        assert!(!has_room || wishes.needs.memory_mib < 64 << 10);
    }
});
