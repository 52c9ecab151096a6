//! Dependency fields.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_debian::relation::{clause_texts, parse_clauses};
use sm_model::Arch;

fuzz_target!(|text: &str| {
    let _ = parse_clauses(text, Arch::Amd64);
    assert!(clause_texts(text).map(str::len).sum::<usize>() <= text.len());
});
