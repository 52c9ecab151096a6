//! Signed suites and keyrings: nothing is accepted but what the key of these tests signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sm_debian::{SuiteRef, VerifiedRelease, signature::Keyring};
use sm_model::{Arch, Timestamp};
use stationmaster_fuzz::archive;

static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::parse(&archive::keyring()).expect("a key that may sign"));

fuzz_target!(|bytes: &[u8]| {
    let _ = Keyring::parse(bytes);
    let wanted = SuiteRef {
        mirror: "debian".parse().expect("a name"),
        suite: "trixie".parse().expect("a name"),
        components: vec!["main".parse().expect("a name")],
    };
    let now = Timestamp::from_unix_secs(1_900_000_000).expect("an instant");
    if let Ok(verified) = VerifiedRelease::open(bytes, &KEYRING, &wanted, Arch::Amd64, now) {
        assert_eq!(verified.release().codename, "trixie");
    }
});
