//! A host's APT sources, in both forms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_debian::apt_sources::{parse_list, parse_sources};

fuzz_target!(|text: &str| {
    for source in parse_list(text).into_iter().chain(parse_sources(text)) {
        let _ = source.archive();
    }
});
