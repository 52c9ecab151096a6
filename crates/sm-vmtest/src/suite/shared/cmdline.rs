//! `boot.cmdline`: the kernel runs with the command line of its image, which binds it to its /usr, and with nothing else.

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    machine::Machine,
};

/// Words that open a way around what the image promises: another init, shells without a password, less checking.
const FORBIDDEN: [&str; 12] = [
    "init=",
    "rdinit=",
    "single",
    "emergency",
    "rescue",
    "rd.break",
    "systemd.debug_shell",
    "systemd.debug-shell",
    "debug",
    "mitigations=off",
    "nokaslr",
    "lockdown=none",
];

/// Compares the running kernel's command line with what its image must say.
pub fn cmdline(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let line = machine.ask("cat /proc/cmdline")?;
    bench.note(&line);
    Ok(judge(&line, &bench.release().manifest().usr_root_hash.to_string()))
}

fn judge(line: &str, root_hash: &str) -> Findings {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut findings = Findings::of(format!("{} words", words.len()));
    let hashes: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix("usrhash=")).collect();
    findings.require(hashes == [root_hash], || {
        format!("`usrhash=` is `{}`, expected once, `{root_hash}`", hashes.join("`, `"))
    });
    for wanted in ["systemd.verity_usr_options=panic-on-corruption", "rw"] {
        findings.require(words.contains(&wanted), || format!("`{wanted}` is missing"));
    }
    findings.require(words.iter().any(|word| word.starts_with("panic=")), || {
        "`panic=` is missing: a kernel that panics would stand still".to_owned()
    });
    let open = words.iter().filter(|word| {
        FORBIDDEN.iter().any(|bad| if bad.ends_with('=') { word.starts_with(bad) } else { *word == bad })
    });
    findings.problems.extend(open.map(|word| format!("`{word}` opens a way around the image")));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "usrhash=ab12 rw systemd.verity_usr_options=panic-on-corruption panic=10 console=ttyS0,115200";

    #[test]
    fn the_command_line_of_the_image_is_good() {
        assert_eq!(judge(GOOD, "ab12").problems, [""; 0]);
    }

    #[test]
    fn another_usr_or_a_second_one_is_told() {
        assert!(judge(GOOD, "cd34").problems[0].contains("expected once, `cd34`"));
        assert_eq!(judge(&format!("{GOOD} usrhash=ab12"), "ab12").problems.len(), 1);
    }

    #[test]
    fn whatever_opens_a_way_around_is_told() {
        for word in ["init=/bin/sh", "systemd.debug_shell", "single", "mitigations=off"] {
            let problems = judge(&format!("{GOOD} {word}"), "ab12").problems;
            assert_eq!(problems, [format!("`{word}` opens a way around the image")]);
        }
        assert_eq!(judge("usrhash=ab12", "ab12").problems.len(), 3);
    }
}
