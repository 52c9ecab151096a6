//! Lock files: whatever is understood is written as something that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_compose::archive::lock_file::{parse, to_text};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lock) = parse(bytes) {
        let text = to_text(&lock).expect("a lock that was read");
        assert_eq!(parse(text.as_bytes()), Ok(lock));
    }
});
