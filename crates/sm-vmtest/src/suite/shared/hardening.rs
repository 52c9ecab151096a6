//! `kernel.hardening`: settings, lockdown and security modules of the running kernel are the reviewed ones, and nothing was denied.

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    lists::Runtime,
    machine::Machine,
};

/// Compares what the kernel says with the reviewed list.
pub fn hardening(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let list = &bench.lists().runtime;
    let answer = machine.ask(&script(list))?;
    bench.note(&answer);
    Ok(judge(&answer, list))
}

/// Asks for everything at once, with no process for each: those are slow under emulation.
fn script(list: &Runtime) -> String {
    let files = list.sysctl.keys().map(|key| format!("/proc/sys/{}", key.replace('.', "/")));
    let files: Vec<String> = files.collect();
    format!(
        "for file in {}; do value=absent; read -r value 2>/dev/null < $file; echo \"$file=$value\"; done\n\
         read -r value < /sys/kernel/security/lsm; echo \"lsm=$value\"\n\
         read -r value < /sys/kernel/security/lockdown; echo \"lockdown=$value\"\n\
         read -r value < /proc/sys/kernel/tainted; echo \"tainted=$value\"",
        files.join(" ")
    )
}

fn judge(said: &str, list: &Runtime) -> Findings {
    let value = |key: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut findings = Findings::of(format!("{} settings", list.sysctl.len()));
    for (key, expected) in &list.sysctl {
        let found = value(&format!("/proc/sys/{}", key.replace('.', "/")));
        findings.expect_equal(&format!("`{key}`"), &found, expected);
    }
    findings.expect_equal("the list of security modules", &value("lsm"), &list.lsm);
    let lockdown = value("lockdown");
    let level = lockdown.split(['[', ']']).nth(1).unwrap_or("").to_owned();
    findings.expect_equal("the level of lockdown", &level, &list.lockdown);
    findings.expect_equal("the kernel's taint", value("tainted").as_str(), "0");
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Runtime {
        Runtime {
            sysctl: [("kernel.sysrq".to_owned(), "0".to_owned())].into(),
            lsm: "lockdown,capability".to_owned(),
            lockdown: "integrity".to_owned(),
            ..Runtime::default()
        }
    }

    const SAID: &str = "/proc/sys/kernel/sysrq=0\nlsm=lockdown,capability\nlockdown=none [integrity] confidentiality\ntainted=0\n";

    #[test]
    fn a_kernel_as_reviewed_is_good() {
        assert_eq!(judge(SAID, &list()).problems, [""; 0]);
    }

    #[test]
    fn each_difference_is_told() {
        let with = |from: &str, to: &str| judge(&SAID.replace(from, to), &list()).problems.join("; ");
        assert_eq!(with("sysrq=0", "sysrq=438"), "`kernel.sysrq` is `438`, expected `0`");
        assert_eq!(
            with("none [integrity]", "[none] integrity"),
            "the level of lockdown is `none`, expected `integrity`"
        );
        assert!(with("lockdown,cap", "cap").starts_with("the list of security modules"));
        assert_eq!(judge("", &list()).problems.len(), 4);
    }

    #[test]
    fn a_setting_is_read_where_the_kernel_has_it() {
        assert!(script(&list()).contains(" /proc/sys/kernel/sysrq;"));
    }
}
