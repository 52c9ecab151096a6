//! What comes from a guest's shell, in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_vmtest::transcript::Transcript;

fuzz_target!(|input: (usize, &[u8])| {
    let (piece, bytes) = input;
    let heard = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut transcript, mut heard) = (Transcript::default(), Vec::new());
        for piece in pieces {
            transcript.push(piece);
            heard.extend(std::iter::from_fn(|| transcript.next(Some("m"))));
        }
        heard
    };
    // In pieces it is understood as in one.
    let whole = heard(&mut std::iter::once(bytes));
    assert_eq!(heard(&mut bytes.chunks(piece % 64 + 1)), whole);
});
