//! A virtual machine with its disk, console and shell, in a directory of its own.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sm_host::{
    files::{FileError, create_dir_all},
    process::Runner,
    qemu::{
        Accelerator, Boot, Console, Disk, Forward, GuestPort, Machine, Memory, Network, PortEnd, Programs,
        QemuError, RunningMachine, WriteCache, programs::BaseFormat, running::Link,
    },
};
use sm_model::Arch;

use crate::{
    Access, ConsoleLog, Deadline, Guest, Pace, VmError,
    access::{GUEST_PORT, JOURNAL_PORT},
    rules::{Scope, Severity, built_in, findings},
};

/// The firmware's variables, in a machine's directory.
const VARIABLES: &str = "firmware-variables.fd";
/// The memory of a machine that can be saved, in its directory.
const MEMORY: &str = "machine.memory";
/// Everything else of it but its disks.
const STATE: &str = "machine.state";

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

    /// A host whose machines are whatever `runner` pretends.
    #[cfg(test)]
    pub(crate) fn pretended(runner: &'a dyn Runner, programs: Programs) -> Self {
        VmHost { runner, programs, accelerator: Accelerator::Kvm }
    }

    /// What runs programs here.
    pub const fn runner(&self) -> &'a dyn Runner {
        self.runner
    }

    /// QEMU and what comes with it.
    pub const fn programs(&self) -> &Programs {
        &self.programs
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

/// What a machine's disks are at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The image, and empty disks beside it.
    Fresh,
    /// As the machine of the same directory left them, if there was one.
    Resumed,
    /// A copy of a machine that was saved while it ran, which goes on where that one stopped.
    Copied(Saved),
}

/// A running machine, saved. Any number of copies can go on from it, at the same time, and none changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    dir: PathBuf,
}

/// What starts the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// UEFI, which finds the boot loader of the first disk.
    Uefi,
    /// None: QEMU loads this kernel itself.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// Its initial file system.
        initrd: PathBuf,
        /// Its command line.
        command_line: String,
    },
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
    /// What its disks are at the start.
    pub start: Start,
    /// What starts the guest.
    pub firmware: Firmware,
    /// Size of its disk, in MiB: at least the image's. Images grow to what they find.
    pub disk_mib: u32,
    /// Sizes of further disks, in MiB.
    pub further_disks_mib: Vec<u32>,
    /// What becomes of its writes when the power is cut.
    pub cache: WriteCache,
    /// Processors.
    pub cpus: u8,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Whether it can be saved while it runs: its memory is in a file then.
    pub can_be_saved: bool,
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
            firmware: Firmware::Uefi,
            disk_mib: 8192,
            further_disks_mib: Vec::new(),
            cache: WriteCache::Volatile,
            cpus: 2,
            memory_mib: 2048,
            can_be_saved: false,
            access: Access::none().with_shell(),
            forwards: Vec::new(),
            screen: Screen::Off,
        }
    }

    /// Where its console is written.
    pub fn console_log(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    /// Where its journal is written, if [`Access::with_journal`] asks for it.
    pub fn journal_log(&self) -> PathBuf {
        self.dir.join("journal.log")
    }

    /// Its first disk: a qcow2 file over the image.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk.qcow2")
    }
}

/// A virtual machine that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Vm {
    machine: RunningMachine,
    guest: Guest,
    console: ConsoleLog,
    /// Bytes of the console that were looked at for what stops a boot.
    seen: u64,
    pace: Pace,
    started: Instant,
    cpu_before: Duration,
    dir: PathBuf,
    /// Holds the sockets.
    _sockets: tempfile::TempDir,
}

impl Vm {
    /// Starts the machine and returns at once; its guest boots meanwhile. It ends when the calling thread does.
    ///
    /// # Errors
    /// When its files cannot be made or QEMU does not start.
    pub fn start(host: &VmHost<'_>, plan: &VmPlan) -> Result<Self, VmError> {
        let sockets = socket_folder(&absolute(&plan.dir)?)?;
        let machine = prepare(host, plan, sockets.path())?;
        let console = ConsoleLog::new(machine.console.log());
        let (started, seen) = (Instant::now(), console.len_bytes());
        let mut running = RunningMachine::launch(host.runner, &host.programs, &machine)?;
        let shell = running.connect(&guest_socket(sockets.path()))?;
        if let Some(state) = &machine.resumed_from {
            running.go_on_from(state)?;
        }
        Ok(Vm {
            machine: running,
            guest: Guest::new(shell, console.clone()),
            console,
            seen,
            pace: host.pace(),
            started,
            cpu_before: Duration::ZERO,
            dir: absolute(&plan.dir)?,
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
        let seen = &mut self.seen;
        self.guest.wait_for_boot(deadline, &mut || {
            watch(&console.last_line());
            stop_if_fatal(&console, seen)
        })?;
        Ok(())
    }

    /// Starts counting time anew: a reboot begins.
    pub fn restart_clock(&mut self) {
        self.cpu_before = self.machine.cpu_time().unwrap_or_default();
        self.started = Instant::now();
    }

    /// Another end of the shell's connection, for whoever has to break it from outside.
    ///
    /// # Errors
    /// When this process has too many files open.
    pub fn cord(&self) -> Result<UnixStream, VmError> {
        self.guest.cord()
    }

    /// How QEMU failed, if it just has.
    pub fn crash(&mut self) -> Option<QemuError> {
        self.machine.crash()
    }

    /// Whether QEMU still runs.
    pub fn is_running(&mut self) -> bool {
        self.machine.is_running()
    }

    /// A TCP port of this machine's loopback address that leads to a port of the guest, from now on.
    ///
    /// # Errors
    /// When no port is free here, or QEMU does not take it.
    pub fn forward(&mut self, guest: u16) -> Result<u16, VmError> {
        Ok(self.machine.forward(guest)?)
    }

    /// Writes over its first disk behind the guest's back, as a failing or a malicious disk would.
    ///
    /// # Errors
    /// When QEMU does not.
    pub fn overwrite_disk(&mut self, at: u64, byte: u8, n_bytes: u64) -> Result<(), VmError> {
        Ok(self.machine.overwrite_disk(at, byte, n_bytes)?)
    }

    /// Plugs the network cable in, or pulls it out.
    ///
    /// # Errors
    /// When QEMU does not.
    pub fn set_link(&mut self, link: Link) -> Result<(), VmError> {
        Ok(self.machine.set_link(link)?)
    }

    /// Stops the machine, which [can be saved](VmPlan::can_be_saved), and saves it, so that copies can go on from here. Its directory
    /// must stay as it is from now on.
    ///
    /// # Errors
    /// When its state cannot be written in time.
    pub fn save(mut self) -> Result<Saved, VmError> {
        const LIMIT: Duration = Duration::from_secs(60);
        self.machine.save(&self.dir.join(STATE), LIMIT)?;
        self.machine.cut_power();
        Ok(Saved { dir: self.dir })
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
/// not `seen` yet counts, and panics do not.
fn stop_if_fatal(console: &ConsoleLog, seen: &mut u64) -> Result<(), VmError> {
    let stuck = findings(built_in(), Scope::Console, &console.new_lines(seen))
        .into_iter()
        .find(|finding| finding.severity == Severity::Fatal && finding.rule != "kernel-panic");
    match stuck {
        None => Ok(()),
        Some(finding) => Err(VmError::Fatal { finding: finding.text, console: console.path().to_owned() }),
    }
}

/// A folder for sockets: in the machine's directory, so that it goes with that; elsewhere where the sockets' paths would be longer
/// than a socket's can be (unix(7), `sun_path`).
fn socket_folder(dir: &Path) -> Result<tempfile::TempDir, FileError> {
    const MAX_BYTES: usize = 107 - "/sm-123456/monitor.sock".len();
    create_dir_all(dir)?;
    let temporary = std::env::temp_dir();
    let is_short = |dir: &&Path| dir.as_os_str().len() <= MAX_BYTES;
    let place = [dir, &temporary].into_iter().find(is_short).unwrap_or(Path::new("/tmp"));
    let made = tempfile::Builder::new().prefix("sm-").tempdir_in(place);
    made.map_err(FileError::io("make a directory in", place))
}

fn guest_socket(sockets: &Path) -> PathBuf {
    sockets.join("guest.sock")
}

/// Makes the files of the machine's directory, and the machine as a value.
fn prepare(host: &VmHost<'_>, plan: &VmPlan, sockets: &Path) -> Result<Machine, VmError> {
    let plan = &VmPlan { dir: absolute(&plan.dir)?, ..plan.clone() };
    create_dir_all(&plan.dir)?;
    let disks = disks(host, plan)?;
    let credentials = plan.access.credentials()?;
    Ok(Machine {
        arch: plan.arch,
        accelerator: host.accelerator,
        cpus: plan.cpus,
        memory_mib: plan.memory_mib,
        memory: memory(plan)?,
        boot: boot(host, plan)?,
        disks: disks.into_iter().map(|qcow2| Disk { qcow2, cache: plan.cache }).collect(),
        network: Network::User(plan.forwards.clone()),
        credentials,
        firmware_files: Vec::new(),
        ports: ports(plan, sockets),
        console: match plan.screen {
            Screen::Off => Console::Log(plan.console_log()),
            Screen::Terminal => Console::Terminal(plan.console_log()),
        },
        monitor: sockets.join("monitor.sock"),
        messages: plan.dir.join("qemu.log"),
        resumed_from: match &plan.start {
            Start::Copied(saved) => Some(saved.dir.join(STATE)),
            Start::Fresh | Start::Resumed => None,
        },
    })
}

fn memory(plan: &VmPlan) -> Result<Memory, FileError> {
    match &plan.start {
        Start::Copied(saved) => {
            let memory = saved.dir.join(MEMORY);
            Ok(Memory::CopyOf(fs::canonicalize(&memory).map_err(FileError::io("find", &memory))?))
        }
        Start::Fresh | Start::Resumed if plan.can_be_saved => Ok(Memory::Kept(plan.dir.join(MEMORY))),
        Start::Fresh | Start::Resumed => Ok(Memory::Own),
    }
}

fn absolute(dir: &Path) -> Result<PathBuf, FileError> {
    std::path::absolute(dir).map_err(FileError::io("find", dir))
}

fn ports(plan: &VmPlan, sockets: &Path) -> Vec<GuestPort> {
    let shell = GuestPort { name: GUEST_PORT.to_owned(), end: PortEnd::Socket(guest_socket(sockets)) };
    let journal = GuestPort { name: JOURNAL_PORT.to_owned(), end: PortEnd::Log(plan.journal_log()) };
    std::iter::once(shell).chain(plan.access.has_journal().then_some(journal)).collect()
}

/// The machine's disks, made where it has none yet.
fn disks(host: &VmHost<'_>, plan: &VmPlan) -> Result<Vec<PathBuf>, VmError> {
    let further = (1..=plan.further_disks_mib.len()).map(|i| format!("disk{i}.qcow2"));
    let names: Vec<String> = std::iter::once("disk.qcow2".to_owned()).chain(further).collect();
    let disks: Vec<PathBuf> = names.iter().map(|name| plan.dir.join(name)).collect();
    if plan.start == Start::Resumed && disks[0].exists() {
        return Ok(disks);
    }
    for old in disks.iter().chain([&plan.console_log(), &plan.journal_log()]) {
        remove_if_there(old)?;
    }
    let overlay = |base: &Path, format, disk: &Path, size_mib| {
        host.programs.create_overlay(host.runner, (base, format), disk, size_mib)
    };
    let sizes = std::iter::once(plan.disk_mib).chain(plan.further_disks_mib.iter().copied());
    for ((disk, name), size_mib) in disks.iter().zip(&names).zip(sizes) {
        match &plan.start {
            Start::Copied(saved) => overlay(&saved.dir.join(name), BaseFormat::Qcow2, disk, size_mib)?,
            Start::Fresh | Start::Resumed if disk == &disks[0] => {
                let image = fs::canonicalize(&plan.image).map_err(FileError::io("find", &plan.image))?;
                overlay(&image, plan.format, disk, size_mib)?;
            }
            Start::Fresh | Start::Resumed => {
                host.programs.create_disk(host.runner, disk, size_mib)?;
            }
        }
    }
    Ok(disks)
}

/// What starts the guest; the firmware's variables are a copy of its own.
fn boot(host: &VmHost<'_>, plan: &VmPlan) -> Result<Boot, VmError> {
    if let Firmware::Kernel { kernel, initrd, command_line } = &plan.firmware {
        return Ok(Boot::Kernel {
            kernel: absolute(kernel)?,
            initrd: absolute(initrd)?,
            command_line: command_line.clone(),
        });
    }
    let firmware = host.programs.firmware(plan.arch)?;
    let variables = plan.dir.join(VARIABLES);
    let from = match &plan.start {
        Start::Resumed if variables.exists() => return Ok(Boot::Uefi { code: firmware.code, variables }),
        Start::Copied(saved) => saved.dir.join(VARIABLES),
        Start::Fresh | Start::Resumed => firmware.variables,
    };
    fs::copy(&from, &variables).map_err(FileError::io("write", &variables))?;
    Ok(Boot::Uefi { code: firmware.code, variables })
}

fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_lie_beside_the_disk_unless_their_names_would_be_too_long() {
        let place = tempfile::tempdir().unwrap();
        let long = place.path().join("with spaces, and commas ".repeat(8));
        for (dir, is_within) in [(place.path().join("machine"), true), (long, false)] {
            let folder = socket_folder(&dir).unwrap();
            assert_eq!(folder.path().starts_with(&dir), is_within, "{folder:?}");
            UnixListener::bind(folder.path().join("monitor.sock")).unwrap();
        }
    }
}
