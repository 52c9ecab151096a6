//! Rules for consoles, and consoles: what guests say, and what is made of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_vmtest::{
    console::plain,
    rules::{Scope, built_in, findings, parse},
};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        let shown = plain(line);
        assert!(!shown.chars().any(char::is_control), "a terminal would obey it");
    }
    let own = parse(&text).unwrap_or_default();
    for finding in findings(built_in().iter().chain(&own), Scope::Console, &text) {
        assert!(finding.line >= 1 && finding.line <= text.lines().count());
    }
    for rule in &own {
        assert!(rule.hits.iter().all(|line| rule.matches(line)), "a rule that misjudges itself is refused");
    }
});
