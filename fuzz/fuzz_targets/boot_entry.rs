//! Names in the EFI system partition: whatever is understood prints as something that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_image::boot_entry::BootEntry;

fuzz_target!(|text: &str| {
    if let Ok(entry) = text.parse::<BootEntry>() {
        assert_eq!(entry.file_name().as_str().parse(), Ok(entry));
    }
});
