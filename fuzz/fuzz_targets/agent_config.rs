//! The agent's settings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_rollout::agent::config::{Config, Source};

fuzz_target!(|text: &str| {
    let half = (0..=text.len() / 2).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let (first, second) = text.split_at(half);
    let _ = Config::from_sources(&[Source { name: "a", text: first }, Source { name: "b", text: second }]);
});
