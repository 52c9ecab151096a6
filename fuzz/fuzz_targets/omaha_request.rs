//! Requests of update clients: whatever is understood is written as something that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_rollout::omaha::Request;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(Request::parse(&request.to_bytes()).expect("it was just written"), request);
    }
});
