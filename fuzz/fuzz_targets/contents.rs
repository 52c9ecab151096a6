//! The contents list of a release.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_compose::release::contents::parse;

fuzz_target!(|text: &str| {
    let _ = parse(text);
});
