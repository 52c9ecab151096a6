//! `update.bad-signature`: what is not the operator's, or is not what it says it is, is refused, and nothing of it will ever start.

use rand_core::OsRng;
use sm_image::payload::write::{Compression, Signer, Source, write};
use sm_model::{Sha256, Version, exit};
use sm_trust::PrivateKey;

use super::offers::Stall;
use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked, Stop},
    machine::Machine,
};

/// Offers one bad payload after the other.
pub fn refused(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let mut findings = Findings::of("payloads of a stranger, cut short, altered, replayed, and older");
    let mut stall = Stall::open(bench, machine)?;
    let own = stall.own_payload()?;
    bench.phase("make");
    let unwritten: [(&str, Vec<u8>, &str); 4] = [
        ("a stranger's payload", strangers()?, "signature is not good"),
        ("a payload cut short", own[..own.len() / 100].to_vec(), "the payload has"),
        ("altered data", altered(&own, own.len() / 4), "SHA-256"),
        ("an altered signature", altered(&own, own.len() - 20), "signature is not good"),
    ];
    for (what, payload, because) in unwritten {
        bench.phase(what);
        let version = stall.later();
        let taken = stall.offer(machine, version, &payload)?;
        taken.expect_refused(&mut findings, what, exit::VERIFICATION, because);
        taken.expect_untouched(&mut findings, what);
    }
    let what = "the same payload under a later version";
    bench.phase(what);
    let version = stall.later();
    let taken = stall.offer(machine, version, &own)?;
    taken.expect_refused(&mut findings, what, exit::VERIFICATION, "VERSION_ID");
    taken.expect_not_armed(&mut findings, what);
    let what = "an older release";
    bench.phase(what);
    let running = bench.release().manifest().version;
    let older = Version { major: running.major.saturating_sub(1), ..running };
    let taken = stall.offer(machine, older, &own)?;
    findings.require(!taken.said.contains("is installed"), || format!("{what} was installed"));
    taken.expect_untouched(&mut findings, what);
    Ok(findings)
}

fn altered(payload: &[u8], at: usize) -> Vec<u8> {
    let mut payload = payload.to_vec();
    payload[at] ^= 1;
    payload
}

/// A whole small payload, signed with a key that nobody knows.
fn strangers() -> Result<Vec<u8>, Stop> {
    const BLOCK: [u8; 4096] = [0x5a; 4096];
    let key = PrivateKey::generate(&mut OsRng).map_err(|error| Stop::trouble("suite", &error))?;
    let mut sign = |digest: &Sha256| key.sign(digest, &mut OsRng);
    let mut signers: [&mut dyn Signer; 1] = [&mut sign];
    let (mut usr, mut kernel) = (&BLOCK[..], &BLOCK[..]);
    let block = |reader| Source { reader, size_bytes: BLOCK.len() as u64 };
    let mut payload = Vec::new();
    let mut spool = std::io::Cursor::new(Vec::new());
    write(
        block(&mut usr),
        Some(block(&mut kernel)),
        Compression::Auto,
        &mut signers,
        &mut spool,
        &mut payload,
    )
    .map_err(|error| Stop::trouble("suite", &error))?;
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_payload_is_whole() {
        let payload = strangers().unwrap();
        assert!(payload.starts_with(b"CrAU") && payload.len() < 64 << 10);
    }

    #[test]
    fn an_altered_payload_differs_in_one_bit() {
        assert_eq!(altered(&[1, 2, 3], 1), [1, 3, 3]);
    }
}
