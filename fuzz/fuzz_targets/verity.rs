//! Verity superblocks: whatever is understood is written as it was, but for padding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_image::verity::Superblock;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(superblock) = Superblock::parse(bytes) {
        assert_eq!(Superblock::parse(&superblock.encode()), Ok(superblock));
    }
});
