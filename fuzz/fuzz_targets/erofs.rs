//! EROFS superblocks.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sm_image::erofs::Superblock;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(superblock) = Superblock::read(&mut Cursor::new(bytes)) {
        assert!(superblock.size_bytes() < 1 << 48);
    }
});
