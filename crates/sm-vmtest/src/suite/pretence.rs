//! Machines that are only pretended, for tests of the crew: each is a process that sleeps, with threads that speak QEMU's part on
//! its sockets, and a shell of this host as its guest. Guests may be as bad as wanted.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use sm_host::{
    files::write_atomic,
    process::{Invocation, Output, ProcessError, Runner, Running, SystemRunner},
    qemu::Programs,
    tools::ToolsTree,
};
use sm_model::Arch;

use crate::transcript::shell_script;

/// How a machine behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    /// It boots at once and answers.
    Good,
    /// It never says a word.
    Silent,
    /// It boots into emergency mode.
    Emergency,
    /// It says more on its console than any disk holds.
    Loud,
    /// QEMU ends: this host has too little memory for it.
    NoMemory,
    /// QEMU is killed a moment after its start.
    Killed,
    /// It boots and answers, but what it says on its console and in its journal is no text, and cut off.
    Garbled,
}

/// Starts machines of which those whose directory holds a name behave as given, and all others well.
pub(super) struct Pretence {
    dir: PathBuf,
    bad: Vec<(&'static str, Guest)>,
    pids: Mutex<Vec<u32>>,
}

impl Pretence {
    /// Machines below `dir`.
    pub(super) fn new(dir: &Path, bad: &[(&'static str, Guest)]) -> Self {
        for file in ["usr/bin/qemu-img", "usr/bin/qemu-system-x86_64"]
            .into_iter()
            .chain(["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"])
            .chain(["usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"])
        {
            write_atomic(&dir.join("tools").join(file), b"").unwrap();
        }
        // What guests are asked that this host must not be asked.
        for (program, does) in
            [("systemctl", "[ \"$1\" != is-system-running ] || echo running"), ("date", "exit 0")]
        {
            let path = dir.join("guest").join(program);
            write_atomic(&path, format!("#!/bin/sh\n{does}\n").as_bytes()).unwrap();
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&path, executable).unwrap();
        }
        Pretence { dir: dir.to_owned(), bad: bad.to_vec(), pids: Mutex::default() }
    }

    /// The programs that the machines pretend to be.
    pub(super) fn programs(&self) -> Programs {
        Programs::new(ToolsTree::open(self.dir.join("tools"), Arch::Amd64).unwrap(), Arch::Amd64)
    }

    /// Processes of machines, of those that ran, that are left.
    pub(super) fn left(&self) -> Vec<u32> {
        let pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner).clone();
        pids.into_iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
    }

    fn behaviour(&self, dir: &Path) -> Guest {
        let is_in = |name: &str| dir.components().any(|part| part.as_os_str() == name);
        self.bad.iter().find(|(name, _)| is_in(name)).map_or(Guest::Good, |(_, guest)| *guest)
    }
}

/// What QEMU was given as `key` where it was given `word`, too.
fn argument(run: &Invocation, word: &str, key: &str) -> Option<PathBuf> {
    let properties = run.args.iter().map(|arg| arg.to_string_lossy().into_owned());
    let given = |text: String| {
        let mut properties = text.split(',');
        let found = properties.clone().find_map(|one| one.strip_prefix(key)?.strip_prefix('='));
        properties.any(|one| one == word).then_some(found).flatten().map(PathBuf::from)
    };
    properties.filter_map(given).next()
}

fn path_of(run: &Invocation, id: &str) -> PathBuf {
    argument(run, &format!("id={id}"), "path").unwrap()
}

impl Runner for Pretence {
    fn run(&self, _: &Invocation) -> Result<Output, ProcessError> {
        Ok(Output::default())
    }

    fn spawn(&self, run: &Invocation, stdout: Stdio, stderr: Stdio) -> Result<Running, ProcessError> {
        let guest = self.behaviour(run.cwd.as_deref().unwrap());
        let script = match guest {
            Guest::NoMemory => "echo cannot set up guest memory: Cannot allocate memory >&2; exit 1",
            Guest::Killed => "sleep 0.3; kill -9 $$",
            _ => "exec sleep 1000",
        };
        let (monitor, port) = (path_of(run, "monitor"), path_of(run, "port0"));
        let console = path_of(run, "console");
        if guest != Guest::NoMemory {
            let (monitor, port) = (UnixListener::bind(monitor).unwrap(), UnixListener::bind(port).unwrap());
            thread::spawn(move || answer_monitor(&monitor));
            let path = format!("{}:/usr/bin:/bin", self.dir.join("guest").display());
            match guest {
                Guest::Good | Guest::Garbled => {
                    let goes_on = run.args.iter().any(|arg| arg == "-incoming");
                    drop(thread::spawn(move || be_a_guest(&port, &path, goes_on)));
                }
                Guest::Killed => drop(thread::spawn(move || hold(&port, Some(Duration::from_millis(500))))),
                _ => drop(thread::spawn(move || hold(&port, None))),
            }
        }
        if let Some(memory) = argument(run, "memory-backend-file", "mem-path") {
            drop(fs::File::options().append(true).create(true).open(memory).unwrap());
        }
        match guest {
            Guest::Emergency => fs::write(&console, "You are in emergency mode. After logging in\n").unwrap(),
            // A hole is as long as what it stands for, and takes no disk.
            Guest::Loud => fs::File::create(&console).unwrap().set_len(1 << 30).unwrap(),
            Guest::Garbled => {
                let journal = path_of(run, "port1");
                for log in [&console, &journal] {
                    fs::write(log, b"\xff\xfe\0\0\x1b[\x1b]0;\xc3(\n[  1.0] \xe2\x82".repeat(1000)).unwrap();
                }
            }
            _ => fs::write(&console, "Linux version 6.12\n").unwrap(),
        }
        let sleeping = Invocation::new("/bin/sh").args(["-c", script]).env("PATH", "/usr/bin:/bin");
        let running = SystemRunner.spawn(&sleeping, stdout, stderr)?;
        self.pids.lock().unwrap_or_else(PoisonError::into_inner).push(running.pid());
        Ok(running)
    }
}

/// Says yes to everything (QEMU documentation, "QMP Protocol Specification").
fn answer_monitor(listener: &UnixListener) {
    let Ok((mut stream, _)) = listener.accept() else { return };
    let _greeted = stream.write_all(b"{\"QMP\": {}}\n");
    for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
        let answer = match line {
            line if line.contains("query-status") => "{\"return\": {\"status\": \"paused\"}}\n",
            line if line.contains("query-migrate") => "{\"return\": {\"status\": \"completed\"}}\n",
            _ => "{\"return\": {}}\n",
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A shell of this host, started by the script that guests get, until its connection ends. A socket cannot be opened by name, so
/// it is the shell's standard output, under the name that Linux gives it. A shell that goes on in a copy says no hello.
fn be_a_guest(listener: &UnixListener, path: &str, goes_on: bool) {
    let Ok((stream, _)) = listener.accept() else { return };
    let script = match goes_on {
        true => "exec 0<&1 2>&1; exec /bin/sh".to_owned(),
        false => shell_script().replace("exec <>\"$1\" >&0 2>&0;", "exec 0<&1 2>&1;"),
    };
    let run = Invocation::new("/bin/sh").args(["-c", &script, "sh", "/proc/self/fd/1"]).env("PATH", path);
    let mut shell = SystemRunner.spawn(&run, Stdio::from(OwnedFd::from(stream)), Stdio::null()).unwrap();
    let _ended = shell.child().wait();
}

/// Takes everything and says nothing, until the connection breaks, or nothing came for so long.
fn hold(listener: &UnixListener, patience: Option<Duration>) {
    let Ok((mut stream, _)) = listener.accept() else { return };
    stream.set_read_timeout(patience).unwrap();
    let _taken = std::io::copy(&mut stream, &mut std::io::sink());
}
