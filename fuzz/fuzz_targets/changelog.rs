//! Changelogs of packages: never more entries than asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_debian::changelog::parse;

fuzz_target!(|bytes: &[u8]| assert!(parse(bytes, 3).len() <= 3));
