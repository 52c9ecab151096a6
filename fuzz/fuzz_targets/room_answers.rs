//! What a homeserver answers beside pages, and the words of a vote.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_matrix::wire;
use sm_model::statement::Choice;
use sm_release::room::words::{Said, of_message, of_reaction};

fuzz_target!(|bytes: &[u8]| {
    let _ = wire::read_whoami(bytes);
    let _ = wire::read_members(bytes);
    let _ = wire::read_sent(bytes);
    let no = wire::read_no(bytes);
    assert!(!no.words.contains(char::is_control) && !no.code.contains(char::is_control));
    let text = String::from_utf8_lossy(bytes);
    let _ = of_reaction(&text);
    if let Said::Vote(words) = of_message(&text) {
        assert!(words.choice != Choice::NoGo || !words.reason.is_empty());
        assert!(words.choice != Choice::Go || words.reason.is_empty());
    }
    assert!(wire::segment(&text).bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
});
