//! Debian's version order is an order: antisymmetric and transitive.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use sm_debian::version::compare;
use sm_model::PackageVersion;

fuzz_target!(|text: &str| {
    let versions: Vec<PackageVersion> =
        text.split(' ').take(3).filter_map(|text| text.parse().ok()).collect();
    let [a, b, c] = &versions[..] else { return };
    assert_eq!(compare(a, b), compare(b, a).reverse());
    assert_eq!(compare(a, a), Ordering::Equal);
    if compare(a, b).is_le() && compare(b, c).is_le() {
        assert!(compare(a, c).is_le());
    }
});
