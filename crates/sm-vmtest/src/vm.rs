//! A virtual machine with its disk, console and shell, in a directory of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sm_host::{
    files::{FileError, create_dir_all},
    process::Runner,
    qemu::{
        Accelerator, Boot, Console, Disk, Forward, GuestPort, Machine, Network, Programs, RunningMachine,
        WriteCache, programs::BaseFormat,
    },
};
use sm_model::Arch;

use crate::{
    Access, ConsoleLog, Deadline, Guest, Pace, VmError,
    access::GUEST_PORT,
    console::{RULES, Severity, findings},
};

/// What virtual machines run on here.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a runner is an effect, not a value to print")]
pub struct VmHost<'a> {
    runner: &'a dyn Runner,
    programs: Programs,
    accelerator: Accelerator,
}

impl<'a> VmHost<'a> {
    /// Tries how guests of `arch` run here, and keeps to that.
    ///
    /// # Errors
    /// When QEMU is missing.
    pub fn find(runner: &'a dyn Runner, programs: Programs, arch: Arch) -> Result<Self, VmError> {
        let accelerator = Accelerator::choose(runner, &programs, arch)?;
        Ok(VmHost { runner, programs, accelerator })
    }

    /// How guests run here.
    pub const fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// How much time guests get here.
    pub const fn pace(&self) -> Pace {
        Pace::of(self.accelerator)
    }
}

/// Where a machine's console goes, besides its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// Nowhere.
    Off,
    /// To this process's terminal, both ways.
    Terminal,
}

/// What a machine's disk is at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As the image is.
    Fresh,
    /// As the machine of the same directory left it, if there was one.
    Resumed,
}

/// The machine that is wanted.
#[derive(Debug, Clone)]
pub struct VmPlan {
    /// Architecture of the image.
    pub arch: Arch,
    /// The whole-disk image; only read.
    pub image: PathBuf,
    /// Its format.
    pub format: BaseFormat,
    /// Directory of the machine's own files: disk, firmware variables, console log.
    pub dir: PathBuf,
    /// What its disk is at the start.
    pub start: Start,
    /// Size of its disk, in MiB: at least the image's. Images grow to what they find.
    pub disk_mib: u32,
    /// What becomes of its writes when the power is cut.
    pub cache: WriteCache,
    /// Processors.
    pub cpus: u8,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// What the guest is given from outside.
    pub access: Access,
    /// TCP ports that lead into the guest.
    pub forwards: Vec<Forward>,
    /// Where its console goes, besides its log.
    pub screen: Screen,
}

impl VmPlan {
    /// A small machine that starts `image` afresh, with a root shell for us, and keeps its files in `dir`.
    pub fn new(arch: Arch, image: impl Into<PathBuf>, format: BaseFormat, dir: impl Into<PathBuf>) -> Self {
        VmPlan {
            arch,
            image: image.into(),
            format,
            dir: dir.into(),
            start: Start::Fresh,
            disk_mib: 8192,
            cache: WriteCache::Volatile,
            cpus: 2,
            memory_mib: 2048,
            access: Access::none().with_shell(),
            forwards: Vec::new(),
            screen: Screen::Off,
        }
    }
}

/// A virtual machine that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Vm {
    machine: RunningMachine,
    guest: Guest,
    console: ConsoleLog,
    pace: Pace,
    started: Instant,
    cpu_before: Duration,
    /// Holds the sockets: their paths must stay short, wherever the machine's directory is.
    _sockets: tempfile::TempDir,
}

impl Vm {
    /// Starts the machine and returns at once; its guest boots meanwhile. It ends when the calling thread does.
    ///
    /// # Errors
    /// When its files cannot be made or QEMU does not start.
    pub fn start(host: &VmHost<'_>, plan: &VmPlan) -> Result<Self, VmError> {
        let sockets =
            tempfile::tempdir().map_err(FileError::io("make a directory in", &std::env::temp_dir()))?;
        let machine = prepare(host, plan, sockets.path())?;
        let started = Instant::now();
        let mut running = RunningMachine::launch(host.runner, &host.programs, &machine)?;
        let shell = running.connect(&guest_socket(sockets.path()))?;
        let console = ConsoleLog::new(machine.console.log());
        Ok(Vm {
            machine: running,
            guest: Guest::new(shell, console.clone()),
            console,
            pace: host.pace(),
            started,
            cpu_before: Duration::ZERO,
            _sockets: sockets,
        })
    }

    /// The root shell.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    /// What the guest said on its console.
    pub const fn console(&self) -> &ConsoleLog {
        &self.console
    }

    /// How much time its guest gets.
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Time since the machine, or its present boot, started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Processor time that QEMU has used since then.
    pub fn cpu_time(&self) -> Duration {
        self.machine.cpu_time().unwrap_or_default().saturating_sub(self.cpu_before)
    }

    /// Waits for the shell of the first boot, or of the next one. `watch` gets the console's last line now and then.
    ///
    /// # Errors
    /// When none comes in time, or the console says that none will.
    pub fn wait_for_boot(&mut self, deadline: Deadline, watch: &mut dyn FnMut(&str)) -> Result<(), VmError> {
        let console = self.console.clone();
        let said_before = console.text().len();
        self.guest.wait_for_boot(deadline, &mut || {
            watch(&console.last_line());
            stop_if_fatal(&console, said_before)
        })?;
        Ok(())
    }

    /// Starts counting time anew: a reboot begins.
    pub fn restart_clock(&mut self) {
        self.cpu_before = self.machine.cpu_time().unwrap_or_default();
        self.started = Instant::now();
    }

    /// Returns when the machine has ended by itself.
    ///
    /// # Errors
    /// When QEMU failed.
    pub fn wait(&mut self) -> Result<(), VmError> {
        Ok(self.machine.wait()?)
    }

    /// Presses the power button and waits until the guest has powered down.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn power_down(mut self) -> Result<(), VmError> {
        let limit = self.pace.within(Duration::from_secs(15)).allowed();
        Ok(self.machine.power_down(limit)?)
    }

    /// Ends the machine between two instructions, as a power cut does.
    pub fn cut_power(self) {
        self.machine.cut_power();
    }
}

/// Gives up where the console says that the machine will not come further by itself. A panic reboots our images, so only what was
/// said since `from` counts, and panics do not.
fn stop_if_fatal(console: &ConsoleLog, from: usize) -> Result<(), VmError> {
    let text = console.text();
    let said = text.get(from..).unwrap_or_default();
    let stuck = findings(RULES, said)
        .into_iter()
        .find(|finding| finding.severity == Severity::Fatal && finding.rule != "kernel-panic");
    match stuck {
        None => Ok(()),
        Some(finding) => Err(VmError::Fatal { finding: finding.text, console: console.path().to_owned() }),
    }
}

fn guest_socket(sockets: &Path) -> PathBuf {
    sockets.join("guest.sock")
}

/// Makes the files of the machine's directory, and the machine as a value.
fn prepare(host: &VmHost<'_>, plan: &VmPlan, sockets: &Path) -> Result<Machine, VmError> {
    let dir = std::path::absolute(&plan.dir).map_err(FileError::io("find", &plan.dir))?;
    create_dir_all(&dir)?;
    let [disk, variables, log] = ["disk.qcow2", "firmware-variables.fd", "console.log"].map(|f| dir.join(f));
    let firmware = host.programs.firmware(plan.arch)?;
    if plan.start == Start::Fresh || !disk.exists() {
        remove_if_there(&log)?;
        remove_if_there(&disk)?;
        let image = fs::canonicalize(&plan.image).map_err(FileError::io("find", &plan.image))?;
        host.programs.create_overlay(host.runner, (&image, plan.format), &disk, plan.disk_mib)?;
        fs::copy(&firmware.variables, &variables).map_err(FileError::io("write", &variables))?;
    }
    Ok(Machine {
        arch: plan.arch,
        accelerator: host.accelerator,
        cpus: plan.cpus,
        memory_mib: plan.memory_mib,
        boot: Boot::Uefi { code: firmware.code, variables },
        disk: Some(Disk { qcow2: disk, cache: plan.cache }),
        network: Network::User(plan.forwards.clone()),
        credentials: plan.access.credentials()?,
        firmware_files: Vec::new(),
        ports: vec![GuestPort { name: GUEST_PORT.to_owned(), socket: guest_socket(sockets) }],
        console: match plan.screen {
            Screen::Off => Console::Log(log),
            Screen::Terminal => Console::Terminal(log),
        },
        monitor: sockets.join("monitor.sock"),
        messages: dir.join("qemu.log"),
    })
}

fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
