//! Names in the EFI system partition: whatever is understood prints as something that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_image::boot_entry::BootEntry;
use sm_model::FileName;

fuzz_target!(|text: &str| {
    if let Ok(entry) = text.parse::<BootEntry>() {
        let name: FileName = entry.to_string().parse().expect("a name that is safe as one path component");
        assert_eq!(name.as_str().parse(), Ok(entry));
    }
});
