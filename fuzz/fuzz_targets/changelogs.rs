//! The collected changelogs of a release, as another machine may have written them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_compose::release::changelogs::Changelogs;

fuzz_target!(|bytes: &[u8]| {
    let packed = zstd::bulk::compress(bytes, 1).expect("memory does not fail");
    let _ = Changelogs::decode(&packed);
    let _ = Changelogs::decode(bytes);
});
