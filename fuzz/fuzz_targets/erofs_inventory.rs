//! What an EROFS image holds: any image is judged within the limits, in bounded memory. The superblock's checksum is
//! switched off, so that what lies behind it is reached.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sm_image::erofs::{Limits, inventory};

const LIMITS: Limits = Limits { max_entries: 2000, max_path_bytes: 300, max_directory_bytes: 1 << 20 };
const FEATURE_COMPAT: usize = 1024 + 8;

fuzz_target!(|bytes: &[u8]| {
    let mut image = bytes.to_vec();
    if let Some(features) = image.get_mut(FEATURE_COMPAT) {
        *features &= !1;
    }
    if let Ok(entries) = inventory(&mut Cursor::new(image), &LIMITS) {
        assert!(entries.len() <= LIMITS.max_entries);
        assert!(entries.keys().all(|path| path.starts_with('/') && path.len() <= LIMITS.max_path_bytes));
    }
});
