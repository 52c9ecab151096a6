//! A machine that runs. It ends with its handle, and with the thread that started it, whatever happens to that.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{Console, Machine, Programs, QemuError, argv::arguments, monitor::Monitor};
use crate::{
    files::FileError,
    process::{Runner, Running, Stdin},
};

/// How long QEMU may take from its start to listening on its sockets.
const START: Duration = Duration::from_secs(20);
/// Pause between two presses of the power button.
const PRESS: Duration = Duration::from_secs(5);
/// How often is looked whether something has happened.
const POLL: Duration = Duration::from_millis(20);

/// Whether a network cable is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It is.
    Up,
    /// It is not.
    Down,
}

/// A virtual machine that runs.
#[derive(Debug)]
pub struct RunningMachine {
    qemu: Running,
    monitor: Monitor,
    messages: PathBuf,
}

impl RunningMachine {
    /// Starts `machine` and returns once its control connection answers. One that goes on from a saved state does so when it is
    /// [told to](Self::go_on_from).
    ///
    /// The machine ends when the calling thread does. All of its paths must be absolute: QEMU runs in the directory of its
    /// messages, where it may leave a core file.
    ///
    /// # Errors
    /// When QEMU is missing or does not start the machine.
    pub fn launch(runner: &dyn Runner, programs: &Programs, machine: &Machine) -> Result<Self, QemuError> {
        let mut invocation = programs.emulator(machine.arch)?.args(arguments(machine));
        if let Some(dir) = machine.messages.parent() {
            invocation = invocation.cwd(dir);
        }
        let messages =
            fs::File::create(&machine.messages).map_err(FileError::io("create", &machine.messages))?;
        let stdout = match machine.console {
            Console::Log(_) => Stdio::null(),
            Console::Terminal(_) => {
                invocation = invocation.stdin(Stdin::Inherit);
                Stdio::inherit()
            }
        };
        let mut qemu = runner.spawn(&invocation, stdout, Stdio::from(messages))?;
        let stream = connect(&mut qemu, &machine.monitor, &machine.messages)?;
        let monitor = match Monitor::greet(stream) {
            Ok(monitor) => monitor,
            // A machine that cannot run often ends QEMU just then, and how it ended tells more than the broken connection.
            Err(error) => return Err(ending(&mut qemu, &machine.messages, |_| true).unwrap_or(error)),
        };
        Ok(RunningMachine { qemu, monitor, messages: machine.messages.clone() })
    }

    /// Reads the saved state and lets the guest go on from it. Whoever listened at its ports when it was saved has to be
    /// connected again before: a guest whose port nobody listens at reads the end of its input there.
    ///
    /// # Errors
    /// When QEMU cannot read the state in time.
    pub fn go_on_from(&mut self, state: &Path) -> Result<(), QemuError> {
        let deadline = Instant::now() + START;
        self.monitor.execute_with("migrate-set-capabilities", &without_memory())?;
        self.monitor.execute_with("migrate-incoming", &json!({ "uri": uri(state) }))?;
        loop {
            let answer = match self.monitor.execute("query-status") {
                Ok(answer) => answer,
                Err(error) => {
                    return Err(ending(&mut self.qemu, &self.messages, |_| true).unwrap_or(error));
                }
            };
            if answer["status"] != "inmigrate" {
                self.monitor.execute("cont")?;
                return Ok(());
            }
            if Instant::now() >= deadline {
                let reason = format!("it still read the saved state after {} s", START.as_secs());
                return Err(QemuError::Monitor { command: "cont".to_owned(), reason });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Connects to one of the machine's ports.
    ///
    /// # Errors
    /// When QEMU does not listen there.
    pub fn connect(&mut self, socket: &Path) -> Result<UnixStream, QemuError> {
        connect(&mut self.qemu, socket, &self.messages)
    }

    /// Whether QEMU still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.qemu.try_wait(), Ok(None))
    }

    /// How QEMU failed, if it just has: what a machine that ends by its guest's will is told from.
    pub fn crash(&mut self) -> Option<QemuError> {
        ending(&mut self.qemu, &self.messages, |status| !status.success())
    }

    /// Returns when the machine has ended by itself: its guest powered down, or somebody ended QEMU.
    ///
    /// # Errors
    /// When QEMU ended because something failed.
    pub fn wait(&mut self) -> Result<(), QemuError> {
        let status = self.qemu.child().wait();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(ended(&status.to_string(), &self.messages)),
            Err(error) => Err(ended(&error.to_string(), &self.messages)),
        }
    }

    /// Presses the power button until the guest has powered down; a guest that still boots does not feel it.
    ///
    /// # Errors
    /// When the machine still runs after `limit`.
    pub fn power_down(&mut self, limit: Duration) -> Result<(), QemuError> {
        let deadline = Instant::now() + limit;
        loop {
            let pressed = self.monitor.execute("system_powerdown");
            let next_press = (Instant::now() + PRESS).min(deadline);
            while Instant::now() < next_press {
                if !self.is_running() {
                    return Ok(());
                }
                std::thread::sleep(POLL);
            }
            pressed?;
            if next_press == deadline {
                return Err(QemuError::StillRunning(limit));
            }
        }
    }

    /// Stops the machine and writes its whole state to `file`, but for the disks, which are complete then, and for its memory, which
    /// must be [`Memory::Kept`](super::Memory::Kept). What is left of it is only good for ending it.
    ///
    /// # Errors
    /// When QEMU cannot write the state within `limit`.
    pub fn save(&mut self, file: &Path, limit: Duration) -> Result<(), QemuError> {
        self.monitor.execute("stop")?;
        // The limit on the transfer rate is for machines that go on meanwhile.
        let unlimited = json!({ "max-bandwidth": u32::MAX });
        self.monitor.execute_with("migrate-set-parameters", &unlimited)?;
        self.monitor.execute_with("migrate-set-capabilities", &without_memory())?;
        self.monitor.execute_with("migrate", &json!({ "uri": uri(file) }))?;
        self.wait_for_migration(limit)
    }

    fn wait_for_migration(&mut self, limit: Duration) -> Result<(), QemuError> {
        let deadline = Instant::now() + limit;
        loop {
            let answer = self.monitor.execute("query-migrate")?;
            let reason = match answer["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => {
                    answer["error-desc"].as_str().unwrap_or("it gave no reason").to_owned()
                }
                _ if Instant::now() >= deadline => {
                    format!("it took longer than {} s", limit.as_secs())
                }
                _ => {
                    std::thread::sleep(POLL);
                    continue;
                }
            };
            return Err(QemuError::Monitor { command: "migrate".to_owned(), reason });
        }
    }

    /// A TCP port of this machine's loopback address that leads to `guest`, from now on.
    ///
    /// # Errors
    /// When no port is free, or somebody else takes it first.
    pub fn forward(&mut self, guest: u16) -> Result<u16, QemuError> {
        let command = "hostfwd_add";
        let refused = |reason: String| QemuError::Monitor { command: command.to_owned(), reason };
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let here = free.map_err(|error| refused(error.to_string()))?.port();
        let line = format!("{command} net tcp:127.0.0.1:{here}-:{guest}");
        // The machine protocol has no word for it, and the human one answers errors as text.
        let said = self.monitor.execute_with("human-monitor-command", &json!({ "command-line": line }))?;
        match said.as_str().map(str::trim) {
            None | Some("") => Ok(here),
            Some(reason) => Err(refused(reason.to_owned())),
        }
    }

    /// Fills a range of the first disk with `byte`, behind the guest's back.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn overwrite_disk(&mut self, at: u64, byte: u8, n_bytes: u64) -> Result<(), QemuError> {
        let order = format!("qemu-io disk0 \"write -P {byte} {at} {n_bytes}\"");
        let command = "human-monitor-command";
        let said = self.monitor.execute_with(command, &json!({ "command-line": order }))?;
        match said.as_str().map(str::trim) {
            // What it says when all is well goes nowhere.
            Some("") => Ok(()),
            said => Err(QemuError::Monitor {
                command: command.to_owned(),
                reason: said.unwrap_or("it gave no reason").to_owned(),
            }),
        }
    }

    /// Plugs the network cable in, or pulls it out.
    ///
    /// # Errors
    /// When the machine has no network card.
    pub fn set_link(&mut self, link: Link) -> Result<(), QemuError> {
        let up = link == Link::Up;
        self.monitor.execute_with("set_link", &json!({ "name": "net", "up": up }))?;
        Ok(())
    }

    /// Ends the machine between two instructions, as a power cut does.
    pub fn cut_power(mut self) {
        self.qemu.kill();
    }

    /// Processor time that QEMU has used so far, for all of its threads; none once it has ended.
    pub fn cpu_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.qemu.pid())).ok()?;
        let ticks = cpu_ticks(&stat)?;
        let per_second = rustix::param::clock_ticks_per_second();
        Some(Duration::from_millis(ticks.saturating_mul(1000).checked_div(per_second)?))
    }
}

/// A machine's state without memory that is in a file which its copies read, too: they need not wait until all of it is read.
fn without_memory() -> serde_json::Value {
    json!({ "capabilities": [{ "capability": "x-ignore-shared", "state": true }] })
}

fn uri(state: &Path) -> String {
    format!("file:{}", state.display())
}

/// User and system ticks in a `/proc/PID/stat` line (proc_pid_stat(5), fields 14 and 15). The second field is the program's
/// name in parentheses and may hold anything, so counting starts behind its last parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    user.checked_add(system)
}

fn connect(qemu: &mut Running, socket: &Path, messages: &Path) -> Result<UnixStream, QemuError> {
    let deadline = Instant::now() + START;
    loop {
        let source = match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if let Ok(Some(status)) = qemu.try_wait() {
            return Err(ended(&status.to_string(), messages));
        }
        let may_appear = matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        if !may_appear || Instant::now() >= deadline {
            return Err(QemuError::Connect { socket: socket.to_owned(), source });
        }
        std::thread::sleep(POLL);
    }
}

/// How QEMU ended, if it is just about to and `counts`.
fn ending(qemu: &mut Running, messages: &Path, counts: impl Fn(ExitStatus) -> bool) -> Option<QemuError> {
    const DYING: Duration = Duration::from_secs(2);
    let deadline = Instant::now() + DYING;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = qemu.try_wait() {
            return counts(status).then(|| ended(&status.to_string(), messages));
        }
        std::thread::sleep(POLL);
    }
    None
}

fn ended(status: &str, messages: &Path) -> QemuError {
    let said = fs::read_to_string(messages).unwrap_or_default();
    let last: Vec<&str> = said.lines().rev().take(4).collect();
    let said = if last.is_empty() { "it said nothing".to_owned() } else { last.join(" | ") };
    QemuError::Ended { status: status.to_owned(), said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_program_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 700 50 0 0 20 0 3 0 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(750));
        assert_eq!(cpu_ticks("42 (qemu"), None);
        assert_eq!(cpu_ticks("42 (q) S 1"), None);
    }
}
