//! A root shell in a running guest: run a command, wait for a state, notice a reboot.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::{
    Answer, BootId, ConsoleLog, Deadline, VmError,
    transcript::{Heard, Transcript, request},
};

/// Longest silence between two looks at the deadline and the console.
const TICK: Duration = Duration::from_millis(500);
/// Pause between two tries of [`Guest::wait_for`]: each try costs the guest a process.
const RETRY: Duration = Duration::from_secs(1);

/// A root shell in a guest.
#[derive(Debug)]
pub struct Guest {
    stream: UnixStream,
    transcript: Transcript,
    console: ConsoleLog,
    boot: Option<BootId>,
    runs: u64,
}

impl Guest {
    /// The shell behind `stream`, whose machine writes `console`.
    pub fn new(stream: UnixStream, console: ConsoleLog) -> Self {
        Guest { stream, transcript: Transcript::default(), console, boot: None, runs: 0 }
    }

    /// The boot that the shell belongs to, once it has said so.
    pub fn boot(&self) -> Option<&BootId> {
        self.boot.as_ref()
    }

    /// Another end of the connection, for whoever has to break it from outside.
    ///
    /// # Errors
    /// When this process has too many files open.
    pub fn cord(&self) -> Result<UnixStream, VmError> {
        self.stream.try_clone().map_err(broken("opening the connection once more"))
    }

    /// Waits for the shell of a boot that is not the present one. `watch` is called now and then, for displays and for giving up.
    ///
    /// # Errors
    /// When none comes in time, or `watch` gives up.
    pub fn wait_for_boot(
        &mut self,
        deadline: Deadline,
        watch: &mut dyn FnMut() -> Result<(), VmError>,
    ) -> Result<BootId, VmError> {
        let what = if self.boot.is_some() { "a reboot" } else { "the boot to a shell" };
        loop {
            match self.listen(None, what, deadline, watch)? {
                Heard::Hello(id) if self.boot.as_ref() != Some(&id) => {
                    self.boot = Some(id.clone());
                    return Ok(id);
                }
                Heard::Hello(_) | Heard::Answer(_) => {}
            }
        }
    }

    /// Runs a shell script in the guest and returns what it said.
    ///
    /// # Errors
    /// When it does not end in time or the guest reboots; a script that fails is an answer.
    pub fn run(&mut self, command: &str, deadline: Deadline) -> Result<Answer, VmError> {
        let mark = self.send(command)?;
        let what = format!("the end of `{}`", brief(command));
        match self.listen(Some(&mark), &what, deadline, &mut || Ok(()))? {
            Heard::Answer(answer) => Ok(answer),
            Heard::Hello(id) => {
                self.boot = Some(id);
                Err(VmError::Rebooted { command: brief(command) })
            }
        }
    }

    /// Runs a shell script that must succeed and returns its output without the white space around it.
    ///
    /// # Errors
    /// When it fails, does not end in time or the guest reboots.
    pub fn run_ok(&mut self, command: &str, deadline: Deadline) -> Result<String, VmError> {
        let answer = self.run(command, deadline)?;
        if answer.is_success() {
            Ok(answer.output.trim().to_owned())
        } else {
            Err(VmError::Command {
                command: brief(command),
                exit: answer.exit,
                output: end_of(&answer.output),
            })
        }
    }

    /// Starts a shell script whose end nobody waits for: a reboot, for example. Returns its mark.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn send(&mut self, command: &str) -> Result<String, VmError> {
        self.runs += 1;
        let mark = format!("sm-{}-{}", std::process::id(), self.runs);
        self.stream.write_all(&request(&mark, command)).map_err(broken(command))?;
        Ok(mark)
    }

    /// Runs a script again and again until `accept` likes the answer.
    ///
    /// # Errors
    /// When that does not happen in time; the error shows the last answer.
    pub fn wait_for(
        &mut self,
        what: &str,
        command: &str,
        accept: impl Fn(&Answer) -> bool,
        deadline: Deadline,
    ) -> Result<Answer, VmError> {
        let mut last: Option<String> = None;
        loop {
            let answer = match (self.run(command, deadline), last) {
                (Err(VmError::TimedOut { .. }), Some(last)) => {
                    return Err(self.timed_out(what, deadline, &last));
                }
                (answer, _) => answer?,
            };
            if accept(&answer) {
                return Ok(answer);
            }
            let said = format!("`{command}` last said ({}): {}", answer.exit, end_of(&answer.output));
            let Some(left) = deadline.left() else {
                return Err(self.timed_out(what, deadline, &said));
            };
            last = Some(said);
            std::thread::sleep(left.min(RETRY));
        }
    }

    fn listen(
        &mut self,
        mark: Option<&str>,
        what: &str,
        deadline: Deadline,
        watch: &mut dyn FnMut() -> Result<(), VmError>,
    ) -> Result<Heard, VmError> {
        loop {
            if let Some(heard) = self.transcript.next(mark) {
                return Ok(heard);
            }
            let Some(left) = deadline.left() else {
                let rest = self.transcript.rest();
                return Err(self.timed_out(what, deadline, &format!("the shell said `{}`", rest.trim())));
            };
            self.receive(left.min(TICK), what)?;
            watch()?;
        }
    }

    /// Takes what has come, waiting at most `limit` for it.
    fn receive(&mut self, limit: Duration, doing: &str) -> Result<(), VmError> {
        self.stream.set_read_timeout(Some(limit)).map_err(broken(doing))?;
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(VmError::Ended {
                doing: format!("waiting for {doing}"),
                seen: console_end(&self.console),
                console: self.console.path().to_owned(),
            }),
            Ok(n) => {
                self.transcript.push(&buffer[..n]);
                Ok(())
            }
            Err(error) if is_pause(&error) => Ok(()),
            Err(error) => Err(broken(doing)(error)),
        }
    }

    fn timed_out(&self, what: &str, deadline: Deadline, last: &str) -> VmError {
        VmError::TimedOut {
            what: what.to_owned(),
            secs: deadline.allowed().as_secs(),
            seen: format!("{last}; {}", console_end(&self.console)),
            console: self.console.path().to_owned(),
        }
    }
}

fn broken(doing: &str) -> impl FnOnce(io::Error) -> VmError {
    let doing = format!("running `{doing}`");
    move |source| VmError::Connection { doing, source }
}

/// Whether a read only ended because nothing came in time.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// A script in a few words: a short one itself; of a long one its first line, which may be a comment that tells what it is.
fn brief(script: &str) -> String {
    const MAX_CHARS: usize = 120;
    let script = script.trim();
    let first = script.lines().next().unwrap_or_default();
    if let Some(name) = first.strip_prefix("# ") {
        return name.to_owned();
    }
    if script.chars().count() <= MAX_CHARS && first == script {
        return script.to_owned();
    }
    first.chars().take(MAX_CHARS).chain(['…']).collect()
}

fn end_of(output: &str) -> String {
    let lines: Vec<&str> = output.trim().lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

fn console_end(console: &ConsoleLog) -> String {
    const LINES: usize = 5;
    let lines = console.tail(LINES);
    if lines.is_empty() {
        return "the console said nothing".to_owned();
    }
    format!("the console said last: {}", lines.join(" | "))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use sm_host::process::{Invocation, Runner, Running, SystemRunner};

    use super::*;
    use crate::transcript::shell_script;

    /// A guest whose machine is a real `sh` on this one, started by the script that guests get.
    struct FakeMachine {
        guest: Guest,
        shell: Running,
        dir: tempfile::TempDir,
    }

    fn machine() -> FakeMachine {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        // A socket cannot be opened by name, so the port is the shell's standard input, under the name Linux gives it.
        let script = shell_script().replace("exec <>\"$1\" >&0 2>&0;", "exec 0<&1 2>&1;");
        let run = Invocation::new("/bin/sh").arg("-c").arg(script).args(["sh", "/proc/self/fd/1"]);
        let run = run.env("PATH", "/usr/bin:/bin");
        let socket = std::os::fd::OwnedFd::from(theirs);
        let shell = SystemRunner.spawn(&run, Stdio::from(socket), Stdio::null()).unwrap();
        let console = ConsoleLog::new(dir.path().join("console.log"));
        std::fs::write(console.path(), "[  OK  ] Reached target multi-user.target\n").unwrap();
        let mut guest = Guest::new(ours, console);
        guest.wait_for_boot(soon(), &mut || Ok(())).unwrap();
        FakeMachine { guest, shell, dir }
    }

    fn soon() -> Deadline {
        Deadline::within(Duration::from_secs(30))
    }

    #[test]
    fn the_shell_says_which_boot_it_belongs_to() {
        let machine = machine();
        let boot = machine.guest.boot().unwrap();
        let expected = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert_eq!(boot.to_string(), expected.trim());
    }

    #[test]
    fn output_and_status_come_back_whatever_the_command_says() {
        let mut machine = machine();
        let guest = &mut machine.guest;
        let answer = guest.run("echo 'it''s'; echo \"$((1+1))\" >&2; exit 3", soon()).unwrap();
        assert_eq!(answer, Answer { output: "its\n2\n".to_owned(), exit: 3 });
        assert_eq!(guest.run_ok("cat; printf done", soon()).unwrap(), "done");
        assert_eq!(guest.run("kill -9 $$", soon()).unwrap().exit, 137);
        assert_eq!(guest.run_ok("seq 1 20000 | tail -n 1", soon()).unwrap(), "20000");
    }

    #[test]
    fn a_script_with_a_syntax_error_fails_alone() {
        let mut machine = machine();
        let guest = &mut machine.guest;
        assert_ne!(guest.run("if then (", soon()).unwrap().exit, 0);
        assert_eq!(guest.run_ok("echo still here", soon()).unwrap(), "still here");
    }

    #[test]
    fn a_long_script_is_told_by_its_first_line() {
        assert_eq!(brief("echo a"), "echo a");
        assert_eq!(brief("\n# the external test\ncat > /tmp/a\n"), "the external test");
        assert_eq!(brief("cat > /tmp/a <<'END'\nmuch\nEND\n"), "cat > /tmp/a <<'END'…");
        assert_eq!(brief(&"ä".repeat(500)).chars().count(), 121);
    }

    #[test]
    fn a_failed_command_shows_its_last_lines() {
        let mut machine = machine();
        let guest = &mut machine.guest;
        let error = guest.run_ok("echo no such slot; exit 4", soon()).unwrap_err();
        assert_eq!(error.to_string(), "`echo no such slot; exit 4` in the guest ended with 4: no such slot");
    }

    #[test]
    fn a_deadline_that_passes_shows_what_was_seen() {
        let mut machine = machine();
        let guest = &mut machine.guest;
        let error = guest.run("exec 2>&1; echo half; sleep 60", Deadline::within(Duration::from_secs(1)));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("did not happen within 1 s"), "{text}");
        assert!(text.contains("half") && text.contains("multi-user.target"), "{text}");
    }

    #[test]
    fn waiting_ends_with_the_first_answer_that_is_liked() {
        let mut machine = machine();
        let file = machine.dir.path().join("count");
        let count = format!("echo x >> {0}; wc -l < {0}", file.display());
        let liked = |answer: &Answer| answer.output.trim() == "2";
        let answer = machine.guest.wait_for("two lines", &count, liked, soon()).unwrap();
        assert_eq!(answer.output.trim(), "2");
    }

    #[test]
    fn waiting_in_vain_tells_what_for_and_the_last_answer() {
        let mut machine = machine();
        // The second run does not come to its end: the first one's answer is what was seen.
        let file = machine.dir.path().join("once");
        let once = format!("[ ! -e {0} ] || sleep 60; touch {0}; echo not yet", file.display());
        let soon = Deadline::within(Duration::from_secs(2));
        let error = machine.guest.wait_for("the second line", &once, |_| false, soon).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("the second line did not happen") && text.contains("last said (0): not yet")
        );
    }

    #[test]
    fn a_machine_that_ends_is_told_from_one_that_is_slow() {
        let mut machine = machine();
        machine.shell.kill();
        let error = machine.guest.wait_for_boot(soon(), &mut || Ok(())).unwrap_err();
        assert!(matches!(error, VmError::Ended { .. }), "{error}");
    }
}
