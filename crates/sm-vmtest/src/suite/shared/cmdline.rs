//! `boot.cmdline`: the kernel runs with the command line of its image, which binds it to its /usr, and with nothing else.

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    lists::Runtime,
    machine::Machine,
};

/// What QEMU is told to add under emulation (`sm_host::qemu`): it is about this host, not about the image.
const OF_THE_HOST: &str = "no_timer_check";

/// Compares the running kernel's command line with what its image must say.
pub fn cmdline(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let line = machine.ask("cat /proc/cmdline")?;
    bench.note(&line);
    let root_hash = bench.release().manifest().usr_root_hash.to_string();
    Ok(judge(&line, &root_hash, &bench.lists().runtime))
}

fn judge(line: &str, root_hash: &str, list: &Runtime) -> Findings {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut findings = Findings::of(format!("{} words", words.len()));
    let hashes: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix("usrhash=")).collect();
    findings.require(hashes == [root_hash], || {
        format!("`usrhash=` is `{}`, expected once, `{root_hash}`", hashes.join("`, `"))
    });
    let others = words.iter().filter(|word| !word.starts_with("usrhash=") && **word != OF_THE_HOST);
    let others: Vec<String> = others.map(|word| (*word).to_owned()).collect();
    findings.compare("word of the command line", &others, list.command_line.keys());
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::why;

    const GOOD: &str = "usrhash=ab12 rw systemd.verity_usr_options=panic-on-corruption panic=10";

    fn problems(line: &str, root_hash: &str) -> Vec<String> {
        let words = ["rw", "systemd.verity_usr_options=panic-on-corruption", "panic=10"];
        let command_line = words.map(|word| (word.to_owned(), why("reviewed"))).into();
        judge(line, root_hash, &Runtime { command_line, ..Runtime::default() }).problems
    }

    #[test]
    fn the_command_line_of_the_image_is_good() {
        assert_eq!(problems(GOOD, "ab12"), [""; 0]);
        assert_eq!(problems(&format!("{GOOD} no_timer_check"), "ab12"), [""; 0]);
    }

    #[test]
    fn another_usr_or_a_second_one_is_told() {
        assert!(problems(GOOD, "cd34")[0].contains("expected once, `cd34`"));
        assert_eq!(problems(&format!("{GOOD} usrhash=ab12"), "ab12").len(), 1);
    }

    #[test]
    fn whatever_opens_a_way_around_is_told() {
        for word in ["init=/bin/sh", "systemd.debug_shell", "mitigations=off", "apparmor=0", "panic=0"] {
            let problems = problems(&format!("{GOOD} {word}"), "ab12");
            assert_eq!(problems, [format!("word of the command line `{word}` is not on the reviewed list")]);
        }
        assert_eq!(problems("usrhash=ab12", "ab12").len(), 3);
    }
}
