//! Package indexes: every accepted path stays below the pool.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_debian::packages::{is_pool_path, parse};

fuzz_target!(|bytes: &[u8]| {
    for package in parse(bytes).unwrap_or_default() {
        assert!(is_pool_path(package.path) && !package.path.contains(".."));
    }
});
