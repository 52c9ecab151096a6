//! Update payloads: the verdict and every byte written are the same whatever the pieces in which a payload arrives,
//! and nothing is written outside the limits.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256 as Hasher};
use sm_image::payload::read::{Installer, Limits, Part, Signature, Target, parse_signatures};
use sm_model::Sha256;

const LIMITS: Limits = Limits { max_operation_bytes: 64 << 10, ..Limits::for_slot(1 << 20, 1 << 16) };

#[derive(Default)]
struct Written(Hasher);

impl Target for Written {
    fn write_at(&mut self, part: Part, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let limit = match part {
            Part::Partition => LIMITS.max_partition_bytes,
            _ => LIMITS.max_kernel_bytes,
        };
        assert!(offset + bytes.len() as u64 <= limit, "{part} beyond its limit");
        self.0.update(format!("{part} {offset} {}", bytes.len()));
        self.0.update(bytes);
        Ok(())
    }
}

/// Whether it was accepted, and a digest of all writes.
fn install(payload: &[u8], piece_len: usize) -> (bool, Vec<u8>) {
    let mut written = Written::default();
    let mut installer = Installer::new(LIMITS, None);
    let pushed = payload.chunks(piece_len).try_for_each(|piece| installer.push(piece, &mut written));
    let accept = |_: &Sha256, _: &[Signature]| Ok::<_, io::Error>(());
    let accepted = pushed.and_then(|()| installer.finish(accept)).is_ok();
    (accepted, written.0.finalize().to_vec())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_signatures(bytes);
    assert_eq!(install(bytes, bytes.len().max(1)), install(bytes, 7));
});
