//! The text of a suite's release file, behind its signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_debian::release::Release;

fuzz_target!(|text: &str| {
    let _ = Release::parse(text);
});
