//! Exports of a store: the index, and a line of every table.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_store::transfer::{check_line, parse_index};

const TABLES: [&str; 5] = ["event", "report", "heartbeat", "test_attempt", "test_quarantine"];

fuzz_target!(|bytes: &[u8]| {
    // Either answer is fine; a panic is not.
    let _ = parse_index(bytes);
    for table in TABLES {
        let _ = check_line(table, bytes);
    }
});
