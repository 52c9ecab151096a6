//! Which failures are the same failure: the words of a failure without what differs from run to run.

use sha2::Digest as _;
use sm_model::{
    Sha256,
    test_report::{FailureSignature, TestId},
};

/// The signature of a failure: same test, same phase, same words, same console rules.
///
/// Digits, hexadecimal runs, paths below `/tmp` and `/run`, and white space are taken out of the words first, because process
/// ids, addresses and times differ from run to run.
pub fn failure_signature(
    test: &TestId,
    phase: &str,
    message: &str,
    console_rules: &[&str],
) -> FailureSignature {
    let mut rules = console_rules.to_vec();
    rules.sort_unstable();
    let text = format!("{test}\n{phase}\n{}\n{}", normalise(message), rules.join(" "));
    FailureSignature(Sha256(sha2::Sha256::digest(text).into()))
}

/// The words of a message that stay the same from run to run.
pub fn normalise(message: &str) -> String {
    let words = message.split_whitespace().map(normalise_word);
    words.collect::<Vec<_>>().join(" ")
}

fn normalise_word(word: &str) -> String {
    if ["/tmp/", "/run/", "/proc/"].iter().any(|dir| word.contains(dir)) {
        return "PATH".to_owned();
    }
    if is_hexadecimal(word) {
        return "#".to_owned();
    }
    let mut stable = String::new();
    for c in word.chars() {
        let within_number = stable.ends_with('#') && (c.is_ascii_digit() || c == '.');
        if c.is_ascii_digit() && !within_number {
            stable.push('#');
        } else if !within_number {
            stable.push(c);
        }
    }
    stable
}

/// An address or digest: 6 or more hexadecimal digits with at least one decimal one among them.
fn is_hexadecimal(word: &str) -> bool {
    let digits = word.trim_start_matches("0x").trim_matches(|c: char| !c.is_ascii_alphanumeric());
    digits.len() >= 6
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
        && digits.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(message: &str) -> FailureSignature {
        failure_signature(&"boot.uefi".parse().unwrap(), "boot", message, &[])
    }

    #[test]
    fn numbers_addresses_and_paths_do_not_make_another_failure() {
        assert_eq!(
            signature("containerd[412]: fault at 0x7f3a90c1 after 12.5 s in /run/containerd/x1"),
            signature("containerd[97]: fault at 0x7fbb01aa after 9 s in /run/containerd/q")
        );
    }

    #[test]
    fn other_words_make_another_failure() {
        assert_ne!(signature("sshd is not active"), signature("containerd is not active"));
    }

    #[test]
    fn phase_and_console_rules_are_part_of_it_in_any_order() {
        let test = "boot.uefi".parse().unwrap();
        let of = |phase, rules: &[&str]| failure_signature(&test, phase, "m", rules);
        assert_eq!(of("boot", &["a", "b"]), of("boot", &["b", "a"]));
        assert_ne!(of("boot", &["a"]), of("boot", &[]));
        assert_ne!(of("boot", &[]), of("assert", &[]));
    }
}
