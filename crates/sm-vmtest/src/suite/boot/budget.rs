//! What boots cost: processor time, waiting and memory, from several boots, with the interval that so few can tell.

use sm_host::qemu::Accelerator;

use crate::{BootReport, suite::finding::Findings};

/// Processor seconds that a boot may take on a processor of its own, and under emulation.
const BOOT_SECS: (f64, f64) = (12.0, 75.0);
/// Seconds that a boot may spend waiting: for devices, for a network, for a unit that sleeps. A busy host makes them no longer.
const IDLE_SECS: f64 = 25.0;
/// Memory that the system may take at rest, without caches, in MiB.
const MEMORY_MIB: f64 = 320.0;

/// What one boot cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cost {
    /// Processor time of QEMU until rest, in seconds.
    pub(super) cpu_secs: f64,
    /// Time in which the guest had nothing to do until rest, in seconds.
    pub(super) idle_secs: f64,
    /// Memory in use at rest, in MiB.
    pub(super) memory_mib: f64,
}

impl Cost {
    /// Cost of a boot, with the kernel's own account of memory (`proc_meminfo(5)`).
    pub(super) fn of(report: &BootReport, meminfo: &str) -> Option<Self> {
        let kib = |key: &str| -> Option<f64> {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        let memory_mib = (kib("MemTotal")? - kib("MemAvailable")?) / 1024.0;
        let secs = |millis: u64| millis as f64 / 1000.0;
        Some(Cost { cpu_secs: secs(report.cpu_millis), idle_secs: secs(report.idle_millis), memory_mib })
    }
}

/// Holds the costs against their budgets. Only a budget that lies below the whole interval is overrun: less would be chance.
pub(super) fn judge(costs: &[Cost], accelerator: Accelerator) -> Findings {
    let interval = |of: fn(&Cost) -> f64| Interval::of(&costs.iter().map(of).collect::<Vec<_>>());
    let budget = match accelerator {
        Accelerator::Kvm => BOOT_SECS.0,
        Accelerator::Emulation => BOOT_SECS.1,
    };
    let (time, idle) = (interval(|cost| cost.cpu_secs), interval(|cost| cost.idle_secs));
    let space = interval(|cost| cost.memory_mib);
    let mut findings = Findings::of(format!(
        "{} boots: {time} processor seconds of {budget}, {idle} s of waiting of {IDLE_SECS}, {space} MiB at rest of {MEMORY_MIB}",
        costs.len()
    ));
    findings.require(time.low <= budget, || {
        format!("a boot takes {time} processor seconds, the budget is {budget}")
    });
    findings.require(idle.low <= IDLE_SECS, || {
        format!("a boot waits {idle} s for something, the budget is {IDLE_SECS}")
    });
    findings.require(space.low <= MEMORY_MIB, || {
        format!("{space} MiB are in use at rest, the budget is {MEMORY_MIB}")
    });
    findings
}

/// A mean, and the 95 % interval around it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Interval {
    mean: f64,
    low: f64,
    high: f64,
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1} to {:.1})", self.mean, self.low.max(0.0), self.high)
    }
}

impl Interval {
    /// Student's t over the sample's standard error; of a single value, anything.
    fn of(values: &[f64]) -> Self {
        /// Two-sided 95 % quantiles for 1, 2, … degrees of freedom.
        const T: [f64; 8] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306];
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let Some(t) = values.len().checked_sub(2).map(|i| T[i.min(T.len() - 1)]) else {
            return Interval { mean, low: f64::NEG_INFINITY, high: f64::INFINITY };
        };
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let half = t * (variance / n).sqrt();
        Interval { mean, low: mean - half, high: mean + half }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(secs: &[f64]) -> Vec<Cost> {
        secs.iter().map(|&cpu_secs| Cost { cpu_secs, idle_secs: 5.0, memory_mib: 200.0 }).collect()
    }

    #[test]
    fn an_interval_is_students() {
        let interval = Interval::of(&[1.0, 2.0, 3.0]);
        assert!((interval.low - (2.0 - 4.303 / 3f64.sqrt())).abs() < 1e-9);
        assert_eq!(interval.to_string(), "2.0 (0.0 to 4.5)");
    }

    #[test]
    fn one_boot_overruns_no_budget_and_three_alike_do() {
        assert_eq!(judge(&costs(&[500.0]), Accelerator::Emulation).problems, [""; 0]);
        assert_eq!(judge(&costs(&[74.0, 76.0, 75.5]), Accelerator::Emulation).problems, [""; 0]);
        let slow = judge(&costs(&[99.0, 100.0, 101.0]), Accelerator::Emulation);
        assert!(slow.problems[0].starts_with("a boot takes 100.0 (97.5 to 102.5)"), "{:?}", slow.problems);
        assert_eq!(judge(&costs(&[20.0, 20.0]), Accelerator::Kvm).problems.len(), 1);
    }

    #[test]
    fn a_boot_that_sleeps_overruns_its_budget_though_it_costs_no_processor_time() {
        let mut asleep = costs(&[50.0, 51.0, 52.0]);
        for (cost, idle_secs) in asleep.iter_mut().zip([49.0, 50.0, 51.0]) {
            cost.idle_secs = idle_secs;
        }
        let problems = judge(&asleep, Accelerator::Emulation).problems;
        assert_eq!(problems, ["a boot waits 50.0 (47.5 to 52.5) s for something, the budget is 25"]);
    }

    #[test]
    fn memory_is_what_cannot_be_had_back() {
        let report = BootReport {
            shell_millis: 1,
            settled_millis: 2,
            cpu_millis: 1500,
            idle_millis: 250,
            state: "running".into(),
            failed_units: Vec::new(),
        };
        let cost =
            Cost::of(&report, "MemTotal: 984296 kB\nMemFree: 1 kB\nMemAvailable:   768128 kB\n").unwrap();
        assert_eq!((cost.cpu_secs, cost.idle_secs, cost.memory_mib.round()), (1.5, 0.25, 211.0));
        assert_eq!(Cost::of(&report, "MemTotal: 1 kB\n"), None);
    }
}
