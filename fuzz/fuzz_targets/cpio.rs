//! Initial RAM disks: what can be read and written again reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_image::cpio::{Entry, Limits, Reader, Writer};

const LIMITS: Limits = Limits { max_entries: 1000, max_file_bytes: 1 << 20 };

fuzz_target!(|bytes: &[u8]| {
    let Ok(entries) = Reader::new(bytes, LIMITS).collect::<Result<Vec<Entry>, _>>() else { return };
    let mut writer = Writer::new(Vec::new());
    if entries.iter().try_for_each(|entry| writer.add(entry)).is_ok() {
        let written = writer.finish().expect("memory does not fail");
        let again: Vec<Entry> =
            Reader::new(&written[..], LIMITS).map(|entry| entry.expect("it was just written")).collect();
        for (before, after) in entries.iter().zip(&again) {
            assert_eq!((&before.path, &before.content), (&after.path, &after.content));
        }
        assert_eq!(entries.len(), again.len());
    }
});
