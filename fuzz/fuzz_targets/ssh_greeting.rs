//! What an SSH server says unasked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_vmtest::suite::clone::key_exchange::{Parsed, parse};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Parsed::Whole(offer)) = parse(bytes) else { return };
    // What is whole stays what it is, whatever comes after it; and it was not whole before it was complete.
    let more = [bytes, b"and more"].concat();
    assert_eq!(parse(&more), Ok(Parsed::Whole(offer)));
    assert_eq!(parse(&[]), Ok(Parsed::Partial));
});
