//! Carries an external test out in a guest: sends its files, runs it as a unit, reboots when it asks for that.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use base64ct::{Base64, Encoding};
use sm_host::files::{self, FileError};

use super::External;
use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked, Stop},
    machine::Machine,
};

/// Where its files lie in the guest: a reboot keeps them.
const PLACE: &str = "/var/opt/stationmaster";
/// Exit status of the waiting script when the test asks for a reboot.
const WANTS_REBOOT: u8 = 99;
/// Exit status of a test that does not apply (autopkgtest, "skippable").
const DOES_NOT_APPLY: u8 = 77;
/// Reboots of one test at most: stops one that forgets that it was there.
const MAX_REBOOTS: usize = 10;
/// Most that is sent at a time: a command line of a shell must hold it.
const CHUNK_BYTES: usize = 48 << 10;
/// Most of what it says that is passed on at a time, and after which no more is.
const MAX_SAID_BYTES: u32 = 4 << 20;
/// Largest file of a test's data.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Runs the test to its end.
pub(in crate::suite) fn play(external: &External, bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    bench.phase("send");
    machine.ask(&format!("rm -rf {PLACE} && mkdir -p {PLACE}/data"))?;
    send(machine, &external.program, &format!("{PLACE}/program"))?;
    if let Some(data) = &external.data {
        send_all(machine, data, &format!("{PLACE}/data"))?;
    }
    let mut mark = String::new();
    for n_reboots in 0..=MAX_REBOOTS {
        bench.phase(if n_reboots == 0 { "run" } else { "run-again" });
        let answer = machine.run_long(&script(&mark))?;
        bench.note(&answer.output);
        match answer.exit {
            WANTS_REBOOT => {
                mark = machine.ask(&format!("cat {PLACE}/reboot-mark && rm {PLACE}/reboot-mark"))?;
                bench.phase("reboot");
                machine.reboot()?;
            }
            DOES_NOT_APPLY => return Err(Stop::Skip(last_line(&answer.output))),
            exit => return Ok(judged(exit, &answer.output, n_reboots)),
        }
    }
    Err(Stop::Broken(format!("the test asked for more than {MAX_REBOOTS} reboots")))
}

fn judged(exit: u8, output: &str, n_reboots: usize) -> Findings {
    let mut findings = Findings::of(format!("an external test with {n_reboots} reboots"));
    findings.require(exit == 0, || format!("it ended with {exit}: {}", last_line(output)));
    findings
}

fn last_line(output: &str) -> String {
    output.trim().lines().next_back().unwrap_or("it said nothing").to_owned()
}

/// Runs the program as a unit until it ends or asks for a reboot. Everything it started is gone then. What it says is passed on as it
/// comes, so that a program that never ends is known by its last words; of endless ones the beginning.
fn script(mark: &str) -> String {
    let unit = "stationmaster-external";
    format!(
        r#"# the external test
cat > /tmp/autopkgtest-reboot-prepare <<'END'
#!/bin/sh
printf %s "$1" > {PLACE}/reboot-mark.new && mv {PLACE}/reboot-mark.new {PLACE}/reboot-mark
END
cat > /tmp/autopkgtest-reboot <<'END'
#!/bin/sh
/tmp/autopkgtest-reboot-prepare "$1"
exec sleep infinity
END
chmod +x /tmp/autopkgtest-reboot /tmp/autopkgtest-reboot-prepare {PLACE}/program
: > {PLACE}/output
systemd-run --quiet --unit={unit} --property=Type=exec --property=RemainAfterExit=yes \
    --property=StandardOutput=append:{PLACE}/output --property=StandardError=append:{PLACE}/output \
    --property=WorkingDirectory={PLACE} --setenv=KOLA_EXT_DATA={PLACE}/data --setenv=HOME=/root \
    --setenv=AUTOPKGTEST_REBOOT_MARK={mark} {PLACE}/program || exit 126
said=0
say() {{
    size=$(stat --format=%s {PLACE}/output)
    [ "$size" -le "$said" ] || [ "$said" -ge {MAX_SAID_BYTES} ] && return
    tail -c "+$((said + 1))" {PLACE}/output | head -c "$((size - said))" | head -c {MAX_SAID_BYTES}
    said=$size
}}
while :; do
    say
    [ -e {PLACE}/reboot-mark ] && status={WANTS_REBOOT} && break
    case "$(systemctl show --property=SubState --value {unit})" in
        running|start) sleep 0.2;;
        *) status=$(systemctl show --property=ExecMainStatus --value {unit}); break;;
    esac
done
systemctl stop {unit} 2>/dev/null
systemctl reset-failed {unit} 2>/dev/null
say
exit "$status"
"#,
        mark = quoted(mark)
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Sends every file of a directory.
fn send_all(machine: &mut Machine<'_>, from: &Path, to: &str) -> Result<(), Stop> {
    machine.ask(&format!("mkdir -p {}", quoted(to)))?;
    let entries = fs::read_dir(from).map_err(FileError::io("list", from))?;
    for entry in entries {
        let path = entry.map_err(FileError::io("list", from))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let to = format!("{to}/{name}");
        if path.is_dir() { send_all(machine, &path, &to)? } else { send(machine, &path, &to)? }
    }
    Ok(())
}

/// Sends a file, with its mode.
fn send(machine: &mut Machine<'_>, from: &Path, to: &str) -> Result<(), Stop> {
    use std::os::unix::fs::PermissionsExt as _;
    let bytes = files::read_limited(from, MAX_FILE_BYTES)?;
    let mode = fs::metadata(from).map_err(FileError::io("look at", from))?.permissions().mode() & 0o777;
    machine.send_file(&bytes, to)?;
    machine.ask(&format!("chmod {mode:o} {}", quoted(to))).map(drop)
}

impl Machine<'_> {
    /// Writes a file in the guest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn send_file(&mut self, bytes: &[u8], to: &str) -> Result<(), Stop> {
        let mut script = format!(": > {0}", quoted(to));
        for chunk in bytes.chunks(CHUNK_BYTES) {
            // Writing to a String cannot fail.
            let _ = write!(
                script,
                "\nbase64 -d >> {} <<'END'\n{}\nEND",
                quoted(to),
                Base64::encode_string(chunk)
            );
            if script.len() > CHUNK_BYTES {
                self.ask(&std::mem::replace(&mut script, ":".to_owned()))?;
            }
        }
        self.ask(&script).map(drop)
    }

    /// Runs a script that may take as long as the test.
    fn run_long(&mut self, script: &str) -> Result<crate::Answer, Stop> {
        self.run(script, Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_last_line() {
        let findings = judged(3, "one\ntwo\n", 1);
        assert_eq!(findings.problems, ["it ended with 3: two"]);
        assert!(judged(0, "", 0).problems.is_empty());
    }

    #[test]
    fn a_mark_cannot_leave_its_quotes() {
        assert!(script("a'b").contains(r"AUTOPKGTEST_REBOOT_MARK='a'\''b' "));
    }
}
