//! Payloads that somebody changed, on the way or on purpose. None is ever armed, and what can be seen before writing stops
//! before writing.

use sm_image::verity::RootHash;
use sm_rollout::agent::{ErrorCode, InstallFailure, Outcome};

use crate::{
    host::{Host, NEW, NEW_RELEASE, OLD, PAYLOAD},
    release::{Design, Release},
};

/// Offers `payload` and lets the agent do what it does; returns the outcome of the install, if it came to one.
fn try_install(host: &Host, release: &Release, payload: &[u8]) -> Option<InstallFailure> {
    host.offer(release, payload);
    let done = host.settle();
    assert_eq!(host.boots().to_string(), OLD, "nothing is armed");
    assert_ne!(host.state().phase.name(), "reboot-needed");
    done.into_iter().find_map(|(_, outcome)| match outcome? {
        Outcome::Installed(result) => result.err(),
        _ => None,
    })
}

fn rejected(host: &Host, release: &Release, payload: &[u8]) -> (ErrorCode, String) {
    match try_install(host, release, payload) {
        Some(InstallFailure::Rejected(code, words)) => {
            let state = host.state();
            assert_eq!(state.rejected.len(), 1, "it is remembered");
            assert_eq!(host.told().last(), Some(&(3, 0, Some(code.number()))));
            assert_eq!(host.events().pop().unwrap().reason, Some(words.clone()));
            (code, words)
        }
        other => panic!("{other:?}"),
    }
}

/// As the only bytes of a file that nobody may have written.
fn untouched(host: &Host) -> (Vec<u8>, Vec<String>) {
    let names = host.entries().iter().map(ToString::to_string).collect();
    (std::fs::read(host.disk()).unwrap(), names)
}

/// A byte flipped in transit: the digest on offer is that of the honest payload.
#[test]
fn a_byte_flipped_on_the_way_is_noticed_fetched_again_and_given_up_at_last() {
    let host = Host::new();
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    let before = untouched(&host);
    let mut payload = NEW_RELEASE.payload.clone();
    payload[1_000_000] ^= 1;
    host.server.serve(PAYLOAD, sm_host::fetch::Answer::Bytes(payload));
    for _ in 0..3 {
        host.settle();
    }
    assert!(untouched(&host) == before, "nothing was written");
    let gets: Vec<_> = host.server.asked().into_iter().filter(|request| request.url == PAYLOAD).collect();
    assert_eq!(gets.len(), 3);
    assert!(gets.iter().all(|request| request.start_bytes == 0), "from the beginning each time");
    assert_eq!(host.told().last(), Some(&(3, 0, Some(10))));
    assert_eq!(host.state().rejected, [], "the release is not to blame");
}

/// A byte flipped by somebody who also controls the server's answer: sizes and digests agree, the signature cannot.
#[test]
fn a_byte_flipped_anywhere_by_a_server_that_vouches_for_it_is_rejected_before_anything_is_written() {
    let payload = &NEW_RELEASE.payload;
    let places =
        [0, 7, 15, 25, 60, payload.len() / 3, payload.len() / 2, payload.len() - 200, payload.len() - 1];
    for at in places {
        let host = Host::new();
        let before = untouched(&host);
        let mut payload = payload.clone();
        payload[at] ^= 0x10;
        let (code, words) = rejected(&host, &NEW_RELEASE, &payload);
        assert!(untouched(&host) == before, "byte {at}: nothing was written ({code:?}: {words})");
    }
}

#[test]
fn a_truncated_or_prolonged_payload_is_rejected() {
    let payload = &NEW_RELEASE.payload;
    for len in [1, 19, 20, 300, payload.len() / 2, payload.len() - 264, payload.len() - 1] {
        let host = Host::new();
        let before = untouched(&host);
        rejected(&host, &NEW_RELEASE, &payload[..len]);
        assert!(untouched(&host) == before, "{len}");
    }
    let host = Host::new();
    let mut longer = payload.clone();
    longer.push(0);
    rejected(&host, &NEW_RELEASE, &longer);
}

#[test]
fn a_payload_signed_by_another_key_is_rejected_before_anything_is_written() {
    let host = Host::new();
    let before = untouched(&host);
    let release = Design { signer: 1, ..Design::sound(NEW) }.build();
    let (code, words) = rejected(&host, &release, &release.payload);
    assert_eq!(code, ErrorCode::Signature);
    assert!(words.contains("signature") || words.contains("signed"), "{words}");
    assert!(untouched(&host) == before);
}

#[test]
fn an_image_larger_than_the_slot_is_rejected_before_anything_is_written() {
    let host = Host::new();
    let before = untouched(&host);
    let release = Design { usr_bytes: (3 << 20) + 4096, ..Design::sound(NEW) }.build();
    let (code, words) = rejected(&host, &release, &release.payload);
    assert_eq!(code, ErrorCode::NewPartitionInfo);
    assert!(words.contains("3149824"), "{words}");
    assert!(untouched(&host) == before);
}

#[test]
fn a_signed_payload_whose_kernel_image_is_not_its_own_is_never_armed() {
    let sound = Design::sound(NEW);
    let designs = [
        (Design { kernel_root: Some(RootHash::from_bytes([9; 32])), ..sound.clone() }, ErrorCode::NewUsr),
        (Design { kernel_version: Some("4914.0.0"), ..sound.clone() }, ErrorCode::NewKernel),
        (Design { kernel_os: "other", ..sound.clone() }, ErrorCode::NewKernel),
        (Design { kernel_machine: Design::ARM64, ..sound.clone() }, ErrorCode::NewKernel),
        (Design { has_kernel: false, ..sound }, ErrorCode::NewKernel),
    ];
    for (design, expected) in designs {
        let host = Host::new();
        let release = design.build();
        let (code, words) = rejected(&host, &release, &release.payload);
        assert_eq!(code, expected, "{words}");
        assert!(host.entries().iter().all(|entry| entry.version().to_string() != NEW));
    }
}

#[test]
fn a_rejected_payload_is_not_fetched_again_but_another_one_under_the_same_version_is() {
    let host = Host::new();
    let forged = Design { signer: 1, ..Design::sound(NEW) }.build();
    rejected(&host, &forged, &forged.payload);
    let gets = || host.server.asked().iter().filter(|request| request.url == PAYLOAD).count();
    let before = gets();
    host.settle();
    assert_eq!(gets(), before);
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    host.settle();
    assert_eq!(host.boots().to_string(), NEW);
}

#[test]
fn an_image_without_a_usable_key_installs_nothing() {
    for key in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        let host = Host::new();
        host.put("usr/share/boxcar/update-payload-key.pub.pem", key);
        let before = untouched(&host);
        let failure = try_install(&host, &NEW_RELEASE, &NEW_RELEASE.payload);
        assert!(matches!(failure, Some(InstallFailure::Storage(_))), "{failure:?}");
        assert!(untouched(&host) == before);
    }
}
