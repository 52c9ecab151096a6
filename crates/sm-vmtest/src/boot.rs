//! How a boot went: how long it took, what it cost, and whether systemd is content with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Deadline, Vm, VmError};

/// How a boot went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootReport {
    /// Wall time from power-on (or the reboot) to the root shell, in milliseconds.
    pub shell_millis: u64,
    /// Wall time until systemd had nothing left to start, in milliseconds.
    pub settled_millis: u64,
    /// Processor time that QEMU used until then, in milliseconds.
    pub cpu_millis: u64,
    /// Time until then that a processor of the guest had nothing to do: what the boot spent waiting, in milliseconds.
    pub idle_millis: u64,
    /// What `systemctl is-system-running` says: `running` when all is well.
    pub state: String,
    /// Units that failed.
    pub failed_units: Vec<String>,
}

impl BootReport {
    /// Waits until the machine's next boot has come to rest, and reports.
    ///
    /// # Errors
    /// When that does not happen in time; a boot with failed units is an answer.
    pub fn of_next_boot(
        vm: &mut Vm,
        deadline: Deadline,
        watch: &mut dyn FnMut(&str),
    ) -> Result<Self, VmError> {
        vm.wait_for_boot(deadline, watch)?;
        BootReport::of_present_boot(vm, deadline)
    }

    /// Waits until the boot whose shell answers has come to rest, and reports.
    ///
    /// # Errors
    /// When that does not happen in time; a boot with failed units is an answer.
    pub fn of_present_boot(vm: &mut Vm, deadline: Deadline) -> Result<Self, VmError> {
        let shell_millis = millis(vm.elapsed());
        // Returns when the start-up jobs are done, with an exit status that says whether a unit failed.
        let answer = vm.guest().run("systemctl is-system-running --wait; head -n 1 /proc/stat", deadline)?;
        let settled_millis = millis(vm.elapsed());
        let cpu_millis = millis(vm.cpu_time());
        let (state, processors) = answer.output.trim().split_once('\n').unwrap_or((&answer.output, ""));
        let failed = vm.guest().run_ok("systemctl list-units --failed --plain --no-legend", deadline)?;
        Ok(BootReport {
            shell_millis,
            settled_millis,
            cpu_millis,
            idle_millis: idle_millis(processors),
            state: state.trim().to_owned(),
            failed_units: unit_names(&failed),
        })
    }

    /// What systemd thinks of it, in words.
    pub fn in_words(&self) -> String {
        format!("the system is `{}`, failed units: {}", self.state, self.failed_units.join(", "))
    }

    /// Whether systemd is content.
    pub fn is_healthy(&self) -> bool {
        self.state == "running" && self.failed_units.is_empty()
    }
}

/// The first column of systemctl's list.
fn unit_names(list: &str) -> Vec<String> {
    list.lines().filter_map(|line| line.split_ascii_whitespace().next()).map(str::to_owned).collect()
}

/// Time without work in the kernel's account of all processors: `cpu USER NICE SYSTEM IDLE …` (proc_stat(5)).
fn idle_millis(line: &str) -> u64 {
    /// The unit of that account is the same on every Linux of our architectures: 1/100 s.
    const TICK_MILLIS: u64 = 10;
    const IDLE: usize = 4;
    line.split_ascii_whitespace().nth(IDLE).and_then(|ticks| ticks.parse().ok()).unwrap_or(0_u64)
        * TICK_MILLIS
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_units_are_the_first_column() {
        let list = "a.service loaded failed failed A thing\nb.mount  loaded failed failed /b\n\n";
        assert_eq!(unit_names(list), ["a.service", "b.mount"]);
    }

    #[test]
    fn waiting_is_what_the_kernel_calls_idle() {
        assert_eq!(idle_millis("cpu  1210 0 900 345 12 0 3 0 0 0"), 3450);
        assert_eq!(idle_millis("cpu"), 0);
    }

    #[test]
    fn a_boot_with_a_failed_unit_is_not_healthy() {
        let mut report = BootReport {
            shell_millis: 1,
            settled_millis: 2,
            cpu_millis: 3,
            idle_millis: 1,
            state: "running".to_owned(),
            failed_units: Vec::new(),
        };
        assert!(report.is_healthy());
        report.failed_units.push("a.service".to_owned());
        assert!(!report.is_healthy());
        report = BootReport { state: "degraded".to_owned(), failed_units: Vec::new(), ..report };
        assert!(!report.is_healthy());
    }
}
