//! Responses of update servers: whatever is understood is written as something that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_rollout::omaha::Response;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(response) = Response::parse(bytes) {
        assert_eq!(Response::parse(&response.to_bytes()).expect("it was just written"), response);
    }
});
