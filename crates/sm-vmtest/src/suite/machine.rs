//! A machine of a test: every wait ends with the test's time at the latest, and what goes wrong is told apart: the image's
//! fault, the host's, or time.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sm_host::{
    files,
    qemu::{Accelerator, QemuError, running::Link},
};

use super::{
    bench::Bench,
    finding::{Stop, in_words},
    trail::{LogPart, MachineLogs, Trail},
};
use crate::{
    Answer, BootReport, ConsoleLog, Deadline, Vm, VmError, VmPlan,
    vm::{Saved, Start, VmHost},
};

/// How long a boot takes on a guest's own processor, at most.
pub const BOOT: Duration = Duration::from_secs(20);
/// How long a short command takes there, at most.
pub const COMMAND: Duration = Duration::from_secs(5);
/// Longest that something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// On a guest's own processor: more under emulation.
    AtFullSpeed(Duration),
    /// On this host's clock, as its author says; twice that under emulation.
    Here(Duration),
}

impl Limit {
    /// How long that is on this host.
    pub fn on(self, host: &VmHost<'_>) -> Duration {
        match (self, host.accelerator()) {
            (Limit::AtFullSpeed(limit), _) => host.pace().within(limit).allowed(),
            (Limit::Here(limit), Accelerator::Emulation) => limit.saturating_mul(2),
            (Limit::Here(limit), Accelerator::Kvm) => limit,
        }
    }
}

/// Less room than this where machines write explains one that stands still.
const FULL_DISK_BYTES: u64 = 64 << 20;

/// A machine that runs.
#[expect(missing_debug_implementations, reason = "it holds effects, not values to print")]
pub struct Machine<'a> {
    host: &'a VmHost<'a>,
    vm: Vm,
    plan: VmPlan,
    name: String,
    trail: Arc<Trail>,
}

/// A machine that is switched off, with its disks.
#[expect(missing_debug_implementations, reason = "it holds effects, not values to print")]
pub struct Off<'a> {
    host: &'a VmHost<'a>,
    plan: VmPlan,
    name: String,
    trail: Arc<Trail>,
}

impl<'a> Machine<'a> {
    /// Switches a machine on, or copies one, as `plan` says.
    pub(super) fn start(
        host: &'a VmHost<'a>,
        name: &str,
        plan: VmPlan,
        trail: &Arc<Trail>,
    ) -> Result<Self, Stop> {
        trail.note(&format!("{name}: starts with {} MiB and {} processors", plan.memory_mib, plan.cpus));
        let vm = Vm::start(host, &plan)?;
        let machine = Machine { host, vm, plan, name: name.to_owned(), trail: Arc::clone(trail) };
        trail.add_machine(machine.logs(LogPart::whole), machine.vm.cord()?)?;
        Ok(machine)
    }

    /// Its name within the test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was started as.
    pub const fn plan(&self) -> &VmPlan {
        &self.plan
    }

    /// What it said on its console.
    pub const fn console(&self) -> &ConsoleLog {
        self.vm.console()
    }

    /// The machine without the test around it: its errors are not told apart, its waits have their own ends.
    pub const fn vm(&mut self) -> &mut Vm {
        &mut self.vm
    }

    /// The deadline for what takes `at_full_speed` on a guest's own processor, within the test's time.
    pub fn within(&self, at_full_speed: Duration) -> Deadline {
        self.trail.deadline().at_most(self.vm.pace().within(at_full_speed).allowed())
    }

    /// Waits until the next boot has come to rest, and tells how it went.
    ///
    /// # Errors
    /// When it does not come to rest; a boot with failed units is an answer.
    pub fn next_boot(&mut self) -> Result<BootReport, Stop> {
        self.next_boot_within(BOOT)
    }

    /// The same for a boot that has more to do than others.
    ///
    /// # Errors
    /// When it does not come to rest; a boot with failed units is an answer.
    pub fn next_boot_within(&mut self, at_full_speed: Duration) -> Result<BootReport, Stop> {
        let deadline = self.within(at_full_speed);
        let report = BootReport::of_next_boot(&mut self.vm, deadline, &mut |_| ());
        let report = report.map_err(|error| self.blame(error))?;
        self.trail.note(&format!(
            "{}: boot to rest in {} ms, {} ms of processor time: {} {}",
            self.name,
            report.settled_millis,
            report.cpu_millis,
            report.state,
            report.failed_units.join(" ")
        ));
        Ok(report)
    }

    /// Waits until the boot whose shell answers has come to rest, and tells how it went.
    ///
    /// # Errors
    /// When it does not come to rest; a boot with failed units is an answer.
    pub fn present_boot(&mut self) -> Result<BootReport, Stop> {
        let deadline = self.within(BOOT);
        BootReport::of_present_boot(&mut self.vm, deadline).map_err(|error| self.blame(error))
    }

    /// Waits for the shell of the next boot, which may not have come to rest yet.
    ///
    /// # Errors
    /// When none comes.
    pub fn next_shell(&mut self) -> Result<(), Stop> {
        self.next_shell_within(BOOT)
    }

    /// The same where other boots go before it, which come to no shell.
    ///
    /// # Errors
    /// When none comes.
    pub fn next_shell_within(&mut self, at_full_speed: Duration) -> Result<(), Stop> {
        let deadline = self.within(at_full_speed);
        self.vm.wait_for_boot(deadline, &mut |_| ()).map_err(|error| self.blame(error))
    }

    /// Waits until the next boot has come to rest, and everything runs.
    ///
    /// # Errors
    /// When it does not come to rest, or a unit failed.
    pub fn healthy_boot(&mut self) -> Result<BootReport, Stop> {
        let report = self.next_boot()?;
        if report.is_healthy() {
            return Ok(report);
        }
        let failed = report.failed_units.join(", ");
        Err(Stop::Broken(format!("{} is `{}`, failed units: {failed}", self.name, report.state)))
    }

    /// Runs a shell script and returns what it said, however it ended.
    ///
    /// # Errors
    /// When it does not end in time, or the machine ends or reboots meanwhile.
    pub fn run(&mut self, script: &str, at_full_speed: Duration) -> Result<Answer, Stop> {
        let deadline = self.within(at_full_speed);
        self.vm.guest().run(script, deadline).map_err(|error| self.blame(error))
    }

    /// Runs a short shell script that must succeed, and returns its output without the white space around it.
    ///
    /// # Errors
    /// When it fails or does not end in time.
    pub fn ask(&mut self, script: &str) -> Result<String, Stop> {
        let deadline = self.within(COMMAND);
        self.vm.guest().run_ok(script, deadline).map_err(|error| self.blame(error))
    }

    /// Starts a shell script whose end nobody waits for: a reboot, for example.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn send(&mut self, script: &str) -> Result<(), Stop> {
        self.vm.guest().send(script).map(drop).map_err(|error| self.blame(error))
    }

    /// Runs a script again and again until `accept` likes the answer.
    ///
    /// # Errors
    /// When that does not happen in time; the error shows the last answer.
    pub fn wait_for(
        &mut self,
        what: &str,
        script: &str,
        accept: impl Fn(&Answer) -> bool,
        at_full_speed: Duration,
    ) -> Result<Answer, Stop> {
        let deadline = self.within(at_full_speed);
        self.vm.guest().wait_for(what, script, accept, deadline).map_err(|error| self.blame(error))
    }

    /// Reboots it in good order, and waits until the next boot has come to rest.
    ///
    /// # Errors
    /// When it does not.
    pub fn reboot(&mut self) -> Result<BootReport, Stop> {
        self.vm.restart_clock();
        self.send("systemctl reboot")?;
        self.next_boot()
    }

    /// A TCP port of this machine's loopback address that leads to a port of the guest, from now on.
    ///
    /// # Errors
    /// When no port is free here, or QEMU does not take it.
    pub fn forward(&mut self, guest: u16) -> Result<u16, Stop> {
        Ok(self.vm.forward(guest)?)
    }

    /// Plugs the network cable in, or pulls it out.
    ///
    /// # Errors
    /// When QEMU does not.
    pub fn set_link(&mut self, link: Link) -> Result<(), Stop> {
        self.trail.note(&format!("{}: network cable {link:?}", self.name));
        Ok(self.vm.set_link(link)?)
    }

    /// Powers it down in good order.
    ///
    /// # Errors
    /// When it does not power down in time.
    pub fn power_down(self) -> Result<Off<'a>, Stop> {
        self.trail.note(&format!("{}: powered down", self.name));
        let Machine { host, vm, plan, name, trail } = self;
        vm.power_down()?;
        Ok(Off { host, plan, name, trail })
    }

    /// Ends it between two instructions, as a power cut does. Of its writes, what [`VmPlan::cache`] says survives.
    pub fn cut_power(self) -> Off<'a> {
        self.trail.note(&format!("{}: power cut", self.name));
        let Machine { host, vm, plan, name, trail } = self;
        vm.cut_power();
        Off { host, plan, name, trail }
    }

    /// Gives a machine that goes on from a copied state what differs now: the time. Random numbers of its own it takes by itself, as
    /// soon as it sees that it is another machine; what it drew is returned.
    pub(super) fn refresh(&mut self) -> Result<String, Stop> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = RandomState::new().build_hasher().finish();
        let script = format!(
            "date -u -s @{} >/dev/null && echo {seed:x} > /dev/urandom && od -An -N16 -tx1 /dev/urandom",
            now.as_secs()
        );
        self.ask(&script)
    }

    /// Waits until a copy that did not see that it is another machine draws random numbers of its own: Linux mixes in what it was
    /// given once a minute (drivers/char/random.c, `CRNG_RESEED_INTERVAL`).
    pub(super) fn wait_for_randomness(&mut self) -> Result<(), Stop> {
        self.run("sleep 61", Duration::from_secs(70)).map(drop)
    }

    /// The machine in the hands of another test.
    pub(super) fn handed_to(mut self, bench: &Bench<'_>) -> Result<Self, Stop> {
        self.trail = Arc::clone(bench.trail());
        self.trail.add_machine(self.logs(LogPart::from_now), self.vm.cord()?)?;
        Ok(self)
    }

    fn logs(&self, part: fn(ConsoleLog) -> LogPart) -> MachineLogs {
        MachineLogs {
            name: self.name.clone(),
            is_booted: !matches!(self.plan.start, Start::Copied(_)),
            console: part(ConsoleLog::new(self.plan.console_log())),
            journal: part(ConsoleLog::new(self.plan.journal_log())),
        }
    }

    /// Stops it and saves it, so that copies can go on from here.
    pub(super) fn save(self) -> Result<Saved, Stop> {
        Ok(self.vm.save()?)
    }

    /// Whose fault an error is. A machine that ended because its guest wanted it is the image's; QEMU that crashed, or a full
    /// disk under it, is the host's.
    fn blame(&mut self, error: VmError) -> Stop {
        if let Some(cut) = self.trail.was_cut() {
            return cut.into();
        }
        match error {
            VmError::Ended { .. } | VmError::Connection { .. } => match self.vm.crash() {
                Some(crash) => Stop::trouble("qemu-crash", &crash),
                None => error.into(),
            },
            VmError::TimedOut { .. } if self.disk_is_full() => Stop::Trouble {
                class: "host-disk",
                message: format!("`{}` has no room for the machine's disk", self.plan.dir.display()),
            },
            error => error.into(),
        }
    }

    fn disk_is_full(&self) -> bool {
        files::free_bytes(&self.plan.dir).is_ok_and(|free| free < FULL_DISK_BYTES)
    }
}

impl<'a> Off<'a> {
    /// Its first disk: a qcow2 file.
    pub fn disk(&self) -> PathBuf {
        self.plan.disk()
    }

    /// What it will be started as: change what the next start should find changed.
    pub const fn plan(&mut self) -> &mut VmPlan {
        &mut self.plan
    }

    /// Switches it on again, with its disks as they are.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start(mut self) -> Result<Machine<'a>, Stop> {
        self.plan.start = Start::Resumed;
        Machine::start(self.host, &self.name, self.plan, &self.trail)
    }
}

impl From<VmError> for Stop {
    fn from(error: VmError) -> Self {
        match error {
            VmError::TimedOut { .. } | VmError::Qemu(QemuError::StillRunning(_)) => {
                Stop::Late(in_words(&error))
            }
            VmError::Qemu(source) => Stop::trouble(class_of(&source), &source),
            VmError::File(source) => source.into(),
            VmError::Credential(source) => Stop::trouble("suite", &source),
            error => Stop::Broken(in_words(&error)),
        }
    }
}

impl From<files::FileError> for Stop {
    fn from(error: files::FileError) -> Self {
        Stop::trouble("host-disk", &error)
    }
}

/// What kind of trouble with QEMU it is.
fn class_of(error: &QemuError) -> &'static str {
    match error {
        QemuError::Tools(_) | QemuError::NoFirmware { .. } => "tool",
        QemuError::Process(_) | QemuError::File(_) => "host-disk",
        QemuError::Ended { said, .. } if said.contains("memory") => "host-memory",
        _ => "qemu-start",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(said: &str) -> VmError {
        VmError::Qemu(QemuError::Ended { status: "exit status: 1".into(), said: said.into() })
    }

    #[test]
    fn a_machine_that_cannot_be_had_is_never_the_images_fault() {
        for (error, expected) in [
            (ended("cannot set up guest memory 'pc.ram': Cannot allocate memory"), "host-memory"),
            (ended("could not open disk"), "qemu-start"),
            (VmError::Qemu(QemuError::NoFirmware { tried: Vec::new() }), "tool"),
        ] {
            let stop = Stop::from(error);
            assert!(matches!(&stop, Stop::Trouble { class, .. } if *class == expected), "{stop:?}");
        }
    }

    #[test]
    fn a_guest_that_says_no_is_the_images_fault_and_one_that_says_nothing_is_late() {
        let refused = VmError::Command { command: "true".into(), exit: 1, output: "no".into() };
        assert!(matches!(Stop::from(refused), Stop::Broken(_)));
        let silent = VmError::TimedOut {
            what: "the boot".into(),
            secs: 1,
            seen: "the console said nothing".into(),
            console: "c".into(),
        };
        assert!(matches!(Stop::from(silent), Stop::Late(text) if text.contains("console said nothing")));
    }
}
