//! Runs programs: the only place that spawns any. What to run, and what its answer means, is the caller's business.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Mutex,
};

/// What a program gets as its standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// What this process has.
    Inherit,
}

/// What becomes of a spawned program when its owner ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outlive {
    /// It is killed when the thread that spawned it ends, however that ends (`PR_SET_PDEATHSIG`).
    #[default]
    Never,
    /// It goes on.
    Allowed,
}

/// One run of a program, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing is inherited.
    pub env: BTreeMap<OsString, OsString>,
    /// Its working directory; this process's own when absent.
    pub cwd: Option<PathBuf>,
    /// Its standard input.
    pub stdin: Stdin,
    /// Name for messages: the tool, not the loader that starts it.
    pub name: String,
    /// Whether a spawned program may outlive its owner.
    pub outlive: Outlive,
}

impl Invocation {
    /// A run of `program` with no arguments, an empty environment and empty input.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        Invocation {
            program,
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            stdin: Stdin::Empty,
            name,
            outlive: Outlive::Never,
        }
    }

    /// The same run under another name in messages.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// In a working directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// With standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(&self.env);
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        command.stdin(match self.stdin {
            Stdin::Empty => Stdio::null(),
            Stdin::Bytes(_) => Stdio::piped(),
            Stdin::Inherit => Stdio::inherit(),
        });
        command
    }
}

/// Shows the run as a person would type it, for messages.
impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// What a program that succeeded left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// A program that could not be run or did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It could not be started or waited for.
    #[error("cannot run `{name}` (`{}`)", program.display())]
    Spawn {
        /// The tool.
        name: String,
        /// The file that was to be executed.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It ended with a status that is not success.
    #[error("`{name}` ended with {status}: {}", last_lines(.stderr))]
    Failed {
        /// The tool.
        name: String,
        /// Its exit status or the signal that ended it.
        status: String,
        /// What it said on standard error.
        stderr: String,
    },
}

/// The end of what a program said, short enough for a message.
fn last_lines(text: &str) -> String {
    const LINES: usize = 8;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines[lines.len().saturating_sub(LINES)..].join(" | ")
}

/// Runs programs.
pub trait Runner: Send + Sync {
    /// Runs a program to its end and collects what it says.
    ///
    /// # Errors
    /// When it cannot be started or does not exit with 0.
    fn run(&self, invocation: &Invocation) -> Result<Output, ProcessError>;

    /// Starts a program and returns while it runs; its output goes where the caller says.
    ///
    /// # Errors
    /// When it cannot be started.
    fn spawn(&self, invocation: &Invocation, stdout: Stdio, stderr: Stdio) -> Result<Running, ProcessError>;
}

/// Runs programs on this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRunner;

impl Runner for SystemRunner {
    fn run(&self, invocation: &Invocation) -> Result<Output, ProcessError> {
        let failed = |source| spawn_error(invocation, source);
        let mut child =
            invocation.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let feeder = feed(&mut child, &invocation.stdin);
        let output = child.wait_with_output().map_err(|source| spawn_error(invocation, source))?;
        if let Some(feeder) = feeder {
            // A program may end without reading all of its input: its exit status is the verdict.
            let _ = feeder.join();
        }
        if output.status.success() {
            Ok(Output { stdout: output.stdout, stderr: output.stderr })
        } else {
            Err(failure(invocation, output.status, &output.stderr))
        }
    }

    fn spawn(&self, invocation: &Invocation, stdout: Stdio, stderr: Stdio) -> Result<Running, ProcessError> {
        let mut command = invocation.command();
        command.stdout(stdout).stderr(stderr);
        if invocation.stdin != Stdin::Inherit {
            // Ctrl-C at the terminal is for its owner, which ends it in its own way.
            command.process_group(0);
        }
        if invocation.outlive == Outlive::Never {
            kill_with_owner(&mut command);
        }
        let mut child = command.spawn().map_err(|source| spawn_error(invocation, source))?;
        drop(feed(&mut child, &invocation.stdin));
        Ok(Running { child, outlive: invocation.outlive })
    }
}

fn feed(child: &mut Child, stdin: &Stdin) -> Option<std::thread::JoinHandle<io::Result<()>>> {
    let Stdin::Bytes(bytes) = stdin else { return None };
    let mut pipe = child.stdin.take()?;
    let bytes = bytes.clone();
    Some(std::thread::spawn(move || pipe.write_all(&bytes)))
}

#[expect(
    unsafe_code,
    reason = "the only way to set a death signal before exec; the closure makes one async-signal-safe call"
)]
fn kill_with_owner(command: &mut Command) {
    let set = || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(io::Error::from)
    };
    // SAFETY: between fork and exec the closure only makes the prctl system call; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(set) };
}

fn spawn_error(invocation: &Invocation, source: io::Error) -> ProcessError {
    ProcessError::Spawn { name: invocation.name.clone(), program: invocation.program.clone(), source }
}

fn failure(invocation: &Invocation, status: ExitStatus, stderr: &[u8]) -> ProcessError {
    ProcessError::Failed {
        name: invocation.name.clone(),
        status: status.to_string(),
        stderr: String::from_utf8_lossy(stderr).into_owned(),
    }
}

/// A program that runs. Unless it may outlive its owner, dropping this kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    outlive: Outlive,
}

impl Running {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status, if it has ended.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Ends it at once and collects it; fine if it has ended.
    pub fn kill(&mut self) {
        // Both fail only when the process is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.outlive == Outlive::Never {
            self.kill();
        }
    }
}

type Answer = dyn Fn(&Invocation) -> Result<Output, ProcessError> + Send + Sync;

/// Answers from a script instead of running anything, and remembers what was asked.
pub struct FakeRunner {
    answer: Box<Answer>,
    asked: Mutex<Vec<Invocation>>,
}

impl fmt::Debug for FakeRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRunner").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl FakeRunner {
    /// A runner that answers every run with `answer`.
    pub fn new(answer: impl Fn(&Invocation) -> Result<Output, ProcessError> + Send + Sync + 'static) -> Self {
        FakeRunner { answer: Box::new(answer), asked: Mutex::default() }
    }

    /// Everything that was run, in order.
    pub fn asked(&self) -> Vec<Invocation> {
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Runner for FakeRunner {
    fn run(&self, invocation: &Invocation) -> Result<Output, ProcessError> {
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(invocation.clone());
        (self.answer)(invocation)
    }

    fn spawn(
        &self,
        invocation: &Invocation,
        _stdout: Stdio,
        _stderr: Stdio,
    ) -> Result<Running, ProcessError> {
        let unsupported = io::Error::new(io::ErrorKind::Unsupported, "a fake runner keeps nothing running");
        Err(spawn_error(invocation, unsupported))
    }
}

/// Finds a program on this machine by name, as a shell would, in the usual directories.
pub fn find_program(name: &str) -> Option<PathBuf> {
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .into_iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation::new("/bin/sh").arg("-c").arg(script)
    }

    #[test]
    fn output_and_input_pass_through() {
        let run = shell("cat; printf err >&2").stdin(Stdin::Bytes(b"hello".to_vec()));
        let output = SystemRunner.run(&run).unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"hello"[..], &b"err"[..]));
    }

    #[test]
    fn nothing_is_inherited_from_the_environment() {
        let output = SystemRunner.run(&Invocation::new("/usr/bin/env").env("A", "1")).unwrap();
        assert_eq!(output.stdout, b"A=1\n");
    }

    #[test]
    fn a_failure_names_the_tool_its_status_and_its_last_words() {
        let error = SystemRunner.run(&shell("echo no space >&2; exit 3").named("mkfs.erofs")).unwrap_err();
        assert_eq!(error.to_string(), "`mkfs.erofs` ended with exit status: 3: no space");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = SystemRunner.run(&Invocation::new("/nonexistent/tool")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `tool` (`/nonexistent/tool`)");
    }

    #[test]
    fn a_spawned_program_ends_with_its_handle() {
        let running = SystemRunner.spawn(&shell("sleep 600"), Stdio::null(), Stdio::null()).unwrap();
        let proc_entry = PathBuf::from(format!("/proc/{}", running.pid()));
        assert!(proc_entry.exists());
        drop(running);
        assert!(!proc_entry.exists());
    }

    #[test]
    fn a_spawned_program_ends_with_its_owner_even_when_its_handle_is_lost() {
        let owner = std::thread::spawn(|| {
            let running = SystemRunner.spawn(&shell("sleep 600"), Stdio::null(), Stdio::null()).unwrap();
            let pid = running.pid();
            std::mem::forget(running);
            pid
        });
        let stat = format!("/proc/{}/stat", owner.join().unwrap());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        // Nobody collects it, so it stays as a zombie.
        let is_dead = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "));
        while !is_dead() {
            assert!(std::time::Instant::now() < deadline, "it goes on without its owner");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_program_that_ignores_its_input_does_not_hang_the_caller() {
        let run = shell("exit 0").stdin(Stdin::Bytes(vec![0; 1 << 20]));
        assert!(SystemRunner.run(&run).is_ok());
    }
}
